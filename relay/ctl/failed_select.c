/* failed_select.c — see failed_select.h. */
#include <string.h>

#include "failed_select.h"
#include "settings_value.h"
#include "text.h"

static bool read_status(struct selection *s)
{
    static const char *const states[] = {"retry", "waiting", "dead"};
    if (!s->status)
        return true;
    for (int i = 0; i < 3; i++)
        if (!strcmp(s->status, states[i]))
            s->state = states[i];
    if (s->state || (value_number(s->status, &s->answer) && s->answer > 0))
        return true;
    ctl_say("failed: --status wants retry, waiting, dead or the number of an answer such as 500, not %s", s->status);
    return false;
}

static int read_seqs(struct selection *s, int count, char **seqs)
{
    int64_t seq;
    for (int i = 0; i < count; i++) {
        if (!value_number(seqs[i], &seq)) {
            ctl_say("failed: %s is no seq", seqs[i]);
            return EXIT_USAGE;
        }
        buffer_append_byte(&s->text, i ? ',' : '[');
        text_append_int(&s->text, seq);
    }
    if (!count)
        return EXIT_DONE;
    buffer_append_byte(&s->text, ']');
    s->seqs = buffer_text(&s->text);
    if (s->seqs)
        return EXIT_DONE;
    ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
    return EXIT_TEMPORARY;
}

int selection_read(struct selection *s, int seq_count, char **seqs)
{
    return read_status(s) ? read_seqs(s, seq_count, seqs) : EXIT_USAGE;
}

void selection_free(struct selection *s)
{
    buffer_free(&s->text);
}

int selection_none(const struct selection *s, struct report *report)
{
    report->empty = true;
    if (s->all)
        report_say(report, "nothing has failed");
    else
        ctl_say("no failed delivery matches");
    return s->all ? EXIT_DONE : EXIT_NEGATIVE;
}

bool selection_is_narrow(const struct selection *s)
{
    return s->consumer || s->key || s->status || s->seqs;
}

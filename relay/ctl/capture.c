/* capture.c — capture and release: triggers that log what plain SQL writes, put on tables and taken away. */
#include <limits.h>

#include "capture.h"
#include "ctl.h"

/* All the tables or none. The notes are the library's, on triggers of the table's own. */
static int capture(outbox *ob, int count, char **tables, const char *options)
{
    int code = outbox_begin(ob);
    for (int i = 0; i < count && code == OUTBOX_OK; i++) {
        code = options ? capture_json(ob, tables[i], options, -1) : outbox_capture(ob, tables[i], NULL);
        if (code == OUTBOX_OK && *outbox_errmsg(ob))
            ctl_say("%s", outbox_errmsg(ob));
    }
    if (code == OUTBOX_OK)
        code = outbox_commit(ob);
    return code == OUTBOX_OK ? EXIT_DONE : ctl_fail(ob, code);
}

int ctl_capture(struct ctl *ctl, int argc, char **argv)
{
    const char *text = NULL;
    const struct option_spec options[] = {{"options", OPTION_TEXT, &text}};
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, options, 1, 1, INT_MAX, &argc, argv, &code))
        return code;
    code = ctl_open(ctl, &ob);
    if (code == EXIT_DONE)
        code = capture(ob, argc, argv, text);
    outbox_close(ob);
    return code;
}

int ctl_release(struct ctl *ctl, int argc, char **argv)
{
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, NULL, 0, 1, INT_MAX, &argc, argv, &code))
        return code;
    code = ctl_open(ctl, &ob);
    if (code != EXIT_DONE)
        return code;
    int result = outbox_begin(ob);
    for (int i = 0; i < argc && result == OUTBOX_OK; i++)
        result = outbox_release(ob, argv[i]);
    if (result == OUTBOX_OK)
        result = outbox_commit(ob);
    code = result == OUTBOX_OK ? EXIT_DONE : ctl_fail(ob, result);
    outbox_close(ob);
    return code;
}

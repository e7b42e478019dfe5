/* erase_line_fuzz.c — a line without its data, whoever wrote or tore it: as long as it was, an event with the same place
 * in its stream, and nothing of what it said; again it is the same.
 */
#include "fuzz.h"

#include "ctl/erase.h"

static enum erase_line ask(void *arg, const struct erase_key *key, const struct event_line *line)
{
    (void)arg;
    (void)key;
    return line->event.seq % 2 ? ERASE_OURS : ERASE_UNDECIDED;
}

static const struct erase_log change_log = {ask, NULL, true};

static bool is_empty(const char *value, size_t size, const char *empty)
{
    return !value || (size == strlen(empty) && !memcmp(value, empty, size));
}

static void check_erased(const struct erase_key *key, const struct buffer *out, size_t size, const outbox_event *before)
{
    struct event_line line = {0};
    struct buffer again = {0};
    const outbox_event *e = &line.event;
    CHECK(out->size == size);
    CHECK(event_line_parse(&line, out->data, size));
    CHECK(is_empty(e->payload, e->payload_size, "null") && !e->payload_is_blob);
    CHECK(is_empty(e->before, e->before_size, "null") && is_empty(e->headers, e->headers_size, "{}"));
    CHECK(!before || (before->seq == e->seq && before->prev == e->prev && before->revision == e->revision));
    CHECK(erase_line(key, &change_log, &line, out->data, size, &again) == ERASE_OURS);
    CHECK(again.size == size && !memcmp(again.data, out->data, size));
    event_line_free(&line);
    buffer_free(&again);
}

/* Whoever it says it is of: so that most inputs are erased. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct event_line line = {0};
    struct buffer out = {0};
    struct erase_key key = {"orders", "o-1"};
    char *name = NULL, *own = NULL;
    bool parsed = event_line_parse(&line, text, size);
    const outbox_event *e = &line.event;
    if (parsed && e->topic && e->key) {
        key.name = name = fuzz_text((const uint8_t *)e->topic, e->topic_size);
        key.key = own = fuzz_text((const uint8_t *)e->key, e->key_size);
    }
    enum erase_line result = erase_line(&key, &change_log, parsed ? &line : NULL, text, size, &out);
    CHECK(result != ERASE_NO_MEMORY && (!parsed || result != ERASE_UNREADABLE));
    if (result == ERASE_OURS)
        check_erased(&key, &out, size, parsed ? e : NULL);
    event_line_free(&line);
    buffer_free(&out);
    free(name);
    free(own);
    return 0;
}

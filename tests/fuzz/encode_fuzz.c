/* encode_fuzz.c — an event, whatever stands in it, becomes one line that is read back as the same event, native and as a
 * CloudEvent; and as a webhook its header lines hold no control byte. The input's texts are parted by '|'. */
#include "encode.h"
#include "event_line.h"
#include "fuzz.h"
#include "json_scan.h"
#include "sinks/envelope.h"
#include "utf8.h"

static const char source[] = "0123456789abcdef";

/* The next text of the input; NULL where it is "~". */
static const char *take_text(const uint8_t **data, size_t *left, size_t *size)
{
    const uint8_t *begin = *data, *bar = *left ? memchr(begin, '|', *left) : NULL;
    *size = bar ? (size_t)(bar - begin) : *left;
    *data += *size + (bar != NULL);
    *left -= *size + (bar != NULL);
    if (*size == 1 && *begin == '~') {
        *size = 0;
        return NULL;
    }
    return *size ? (const char *)begin : "";
}

/* A path that ends in 2 slices of what is checked elsewhere: equal texts, where both are there and were valid. */
static void check_same(const char *ours, size_t ours_size, const char *theirs, size_t theirs_size)
{
    CHECK((ours != NULL) == (theirs != NULL));
    if (ours && utf8_valid(ours, ours_size, NULL))
        CHECK(ours_size == theirs_size && (!ours_size || !memcmp(ours, theirs, ours_size)));
}

static void check_json_same(const char *ours, size_t ours_size, const char *theirs, size_t theirs_size)
{
    struct buffer spliced = {0};
    CHECK((ours != NULL) == (theirs != NULL));
    if (ours) {
        const char *trimmed = theirs;
        CHECK(json_splice(&spliced, ours, ours_size, NULL));
        CHECK(memmem(spliced.data, spliced.size, trimmed, theirs_size) != NULL);
    }
    buffer_free(&spliced);
}

static void check_line(const struct source_row *row, bool native)
{
    struct encode_options options = {.source = source, .with_prev = true, .prev = row->event.seq - 1};
    struct buffer line = {0};
    struct event_line read = {0};
    const char *error = NULL;
    const outbox_event *e = &row->event, *r = &read.event;

    (native ? encode_native : encode_cloudevent)(&line, row, &options, &error);
    CHECK(buffer_ok(&line) && !memchr(line.data, '\n', line.size) && json_check_event(line.data, line.size, NULL));
    char *exact = malloc(line.size);
    CHECK(exact != NULL);
    memcpy(exact, line.data, line.size);
    CHECK(event_line_parse(&read, exact, line.size));
    CHECK(r->seq == e->seq && r->prev == e->seq - 1 && r->revision == e->revision);
    CHECK(r->time_us == e->time_us || !native);
    if (native || e->key_size) /* a CloudEvent has no empty subject */
        check_same(e->key, e->key_size, r->key, r->key_size);
    if (native) {
        check_same(e->topic, e->topic_size, r->topic, r->topic_size);
        check_same(e->table, e->table_size, r->table, r->table_size);
        check_same(e->ordering_key, e->ordering_key_size, r->ordering_key, r->ordering_key_size);
    }
    bool payload_good = !e->payload || e->payload_is_blob || json_check(e->payload, e->payload_size, NULL);
    CHECK(!error || r->error || !native);
    CHECK(error || payload_good);
    if (!error && e->payload_is_blob)
        CHECK(r->payload_size == e->payload_size && !memcmp(r->payload, e->payload, e->payload_size));
    else if (!error)
        check_json_same(e->payload, e->payload_size, r->payload, r->payload_size);
    if (!error && native)
        check_json_same(e->before, e->before_size, r->before, r->before_size);
    event_line_free(&read);
    buffer_free(&line);
    free(exact);
}

static void check_headers(const struct source_row *row, enum event_format format)
{
    char wanted[] = "x-trace", another[] = "b", *names[] = {wanted, another, NULL};
    struct webhook_settings settings = {.format = format, .event_headers = names};
    struct envelope_pool pool = {.idle = NULL};
    struct envelope *e = envelope_new(&pool, row, &settings, source, true);
    CHECK(e && e->header_count <= ENVELOPE_HEADERS_MAX);
    for (int i = 0; i < e->header_count; i++) {
        const char *colon = strstr(e->headers[i], ": ");
        CHECK(colon && colon > e->headers[i]);
        for (const char *p = e->headers[i]; *p; p++)
            CHECK(((unsigned char)*p >= 0x20 || *p == '\t') && *p != 0x7F);
    }
    CHECK(!e->error || (e->body.size == 0 && e->header_count == 0));
    if (!e->error && e->content_type && (format == FORMAT_NATIVE || format == FORMAT_CLOUDEVENTS))
        CHECK(json_check_event(e->body.data, e->body.size, NULL));
    envelope_free(&pool, e);
    envelope_pool_fini(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ops[] = {"insert", "update", "delete", "emit"};
    struct source_row row = {.error = NULL};
    outbox_event *e = &row.event;
    uint64_t kinds = fuzz_take(&data, &size, 1);

    e->seq = (int64_t)(fuzz_take(&data, &size, 8) & INT64_MAX) | 1;
    e->time_us = (int64_t)fuzz_take(&data, &size, 8);
    e->revision = (int64_t)fuzz_take(&data, &size, 1);
    e->op = ops[kinds & 3];
    e->topic = take_text(&data, &size, &e->topic_size);
    e->table = take_text(&data, &size, &e->table_size);
    e->key = take_text(&data, &size, &e->key_size);
    e->ordering_key = take_text(&data, &size, &e->ordering_key_size);
    e->headers = take_text(&data, &size, &e->headers_size);
    e->before = take_text(&data, &size, &e->before_size);
    e->payload = take_text(&data, &size, &e->payload_size);
    e->payload_is_blob = kinds & 4 && e->payload;
    if (!e->topic) /* the one column that is never NULL: plain SQL's NULL is the view's to refuse */
        e->topic = "";
    check_line(&row, true);
    check_line(&row, false);
    for (enum event_format format = FORMAT_NATIVE; format <= FORMAT_PAYLOAD; format++)
        check_headers(&row, format);
    return 0;
}

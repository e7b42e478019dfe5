/* event_line_fuzz.c — a line of a stream as an event: what is taken is JSON to SQLite too, and each field is what SQLite's
 * json_extract finds under its name. Every byte that the event points to is read. */
#include "event_line.h"
#include "fuzz.h"
#include "json_scan.h"

static unsigned touch(const void *bytes, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; bytes && i < size; i++)
        sum += ((const unsigned char *)bytes)[i];
    return sum;
}

static unsigned touch_all(const outbox_event *e)
{
    return touch(e->topic, e->topic_size) + touch(e->table, e->table_size) + touch(e->key, e->key_size) +
           touch(e->ordering_key, e->ordering_key_size) + touch(e->payload, e->payload_size) +
           touch(e->before, e->before_size) + touch(e->headers, e->headers_size) + touch(e->id, strlen(e->id)) +
           (e->op ? touch(e->op, strlen(e->op)) : 0) + (e->error ? touch(e->error, strlen(e->error)) : 0);
}

/* What a name twice means nobody has said; SQLite stops text at \u0000, and lone surrogates are its own affair. */
static bool is_plain(const char *text, size_t size)
{
    static sqlite3_stmt *st;
    if (memmem(text, size, "\\u", 2))
        return false;
    if (!st)
        st = fuzz_prepare(fuzz_memory_db(), "SELECT count(*) = count(DISTINCT key) FROM json_each(?1)");
    sqlite3_bind_text(st, 1, text, (int)size, SQLITE_STATIC);
    CHECK(sqlite3_step(st) == SQLITE_ROW);
    bool plain = sqlite3_column_int(st, 0) != 0;
    sqlite3_reset(st);
    return plain;
}

static sqlite3_stmt *extract(const char *text, size_t size)
{
    static sqlite3_stmt *st;
    if (!st)
        st = fuzz_prepare(fuzz_memory_db(),
                          "SELECT ?1->>'$.id', ?1->>'$.key', ?1->>'$.ordering_key', ?1->>'$.table', ?1->>'$.op',"
                          "       ?1->>'$.seq', ?1->>'$.prev', ?1->>'$.topic'");
    sqlite3_reset(st);
    sqlite3_bind_text(st, 1, text, (int)size, SQLITE_STATIC);
    CHECK(sqlite3_step(st) == SQLITE_ROW);
    return st;
}

static void check_text(sqlite3_stmt *st, int column, const char *ours, size_t size)
{
    if (!ours)
        return;
    CHECK(sqlite3_column_bytes(st, column) == (int)size);
    CHECK(size == 0 || !memcmp(sqlite3_column_text(st, column), ours, size));
}

/* A native line has no member of a CloudEvent's. */
static void check_native(const outbox_event *e, const char *text, size_t size)
{
    sqlite3_stmt *st = extract(text, size);
    check_text(st, 0, e->id, strlen(e->id));
    check_text(st, 1, e->key, e->key_size);
    check_text(st, 2, e->ordering_key, e->ordering_key_size);
    check_text(st, 3, e->table, e->table_size);
    check_text(st, 4, e->op, e->op ? strlen(e->op) : 0);
    CHECK(sqlite3_column_int64(st, 5) == e->seq && sqlite3_column_int64(st, 6) == e->prev);
    check_text(st, 7, e->topic, e->topic_size);
    sqlite3_reset(st);
}

static bool is_cloudevent(const char *text, size_t size)
{
    static const char *const own[] = {"\"sequence\"", "\"type\"", "\"subject\"", "\"data\"", "\"partitionkey\""};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (memmem(text, size, own[i], strlen(own[i])))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct event_line line = {0};

    for (int times = 0; times < 2; times++) { /* one event_line is used for many lines */
        if (!event_line_parse(&line, text, size)) {
            CHECK(buffer_ok(&line.decoded));
            break;
        }
        const outbox_event *e = &line.event;
        CHECK(json_check_event(text, size, NULL) && (is_cloudevent(text, size) || fuzz_sqlite_json_valid(text, size)));
        CHECK(touch_all(e) != 1); /* no sum of an id is 1: all that is said is read */
        CHECK(e->seq > e->prev && e->prev >= 0 && !strncmp(e->id, line.source, 16) && e->id[16] == '-');
        CHECK(strtoll(e->id + 17, NULL, 10) == e->seq);
        CHECK(!e->before || json_check(e->before, e->before_size, NULL));
        CHECK(!e->payload || e->payload_is_blob || json_check(e->payload, e->payload_size, NULL));
        if (fuzz_sqlite_json_valid(text, size) && is_plain(text, size) && !is_cloudevent(text, size))
            check_native(e, text, size);
    }
    event_line_free(&line);
    return 0;
}

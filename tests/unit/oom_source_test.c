/* oom_source_test.c — out of memory while the relay reads: a batch fails as a whole, and no event loses a part of itself. */
#include "fail_alloc.h"
#include "relay_fixture.h"
#include "source.h"

enum { EVENTS = 3 };

static char consumer[] = "c", filter[] = "length(key) > 0", before[] = "before",
            transform[] = "CASE WHEN typeof(payload) = 'blob' THEN payload ELSE payload || ' ' END";

/* In a database of UTF-16 each text is converted, which takes memory. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    sqlite3 *db;
    snprintf(f->dir, sizeof f->dir, "%s/outbox-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/test.db", f->dir);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sql_on(db, "PRAGMA encoding = 'UTF-16'; PRAGMA journal_mode = WAL");
    sqlite3_close(db);
    *state = f;
    return outbox_open(f->path, NULL, &f->ob);
}

struct taken {
    int count, broken;
};

static bool take(void *arg, const struct source_row *row, bool wanted)
{
    struct taken *t = arg;
    const outbox_event *e = &row->event;
    t->count++;
    if (!wanted || !e->topic || !e->key || !e->op || !e->headers || !e->payload || e->payload_size == 0 ||
        (e->payload_is_blob && (e->payload_size != 5 || memcmp(e->payload, "bytes", 5))))
        t->broken++;
    return true;
}

static void write_events(struct fixture *f)
{
    outbox_write_options o = {.size = sizeof o, .headers = "{\"a\":\"b\"}"};
    assert_ok(f, outbox_emit(f->ob, "t", "k", "{\"n\":1}", -1, &o, NULL));
    fixture_sql(f, "INSERT INTO outbox_events(topic, key, payload, headers) VALUES ('t', 'k', 12345, '{\"a\":\"b\"}')");
    o.flags = OUTBOX_BLOB;
    assert_ok(f, outbox_emit(f->ob, "t", "k", "bytes", 5, &o, NULL));
}

/* One whole life of a reading connection. False: it has fewer than k allocations. */
static bool read_with_the_kth_refused(struct fixture *f, struct sink_settings *settings, long k)
{
    struct schema_info info;
    struct taken taken = {0};
    char message[512] = "";
    bool full, temporary;
    int64_t after = 0;
    sqlite3 *db = open_reader(f, &info);
    struct source *s = source_open(db, settings, &temporary, message, sizeof message);
    assert_non_null(s);
    source_expect(s, info.source, 0, 0);

    alloc_arm(k, false);
    enum source_result result = source_read(s, &after, 100, take, &taken, &full);
    bool failed = alloc_disarm();
    if (taken.broken)
        fail_msg("allocation %ld: an event came without a part of it", k);
    if (result == SOURCE_OK) {
        assert_int_equal(after, EVENTS);
        assert_int_equal(taken.count, EVENTS);
    } else {
        if (result != SOURCE_LATER || !strstr(source_message(s), "out of memory"))
            fail_msg("allocation %ld: result %d, %s", k, result, source_message(s));
        assert_int_equal(after, 0);
        taken.count = 0;
        assert_int_equal(source_read(s, &after, 100, take, &taken, &full), SOURCE_OK);
        assert_int_equal(taken.count, EVENTS);
    }
    source_close(s);
    sqlite3_close(db);
    return failed;
}

static void no_event_loses_a_part_of_itself(void **state)
{
    struct fixture *f = *state;
    struct sink_settings settings = settings_of(consumer);
    long k = 1;
    write_events(f);
    while (read_with_the_kth_refused(f, &settings, k))
        k++;
    assert_true(k > EVENTS);
}

static void nor_does_one_that_was_transformed(void **state)
{
    struct fixture *f = *state;
    struct sink_settings settings = settings_of(consumer);
    settings.filter = filter;
    settings.transform = transform;
    settings.before_transform = before;
    long k = 1;
    write_events(f);
    while (read_with_the_kth_refused(f, &settings, k))
        k++;
    assert_true(k > EVENTS);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_event_loses_a_part_of_itself, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nor_does_one_that_was_transformed, setup, fixture_teardown),
    };
    return alloc_take_sqlite() ? cmocka_run_group_tests_name("oom_source", tests, NULL, NULL) : 1;
}

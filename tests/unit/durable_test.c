/* durable_test.c — one sync of the WAL serves all that read it, and nothing that it did not cover. */
#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "durable.h"
#include "relay_fixture.h"
#include "source.h"

static bool reading;
static int syncs, sync_error;
__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    char link[64], name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name);
    bool counts = reading && n > 4 && memcmp(name + n - 4, "-wal", 4) == 0; /* else a new WAL's directory */
    syncs += counts;
    errno = sync_error;
    return counts && sync_error ? -1 : (int)syscall(SYS_fdatasync, fd);
}

struct reader {
    char name[2];
    struct sink_settings settings;
    sqlite3 *db;
    struct source *source;
    int64_t after;
    int rows;
};

struct pair {
    struct fixture *f;
    struct schema_info info;
    struct durable durable;
    struct reader a, b;
};

static bool take(void *arg, const struct source_row *row, bool wanted)
{
    (void)row;
    ((struct reader *)arg)->rows += wanted;
    return true;
}

static enum source_result read_some(struct reader *r, int limit)
{
    bool full;
    r->rows = 0;
    reading = true;
    enum source_result result = source_read(r->source, &r->after, limit, take, r, &full);
    reading = false;
    return result;
}

static void open_one(struct pair *p, struct reader *r, const char *transform)
{
    bool temporary;
    char message[512] = "";
    strcpy(r->name, "c");
    r->settings = settings_of(r->name);
    r->settings.transform = transform ? strdup(transform) : NULL;
    r->db = open_reader(p->f, &p->info);
    r->source = source_open(r->db, &r->settings, &temporary, message, sizeof message);
    assert_non_null(r->source);
    source_expect(r->source, p->info.source, 1, 0);
    source_use_durable(r->source, &p->durable);
}

static void close_one(struct reader *r)
{
    source_close(r->source);
    sqlite3_close(r->db);
    free(r->settings.transform);
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    void *fixture = NULL;
    int rc = fixture_setup(&fixture);
    p->f = fixture;
    fixture_sql(p->f, "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES('c', 0, 1)");
    fixture_sql(p->f, "PRAGMA synchronous = NORMAL"); /* so that nobody but a reader syncs */
    open_one(p, &p->a, NULL);
    open_one(p, &p->b, NULL);
    syncs = sync_error = 0;
    *state = p;
    return rc;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    void *fixture = p->f;
    close_one(&p->a);
    close_one(&p->b);
    free(p);
    return fixture_teardown(&fixture);
}

static void reads(struct reader *r, int limit, int rows, int syncs_so_far)
{
    assert_int_equal(read_some(r, limit), SOURCE_OK);
    assert_int_equal(r->rows, rows);
    assert_int_equal(syncs, syncs_so_far);
}

static void what_one_has_synced_another_need_not(void **state)
{
    struct pair *p = *state;
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    reads(&p->b, 100, 10, 1);
}

static void what_was_committed_after_that_sync_is_synced(void **state)
{
    struct pair *p = *state;
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    emit_events(p->f, "k", 1);
    reads(&p->b, 10, 10, 1);
    reads(&p->b, 10, 1, 2);
    reads(&p->a, 10, 1, 2);
}

static void the_pages_of_a_backlog_need_one_sync(void **state)
{
    struct pair *p = *state;
    emit_events(p->f, "k", 30);
    for (int page = 0; page < 3; page++) {
        reads(&p->a, 10, 10, 1);
        emit_events(p->f, "k", 1); /* the WAL is another one for each page */
    }
    reads(&p->a, 10, 3, 2);
}

/* It may take its part from a row that was changed since. */
static void what_an_expression_sees_is_synced(void **state)
{
    struct pair *p = *state;
    close_one(&p->b);
    p->b = (struct reader){0};
    open_one(p, &p->b, "json_object('n', 1)");
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    reads(&p->b, 100, 10, 2);
    assert_true(source_may_follow(p->a.source));
    assert_false(source_may_follow(p->b.source));
}

static void a_sync_that_fails_proves_nothing_to_anybody(void **state)
{
    struct pair *p = *state;
    emit_events(p->f, "k", 10);
    sync_error = EIO;
    assert_int_equal(read_some(&p->a, 100), SOURCE_BROKEN);
    assert_int_equal(read_some(&p->b, 100), SOURCE_BROKEN);
    assert_int_equal(syncs, 2);
    assert_int_equal(p->a.after + p->b.after, 0);
}

/* Events with the same seqs as those that were synced, and others. */
static void after_a_database_that_went_back_nothing_is_taken_for_durable(void **state)
{
    struct pair *p = *state;
    emit_events(p->f, "k", 10);
    reads(&p->b, 3, 3, 1);
    reads(&p->a, 100, 10, 1);
    fixture_sql(p->f, "DELETE FROM outbox WHERE seq > 5; DELETE FROM change_log WHERE seq > 5;"
                      "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'change_log'");
    reads(&p->b, 1, 1, 2);
    emit_events(p->f, "k", 5);
    reads(&p->b, 100, 6, 3);
}

static void a_new_source_begins_without_anything_durable(void **state)
{
    struct pair *p = *state;
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    fixture_sql(p->f, "UPDATE outbox_meta SET value = '0123456789abcdef' WHERE name = 'source'");
    assert_int_equal(read_some(&p->b, 100), SOURCE_STALE);
    source_expect(p->b.source, "0123456789abcdef", 1, 0);
    reads(&p->b, 100, 10, 2);
}

static void who_follows_reads_what_is_synced_and_then_the_rest(void **state)
{
    struct pair *p = *state;
    source_follow(p->b.source, true);
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    emit_events(p->f, "k", 5);
    reads(&p->b, 100, 10, 1);
    assert_true(source_held_back(p->b.source));
    reads(&p->b, 100, 5, 2); /* there is nobody to follow */
    assert_false(source_held_back(p->b.source));
    reads(&p->a, 100, 5, 2);
    reads(&p->b, 100, 0, 2);
}

static void who_follows_is_not_held_back_where_all_is_synced(void **state)
{
    struct pair *p = *state;
    source_follow(p->b.source, true);
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    reads(&p->b, 100, 10, 1);
    assert_false(source_held_back(p->b.source));
}

/* What it adds may be newer than what was synced: whichever expression it is. */
static void who_adds_something_follows_nobody(void **state)
{
    struct pair *p = *state;
    for (int which = 0; which < 3; which++) {
        close_one(&p->b);
        p->b = (struct reader){0};
        open_one(p, &p->b, "1");
        char **all[] = {&p->b.settings.filter, &p->b.settings.transform, &p->b.settings.before_transform};
        char *expression = p->b.settings.transform;
        p->b.settings.transform = NULL;
        *all[which] = expression;
        source_follow(p->b.source, true);
        int so_far = syncs;
        emit_events(p->f, "k", 10);
        reads(&p->a, 100, 10, so_far + 1);
        emit_events(p->f, "k", 5);
        p->b.after = p->a.after - 10;
        reads(&p->b, 100, 15, so_far + 2);
        assert_false(source_held_back(p->b.source));
        p->a.after += 5;
        *all[which] = NULL;
        p->b.settings.transform = expression;
    }
}

static void who_follows_is_told_of_a_gap(void **state)
{
    struct pair *p = *state;
    source_follow(p->b.source, true);
    emit_events(p->f, "k", 10);
    reads(&p->a, 100, 10, 1);
    emit_events(p->f, "k", 5);
    fixture_sql(p->f, "DELETE FROM outbox WHERE seq <= 12; DELETE FROM change_log WHERE seq <= 12");
    assert_int_equal(read_some(&p->b, 100), SOURCE_GAP);
    assert_int_equal(p->b.rows, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_one_has_synced_another_need_not),
        TEST(what_was_committed_after_that_sync_is_synced),
        TEST(the_pages_of_a_backlog_need_one_sync),
        TEST(what_an_expression_sees_is_synced),
        TEST(a_sync_that_fails_proves_nothing_to_anybody),
        TEST(after_a_database_that_went_back_nothing_is_taken_for_durable),
        TEST(a_new_source_begins_without_anything_durable),
        TEST(who_follows_reads_what_is_synced_and_then_the_rest),
        TEST(who_follows_is_not_held_back_where_all_is_synced),
        TEST(who_adds_something_follows_nobody),
        TEST(who_follows_is_told_of_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sync_ahead_test.c — a commit that is synced beside its writer is delivered without another sync, and nothing else is. */
#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "relay_fixture.h"
#include "source.h"
#include "wake.h"

/* What happens while a writer syncs its commit: it is written, and can't be seen yet. */
static void (*during_sync)(void);
static bool reading;
static int reader_syncs, sync_error;
__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    void (*then)(void) = during_sync;
    char link[64], name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name);
    if (n < 4 || memcmp(name + n - 4, "-wal", 4) != 0) {
        /* a new WAL's directory */
    } else if (reading) {
        reader_syncs++;
        if (sync_error) {
            errno = sync_error;
            return -1;
        }
    } else if (then) {
        during_sync = NULL;
        then();
    }
    return (int)syscall(SYS_fdatasync, fd);
}

struct reading {
    struct fixture *f;
    struct sink_settings settings;
    struct schema_info info;
    sqlite3 *db;
    struct wake *wake;
    struct source *source;
    int64_t after;
    int rows;
};

static struct reading *now; /* the test's, for during_sync */
static enum source_result result_during;

static bool take(void *arg, const struct source_row *row, bool wanted)
{
    (void)row;
    ((struct reading *)arg)->rows += wanted;
    return true;
}

static enum source_result read_all(struct reading *r)
{
    bool full;
    r->rows = 0;
    reading = true;
    enum source_result result = source_read(r->source, &r->after, 100, take, r, &full);
    reading = false;
    return result;
}

static void read_during(void)
{
    result_during = read_all(now);
    assert_int_equal(now->rows, 0);
}

static int setup(void **state)
{
    struct reading *r = calloc(1, sizeof *r);
    bool temporary;
    char message[512] = "";
    void *fixture = NULL;
    int rc = fixture_setup(&fixture);
    r->f = fixture;
    r->settings = settings_of(strdup("c"));
    fixture_sql(r->f, "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES('c', 0, 1)");
    r->wake = wake_open(r->f->path);
    r->db = open_reader(r->f, &r->info);
    r->source = source_open(r->db, &r->settings, &temporary, message, sizeof message);
    assert_non_null(r->source);
    source_expect(r->source, r->info.source, 1, 0);
    source_use_wake(r->source, r->wake);
    during_sync = NULL;
    assert_int_equal(read_all(r), SOURCE_OK);
    assert_int_equal(read_all(r), SOURCE_OK); /* the silence after what the set-up has written */
    reader_syncs = sync_error = 0;
    now = r;
    *state = r;
    return rc;
}

static int teardown(void **state)
{
    struct reading *r = *state;
    void *fixture = r->f;
    source_close(r->source);
    sqlite3_close(r->db);
    wake_close(r->wake);
    int rc = fixture_teardown(&fixture);
    free(r->settings.consumer);
    free(r);
    return rc;
}

static void a_commit_synced_beside_its_writer_is_not_synced_again(void **state)
{
    struct reading *r = *state;
    for (int i = 1; i <= 20; i++) {
        during_sync = read_during;
        emit_events(r->f, "k", 3);
        assert_null(during_sync); /* it was at synchronous=FULL */
        assert_int_equal(result_during, SOURCE_OK);
        assert_int_equal(reader_syncs, i);
        assert_int_equal(read_all(r), SOURCE_OK);
        assert_int_equal(r->rows, 3);
        assert_int_equal(reader_syncs, i);
    }
}

static void what_is_written_after_that_sync_is_synced(void **state)
{
    struct reading *r = *state;
    during_sync = read_during;
    emit_events(r->f, "k", 1);
    assert_int_equal(reader_syncs, 1);
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
    emit_events(r->f, "k", 1); /* which nobody has synced */
    assert_int_equal(read_all(r), SOURCE_OK);
    assert_int_equal(r->rows, 2);
    assert_int_equal(reader_syncs, 2);
}

static void a_commit_that_can_be_seen_at_once_is_synced_once(void **state)
{
    struct reading *r = *state;
    fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
    for (int i = 1; i <= 20; i++) {
        emit_events(r->f, "k", 1);
        assert_int_equal(read_all(r), SOURCE_OK);
        assert_int_equal(r->rows, 1);
        assert_int_equal(reader_syncs, i);
    }
}

static void where_it_is_of_no_use_it_is_mostly_left_out(void **state)
{
    struct reading *r = *state;
    for (int i = 0; i < 200; i++) {
        during_sync = read_during;
        fixture_sql(r->f, "PRAGMA synchronous = FULL");
        emit_events(r->f, "k", 1);
        fixture_sql(r->f, "PRAGMA synchronous = NORMAL");
        emit_events(r->f, "k", 1); /* before it is looked at again */
        assert_int_equal(read_all(r), SOURCE_OK);
        assert_int_equal(r->rows, 2);
    }
    assert_in_range(reader_syncs, 201, 215); /* one after each read, and a few in vain */
}

static void a_sync_ahead_that_fails_delivers_nothing(void **state)
{
    struct reading *r = *state;
    during_sync = read_during;
    sync_error = EIO;
    emit_events(r->f, "k", 1);
    assert_int_equal(result_during, SOURCE_BROKEN);
    assert_non_null(strstr(source_message(r->source), "synced"));
    assert_int_equal(r->after, 0);
}

static void a_wal_that_lost_its_name_is_always_synced_after_the_read(void **state)
{
    struct reading *r = *state;
    char wal[256], away[256];
    snprintf(wal, sizeof wal, "%s-wal", r->f->path);
    snprintf(away, sizeof away, "%s-away", r->f->path);
    assert_int_not_equal(wake_writes(r->wake), 0);
    assert_int_equal(rename(wal, away), 0);
    assert_int_equal(rename(away, wal), 0); /* who knows what was written to which file meanwhile */
    assert_int_equal(wake_writes(r->wake), 0);
    during_sync = read_during;
    emit_events(r->f, "k", 1);
    assert_int_equal(reader_syncs, 0);
    assert_int_equal(read_all(r), SOURCE_OK);
    assert_int_equal(reader_syncs, 1);
}

static void writes_heard_here_still_wake(void **state)
{
    struct reading *r = *state;
    while (wake_wait(r->wake, 50) != 0)
        wake_found(r->wake);
    uint64_t writes = wake_writes(r->wake);
    assert_int_equal(wake_writes(r->wake), writes);
    emit_events(r->f, "k", 1);
    assert_int_not_equal(wake_writes(r->wake), writes);
    assert_true(wake_wait(r->wake, 3000) & WAKE_LOOK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_commit_synced_beside_its_writer_is_not_synced_again),
        TEST(what_is_written_after_that_sync_is_synced),
        TEST(a_commit_that_can_be_seen_at_once_is_synced_once),
        TEST(where_it_is_of_no_use_it_is_mostly_left_out),
        TEST(a_sync_ahead_that_fails_delivers_nothing),
        TEST(a_wal_that_lost_its_name_is_always_synced_after_the_read),
        TEST(writes_heard_here_still_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* pace_test.c — several pipelines beside a writer that does not pause: each gets everything, and they sync the WAL once. */
#include <pthread.h>
#include <sys/syscall.h>

#include "durable.h"
#include "ledger_fixture.h"
#include "pipeline.h"

enum { PIPELINES = 3, WRITING_MS = 600, PACE_MS = 5, SOON_US = 3000000 /* less than the slow poll */ };

static atomic_int syncs;
static pthread_t writer; /* whose checkpoints sync, too */
__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    char link[64], name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name);
    syncs += !pthread_equal(pthread_self(), writer) && n > 4 && memcmp(name + n - 4, "-wal", 4) == 0;
    return (int)syscall(SYS_fdatasync, fd);
}

struct crowd {
    struct fixture *f;
    struct ledger *ledger;
    struct durable durable;
    char names[PIPELINES][4];
    struct sink_settings settings[PIPELINES];
    struct pipeline *pipelines[PIPELINES];
    int64_t wanted;
};

static int setup(void **state)
{
    struct crowd *c = calloc(1, sizeof *c);
    int rc = ledger_fixture_open(&c->f, &c->ledger);
    *state = c;
    if (rc == 0)
        fixture_sql(c->f, "PRAGMA synchronous = NORMAL"); /* so that the pipelines alone sync */
    return rc;
}

static int teardown(void **state)
{
    struct crowd *c = *state;
    for (int i = 0; i < PIPELINES; i++)
        pipeline_stop(c->pipelines[i]);
    for (int i = 0; i < PIPELINES; i++)
        assert_int_equal(pipeline_join(c->pipelines[i]), PIPELINE_DONE);
    int rc = ledger_fixture_close(c->f, c->ledger);
    free(c);
    return rc;
}

static void start(struct crowd *c, int i)
{
    snprintf(c->names[i], sizeof c->names[i], "c%d", i);
    c->settings[i] = settings_of(c->names[i]);
    const struct pipeline_options options = {
        .settings = &c->settings[i],
        .ops = &sink_null,
        .db_path = c->f->path,
        .ledger = c->ledger,
        .durable = &c->durable,
        .notify_fd = -1,
    };
    c->pipelines[i] = pipeline_start(&options);
    assert_non_null(c->pipelines[i]);
}

/* How many consumers have all that is wanted on record. */
static int64_t arrived(struct crowd *c)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(outbox_db(c->f->ob),
                                        "SELECT count(*) FROM consumer_offsets WHERE acked_seq >= ?", -1, &st, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(st, 1, c->wanted);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static bool all_arrived(void *arg)
{
    return arrived(arg) == PIPELINES;
}

static void one_of_them_syncs_and_the_others_follow(void **state)
{
    struct crowd *c = *state;
    for (int i = 0; i < PIPELINES; i++)
        start(c, i);
    emit_events(c->f, "k", 1);
    c->wanted = 1;
    assert_true(comes_true(all_arrived, c));
    writer = pthread_self();
    syncs = 0;
    int64_t began_us = clock_monotonic_us(), took_us = 0;
    int pauses = 0; /* of the writer, for want of a processor or a disk: what comes after one may be synced at once */
    while (took_us < WRITING_MS * 1000) {
        emit_events(c->f, "k", 1);
        int64_t now_us = clock_monotonic_us() - began_us;
        pauses += now_us - took_us > PACE_MS * 1000 / 2;
        took_us = now_us;
    }
    int paces = (int)(took_us / 1000 / PACE_MS);
    /* Those of the start, before there is a pace, too. If each synced for itself there would be three times paces. */
    assert_in_range(syncs, 1, paces + paces / 2 + pauses + 4 * PIPELINES);
    c->wanted = database_last_seq(outbox_db(c->f->ob));
    assert_true(comes_true(all_arrived, c));
    assert_true(clock_monotonic_us() - began_us - took_us < SOON_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_of_them_syncs_and_the_others_follow, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* pipeline_read_test.c — what a pipeline reads, and when: never from a file that has been put in the database's place,
 * and, beside a writer who does not pause, not at each of his commits.
 */
#include <pthread.h>
#include <stdbool.h>

#include "ledger_fixture.h"
#include "pipeline.h"

/* A disk that costs nothing: what is counted here is what the reader wants of it. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

struct bench;

struct sink {
    struct bench *bench;
    int held; /* put, and not pushed yet */
};

struct bench {
    struct fixture *f;
    struct sink_ops ops;
    struct sink_settings settings;
    struct ledger *ledger;
    struct pipeline *pipeline;
    struct sink sink;
    bool replaces; /* puts another file in the database's place when a page is asked for; once */
    bool waits_for_page;

    pthread_mutex_t mutex; /* over what follows */
    int64_t reached, settled;
    int64_t wanted;                /* by has_reached() */
    int reads;                     /* that found something */
    int strange_seen, strange_put; /* events out of the other file */
};

static struct bench *bench_of_next_sink;

/* ---- The sink ----------------------------------------------------------------------------------------------------- */

static struct sink *fake_create(const struct sink_context *context)
{
    (void)context;
    bench_of_next_sink->sink.bench = bench_of_next_sink;
    return &bench_of_next_sink->sink;
}

static enum sink_result fake_open(struct sink *s, struct cursor *cursor)
{
    s->bench->reached = s->bench->settled = cursor->acked_seq;
    s->held = 0;
    return SINK_OK;
}

static int fake_room(const struct sink *s)
{
    (void)s;
    return 100000;
}

static enum sink_result fake_put(struct sink *s, const struct source_row *row)
{
    pthread_mutex_lock(&s->bench->mutex);
    s->bench->reached = row->event.seq;
    pthread_mutex_unlock(&s->bench->mutex);
    s->held++;
    return SINK_OK;
}

static void fake_skip(struct sink *s, int64_t seq)
{
    (void)s, (void)seq;
}

static bool page_is_read(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->mutex);
    bool is = b->strange_seen >= b->settings.read_batch;
    pthread_mutex_unlock(&b->mutex);
    return is;
}

/* With a page on its way, delivering takes until it is there: it is taken before inotify is asked what has happened. */
static enum sink_result fake_push(struct sink *s)
{
    if (s->held > 0 && s->bench->waits_for_page) {
        comes_true(page_is_read, s->bench);
        sleep_a_moment(); /* until its thread has said so; where that takes longer the test sees nothing new */
        s->bench->waits_for_page = false;
    }
    s->bench->reads += s->held > 0;
    s->held = 0;
    return SINK_OK;
}

static int64_t fake_due(const struct sink *s)
{
    (void)s;
    return INT64_MAX;
}

static bool fake_settle(struct sink *s, struct settlement *out)
{
    if (s->bench->settled == s->bench->reached)
        return false;
    s->bench->settled = out->acked_seq = s->bench->reached;
    return true;
}

static int64_t fake_retrying(const struct sink *s)
{
    (void)s;
    return 0;
}

static void fake_close(struct sink *s)
{
    (void)s;
}

/* In two parts: an item is the row's seq, below zero where it is a strange one. */
static void *fake_prepare(struct sink *s, const struct source_row *row)
{
    bool strange = row->event.payload_size == strlen("\"strange\"") &&
                   memcmp(row->event.payload, "\"strange\"", 9) == 0;
    int64_t *item = malloc(sizeof *item);
    *item = strange ? -row->event.seq : row->event.seq;
    pthread_mutex_lock(&s->bench->mutex);
    s->bench->strange_seen += strange;
    pthread_mutex_unlock(&s->bench->mutex);
    return item;
}

static void fake_discard(struct sink *s, void *item)
{
    (void)s;
    free(item);
}

static enum sink_result fake_put_prepared(struct sink *s, void *item)
{
    const int64_t seq = *(int64_t *)item;
    free(item);
    pthread_mutex_lock(&s->bench->mutex);
    s->bench->strange_put += seq < 0;
    s->bench->reached = seq < 0 ? -seq : seq;
    pthread_mutex_unlock(&s->bench->mutex);
    s->held++;
    return SINK_OK;
}

/* What an operator does who restores a copy under a running relay: the same source, the same cursors, other events. */
static void replace_database(const char *path)
{
    char copy[128], side[128], sql[256];
    sqlite3 *db = NULL;

    snprintf(copy, sizeof copy, "%s.copy", path);
    snprintf(sql, sizeof sql, "VACUUM INTO '%s'", copy);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sql_on(db, sql);
    sqlite3_close(db);
    assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
    sql_on(db, "PRAGMA journal_mode = WAL; UPDATE change_log SET payload = '\"strange\"'");
    sqlite3_close(db);
    snprintf(side, sizeof side, "%s-wal", path);
    unlink(side);
    snprintf(side, sizeof side, "%s-shm", path);
    unlink(side);
    assert_int_equal(rename(copy, path), 0);
}

static void fake_prepare_more(struct sink *s)
{
    if (s->bench->replaces) {
        replace_database(s->bench->f->path);
        s->bench->waits_for_page = true;
    }
    s->bench->replaces = false;
}

static const struct sink_ops fake = {
    .kind = "fake",
    .create = fake_create,
    .open = fake_open,
    .room = fake_room,
    .put = fake_put,
    .prepare = fake_prepare,
    .put_prepared = fake_put_prepared,
    .discard = fake_discard,
    .prepare_more = fake_prepare_more,
    .skip = fake_skip,
    .push = fake_push,
    .due = fake_due,
    .settle = fake_settle,
    .finish = fake_push,
    .retrying = fake_retrying,
    .close = fake_close,
};

/* ---- The bench ---------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    b->ops = fake;
    b->settings = settings_of(strdup("c"));
    pthread_mutex_init(&b->mutex, NULL);
    bench_of_next_sink = b;
    *state = b;
    return ledger_fixture_open(&b->f, &b->ledger);
}

static void start(struct bench *b)
{
    const struct pipeline_options options = {
        .settings = &b->settings, .ops = &b->ops, .db_path = b->f->path, .ledger = b->ledger, .notify_fd = -1};
    b->pipeline = pipeline_start(&options);
    assert_non_null(b->pipeline);
}

static enum pipeline_state end(struct bench *b)
{
    struct pipeline *p = b->pipeline;
    b->pipeline = NULL;
    return pipeline_join(p);
}

static int teardown(void **state)
{
    struct bench *b = *state;
    if (b->pipeline) {
        pipeline_stop(b->pipeline);
        end(b);
    }
    int rc = ledger_fixture_close(b->f, b->ledger);
    pthread_mutex_destroy(&b->mutex);
    free(b->settings.consumer);
    free(b);
    return rc;
}

static bool has_reached(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->mutex);
    bool has = b->reached >= b->wanted;
    pthread_mutex_unlock(&b->mutex);
    return has;
}

static bool is_over(void *arg)
{
    return pipeline_state(((struct bench *)arg)->pipeline) != PIPELINE_RUNNING;
}

/* The thread that reads ahead opens the path anew, and so finds the other file; the pipeline's own connection knows that
 * it is another. */
static void a_page_out_of_a_file_put_in_the_databases_place_is_not_delivered(void **state)
{
    struct bench *b = *state;
    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    b->settings.read_batch = 7;
    b->replaces = true;
    emit_events(b->f, "k", 40);
    start(b);
    assert_true(comes_true(is_over, b));
    assert_int_equal(end(b), PIPELINE_BROKEN);
    assert_true(b->strange_seen > 0);
    assert_int_equal(b->strange_put, 0);
    assert_int_equal(b->reached, 7);
}

/* Each such read syncs the WAL, which the writer's next commit has to wait for. */
static void beside_a_busy_writer_reads_are_five_milliseconds_apart(void **state)
{
    enum { PACE_US = 5000, AT_ONCE = 5, MORE = 2 /* the first look, and the last */ };
    struct bench *b = *state;

    start(b);
    int64_t began_us = clock_monotonic_us(), took_us = 0;
    int count = 0;
    for (; took_us < 300000 || count < 200; took_us = clock_monotonic_us() - began_us, count++) {
        emit_events(b->f, "k", 1);
        nanosleep(&(struct timespec){.tv_nsec = 250000}, NULL); /* a whole batch would be read at once */
    }
    b->wanted = count;
    assert_true(comes_true(has_reached, b));
    took_us = clock_monotonic_us() - began_us;
    pipeline_stop(b->pipeline);
    assert_int_equal(end(b), PIPELINE_DONE);
    assert_int_equal(b->reached, count);
    assert_in_range(b->reads, 1, took_us / PACE_US + AT_ONCE + MORE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_page_out_of_a_file_put_in_the_databases_place_is_not_delivered),
        TEST(beside_a_busy_writer_reads_are_five_milliseconds_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* reader_kill_test.c — a reader of files killed and started again at random, over rotations, while it is up and while it
 * is down: every seq is handed out, none is skipped, and only what was not acknowledged comes again.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "fixture.h"
#include "stream_writer.h"

enum { LIVES = 60, ACK_EVERY = 10, ROTATE_EVERY = 50, PATIENCE_S = 20 };

/* What the reader has been handed, one int64 each, written before it goes on: it survives the kill. */
static int64_t handed_count(int log)
{
    struct stat status;
    assert_int_equal(fstat(log, &status), 0);
    return status.st_size / (int64_t)sizeof(int64_t);
}

static int64_t handed_at(int log, int64_t i)
{
    int64_t seq;
    assert_int_equal(pread(log, &seq, sizeof seq, i * (int64_t)sizeof seq), sizeof seq);
    return seq;
}

/* The child. It is killed; by itself when it has acknowledged last (0: never). An exit is a failure. */
static void read_until_killed(const char *own_path, const char *jsonl, int log, int64_t last)
{
    sqlite3 *db;
    outbox *ob;
    outbox_reader *r;
    const outbox_event *e;
    outbox_reader_options o = {.size = sizeof o, .jsonl = jsonl};
    if (sqlite3_open(own_path, &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF", NULL, NULL, NULL) != SQLITE_OK ||
        outbox_attach(db, NULL, &ob) != OUTBOX_OK || outbox_reader_open(ob, "c", &o, &r) != OUTBOX_OK)
        _exit(1);
    for (int64_t n = 1;; n++) {
        if (outbox_reader_next(r, -1, &e) != OUTBOX_OK || write(log, &e->seq, sizeof e->seq) != sizeof e->seq)
            _exit(2);
        bool is_last = e->seq == last;
        if ((n % ACK_EVERY == 0 || is_last) && outbox_reader_ack(r, e->seq) != OUTBOX_OK)
            _exit(3);
        if (is_last)
            raise(SIGKILL);
    }
}

static pid_t start(const char *own_path, const char *jsonl, int log, int64_t last)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        read_until_killed(own_path, jsonl, log, last);
    return child;
}

static int64_t acked(const char *own_path)
{
    sqlite3 *db;
    int64_t seq = 0;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(own_path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, "SELECT coalesce(max(acked_seq), 0) FROM consumer_offsets", -1, &st, NULL) ==
        SQLITE_OK) {
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        seq = sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
    }
    sqlite3_close(db);
    return seq;
}

static void write_and_rotate(struct stream_writer *w, int n)
{
    for (int i = 0; i < n; i++) {
        writer_write(w, 1);
        if (w->last % ROTATE_EVERY == 0)
            writer_rotate(w);
    }
}

/* Until so many were handed out, or all there are. */
static void wait_for(int log, int64_t count, int64_t last)
{
    struct timespec now, pause = {0, 200000};
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (time_t deadline = now.tv_sec + PATIENCE_S; handed_count(log) < count;) {
        int64_t n = handed_count(log);
        if (n > 0 && handed_at(log, n - 1) == last)
            return;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > deadline)
            fail_msg("the reader stands at %lld of %lld", (long long)n, (long long)count);
        nanosleep(&pause, NULL);
    }
}

/* One life: what it was handed follows the cursor that it found, without a hole. */
static void check_life(int log, int64_t from, int64_t acked_before)
{
    int64_t expected = acked_before + 1;
    for (int64_t i = from; i < handed_count(log); i++)
        assert_int_equal(handed_at(log, i), expected++);
}

static void a_killed_reader_skips_nothing_over_rotations(void **state)
{
    struct fixture *f = *state;
    struct stream_writer w;
    char own_path[128], log_path[128];
    unsigned seed = 20261121;
    snprintf(own_path, sizeof own_path, "%s/own.db", f->dir);
    snprintf(log_path, sizeof log_path, "%s/handed", f->dir);
    int log = open(log_path, O_RDWR | O_CREAT | O_APPEND, 0600);
    writer_init(&w, f->dir);
    w.padding = 40;
    int64_t repeated_max = 0, deleted = 0;
    for (int life = 0; life < LIVES; life++) {
        int64_t from = handed_count(log), before = acked(own_path);
        write_and_rotate(&w, rand_r(&seed) % 120); /* while it is down */
        pid_t child = start(own_path, w.path, log, 0);
        for (int i = 0; i < 4; i++) { /* and while it is up, wherever it is by then */
            wait_for(log, handed_count(log) + rand_r(&seed) % 60, w.last);
            write_and_rotate(&w, rand_r(&seed) % 60);
        }
        wait_for(log, handed_count(log) + rand_r(&seed) % 20, w.last);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        check_life(log, from, before);
        int64_t n = handed_count(log), now = acked(own_path);
        if (n > 0 && handed_at(log, n - 1) - now > repeated_max)
            repeated_max = handed_at(log, n - 1) - now;
        for (; deleted + ROTATE_EVERY <= now; deleted += ROTATE_EVERY) /* what is acknowledged may go */
            writer_delete(&w, deleted + 1, deleted + ROTATE_EVERY);
    }
    write_and_rotate(&w, 1);
    int64_t from = handed_count(log), before = acked(own_path);
    pid_t child = start(own_path, w.path, log, w.last);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    check_life(log, from, before);
    assert_int_equal(acked(own_path), w.last);
    assert_true(repeated_max > 0 && repeated_max <= ACK_EVERY); /* it was killed in between, and repeated no more */
    assert_true(w.last > LIVES * ROTATE_EVERY);
    close(log);
    writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_reader_skips_nothing_over_rotations, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wake_commit_test.c — no commit of another process is slept through, whatever becomes of the -wal file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "wake_place.h"

struct writer {
    pid_t pid;
    int orders, done;
};

static void must(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        _exit(3);
}

/* Obeys one letter at a time: open, commit, quit the database; the answer is the letter. */
static void obey(const char *path, int orders, int done)
{
    sqlite3 *db = NULL;
    char order;

    while (read(orders, &order, 1) == 1) {
        switch (order) {
        case 'o':
            if (sqlite3_open(path, &db) != SQLITE_OK)
                _exit(2);
            must(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t(x)");
            break;
        case 'c': must(db, "INSERT INTO t VALUES (1)"); break;
        case 'q':
            sqlite3_close(db);
            db = NULL;
            break;
        }
        if (write(done, &order, 1) != 1)
            break;
    }
    sqlite3_close(db);
    _exit(0);
}

static struct writer start_writer(const char *path)
{
    int orders[2], done[2];
    struct writer w;

    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(done), 0);
    w.pid = fork();
    assert_true(w.pid >= 0);
    if (w.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(orders[1]);
        close(done[0]);
        obey(path, orders[0], done[1]);
    }
    close(orders[0]);
    close(done[1]);
    w.orders = orders[1];
    w.done = done[0];
    return w;
}

static void command(const struct writer *w, char order)
{
    char answer = 0;

    assert_int_equal(write(w->orders, &order, 1), 1);
    assert_int_equal(read(w->done, &answer, 1), 1);
    assert_int_equal(answer, order);
}

static void stop_writer(const struct writer *w)
{
    int status;

    close(w->orders);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    assert_int_equal(status, 0);
    close(w->done);
}

static int64_t rows(sqlite3_stmt *count)
{
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(count, 0);
    sqlite3_reset(count);
    return n;
}

static void every_commit_of_another_process_is_seen(void **state)
{
    enum { COMMITS = 300 };
    struct place *place = *state;
    struct writer w = start_writer(place->db);
    sqlite3 *db;
    sqlite3_stmt *count;
    int64_t seen = 0, since_ms;
    char answers[COMMITS];

    command(&w, 'o');
    assert_int_equal(sqlite3_open(place->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &count, NULL), SQLITE_OK);
    open_wake(place);
    settle(place);
    for (int i = 0; i < COMMITS;
         i++) { /* all at once: the writer is as quick as it can be, and looks go on beside it */
        if (i % 10 == 0)
            for (int n = 0; n < 10; n++)
                assert_int_equal(write(w.orders, "c", 1), 1);
        for (since_ms = now_ms(); seen <= i;) {
            int64_t before = seen;
            seen = rows(count);
            if (seen > before)
                wake_found(place->wake);
            if (seen <= i)
                wake_wait(place->wake, DEADLINE_MS);
            assert_true(now_ms() - since_ms < DEADLINE_MS);
        }
    }
    for (size_t got = 0; got < sizeof answers;) {
        ssize_t n = read(w.done, answers, sizeof answers - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    sqlite3_finalize(count);
    sqlite3_close(db);
    stop_writer(&w);
}

static void a_wal_that_comes_and_goes_is_followed(void **state)
{
    struct place *place = *state;
    struct writer w = start_writer(place->db);

    open_wake(place);
    for (int turn = 0; turn < 2; turn++) { /* there is no WAL yet; then again none */
        assert_int_not_equal(access(place->wal, F_OK), 0);
        settle(place);
        command(&w, 'o');
        command(&w, 'c');
        assert_true(fires(place, WAKE_LOOK));
        settle(place);
        command(&w, 'c');
        assert_true(fires(place, WAKE_LOOK));
        command(&w, 'q');
    }
    stop_writer(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(every_commit_of_another_process_is_seen),
        TEST(a_wal_that_comes_and_goes_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wake_hush_test.c — a hush spares the writer and the listener each single write, and no commit is slept through by it. */
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

enum { HUSH_MS = 150, LONG_MS = 60000 };

/* A write has been heard: there is a writer. */
static void hear_a_writer(struct place *place)
{
    write_to(place->wal);
    open_wake(place);
    settle(place);
    write_to(place->wal);
    assert_true(fires(place, WAKE_LOOK));
}

static void a_hush_is_quiet_whatever_is_written_and_ends_with_a_look(void **state)
{
    struct place *place = *state;
    hear_a_writer(place);
    int64_t began_ms = now_ms();
    wake_hush(place->wake, HUSH_MS * 1000);
    wake_drain(place->wake); /* what was written before it began */
    for (int i = 0; i < 5; i++)
        write_to(place->wal);
    assert_int_equal(wake_wait(place->wake, DEADLINE_MS), WAKE_LOOK);
    assert_true(now_ms() - began_ms >= HUSH_MS - 1);
    int64_t ended_ms = now_ms(); /* and a burst of them: what was written may not show yet */
    assert_int_equal(wake_wait(place->wake, DEADLINE_MS), WAKE_LOOK);
    assert_true(now_ms() - ended_ms < HUSH_MS / 2);
    settle(place);
    write_to(place->wal);
    assert_true(fires(place, WAKE_LOOK));
}

static void a_look_that_finds_something_does_not_lengthen_a_hush(void **state)
{
    struct place *place = *state;
    hear_a_writer(place);
    wake_hush(place->wake, HUSH_MS * 1000);
    wake_drain(place->wake);
    wake_found(place->wake);
    wake_hush(place->wake, (int64_t)LONG_MS * 1000);
    assert_true(fires(place, WAKE_LOOK));
}

static void without_a_writer_there_is_no_hush(void **state)
{
    struct place *place = *state;
    hear_a_writer(place);
    wake_hush(place->wake, 1000);
    settle(place); /* it has ended, and nothing was written since */
    wake_hush(place->wake, (int64_t)LONG_MS * 1000);
    write_to(place->wal);
    assert_true(fires(place, WAKE_LOOK));
}

static void a_poke_and_a_replaced_database_are_told_in_a_hush(void **state)
{
    struct place *place = *state;
    write_to(place->db);
    hear_a_writer(place);
    wake_hush(place->wake, (int64_t)LONG_MS * 1000);
    wake_drain(place->wake);
    wake_poke(place->wake);
    assert_int_equal(wake_wait(place->wake, DEADLINE_MS), WAKE_POKED);
    assert_int_equal(unlink(place->db), 0);
    assert_true(fires(place, WAKE_MOVED));
}

static void a_wal_that_is_new_after_a_hush_is_heard(void **state)
{
    struct place *place = *state;
    hear_a_writer(place);
    wake_hush(place->wake, HUSH_MS * 1000);
    assert_int_equal(unlink(place->wal), 0);
    write_to(place->wal);
    settle(place);
    assert_false(quiet_for(place, 2 * HUSH_MS)); /* its end */
    settle(place);
    write_to(place->wal);
    assert_true(fires(place, WAKE_LOOK));
}

/* sync_ahead.c takes two equal counts for a proof that nothing was written in between. */
static void writes_in_a_hush_are_never_counted_as_none(void **state)
{
    struct place *place = *state;
    hear_a_writer(place);
    uint64_t before = wake_writes(place->wake);
    assert_true(before > 0);
    wake_hush(place->wake, HUSH_MS * 1000);
    write_to(place->wal);
    assert_true(wake_writes(place->wake) == 0);
    int64_t began_ms = now_ms();
    while (wake_writes(place->wake) == 0) {
        assert_true(now_ms() - began_ms < DEADLINE_MS);
        wake_wait(place->wake, DEADLINE_MS);
    }
    assert_true(wake_writes(place->wake) > before);
}

static void write_rows(const char *path, int count)
{
    sqlite3 *db;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        _exit(1);
    sqlite3_busy_timeout(db, DEADLINE_MS);
    for (int i = 0; i < count; i++) {
        if (sqlite3_exec(db, "INSERT INTO t VALUES (1)", NULL, NULL, NULL) != SQLITE_OK)
            _exit(1);
        if (i % 7 == 0)
            usleep((useconds_t)(i * 7919 % 4000)); /* in a hush, at its end, and after it */
    }
    sqlite3_close(db);
    _exit(0);
}

/* Whoever hushes after each commit that it saw sees the last one too, and soon. */
static void the_last_commit_is_seen_whenever_it_comes(void **state)
{
    enum { COMMITS = 400 };
    struct place *place = *state;
    sqlite3 *db;
    sqlite3_stmt *count;
    int64_t seen = 0;
    int status;
    assert_int_equal(sqlite3_open(place->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL; CREATE TABLE t(a)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &count, NULL), SQLITE_OK);
    open_wake(place);
    settle(place);
    pid_t pid = fork();
    if (pid == 0)
        write_rows(place->db, COMMITS);
    for (int64_t since_ms = now_ms(); seen < COMMITS;) {
        int64_t before = seen;
        assert_int_equal(sqlite3_step(count), SQLITE_ROW);
        seen = sqlite3_column_int64(count, 0);
        sqlite3_reset(count);
        if (seen > before) {
            since_ms = now_ms();
            wake_found(place->wake);
        }
        wake_hush(place->wake, 2000);
        if (seen < COMMITS)
            wake_wait(place->wake, DEADLINE_MS);
        assert_true(now_ms() - since_ms < DEADLINE_MS);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    sqlite3_finalize(count);
    sqlite3_close(db);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(a_hush_is_quiet_whatever_is_written_and_ends_with_a_look),
        TEST(a_look_that_finds_something_does_not_lengthen_a_hush),
        TEST(without_a_writer_there_is_no_hush),
        TEST(a_poke_and_a_replaced_database_are_told_in_a_hush),
        TEST(a_wal_that_is_new_after_a_hush_is_heard),
        TEST(writes_in_a_hush_are_never_counted_as_none),
        TEST(the_last_commit_is_seen_whenever_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wal_test.c — the WAL is synced through SQLite, stays short, and a checkpoint of ours never races a commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wal.h"

struct place {
    char folder[64], path[96], wal[100];
    sqlite3 *db;
};

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static sqlite3 *open_db(const char *path)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE IF NOT EXISTS t(x)");
    return db;
}

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/outbox-wal-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/app.db", place->folder);
    snprintf(place->wal, sizeof place->wal, "%s-wal", place->path);
    place->db = open_db(place->path);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    char command[100];
    assert_int_equal(sqlite3_close(place->db), SQLITE_OK); /* BUSY: a statement or blob was left behind */
    snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static int frames_on_disk(const struct place *place)
{
    struct stat st;
    return stat(place->wal, &st) == 0 && st.st_size > 32 ? (int)((st.st_size - 32) / (4096 + 24)) : 0;
}

/* Where SQLite is mended the keeper does nothing, and there is nothing to test. */
static void guard(struct wal_keeper *k, sqlite3 *db)
{
    wal_keeper_init(k, db);
    if (!k->guarded) {
        print_message("# this SQLite has no WAL-reset race to keep out of\n");
        skip();
    }
}

static void the_race_is_mended_in_three_branches(void **state)
{
    (void)state;
    static const struct {
        int version;
        bool race;
    } cases[] = {{3007000, true},  {3040001, true},  {3044005, true},  {3044006, false},
                 {3044999, false}, {3045000, true},  {3045003, true},  {3049001, true},
                 {3050006, true},  {3050007, false}, {3050008, false}, {3051000, true},
                 {3051002, true},  {3051003, false}, {3052000, false}, {4000000, false}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (wal_reset_race(cases[i].version) != cases[i].race)
            fail_msg("%d", cases[i].version);
}

static void steady_commits_keep_the_wal_short(void **state)
{
    struct place *place = *state;
    struct wal_keeper k;
    int longest = 0;

    guard(&k, place->db);
    for (int i = 0; i < 5000; i++) {
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
        assert_int_equal(wal_keeper_tend(&k), SQLITE_OK);
        if (frames_on_disk(place) > longest)
            longest = frames_on_disk(place);
    }
    wal_keeper_fini(&k);
    assert_in_range(longest, WAL_CHECKPOINT_FRAMES, 1000); /* the lower bound: not at every commit */
}

static void without_its_turn_nothing_is_checkpointed(void **state)
{
    struct place *place = *state;
    struct wal_keeper k;

    guard(&k, place->db);
    for (int i = 0; i < 1500; i++) /* SQLite's own would come at 1000 frames */
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    assert_true(frames_on_disk(place) > 1500);
    run(place->db, "BEGIN; INSERT INTO t VALUES (1)");
    assert_int_equal(wal_keeper_tend(&k), SQLITE_OK); /* inside a transaction: not its turn */
    assert_null(k.helper);
    run(place->db, "COMMIT");
    wal_keeper_fini(&k);
}

static void another_writer_is_not_waited_for(void **state)
{
    struct place *place = *state;
    struct wal_keeper k;
    sqlite3 *other = open_db(place->path);

    guard(&k, place->db);
    while (k.frames < WAL_CHECKPOINT_FRAMES)
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    run(other, "BEGIN IMMEDIATE");
    assert_int_equal(wal_keeper_tend(&k) & 0xFF, SQLITE_BUSY);
    run(other, "COMMIT");
    assert_int_equal(wal_keeper_tend(&k), SQLITE_OK);
    assert_true(sqlite3_get_autocommit(k.helper)); /* the write lock is given back */
    run(other, "INSERT INTO t VALUES (1)");        /* begins the WAL anew: all of it was copied */
    int again = frames_on_disk(place);
    for (int i = 0; i < 100; i++)
        run(other, "INSERT INTO t VALUES (1)");
    assert_int_equal(frames_on_disk(place), again);
    wal_keeper_fini(&k);
    sqlite3_close(other);
}

/* After FULL the WAL's room is what there is: it is used again by the next commit, however short the WAL was. */
static void a_full_disk_gets_the_room_of_the_wal_back(void **state)
{
    struct place *place = *state;
    struct wal_keeper k;

    wal_keeper_init(&k, place->db);
    for (int i = 0; i < 30; i++)
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    int frames = frames_on_disk(place);
    run(place->db, "PRAGMA max_page_count = 1"); /* as many as it has: the next row is too much */
    assert_int_equal(sqlite3_exec(place->db, "INSERT INTO t VALUES (zeroblob(9000))", NULL, NULL, NULL), SQLITE_FULL);
    wal_keeper_relieve(&k);
    run(place->db, "PRAGMA max_page_count = 100000");
    for (int i = 0; i < 10; i++)
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    assert_int_equal(frames_on_disk(place), frames);
    wal_keeper_fini(&k);
}

static void what_a_reader_holds_back_is_tried_again_until_it_is_done(void **state)
{
    struct place *place = *state;
    struct wal_keeper k;
    sqlite3 *reader = open_db(place->path);
    sqlite3_stmt *read;

    wal_keeper_init(&k, place->db);
    run(reader, "BEGIN");
    assert_int_equal(sqlite3_prepare_v2(reader, "SELECT count(*) FROM t", -1, &read, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(read), SQLITE_ROW);
    for (int i = 0; i < 30; i++)
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    wal_keeper_relieve(&k);
    run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    int frames = frames_on_disk(place);
    assert_true(frames > 30);
    sqlite3_finalize(read);
    run(reader, "COMMIT");
    assert_int_equal(wal_keeper_tend(&k), SQLITE_OK);
    run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
    assert_int_equal(frames_on_disk(place), frames);
    wal_keeper_fini(&k);
    sqlite3_close(reader);
}

static void a_reader_does_not_make_each_commit_checkpoint(void **state)
{
    struct place *place = *state;
    struct wal_keeper k;
    sqlite3 *reader = open_db(place->path);
    int tries = 0;

    guard(&k, place->db);
    run(reader, "BEGIN; SELECT * FROM t");
    for (int i = 0; i < 2000; i++) {
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
        bool due = k.frames >= k.due_frames;
        assert_int_equal(wal_keeper_tend(&k), SQLITE_OK);
        tries += due;
    }
    assert_in_range(tries, 5, 100); /* of 2000 commits */
    run(reader, "COMMIT");
    for (int i = 0; i < 1000; i++) {
        run(place->db, "INSERT INTO t VALUES (randomblob(3000))");
        assert_int_equal(wal_keeper_tend(&k), SQLITE_OK);
    }
    assert_true(k.frames < 1000); /* healed */
    wal_keeper_fini(&k);
    sqlite3_close(reader);
}

/* Commits and checkpoints of several processes beside each other, for a moment: nothing is torn. */
static void keepers_of_several_processes_leave_the_database_whole(void **state)
{
    enum { PROCESSES = 3, COMMITS = 600 };
    struct place *place = *state;
    pid_t pids[PROCESSES];
    sqlite3_stmt *check;

    if (!wal_reset_race(sqlite3_libversion_number()))
        skip();
    sqlite3_close(place->db); /* none is carried over fork */
    place->db = NULL;
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct wal_keeper k;
        sqlite3 *db = open_db(place->path);
        wal_keeper_init(&k, db);
        for (int n = 0; n < COMMITS; n++) {
            run(db, "INSERT INTO t VALUES (randomblob(6000))");
            int rc = wal_keeper_tend(&k) & 0xFF;
            if (rc != SQLITE_OK && rc != SQLITE_BUSY)
                _exit(2);
        }
        wal_keeper_fini(&k);
        sqlite3_close(db);
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    place->db = open_db(place->path);
    assert_int_equal(sqlite3_prepare_v2(place->db, "SELECT count(*), (SELECT * FROM pragma_integrity_check) FROM t", -1,
                                        &check, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(check), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(check, 0), PROCESSES * COMMITS);
    assert_string_equal(sqlite3_column_text(check, 1), "ok");
    sqlite3_finalize(check);
}

/* ---- wal_sync ----------------------------------------------------------------------------------------------------- */

/* SQLite's own methods, but that syncs are counted and fail on demand. */
static struct {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real;
    int syncs, answer;
} spy;

static int spy_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    spy.syncs++;
    return spy.answer == SQLITE_OK ? spy.real->xSync(file, flags) : spy.answer;
}

static void what_was_read_is_synced_through_sqlites_handle(void **state)
{
    struct place *place = *state;
    sqlite3 *reader;
    sqlite3_file *wal = NULL;

    run(place->db, "INSERT INTO t VALUES (1)");
    assert_int_equal(sqlite3_open_v2(place->path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(wal_sync(reader), SQLITE_OK); /* nothing read yet, nothing to sync */
    run(reader, "SELECT * FROM t");
    assert_int_equal(sqlite3_file_control(reader, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal), SQLITE_OK);
    spy.real = wal->pMethods;
    spy.methods = *wal->pMethods;
    spy.methods.xSync = spy_sync;
    wal->pMethods = &spy.methods;
    assert_int_equal(wal_sync(reader), SQLITE_OK);
    assert_int_equal(spy.syncs, 1);
    spy.answer = SQLITE_IOERR_FSYNC;
    assert_int_equal(wal_sync(reader), SQLITE_IOERR_FSYNC);
    wal->pMethods = spy.real;
    sqlite3_close(reader);
}

static void a_database_without_a_wal_has_nothing_to_sync(void **state)
{
    struct place *place = *state;

    run(place->db, "PRAGMA journal_mode=DELETE");
    run(place->db, "SELECT * FROM t");
    assert_int_equal(wal_sync(place->db), SQLITE_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_race_is_mended_in_three_branches),
        TEST(steady_commits_keep_the_wal_short),
        TEST(without_its_turn_nothing_is_checkpointed),
        TEST(another_writer_is_not_waited_for),
        TEST(a_full_disk_gets_the_room_of_the_wal_back),
        TEST(what_a_reader_holds_back_is_tried_again_until_it_is_done),
        TEST(a_reader_does_not_make_each_commit_checkpoint),
        TEST(keepers_of_several_processes_leave_the_database_whole),
        TEST(what_was_read_is_synced_through_sqlites_handle),
        TEST(a_database_without_a_wal_has_nothing_to_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wake_test.c — no commit of another process is slept through, and an idle wait is quiet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "wake.h"

/* Less than the slow poll of 5 s, so that it is not what saves a test. */
enum { DEADLINE_MS = 3000 };

struct place {
    char folder[64], db[96], wal[96];
    struct wake *wake;
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/outbox-wake-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->db, sizeof place->db, "%s/app.db", place->folder);
    snprintf(place->wal, sizeof place->wal, "%s/app.db-wal", place->folder);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    char command[100];
    wake_close(place->wake);
    snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool quiet_for(const struct place *place, int ms)
{
    struct pollfd fd = {.fd = wake_fd(place->wake), .events = POLLIN};
    return poll(&fd, 1, ms) == 0;
}

/* Finds all there is, until nothing more fires. */
static void settle(struct place *place)
{
    int64_t deadline_ms = now_ms() + DEADLINE_MS;

    do {
        wake_drain(place->wake);
        wake_found(place->wake);
        assert_true(now_ms() < deadline_ms);
    } while (!quiet_for(place, 100));
}

/* Drains until all the bits of what have fired, or the deadline. */
static bool fires(struct place *place, int what)
{
    int64_t deadline_ms = now_ms() + DEADLINE_MS;
    int fired = 0;

    while ((fired & what) != what && now_ms() < deadline_ms)
        fired |= wake_wait(place->wake, (int)(deadline_ms - now_ms()));
    return (fired & what) == what;
}

static void write_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static void open_wake(struct place *place)
{
    place->wake = wake_open(place->db);
    assert_non_null(place->wake);
}

/* ---- A real writer in another process ----------------------------------------------------------------------------- */

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

/* ---- The descriptor ----------------------------------------------------------------------------------------------- */

static void idle_is_quiet(void **state)
{
    struct place *place = *state;

    write_to(place->wal);
    open_wake(place);
    settle(place);
    write_to(place->wal);
    assert_true(fires(place, WAKE_LOOK));
    assert_true(fires(place, WAKE_LOOK)); /* the timer's: nothing was written since the look before */
    wake_found(place->wake);
    assert_true(quiet_for(place, 300));
    assert_int_equal(wake_drain(place->wake), 0);
}

/* What was found may be the commit before the one whose write fired. */
static void a_write_noticed_just_before_is_looked_for_again(void **state)
{
    struct place *place = *state;

    write_to(place->wal);
    open_wake(place);
    settle(place);
    write_to(place->wal);
    assert_true(fires(place, WAKE_LOOK));
    wake_found(place->wake);
    assert_false(quiet_for(place, 300));
}

static void a_commit_begun_before_the_watch_is_looked_for(void **state)
{
    struct place *place = *state;

    write_to(place->wal);
    open_wake(place);
    wake_found(place->wake);
    assert_false(quiet_for(place, 300));
}

static void a_slow_sync_is_waited_out(void **state)
{
    struct place *place = *state;
    int64_t written_ms;
    int looks = 0;

    write_to(place->wal);
    open_wake(place);
    settle(place);
    write_to(place->wal);
    for (written_ms = now_ms(); now_ms() - written_ms < 700; looks++)
        assert_int_equal(wake_wait(place->wake, DEADLINE_MS), WAKE_LOOK);
    assert_in_range(looks, 5, 60);
}

static void a_long_write_does_not_keep_us_busy(void **state)
{
    struct place *place = *state;
    int looks = 0;

    write_to(place->wal);
    open_wake(place);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(place->wal, O_WRONLY);
        for (;;)
            if (pwrite(fd, "x", 1, 0) != 1)
                _exit(1);
    }
    for (int64_t start_ms = now_ms(); now_ms() - start_ms < 500; looks++)
        assert_true(wake_wait(place->wake, DEADLINE_MS) & WAKE_LOOK);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_in_range(looks, 10, 600);
}

static void other_files_wake_nobody(void **state)
{
    struct place *place = *state;
    char other[200];

    open_wake(place);
    settle(place);
    static const char *const SUFFIXES[] = {"-shm", "-wal2", ".jsonl", ".jsonl.lock", "x"};
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        snprintf(other, sizeof other, "%s%s", place->db, SUFFIXES[i]);
        write_to(other);
        unlink(other);
    }
    int fired = 0;
    while (!quiet_for(place, 100))
        fired |= wake_drain(place->wake);
    assert_int_equal(fired, 0);
}

static void a_replaced_database_is_told(void **state)
{
    struct place *place = *state;
    char copy[200];

    write_to(place->db);
    open_wake(place);
    settle(place);
    snprintf(copy, sizeof copy, "%s.copy", place->db);
    write_to(copy);
    assert_int_equal(rename(copy, place->db), 0);
    assert_true(fires(place, WAKE_MOVED | WAKE_LOOK));
    settle(place);
    assert_int_equal(unlink(place->db), 0);
    assert_true(fires(place, WAKE_MOVED));
}

static void a_linked_database_has_its_wal_elsewhere(void **state)
{
    struct place *place = *state;
    char real[100], link[100];

    snprintf(real, sizeof real, "%s/sub", place->folder);
    assert_int_equal(mkdir(real, 0700), 0);
    strcat(real, "/real.db");
    snprintf(link, sizeof link, "%s", place->db);
    write_to(real);
    assert_int_equal(symlink(real, link), 0);
    open_wake(place);
    settle(place);
    strcat(real, "-wal");
    write_to(real);
    assert_true(fires(place, WAKE_LOOK));
}

static void without_a_folder_it_polls_until_there_is_one(void **state)
{
    struct place *place = *state;
    char db[100];

    snprintf(db, sizeof db, "%s/later", place->folder);
    char *folder = strdup(db);
    strcat(db, "/app.db");
    place->wake = wake_open(db);
    assert_non_null(place->wake);
    assert_true(wake_is_polling(place->wake));
    for (int i = 0; i < 40; i++)
        assert_true(fires(place, WAKE_LOOK));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_true(fires(place, WAKE_MOVED));
    assert_false(wake_is_polling(place->wake));
    settle(place);
    strcat(db, "-wal");
    write_to(db);
    assert_true(fires(place, WAKE_LOOK));

    char moved[200];
    snprintf(moved, sizeof moved, "%s.moved", folder);
    assert_int_equal(rename(folder, moved), 0);
    assert_true(fires(place, WAKE_MOVED));
    assert_true(wake_is_polling(place->wake));
    free(folder);
}

static void *poke_later(void *wake)
{
    for (int i = 0; i < 1000; i++)
        wake_poke(wake);
    return NULL;
}

static void a_poke_from_a_thread_ends_the_wait(void **state)
{
    struct place *place = *state;
    pthread_t thread;

    open_wake(place);
    settle(place);
    assert_int_equal(pthread_create(&thread, NULL, poke_later, place->wake), 0);
    assert_int_equal(wake_wait(place->wake, DEADLINE_MS), WAKE_POKED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    wake_drain(place->wake);
    assert_true(quiet_for(place, 50));
}

static struct wake *poked_by_signal;

static void on_alarm(int number)
{
    (void)number;
    if (poked_by_signal)
        wake_poke(poked_by_signal);
}

static void a_signal_alone_does_not_end_the_wait(void **state)
{
    struct place *place = *state;
    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};

    open_wake(place);
    settle(place);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    int64_t start_ms = now_ms();
    assert_int_equal(wake_wait(place->wake, 100), 0);
    assert_true(now_ms() - start_ms >= 99);

    poked_by_signal = place->wake;
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(wake_wait(place->wake, DEADLINE_MS), WAKE_POKED);
    poked_by_signal = NULL;
    sigaction(SIGALRM, &before, NULL);
    assert_int_equal(wake_wait(place->wake, 0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(every_commit_of_another_process_is_seen),
        TEST(a_wal_that_comes_and_goes_is_followed),
        TEST(idle_is_quiet),
        TEST(a_write_noticed_just_before_is_looked_for_again),
        TEST(a_commit_begun_before_the_watch_is_looked_for),
        TEST(a_slow_sync_is_waited_out),
        TEST(a_long_write_does_not_keep_us_busy),
        TEST(other_files_wake_nobody),
        TEST(a_replaced_database_is_told),
        TEST(a_linked_database_has_its_wal_elsewhere),
        TEST(without_a_folder_it_polls_until_there_is_one),
        TEST(a_poke_from_a_thread_ends_the_wait),
        TEST(a_signal_alone_does_not_end_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* wake_test.c — when the descriptor fires and when it is quiet. Real commits: wake_commit_test.c. */
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
#include <unistd.h>

#include "wake_place.h"

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
    assert_in_range(looks, 10, 5000); /* a write a look would be ten thousands */
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

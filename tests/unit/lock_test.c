/* lock_test.c — one holder at a time, over processes; the lock dies with it, and those who wait hear of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock.h"

enum { DEADLINE_MS = 10000 };

struct place {
    char folder[64], path[96];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/outbox-lock-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/db.jsonl.lock", place->folder);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    unlink(place->path);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

/* A process that takes the lock and keeps it until it is killed. It has it when this returns. */
static pid_t holder(const char *path)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct lock lock;
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        close(ready[0]);
        if (lock_try(&lock, path) == LOCK_HELD)
            (void)!write(ready[1], "", 1);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void kill_holder(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool readable_within(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static void one_holds_it_and_the_next_is_told_who(void **state)
{
    struct place *place = *state;
    struct lock first, second = {.fd = 99};
    char text[100], expected[200], host[65] = "";

    gethostname(host, sizeof host - 1);
    assert_int_equal(lock_try(&first, place->path), LOCK_HELD);
    assert_int_equal(lock_try(&second, place->path), LOCK_TAKEN);
    assert_int_equal(second.fd, -1);
    snprintf(expected, sizeof expected, "pid %ld on %s", (long)getpid(), host);
    lock_holder(place->path, text, sizeof text);
    assert_string_equal(text, expected);
    lock_release(&second); /* of one not held: nothing */
    assert_int_equal(lock_try(&second, place->path), LOCK_TAKEN);
    lock_release(&first);
    lock_release(&first);
    assert_int_equal(lock_try(&second, place->path), LOCK_HELD);
    lock_release(&second);
}

static void the_file_stays_and_is_private(void **state)
{
    struct place *place = *state;
    struct lock lock;
    struct stat st;
    mode_t before = umask(0);

    assert_int_equal(lock_try(&lock, place->path), LOCK_HELD);
    umask(before);
    lock_release(&lock);
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void what_stands_in_its_place_is_neither_followed_nor_written(void **state)
{
    struct place *place = *state;
    struct lock lock = {.fd = 99};
    char elsewhere[96], text[20] = "";

    snprintf(elsewhere, sizeof elsewhere, "%s/precious", place->folder);
    FILE *f = fopen(elsewhere, "w");
    fputs("precious", f);
    fclose(f);

    assert_int_equal(symlink(elsewhere, place->path), 0);
    assert_int_equal(lock_try(&lock, place->path), LOCK_ERROR);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(mkfifo(place->path, 0600), 0);
    assert_int_equal(lock_try(&lock, place->path), LOCK_ERROR);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(lock.fd, -1);
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(link(elsewhere, place->path), 0); /* it holds, but for the holder's name */
    assert_int_equal(lock_try(&lock, place->path), LOCK_HELD);
    lock_release(&lock);

    f = fopen(elsewhere, "r");
    assert_int_equal(fread(text, 1, sizeof text - 1, f), strlen("precious"));
    fclose(f);
    assert_string_equal(text, "precious");
    assert_int_equal(unlink(elsewhere), 0);
}

static void a_new_holders_name_takes_the_old_ones_place(void **state)
{
    struct place *place = *state;
    struct lock lock;
    char text[400] = "";

    FILE *f = fopen(place->path, "w");
    fprintf(f, "1 %0300d old\n", 0);
    fclose(f);
    assert_int_equal(lock_try(&lock, place->path), LOCK_HELD);
    f = fopen(place->path, "r");
    size_t size = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    assert_int_equal(strtol(text, NULL, 10), getpid());
    lock_release(&lock);
}

static void a_lock_dies_with_its_killed_holder(void **state)
{
    struct place *place = *state;
    struct lock lock;
    char text[100], expected[40];

    pid_t pid = holder(place->path);
    assert_int_equal(lock_try(&lock, place->path), LOCK_TAKEN);
    lock_holder(place->path, text, sizeof text);
    snprintf(expected, sizeof expected, "pid %ld on ", (long)pid);
    assert_memory_equal(text, expected, strlen(expected));
    kill_holder(pid);
    assert_int_equal(lock_try(&lock, place->path), LOCK_HELD);
    lock_release(&lock);
}

static void a_waiter_wakes_when_the_holder_is_killed(void **state)
{
    struct place *place = *state;
    struct lock lock;

    pid_t pid = holder(place->path);
    int watch = lock_watch(place->path);
    assert_true(watch >= 0);
    assert_int_equal(lock_try(&lock, place->path), LOCK_TAKEN);
    assert_false(readable_within(watch, 50));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(readable_within(watch, DEADLINE_MS));
    for (int i = 0; i < DEADLINE_MS && lock_try(&lock, place->path) != LOCK_HELD; i++)
        poll(NULL, 0, 1);
    assert_true(lock.fd >= 0);
    lock_release(&lock);
    close(watch);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_waiter_wakes_when_the_holder_lets_go(void **state)
{
    struct place *place = *state;
    struct lock lock;

    assert_int_equal(lock_try(&lock, place->path), LOCK_HELD);
    int watch = lock_watch(place->path);
    lock_release(&lock);
    assert_true(readable_within(watch, DEADLINE_MS));
    close(watch);
}

/* Two standbys that woke each other would never rest. */
static void the_tries_of_waiters_wake_nobody(void **state)
{
    struct place *place = *state;
    struct lock held, lock;
    char text[100];

    assert_int_equal(lock_try(&held, place->path), LOCK_HELD);
    int watch = lock_watch(place->path);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(lock_try(&lock, place->path), LOCK_TAKEN);
        lock_holder(place->path, text, sizeof text);
    }
    assert_false(readable_within(watch, 50));
    close(watch);
    lock_release(&held);
}

static void a_file_put_in_its_place_is_another_lock(void **state)
{
    struct place *place = *state;
    struct lock old, new;

    assert_int_equal(lock_try(&old, place->path), LOCK_HELD);
    int watch = lock_watch(place->path);
    assert_int_equal(unlink(place->path), 0);
    assert_true(readable_within(watch, DEADLINE_MS));
    close(watch);
    assert_int_equal(lock_try(&new, place->path), LOCK_HELD);
    lock_release(&new);
    lock_release(&old);
}

/* Many processes, each counting in a file what only a holder may touch. Somebody goes on tidying the lock file away:
 * a lock on a file without a name must not count. */
static void contenders_never_hold_it_together(void **state)
{
    enum { PROCESSES = 4, TURNS = 100 };
    struct place *place = *state;
    char counter[100];
    pid_t pids[PROCESSES];

    snprintf(counter, sizeof counter, "%s/counter", place->folder);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int turn = 0; turn < TURNS; turn++) {
            struct lock lock;
            while (lock_try(&lock, place->path) != LOCK_HELD)
                ; /* the rush is the test */
            int count = 0;
            FILE *f = fopen(counter, "r");
            if (f) {
                (void)!fscanf(f, "%d", &count);
                fclose(f);
            }
            f = fopen(counter, "w");
            fprintf(f, "%d", count + 1);
            fclose(f);
            unlink(place->path);
            lock_release(&lock);
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    int count = 0;
    FILE *f = fopen(counter, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &count), 1);
    fclose(f);
    unlink(counter);
    assert_int_equal(count, PROCESSES * TURNS);
}

static void an_impossible_path_is_an_error(void **state)
{
    struct place *place = *state;
    struct lock lock;
    char path[160];

    snprintf(path, sizeof path, "%s/no/such/folder", place->folder);
    errno = 0;
    assert_int_equal(lock_try(&lock, path), LOCK_ERROR);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(lock.fd, -1);
    assert_int_equal(lock_watch(path), -1);
    assert_int_equal(lock_try(&lock, place->folder), LOCK_ERROR);
    assert_int_equal(errno, EISDIR);

    assert_int_equal(symlink("elsewhere", place->path), 0);
    assert_int_equal(lock_try(&lock, place->path), LOCK_ERROR);
    assert_int_equal(errno, ELOOP);
}

static void a_holder_that_cannot_be_read_is_another_process(void **state)
{
    static const char *const CONTENTS[] = {
        "", "x", "12", "-5 host relay\n", "12 \x1b[31m relay\n", "12 h\x7fst relay\n", "12 caf\xc3\xa9 relay\n"};
    struct place *place = *state;
    char text[100];

    lock_holder(place->path, text, sizeof text);
    assert_string_equal(text, "another process");
    for (size_t i = 0; i < sizeof CONTENTS / sizeof *CONTENTS; i++) {
        FILE *f = fopen(place->path, "w");
        fputs(CONTENTS[i], f);
        fclose(f);
        lock_holder(place->path, text, sizeof text);
        assert_string_equal(text, "another process");
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)
    const struct CMUnitTest tests[] = {
        TEST(one_holds_it_and_the_next_is_told_who),
        TEST(the_file_stays_and_is_private),
        TEST(what_stands_in_its_place_is_neither_followed_nor_written),
        TEST(a_new_holders_name_takes_the_old_ones_place),
        TEST(a_lock_dies_with_its_killed_holder),
        TEST(a_waiter_wakes_when_the_holder_is_killed),
        TEST(a_waiter_wakes_when_the_holder_lets_go),
        TEST(the_tries_of_waiters_wake_nobody),
        TEST(a_file_put_in_its_place_is_another_lock),
        TEST(contenders_never_hold_it_together),
        TEST(an_impossible_path_is_an_error),
        TEST(a_holder_that_cannot_be_read_is_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

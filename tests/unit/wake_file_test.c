/* wake_file_test.c — waiting for a file that grows and moves on, with inotify and without. */
#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include "fixture.h"
#include "stream_writer.h"
#include "wake.h"

enum { PATIENCE_MS = 4000 }; /* less than the slow poll, which would hide that nothing was heard */

struct bench {
    struct fixture *f;
    struct stream_writer w;
    struct wake *wake;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    void *fixture = NULL;
    int code = fixture_setup(&fixture);
    b->f = fixture;
    writer_init(&b->w, b->f->dir);
    *state = b;
    return code;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    void *fixture = b->f;
    wake_close(b->wake);
    writer_fini(&b->w);
    free(b);
    return fixture_teardown(&fixture);
}

/* Until nothing but the slow poll is left: the burst of looks after an event is over. */
static void settle(struct bench *b)
{
    struct pollfd p = {.fd = wake_fd(b->wake), .events = POLLIN};
    do
        wake_found(b->wake);
    while (wake_drain(b->wake) || poll(&p, 1, 50) != 0);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wakes(struct bench *b, int wanted)
{
    int fired = 0, more;
    while ((fired & wanted) != wanted && (more = wake_wait(b->wake, PATIENCE_MS)) != 0)
        fired |= more;
    return (fired & wanted) == wanted;
}

static void a_line_and_each_step_of_a_rotation_wake(void **state)
{
    struct bench *b = *state;
    b->wake = wake_open_file(b->w.path); /* it isn't there yet */
    assert_non_null(b->wake);
    assert_false(wake_is_polling(b->wake));
    for (int round = 0; round < 3; round++) {
        settle(b);
        writer_write(&b->w, 1);
        assert_true(wakes(b, WAKE_LOOK));
        settle(b);
        writer_write(&b->w, 1);
        assert_true(wakes(b, WAKE_LOOK));
        settle(b);
        writer_rotate(&b->w);
        assert_true(wakes(b, WAKE_LOOK | WAKE_MOVED));
    }
}

static void other_files_of_the_directory_do_not_wake(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 1);
    b->wake = wake_open_file(b->w.path);
    settle(b);
    struct stream_writer other = b->w;
    other.fd = -1;
    snprintf(other.path, sizeof other.path, "%.120s/events.jsonl.lock", b->f->dir);
    writer_write(&other, 3);
    writer_fini(&other);
    fixture_sql(b->f, "CREATE TABLE t(x)");
    struct pollfd p = {.fd = wake_fd(b->wake), .events = POLLIN};
    while (poll(&p, 1, 100) != 0) /* what the kernel queued is drained without a word */
        assert_int_equal(wake_drain(b->wake) & (WAKE_LOOK | WAKE_MOVED), 0);
}

/* No descriptor is left for inotify, as where the user's instances are used up. */
static void without_inotify_it_polls(void **state)
{
    struct bench *b = *state;
    struct rlimit limit, tight;
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    tight = limit;
    tight.rlim_cur = (rlim_t)spare + 3; /* for the epoll, the timer and the eventfd */
    close(spare);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    b->wake = wake_open_file(b->w.path);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_non_null(b->wake);
    assert_true(wake_is_polling(b->wake));
    int64_t fastest_ms = INT64_MAX; /* the machine may be busy, once */
    for (int i = 0; i < 3; i++) {
        int64_t since_ms = now_ms();
        writer_write(&b->w, 1);
        assert_true(wakes(b, WAKE_LOOK));
        wake_found(b->wake);
        fastest_ms = now_ms() - since_ms < fastest_ms ? now_ms() - since_ms : fastest_ms;
    }
    assert_in_range(fastest_ms, 0, 200); /* twice the poll */
}

/* How many events the kernel keeps; 0: it doesn't say. */
static int queue_length(void)
{
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    char text[16] = "";

    if (!limit)
        return 0;
    if (!fgets(text, sizeof text, limit))
        text[0] = '\0';
    fclose(limit);
    return atoi(text);
}

/* More happens in the directory than the kernel keeps: what was forgotten is looked for, and the new file watched. */
static void an_overflow_forgets_nothing(void **state)
{
    struct bench *b = *state;
    char here[200], there[200];
    int most = queue_length();

    if (most == 0 || most > 200000) {
        print_message("# the queue of inotify has room for %d events: it can't be made to overflow\n", most);
        skip();
    }
    writer_write(&b->w, 1);
    b->wake = wake_open_file(b->w.path);
    settle(b);
    snprintf(here, sizeof here, "%.150s/a", b->f->dir);
    snprintf(there, sizeof there, "%.150s/b", b->f->dir);
    int fd = open(here, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < most / 2 + 2; i++) /* two events each, of names that don't matter */
        assert_int_equal(i % 2 ? rename(there, here) : rename(here, there), 0);
    writer_rotate(&b->w);
    writer_write(&b->w, 1);
    assert_true(wakes(b, WAKE_LOOK | WAKE_MOVED));
    settle(b);
    writer_write(&b->w, 1); /* into the new file, of which inotify has said nothing */
    assert_true(wakes(b, WAKE_LOOK));
    assert_false(wake_is_polling(b->wake));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_and_each_step_of_a_rotation_wake),
        TEST(other_files_of_the_directory_do_not_wake),
        TEST(without_inotify_it_polls),
        TEST(an_overflow_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* standby_test.c — the wait for a lock that another holds, where the notice of its end does not come. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/file.h>

#include "clock.h"
#include "standby.h"
#include "wake_place.h"

enum { LETS_GO_AFTER_US = 200000, AT_MOST_US = 10000000 };

struct traffic {
    const struct place *place;
    atomic_bool stop;
    int lock_fd; /* read-only: its end is no news to who watches for a writer's */
};

/* What the standby wakes for goes on and on, as under an application that commits all the time; meanwhile the lock
 * becomes free. */
static void *traffic_main(void *arg)
{
    struct traffic *t = arg;
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t begun_us = clock_monotonic_us();
    int fd = open(t->place->wal, O_WRONLY | O_APPEND);

    while (!t->stop && clock_monotonic_us() - begun_us < AT_MOST_US) {
        if (t->lock_fd >= 0 && clock_monotonic_us() - begun_us > LETS_GO_AFTER_US) {
            close(t->lock_fd);
            t->lock_fd = -1;
        }
        if (write(fd, "x", 1) != 1)
            break;
        nanosleep(&pause, NULL);
    }
    close(fd);
    t->stop = true;
    return NULL;
}

static void a_missed_notice_is_made_up_for_under_traffic_too(void **state)
{
    struct place *place = *state;
    struct traffic traffic = {.place = place};
    struct lock lock = {.fd = -1};
    char path[128], reason[256];
    pthread_t thread;

    snprintf(path, sizeof path, "%s/the.lock", place->folder);
    close(open(place->wal, O_WRONLY | O_CREAT, 0600));
    assert_non_null(place->wake = wake_open_file(place->wal));
    close(open(path, O_WRONLY | O_CREAT, 0600));
    traffic.lock_fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(traffic.lock_fd, LOCK_EX), 0);
    assert_int_equal(pthread_create(&thread, NULL, traffic_main, &traffic), 0);
    assert_int_equal(standby_wait(&lock, path, "c", true, place->wake, &traffic.stop, reason, sizeof reason),
                     STANDBY_HELD);
    traffic.stop = true;
    pthread_join(thread, NULL);
    lock_release(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_missed_notice_is_made_up_for_under_traffic_too, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

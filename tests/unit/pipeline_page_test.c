/* pipeline_page_test.c — a page that comes at any moment is taken once: what was read ahead is not read again. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "pipeline_rig.h"

/* Each look is under a mutex. The pipeline's thread, which asks for the time, is slow to go on after it, so that the page
 * comes between two looks. The one that reads asks for no time. */
enum { SLOW_NS = 200000, EVENTS = 200 };
static atomic_bool slow;
static _Thread_local bool asks_for_time;
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now);
__attribute__((visibility("default"))) int pthread_mutex_unlock(pthread_mutex_t *mutex);

int clock_gettime(clockid_t clock, struct timespec *now)
{
    asks_for_time = true;
    return (int)syscall(SYS_clock_gettime, clock, now);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*unlock)(pthread_mutex_t *);
    if (!unlock)
        *(void **)&unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    int rc = unlock(mutex);
    if (slow && asks_for_time)
        syscall(SYS_nanosleep, &(struct timespec){0, SLOW_NS}, NULL);
    return rc;
}

/* As where a sync beside ends, or a writer is heard: it looks again and again. */
static int64_t always_due(const struct sink *sink)
{
    (void)sink;
    return 0;
}

static void *(*prepare)(struct sink *sink, const struct source_row *row);

/* So that pages come at any moment. */
static void *prepare_slowly(struct sink *sink, const struct source_row *row)
{
    syscall(SYS_nanosleep, &(struct timespec){0, row->event.seq * 7919 % 20 * 100000}, NULL);
    return prepare(sink, row);
}

static void a_page_that_comes_between_two_looks_is_taken_once(void **state)
{
    struct bench *b = *state;
    b->settings.read_batch = 2;
    emit_events(b->f, "k", EVENTS);
    b->ops.due = always_due;
    prepare = b->ops.prepare;
    b->ops.prepare = prepare_slowly;
    slow = true;
    start(b, true);
    assert_int_equal(join(b), PIPELINE_DONE);
    slow = false;
    assert_taken(b, EVENTS);
    assert_int_equal(acked(b), EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_that_comes_between_two_looks_is_taken_once, setup_ahead, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

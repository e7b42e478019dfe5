/* due_heap_test.c — whatever is pushed, what is due first comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sinks/due_heap.h"

static void what_is_due_first_comes_first(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct due_heap heap = {0};
    uint64_t random = 88172645463325252u;
    int64_t last = 0;

    assert_true(due_heap_reserve(&heap, COUNT));
    for (int i = 0; i < COUNT; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        due_heap_push(&heap, (int64_t)(random % 1000), &heap);
    }
    assert_null(due_heap_pop(&heap, -1));
    for (int i = 0; i < COUNT; i++) {
        int64_t next = due_heap_next_us(&heap);
        assert_true(next >= last);
        last = next;
        assert_non_null(due_heap_pop(&heap, next));
    }
    assert_null(due_heap_pop(&heap, INT64_MAX));
    due_heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_first_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

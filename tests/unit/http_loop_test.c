/* http_loop_test.c — curl is asked again where it had no memory: it tells of its next timer only when all went well.
 *
 * curl_multi_socket_action() comes to this test first (the Makefile's --wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "clock.h"
#include "sinks/http_loop.h"

enum { SOON_US = 1000000 };

static CURLMcode answer;
static int asked;

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
CURLMcode __real_curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int bits, int *running);
CURLMcode __wrap_curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int bits, int *running);

CURLMcode __wrap_curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int bits, int *running)
{
    asked++;
    return answer == CURLM_OK ? __real_curl_multi_socket_action(multi, fd, bits, running) : answer;
}
// NOLINTEND(bugprone-reserved-identifier)

static void without_memory_at_a_timer_it_is_asked_again(void **state)
{
    struct http_loop loop;
    (void)state;
    assert_true(http_loop_init(&loop));
    loop.due_us = 0; /* as curl has said */
    answer = CURLM_OUT_OF_MEMORY;
    asked = 0;
    http_loop_run(&loop);
    assert_int_equal(asked, 1);
    assert_in_range(loop.due_us, clock_monotonic_us() - SOON_US, clock_monotonic_us() + SOON_US);
    answer = CURLM_OK;
    http_loop_wait(&loop, -1, 10000);
    http_loop_run(&loop);
    assert_int_equal(asked, 2);
    assert_int_equal(loop.due_us, INT64_MAX); /* nothing is left to do */
    http_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_at_a_timer_it_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

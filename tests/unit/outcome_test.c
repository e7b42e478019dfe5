/* outcome_test.c — every status has its class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/outcome.h"

static enum outcome expected(long status)
{
    if (status >= 200 && status < 300)
        return OUTCOME_DELIVERED;
    if (status == 410)
        return OUTCOME_GONE;
    if (status == 408 || status == 425 || status == 429 || status >= 500 || status < 200)
        return OUTCOME_RETRY;
    return OUTCOME_DEAD;
}

static void every_status_has_its_class(void **state)
{
    (void)state;
    for (long status = 0; status <= 1000; status++)
        if (outcome_of(CURLE_OK, status) != expected(status))
            fail_msg("%ld is %d", status, outcome_of(CURLE_OK, status));
}

static void a_transport_error_is_a_retry_whatever_the_status(void **state)
{
    (void)state;
    static const CURLcode results[] = {
        CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_OPERATION_TIMEDOUT,       CURLE_PARTIAL_FILE,
        CURLE_GOT_NOTHING,     CURLE_RECV_ERROR,           CURLE_PEER_FAILED_VERIFICATION, CURLE_SEND_ERROR,
        CURLE_OUT_OF_MEMORY};
    static const long statuses[] = {0, 200, 301, 404, 410, 500};

    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++)
            assert_int_equal(outcome_of(results[i], statuses[k]), OUTCOME_RETRY);
}

static void only_429_and_503_speak_for_the_endpoint(void **state)
{
    (void)state;
    for (long status = 0; status <= 1000; status++)
        assert_int_equal(outcome_holds_endpoint(status), status == 429 || status == 503);
}

static void words_name_the_status_and_the_reason(void **state)
{
    (void)state;
    static const struct {
        CURLcode result;
        long status;
        const char *transport, *words;
    } cases[] = {
        {CURLE_OK, 503, "", "503 Service Unavailable"},
        {CURLE_OK, 302, "", "302 Found: redirects are not followed"},
        {CURLE_OK, 418, "", "status 418"},
        {CURLE_COULDNT_CONNECT, 0, "Failed to connect", "Failed to connect"},
        {CURLE_PARTIAL_FILE, 200, "transfer closed", "200, then: transfer closed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[128];
        outcome_words(cases[i].result, cases[i].status, cases[i].transport, words, sizeof words);
        assert_string_equal(words, cases[i].words);
    }
    char words[128] = "";
    outcome_words(CURLE_OPERATION_TIMEDOUT, 0, NULL, words, sizeof words);
    assert_string_equal(words, curl_easy_strerror(CURLE_OPERATION_TIMEDOUT));
    outcome_words(CURLE_OPERATION_TIMEDOUT, 0, "", words, sizeof words);
    assert_true(strlen(words) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_class),
        cmocka_unit_test(a_transport_error_is_a_retry_whatever_the_status),
        cmocka_unit_test(only_429_and_503_speak_for_the_endpoint),
        cmocka_unit_test(words_name_the_status_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

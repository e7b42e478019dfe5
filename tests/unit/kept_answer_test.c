/* kept_answer_test.c — what an answer repeats of its request is not kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "settings.h"
#include "sinks/kept_answer.h"

static char url[] = "https://ann:pass@hooks.example:8443/services/T0/B1?token=canary&x=1";
static char bearer[] = "Authorization: Bearer abcdef0123456789", plain[] = "X-Key:  k-canary",
            short_one[] = "X-Flag: on";
static char *headers[] = {bearer, plain, short_one, NULL};
static const struct webhook_settings settings = {.url = url, .headers = headers};

static const struct {
    const char *label, *answer, *kept;
} cases[] = {
    {"nothing of ours", "{\"error\":\"no such order\"}", "{\"error\":\"no such order\"}"},
    {"nothing", "", ""},
    {"the request line", "POST /services/T0/B1?token=canary&x=1 HTTP/1.1",
     "POST ******************************** HTTP/1.1"},
    {"the path alone", "no route for /services/T0/B1.", "no route for ***************."},
    {"the query alone", "args: token=canary&x=1!", "args: ****************!"},
    {"twice", "token=canary&x=1 token=canary&x=1", "**************** ****************"},
    {"the password", "ann:pass@", "********@"},
    {"the password as curl sends it", "Authorization: Basic YW5uOnBhc3M=\r\n", "Authorization: Basic ************\r\n"},
    {"a header", "authorization: Bearer abcdef0123456789", "authorization: ***********************"},
    {"its token", "bad token abcdef0123456789", "bad token ****************"},
    {"another", "k-canary", "********"},
    {"one too short to be a secret", "carry on", "carry on"},
    {"signatures", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,abcd",
     "v1,******************************************** v1,****"},
    {"the beginning of a secret at the end", "args: token=can", "args: *********"},
    {"of a signature", "signature: v1,g0h", "signature: v1,***"},
    {"the host is no secret", "hooks.example:8443", "hooks.example:8443"},
};

static void what_it_repeats_is_masked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[128];
        size_t size = strlen(cases[i].answer);
        memcpy(bytes, cases[i].answer, size);
        bytes[size] = '!';
        kept_answer_mask(bytes, size, &settings);
        if (memcmp(bytes, cases[i].kept, size) != 0 || strlen(cases[i].kept) != size)
            fail_msg("%s: %.*s", cases[i].label, (int)size, bytes);
        assert_int_equal(bytes[size], '!');
    }
}

static void a_nul_ends_nothing(void **state)
{
    (void)state;
    char bytes[] = "\0k-canary\0k-canary";
    kept_answer_mask(bytes, sizeof bytes - 1, &settings);
    assert_memory_equal(bytes, "\0********\0********", sizeof bytes - 1);
}

static void without_secrets_nothing_is_masked(void **state)
{
    (void)state;
    char bare[] = "http://localhost", bytes[] = "http://localhost/";
    const struct webhook_settings none = {.url = bare};
    kept_answer_mask(bytes, sizeof bytes - 1, &none);
    assert_string_equal(bytes, "http://localhost/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_repeats_is_masked),
        cmocka_unit_test(a_nul_ends_nothing),
        cmocka_unit_test(without_secrets_nothing_is_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

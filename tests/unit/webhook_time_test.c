/* webhook_time_test.c — how long outbox_webhook_verify takes says nothing about the signature: a child is stepped
 * through it, instruction by instruction, and they are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "outbox_webhook.h"

static const char ID[] = "msg_p5jXN8AQM9LWM0D4loKWxJek", TIMESTAMP[] = "1614265330", BODY[] = "{\"test\": 2432232314}";
static const char RIGHT[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
enum { SIGNED_AT = 1614265330, NOT_COUNTED = -1 };

static int verify(const char *signatures)
{
    outbox_webhook_secret secret;
    int parsed = outbox_webhook_secret_parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &secret);

    return parsed != OUTBOX_WEBHOOK_OK ? parsed
                                       : outbox_webhook_verify(ID, TIMESTAMP, signatures, BODY, strlen(BODY), &secret,
                                                               1, SIGNED_AT, OUTBOX_WEBHOOK_TOLERANCE_S);
}

/* Between two stops of its own it verifies once. Whatever libcrypto prepares at the first call is prepared before. */
static void child_main(const char *signatures)
{
    verify(RIGHT);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(1);
    raise(SIGSTOP);
    int result = verify(signatures);
    raise(SIGSTOP);
    _exit(result == OUTBOX_WEBHOOK_OK || result == OUTBOX_WEBHOOK_MISMATCH ? 0 : 1);
}

/* The instructions of a verification, NOT_COUNTED where nobody may be traced. */
static int64_t instructions(const char *signatures)
{
    pid_t child = fork();
    int status = 0;
    int64_t count = 0;

    assert_true(child >= 0);
    if (child == 0)
        child_main(signatures);
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return NOT_COUNTED;
    ptrace(PTRACE_SINGLESTEP, child, NULL, 0);
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) {
        count++;
        ptrace(PTRACE_SINGLESTEP, child, NULL, 0);
    }
    bool whole = WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
    ptrace(PTRACE_CONT, child, NULL, 0);
    waitpid(child, &status, 0);
    assert_true(whole && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return count;
}

static bool can_count(void)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    printf("# skipped: what a sanitizer adds would be counted too\n");
    return false;
#endif
    if (getenv("RUN_UNDER") && *getenv("RUN_UNDER")) {
        printf("# skipped: nothing can be traced under %s\n", getenv("RUN_UNDER"));
        return false;
    }
    return true;
}

static void a_wrong_signature_takes_as_long_wherever_it_is_wrong(void **state)
{
    (void)state;
    char wrong[sizeof RIGHT];
    size_t length = strlen(RIGHT);

    if (!can_count())
        skip();
    int64_t first = 0;
    const size_t places[] = {0, length / 2, length - 5};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *at = wrong + 3 + places[i];
        strcpy(wrong, RIGHT);
        *at = *at == 'A' ? 'B' : 'A';
        int64_t count = instructions(wrong);
        if (count == NOT_COUNTED)
            skip();
        if (i == 0)
            first = count;
        else if (count != first)
            fail_msg("wrong at %zu: %lld instructions, wrong at the first: %lld", places[i], (long long)count,
                     (long long)first);
    }
    assert_true(first > 1000);
}

/* The right one among wrong ones: at each place the same. */
static void a_right_signature_takes_as_long_wherever_it_stands(void **state)
{
    (void)state;
    char wrong[sizeof RIGHT], first[2 * sizeof RIGHT], last[2 * sizeof RIGHT];

    if (!can_count())
        skip();
    strcpy(wrong, RIGHT);
    wrong[3] = 'A';
    snprintf(first, sizeof first, "%s %s", RIGHT, wrong);
    snprintf(last, sizeof last, "%s %s", wrong, RIGHT);
    assert_int_equal(instructions(first), instructions(last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_signature_takes_as_long_wherever_it_is_wrong),
        cmocka_unit_test(a_right_signature_takes_as_long_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* signer_test.c — the signer says what outbox_webhook_sign() says, whatever it signed before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sinks/signer.h"

static const char *const TEXTS[] = {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="};
static const char ID[] = "msg_p5jXN8AQM9LWM0D4loKWxJek", BODY[] = "{\"test\": 2432232314}";

static outbox_webhook_secret secrets[WEBHOOK_SECRETS_MAX];

static struct webhook_settings settings_with(int count)
{
    struct webhook_settings settings = {.secret_count = count};
    for (int i = 0; i < count; i++) {
        assert_int_equal(outbox_webhook_secret_parse(TEXTS[i], &secrets[i]), OUTBOX_WEBHOOK_OK);
        settings.secrets[i] = (struct webhook_secret){secrets[i].key, secrets[i].size};
    }
    return settings;
}

static void the_published_vectors_come_out_in_any_order(void **state)
{
    (void)state;
    struct webhook_settings settings = settings_with(1);
    struct signer signer;
    char out[SIGNER_SIZE];

    assert_true(signer_init(&signer, &settings));
    for (int i = 0; i < 3; i++) {
        assert_true(signer_sign(&signer, ID, 1614265330, BODY, strlen(BODY), out));
        assert_string_equal(out, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_true(signer_sign(&signer, ID, 1614265330, NULL, 0, out));
        assert_string_equal(out, "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A=");
    }
    signer_fini(&signer);
}

static void each_secret_signs_the_newest_first(void **state)
{
    (void)state;
    struct webhook_settings settings = settings_with(WEBHOOK_SECRETS_MAX);
    char out[SIGNER_SIZE], expected[SIGNER_SIZE] = "", one[OUTBOX_WEBHOOK_SIGNATURE_SIZE], body[300];
    struct signer signer;

    assert_true(signer_init(&signer, &settings));
    memset(body, 'x', sizeof body);
    for (size_t size = 0; size <= sizeof body; size += 13) { /* over the borders of SHA-256's blocks */
        expected[0] = 0;
        for (int i = 0; i < WEBHOOK_SECRETS_MAX; i++) {
            assert_int_equal(outbox_webhook_sign(ID, (int64_t)size, body, size, &secrets[i], one), OUTBOX_WEBHOOK_OK);
            strcat(strcat(expected, i ? " " : ""), one);
        }
        assert_true(signer_sign(&signer, ID, (int64_t)size, body, size, out));
        assert_string_equal(out, expected);
    }
    signer_fini(&signer);
}

static void without_secrets_there_is_no_signature(void **state)
{
    (void)state;
    struct webhook_settings settings = settings_with(0);
    struct signer signer;
    char out[SIGNER_SIZE] = "x";

    assert_true(signer_init(&signer, &settings));
    assert_true(signer_sign(&signer, ID, 1, BODY, 1, out));
    assert_string_equal(out, "");
    signer_fini(&signer);
    signer_fini(&signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out_in_any_order),
        cmocka_unit_test(each_secret_signs_the_newest_first),
        cmocka_unit_test(without_secrets_there_is_no_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

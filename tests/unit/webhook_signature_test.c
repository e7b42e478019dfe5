/* webhook_signature_test.c — outbox_webhook.h against the published vectors, and against forgers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "outbox_webhook.h"

static const char SECRET[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
static const char OTHER[] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
static const char ID[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
static const char BODY[] = "{\"test\": 2432232314}";
static const char SIGNATURE[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
enum { SIGNED_AT = 1614265330, TOLERANCE = 300 };

static outbox_webhook_secret secret_of(const char *text)
{
    outbox_webhook_secret secret = {0};
    assert_int_equal(outbox_webhook_secret_parse(text, &secret), OUTBOX_WEBHOOK_OK);
    return secret;
}

static int verify_at(int64_t now, const char *timestamp, const char *signatures)
{
    outbox_webhook_secret secret = secret_of(SECRET);
    return outbox_webhook_verify(ID, timestamp, signatures, BODY, strlen(BODY), &secret, 1, now, TOLERANCE);
}

static void published_vectors_are_signed_alike(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *id;
        int64_t timestamp;
        const char *body, *signature;
    } vectors[] = {
        {SECRET, ID, SIGNED_AT, BODY, SIGNATURE},
        {OTHER, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553,
         "{\"email\":\"test@example.com\",\"username\":\"test_user\"}",
         "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="},
        {SECRET, ID, SIGNED_AT, "", "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A="},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        outbox_webhook_secret secret = secret_of(vectors[i].secret);
        char timestamp[24], out[OUTBOX_WEBHOOK_SIGNATURE_SIZE];
        size_t size = strlen(vectors[i].body);
        assert_int_equal(
            outbox_webhook_sign(vectors[i].id, vectors[i].timestamp, size ? vectors[i].body : NULL, size, &secret, out),
            OUTBOX_WEBHOOK_OK);
        assert_string_equal(out, vectors[i].signature);
        snprintf(timestamp, sizeof timestamp, "%lld", (long long)vectors[i].timestamp);
        assert_int_equal(outbox_webhook_verify(vectors[i].id, timestamp, out, vectors[i].body, size, &secret, 1,
                                               vectors[i].timestamp, TOLERANCE),
                         OUTBOX_WEBHOOK_OK);
    }
}

static void secrets_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        int result;
        size_t size;
    } cases[] = {
        {"with its prefix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", OUTBOX_WEBHOOK_OK, 24},
        {"bare base64", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", OUTBOX_WEBHOOK_OK, 24},
        {"one byte of padding", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", OUTBOX_WEBHOOK_OK, 32},
        {"two bytes of padding", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA==", OUTBOX_WEBHOOK_OK, 25},
        {"64 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
         OUTBOX_WEBHOOK_OK, 64},
        {"65 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
         OUTBOX_WEBHOOK_SECRET, 0},
        {"23 bytes", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ=", OUTBOX_WEBHOOK_SECRET, 0},
        {"empty", "", OUTBOX_WEBHOOK_SECRET, 0},
        {"the prefix alone", "whsec_", OUTBOX_WEBHOOK_SECRET, 0},
        {"a line break at the end", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", OUTBOX_WEBHOOK_SECRET, 0},
        {"a space before", " MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", OUTBOX_WEBHOOK_SECRET, 0},
        {"the URL alphabet", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", OUTBOX_WEBHOOK_SECRET, 0},
        {"padding left out", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA", OUTBOX_WEBHOOK_SECRET, 0},
        {"padding in the middle", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaL===AAAA", OUTBOX_WEBHOOK_SECRET, 0},
        {"three signs of padding", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA===", OUTBOX_WEBHOOK_SECRET, 0},
        {"stray bits under the padding", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAB==", OUTBOX_WEBHOOK_SECRET, 0},
        {"nothing but padding", "====================================", OUTBOX_WEBHOOK_SECRET, 0},
        {"missing", NULL, OUTBOX_WEBHOOK_SECRET, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        outbox_webhook_secret secret = {.size = 7};
        int result = outbox_webhook_secret_parse(cases[i].text, &secret);
        assert_int_equal(outbox_webhook_secret_parse(cases[i].text, NULL), OUTBOX_WEBHOOK_SECRET);
        if (result != cases[i].result || secret.size != (result == OUTBOX_WEBHOOK_OK ? cases[i].size : 7))
            fail_msg("%s: result %d, %zu bytes", cases[i].label, result, secret.size);
    }
}

static void a_changed_byte_is_a_mismatch(void **state)
{
    (void)state;
    outbox_webhook_secret secret = secret_of(SECRET);
    char body[sizeof BODY], signature[sizeof SIGNATURE];

    for (size_t i = 0; i + 1 < sizeof BODY; i++) {
        memcpy(body, BODY, sizeof body);
        body[i] ^= 1;
        assert_int_equal(
            outbox_webhook_verify(ID, "1614265330", SIGNATURE, body, strlen(BODY), &secret, 1, SIGNED_AT, TOLERANCE),
            OUTBOX_WEBHOOK_MISMATCH);
    }
    for (size_t i = 3; i + 1 < sizeof SIGNATURE; i++) {
        memcpy(signature, SIGNATURE, sizeof signature);
        signature[i] = signature[i] == 'A' ? 'B' : 'A';
        assert_int_equal(verify_at(SIGNED_AT, "1614265330", signature), OUTBOX_WEBHOOK_MISMATCH);
    }
    assert_int_equal(outbox_webhook_verify("msg_other", "1614265330", SIGNATURE, BODY, strlen(BODY), &secret, 1,
                                           SIGNED_AT, TOLERANCE),
                     OUTBOX_WEBHOOK_MISMATCH);
    assert_int_equal(verify_at(SIGNED_AT, "1614265331", SIGNATURE), OUTBOX_WEBHOOK_MISMATCH);
}

static void signatures_of_other_forms_are_passed_over(void **state)
{
    (void)state;
    static const struct {
        const char *signatures;
        int result;
    } cases[] = {
        {"", OUTBOX_WEBHOOK_MISMATCH},
        {" ", OUTBOX_WEBHOOK_MISMATCH},
        {"v1,", OUTBOX_WEBHOOK_MISMATCH},
        {"v1", OUTBOX_WEBHOOK_MISMATCH},
        {"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", OUTBOX_WEBHOOK_MISMATCH},
        {"v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", OUTBOX_WEBHOOK_MISMATCH},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", OUTBOX_WEBHOOK_MISMATCH},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=x", OUTBOX_WEBHOOK_MISMATCH},
        {"v1a,xyz v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", OUTBOX_WEBHOOK_OK},
        {"v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
         OUTBOX_WEBHOOK_OK},
        {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
         OUTBOX_WEBHOOK_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (verify_at(SIGNED_AT, "1614265330", cases[i].signatures) != cases[i].result)
            fail_msg("'%s' is not %d", cases[i].signatures, cases[i].result);
}

static void either_secret_of_a_rotation_fits(void **state)
{
    (void)state;
    outbox_webhook_secret secrets[] = {secret_of(OTHER), secret_of(SECRET)};
    outbox_webhook_secret swapped[] = {secrets[1], secrets[0]};

    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), swapped, 2, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_OK);
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), secrets, 2, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_OK);
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), secrets, 1, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_MISMATCH);
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), secrets, 0, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_SECRET);
}

static void time_has_a_limit_on_both_sides(void **state)
{
    (void)state;
    assert_int_equal(verify_at(SIGNED_AT + TOLERANCE, "1614265330", SIGNATURE), OUTBOX_WEBHOOK_OK);
    assert_int_equal(verify_at(SIGNED_AT + TOLERANCE + 1, "1614265330", SIGNATURE), OUTBOX_WEBHOOK_STALE);
    assert_int_equal(verify_at(SIGNED_AT - TOLERANCE, "1614265330", SIGNATURE), OUTBOX_WEBHOOK_OK);
    assert_int_equal(verify_at(SIGNED_AT - TOLERANCE - 1, "1614265330", SIGNATURE), OUTBOX_WEBHOOK_FUTURE);
}

static void a_stale_forgery_is_a_mismatch_first(void **state)
{
    (void)state;
    assert_int_equal(verify_at(SIGNED_AT + 9999, "1614265330", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                     OUTBOX_WEBHOOK_MISMATCH);
}

static void malformed_headers_are_said_to_be_so(void **state)
{
    (void)state;
    static const char *const timestamps[] = {NULL,
                                             "",
                                             " 1614265330",
                                             "1614265330 ",
                                             "+1614265330",
                                             "-1",
                                             "1e9",
                                             "0x1",
                                             "01614265330",
                                             "1614265330.5",
                                             "99999999999999999999999",
                                             "now"};
    outbox_webhook_secret secret = secret_of(SECRET);

    for (size_t i = 0; i < sizeof timestamps / sizeof *timestamps; i++)
        assert_int_equal(verify_at(SIGNED_AT, timestamps[i], SIGNATURE), OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(verify_at(SIGNED_AT, "1614265330", NULL), OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(outbox_webhook_verify(NULL, "1614265330", SIGNATURE, BODY, 1, &secret, 1, SIGNED_AT, TOLERANCE),
                     OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(outbox_webhook_verify("", "1614265330", SIGNATURE, BODY, 1, &secret, 1, SIGNED_AT, TOLERANCE),
                     OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(verify_at(SIGNED_AT, NULL, SIGNATURE), OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, NULL, 1, &secret, 1, SIGNED_AT, TOLERANCE),
                     OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, NULL, 0, &secret, 1, SIGNED_AT, TOLERANCE),
                     OUTBOX_WEBHOOK_MISMATCH); /* nothing is a body, too: another's */
    /* The first second of all is a time like any other. */
    assert_int_equal(verify_at(SIGNED_AT, "0", SIGNATURE), OUTBOX_WEBHOOK_MISMATCH);
}

static void a_secret_that_is_none_verifies_nothing(void **state)
{
    (void)state;
    outbox_webhook_secret secrets[] = {secret_of(SECRET), {0}};
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), NULL, 1, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_SECRET);
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), secrets, 2, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_SECRET);
    secrets[1].size = OUTBOX_WEBHOOK_SECRET_MAX + 1;
    assert_int_equal(outbox_webhook_verify(ID, "1614265330", SIGNATURE, BODY, strlen(BODY), secrets, 2, SIGNED_AT, 300),
                     OUTBOX_WEBHOOK_SECRET);
    char out[OUTBOX_WEBHOOK_SIGNATURE_SIZE] = "untouched";
    assert_int_equal(outbox_webhook_sign(ID, SIGNED_AT, BODY, 1, NULL, out), OUTBOX_WEBHOOK_SECRET);
    assert_string_equal(out, "untouched");
}

static void every_result_has_words_of_its_own(void **state)
{
    (void)state;
    for (int result = OUTBOX_WEBHOOK_OK; result <= OUTBOX_WEBHOOK_FAULT; result++)
        for (int other = OUTBOX_WEBHOOK_OK; other <= result; other++)
            assert_int_equal(strcmp(outbox_webhook_strerror(result), outbox_webhook_strerror(other)) == 0,
                             result == other);
    assert_string_equal(outbox_webhook_strerror(OUTBOX_WEBHOOK_STALE), "signed too long ago");
    assert_string_equal(outbox_webhook_strerror(4711), "unknown result");
}

static void failure_leaves_the_output_alone(void **state)
{
    (void)state;
    outbox_webhook_secret secret = secret_of(SECRET), empty = {0};
    char out[OUTBOX_WEBHOOK_SIGNATURE_SIZE] = "untouched";

    assert_int_equal(outbox_webhook_sign(ID, SIGNED_AT, BODY, 1, &empty, out), OUTBOX_WEBHOOK_SECRET);
    assert_int_equal(outbox_webhook_sign(NULL, SIGNED_AT, BODY, 1, &secret, out), OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(outbox_webhook_sign("", SIGNED_AT, BODY, 1, &secret, out), OUTBOX_WEBHOOK_MALFORMED);
    assert_int_equal(outbox_webhook_sign(ID, SIGNED_AT, NULL, 1, &secret, out), OUTBOX_WEBHOOK_MALFORMED);
    assert_string_equal(out, "untouched");
}

static void a_long_list_of_signatures_is_read_to_its_end(void **state)
{
    (void)state;
    enum { FORGED = 2000 };
    char *list = malloc(FORGED * 48 + sizeof SIGNATURE);
    assert_non_null(list);
    list[0] = 0;
    char *at = list;
    for (int i = 0; i < FORGED; i++)
        at += sprintf(at, "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ");
    memcpy(at, SIGNATURE, sizeof SIGNATURE);
    assert_int_equal(verify_at(SIGNED_AT, "1614265330", list), OUTBOX_WEBHOOK_OK);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_are_signed_alike),
        cmocka_unit_test(secrets_are_read_strictly),
        cmocka_unit_test(a_changed_byte_is_a_mismatch),
        cmocka_unit_test(signatures_of_other_forms_are_passed_over),
        cmocka_unit_test(either_secret_of_a_rotation_fits),
        cmocka_unit_test(time_has_a_limit_on_both_sides),
        cmocka_unit_test(a_stale_forgery_is_a_mismatch_first),
        cmocka_unit_test(malformed_headers_are_said_to_be_so),
        cmocka_unit_test(a_secret_that_is_none_verifies_nothing),
        cmocka_unit_test(every_result_has_words_of_its_own),
        cmocka_unit_test(failure_leaves_the_output_alone),
        cmocka_unit_test(a_long_list_of_signatures_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

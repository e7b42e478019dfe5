/* outbox_webhook.h — Standard Webhooks signatures, for receivers in C and for the relay that signs.
 *
 * A library of its own (liboutbox-webhook): it needs libcrypto and nothing of liboutbox. Every function is pure, takes
 * its time as an argument, prints nothing, allocates nothing that outlives the call, and may be used by any thread.
 *
 * A receiver reads the whole body, then:
 *
 *     outbox_webhook_secret secret;
 *     if (outbox_webhook_secret_parse("whsec_…", &secret) != OUTBOX_WEBHOOK_OK) …            // once, at start
 *
 *     if (outbox_webhook_verify(id, timestamp, signature, body, size, &secret, 1, time(NULL),
 *                               OUTBOX_WEBHOOK_TOLERANCE_S) != OUTBOX_WEBHOOK_OK)
 *         answer 400;
 *     if (the application has seen this id before)
 *         answer 200;                                                                      // delivery is at least once
 *
 * with the values of the three headers webhook-id, webhook-timestamp and webhook-signature as they came. Verify the
 * bytes that arrived, never a parsed and re-rendered body. Source: Standard Webhooks 1.0, "Signature scheme".
 */
#ifndef OUTBOX_WEBHOOK_H
#define OUTBOX_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef OUTBOX_API
#if defined(__GNUC__)
#define OUTBOX_API __attribute__((visibility("default")))
#else
#define OUTBOX_API
#endif
#endif

/* The numbers are fixed for ever. Each line says what the caller does next. */
enum {
    OUTBOX_WEBHOOK_OK = 0,
    OUTBOX_WEBHOOK_MISMATCH = 1, /* no signature fits any secret: not from the sender, or changed. Refuse it. */
    OUTBOX_WEBHOOK_STALE = 2,    /* signed too long ago: an old request played again, or clocks apart. Refuse it. */
    OUTBOX_WEBHOOK_FUTURE =
        3, /* signed ahead of our clock by more than the tolerance. Refuse it, look at the clocks. */
    OUTBOX_WEBHOOK_MALFORMED = 4, /* a header is missing or isn't of its form. Refuse it. */
    OUTBOX_WEBHOOK_SECRET = 5,    /* not a secret: wrong alphabet or length. Mend the configuration. */
    OUTBOX_WEBHOOK_FAULT = 6      /* libcrypto failed (out of memory). Answer 500: the sender tries again. */
};

enum {
    OUTBOX_WEBHOOK_SECRET_MIN = 24, /* bytes of key */
    OUTBOX_WEBHOOK_SECRET_MAX = 64,
    OUTBOX_WEBHOOK_SIGNATURE_SIZE = 48, /* "v1,", 44 base64 digits, NUL */
    OUTBOX_WEBHOOK_TOLERANCE_S = 300    /* what the specification's own libraries use */
};

typedef struct outbox_webhook_secret {
    size_t size; /* bytes of key in use */
    unsigned char key[OUTBOX_WEBHOOK_SECRET_MAX];
} outbox_webhook_secret;

/* Reads `whsec_` and base64, or the base64 alone: strict (padded, canonical, no white space), 24 to 64 bytes of key.
 * Errors: SECRET; *out is untouched then. */
OUTBOX_API int outbox_webhook_secret_parse(const char *text, outbox_webhook_secret *out);

/* Writes "v1,BASE64", the HMAC-SHA256 of `ID.TIMESTAMP.BODY`, NUL-terminated, to out. id is what the header webhook-id
 * says, timestamp_s (seconds since 1970) what webhook-timestamp says; body may be NULL where size is 0. Several
 * secrets, while one is rotated: the signatures joined by single spaces, the newest secret's first.
 * Errors: SECRET (its size is not 24 to 64), MALFORMED (id NULL or empty), FAULT; out is untouched then. */
OUTBOX_API int outbox_webhook_sign(const char *id, int64_t timestamp_s, const void *body, size_t size,
                                   const outbox_webhook_secret *secret, char out[OUTBOX_WEBHOOK_SIGNATURE_SIZE]);

/* Whether one of the space-separated signatures fits one of the secrets, and the timestamp is at most tolerance_s
 * before or after now_s (so a request can be played again for up to tolerance_s, twice that from a sender whose clock
 * runs ahead: keep ids longer). id, timestamp and signatures are the headers' values; NULL, a missing header, is
 * MALFORMED. Signatures of versions other than v1 are passed over. Every v1 signature is compared with every secret, in
 * constant time.
 * Errors: MALFORMED, MISMATCH, STALE, FUTURE, SECRET (no secrets), FAULT. The signature is judged first: STALE and
 * FUTURE are said only of requests that the sender did sign. */
OUTBOX_API int outbox_webhook_verify(const char *id, const char *timestamp, const char *signatures, const void *body,
                                     size_t size, const outbox_webhook_secret *secrets, int secret_count, int64_t now_s,
                                     int64_t tolerance_s);

/* A result in words, static. */
OUTBOX_API const char *outbox_webhook_strerror(int result);

#ifdef __cplusplus
}
#endif
#endif

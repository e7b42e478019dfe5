/* outbox_webhook.c — signs and verifies Standard Webhooks.
 *
 * Leaves to others: reading headers and bodies, remembering ids, and the clock. The invariant: how long a comparison
 * takes depends on lengths and counts only, never on how much of a signature is right.
 */
#include "outbox_webhook.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { MAC_SIZE = 32, MAC_DIGITS = 44, PREFIX_SIZE = 3 /* "v1," */ };

/* ---- Secrets ------------------------------------------------------------------------------------------------------ */

static bool is_base64(const char *text, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return size % 4 == 0 && strspn(text, digits) + strspn(text + strspn(text, digits), "=") == size;
}

/* The bytes of strict base64, or -1. EVP_DecodeBlock forgives white space and stray bits, and counts the padding as
 * bytes: encoding the result again and comparing forgives nothing. */
static int decode(const char *text, size_t size, unsigned char out[OUTBOX_WEBHOOK_SECRET_MAX + 2])
{
    char again[(OUTBOX_WEBHOOK_SECRET_MAX + 2) / 3 * 4 + 1];

    if (size == 0 || size >= sizeof again || !is_base64(text, size))
        return -1;
    int decoded = EVP_DecodeBlock(out, (const unsigned char *)text, (int)size);
    if (decoded < 0)
        return -1;
    decoded -= (text[size - 1] == '=') + (text[size - 2] == '=');
    EVP_EncodeBlock((unsigned char *)again, out, decoded);
    bool same = strcmp(again, text) == 0;
    OPENSSL_cleanse(again, sizeof again);
    return same ? decoded : -1;
}

int outbox_webhook_secret_parse(const char *text, outbox_webhook_secret *out)
{
    static const char prefix[] = "whsec_";
    unsigned char key[OUTBOX_WEBHOOK_SECRET_MAX + 2];

    if (!text || !out)
        return OUTBOX_WEBHOOK_SECRET;
    if (strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    int size = decode(text, strlen(text), key);
    bool good = size >= OUTBOX_WEBHOOK_SECRET_MIN && size <= OUTBOX_WEBHOOK_SECRET_MAX;
    if (good) {
        memcpy(out->key, key, (size_t)size);
        out->size = (size_t)size;
    }
    OPENSSL_cleanse(key, sizeof key);
    return good ? OUTBOX_WEBHOOK_OK : OUTBOX_WEBHOOK_SECRET;
}

static bool usable(const outbox_webhook_secret *secret)
{
    return secret && secret->size >= OUTBOX_WEBHOOK_SECRET_MIN && secret->size <= OUTBOX_WEBHOOK_SECRET_MAX;
}

/* ---- Signing ------------------------------------------------------------------------------------------------------ */

/* The MAC of `ID.TIMESTAMP.BODY`, the timestamp as text. */
static bool mac_of(const char *id, const char *timestamp, const void *body, size_t size,
                   const outbox_webhook_secret *secret, unsigned char mac[MAC_SIZE])
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
    size_t written = 0;

    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    bool done = context && EVP_MAC_init(context, secret->key, secret->size, params) &&
                EVP_MAC_update(context, (const unsigned char *)id, strlen(id)) &&
                EVP_MAC_update(context, (const unsigned char *)".", 1) &&
                EVP_MAC_update(context, (const unsigned char *)timestamp, strlen(timestamp)) &&
                EVP_MAC_update(context, (const unsigned char *)".", 1) &&
                (size == 0 || EVP_MAC_update(context, body, size)) && EVP_MAC_final(context, mac, &written, MAC_SIZE) &&
                written == MAC_SIZE;
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(hmac);
    return done;
}

int outbox_webhook_sign(const char *id, int64_t timestamp_s, const void *body, size_t size,
                        const outbox_webhook_secret *secret, char out[OUTBOX_WEBHOOK_SIGNATURE_SIZE])
{
    unsigned char mac[MAC_SIZE];
    char timestamp[24];

    if (!id || !*id || (!body && size))
        return OUTBOX_WEBHOOK_MALFORMED;
    if (!usable(secret))
        return OUTBOX_WEBHOOK_SECRET;
    snprintf(timestamp, sizeof timestamp, "%" PRId64, timestamp_s);
    if (!mac_of(id, timestamp, body, size, secret, mac))
        return OUTBOX_WEBHOOK_FAULT;
    memcpy(out, "v1,", PREFIX_SIZE);
    EVP_EncodeBlock((unsigned char *)out + PREFIX_SIZE, mac, MAC_SIZE);
    return OUTBOX_WEBHOOK_OK;
}

/* ---- Verifying ---------------------------------------------------------------------------------------------------- */

/* Digits only, without sign, space or leading zeros, as senders write it; at most 18 of them, so it can't overflow. */
static bool parse_timestamp(const char *text, int64_t *seconds)
{
    size_t digits = strspn(text, "0123456789");
    int64_t value = 0;

    if (digits == 0 || digits > 18 || text[digits] || (text[0] == '0' && digits > 1))
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    *seconds = value;
    return true;
}

/* Whether one of the listed signatures is expected. All are looked at: the time says nothing of which one fits. */
static bool one_fits(const char *signatures, const char expected[MAC_DIGITS])
{
    bool fits = false;

    for (const char *at = signatures; *at;) {
        size_t length = strcspn(at, " ");
        if (length == PREFIX_SIZE + MAC_DIGITS && memcmp(at, "v1,", PREFIX_SIZE) == 0)
            fits |= CRYPTO_memcmp(at + PREFIX_SIZE, expected, MAC_DIGITS) == 0;
        at += length;
        at += strspn(at, " ");
    }
    return fits;
}

int outbox_webhook_verify(const char *id, const char *timestamp, const char *signatures, const void *body, size_t size,
                          const outbox_webhook_secret *secrets, int secret_count, int64_t now_s, int64_t tolerance_s)
{
    int64_t signed_at;
    bool fits = false;

    if (!id || !*id || !timestamp || !signatures || (!body && size) || !parse_timestamp(timestamp, &signed_at))
        return OUTBOX_WEBHOOK_MALFORMED;
    if (!secrets || secret_count < 1)
        return OUTBOX_WEBHOOK_SECRET;
    for (int i = 0; i < secret_count; i++) {
        unsigned char mac[MAC_SIZE];
        char expected[MAC_DIGITS + 1];
        if (!usable(&secrets[i]))
            return OUTBOX_WEBHOOK_SECRET;
        if (!mac_of(id, timestamp, body, size, &secrets[i], mac))
            return OUTBOX_WEBHOOK_FAULT;
        EVP_EncodeBlock((unsigned char *)expected, mac, MAC_SIZE);
        fits |= one_fits(signatures, expected);
    }
    if (!fits)
        return OUTBOX_WEBHOOK_MISMATCH;
    if (signed_at < now_s - tolerance_s)
        return OUTBOX_WEBHOOK_STALE;
    if (signed_at > now_s + tolerance_s)
        return OUTBOX_WEBHOOK_FUTURE;
    return OUTBOX_WEBHOOK_OK;
}

const char *outbox_webhook_strerror(int result)
{
    switch (result) {
    case OUTBOX_WEBHOOK_OK: return "the signature fits";
    case OUTBOX_WEBHOOK_MISMATCH: return "no signature fits";
    case OUTBOX_WEBHOOK_STALE: return "signed too long ago";
    case OUTBOX_WEBHOOK_FUTURE: return "signed in the future";
    case OUTBOX_WEBHOOK_MALFORMED: return "a webhook header is missing or malformed";
    case OUTBOX_WEBHOOK_SECRET: return "not a webhook secret: whsec_ and the base64 of 24 to 64 bytes";
    case OUTBOX_WEBHOOK_FAULT: return "libcrypto failed";
    }
    return "unknown result";
}

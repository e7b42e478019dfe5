/* signer.c — a keyed HMAC per secret, started over for each message.
 *
 * Leaves to others: reading secrets, and verifying (outbox_webhook.h). The invariant: no key is kept here but inside
 * libcrypto, which wipes it when it is freed.
 */
#include "signer.h"

#include <string.h>

#include <openssl/params.h>

#include "decimal.h"

enum { MAC_SIZE = 32, DIGITS = 44 };

bool signer_init(struct signer *s, const struct webhook_settings *settings)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    bool done = hmac != NULL;

    *s = (struct signer){.count = 0};
    for (int i = 0; done && i < settings->secret_count; i++) {
        const struct webhook_secret *secret = &settings->secrets[i];
        s->keyed[i] = EVP_MAC_CTX_new(hmac);
        s->count++;
        done = s->keyed[i] && EVP_MAC_init(s->keyed[i], secret->key, secret->size_bytes, params);
    }
    EVP_MAC_free(hmac); /* the contexts hold on to it */
    if (!done)
        signer_fini(s);
    return done;
}

void signer_fini(struct signer *s)
{
    for (int i = 0; i < s->count; i++)
        EVP_MAC_CTX_free(s->keyed[i]);
    s->count = 0;
}

/* Without a key, EVP_MAC_init starts over with the one that is there. */
static bool mac_of(EVP_MAC_CTX *keyed, const char *head, size_t head_size, const void *body, size_t size,
                   unsigned char mac[MAC_SIZE])
{
    size_t written = 0;

    return EVP_MAC_init(keyed, NULL, 0, NULL) && EVP_MAC_update(keyed, (const unsigned char *)head, head_size) &&
           (size == 0 || EVP_MAC_update(keyed, body, size)) && EVP_MAC_final(keyed, mac, &written, MAC_SIZE) &&
           written == MAC_SIZE;
}

/* `ID.TIMESTAMP.`, its size; 0: too long. */
static size_t head_of(char *head, size_t room, const char *id, int64_t timestamp_s)
{
    char digits[DECIMAL_SIZE + 2], *end = digits + sizeof digits, *at = end;
    size_t id_size = strlen(id);

    *--at = '.';
    at = decimal_before(at, (uint64_t)timestamp_s);
    *--at = '.';
    size_t size = id_size + (size_t)(end - at);
    if (timestamp_s < 0 || size > room)
        return 0;
    memcpy(head, id, id_size);
    memcpy(head + id_size, at, (size_t)(end - at));
    return size;
}

bool signer_sign(struct signer *s, const char *id, int64_t timestamp_s, const void *body, size_t size,
                 char out[SIGNER_SIZE])
{
    unsigned char mac[MAC_SIZE];
    char head[128], *at = out;
    size_t head_size = head_of(head, sizeof head, id, timestamp_s);

    if (head_size == 0)
        return false; /* ids are ours, and shorter; clocks are past 1970 */
    *at = 0;
    for (int i = 0; i < s->count; i++) {
        if (!mac_of(s->keyed[i], head, head_size, body, size, mac))
            return false;
        at = stpcpy(at, i ? " v1," : "v1,");
        EVP_EncodeBlock((unsigned char *)at, mac, MAC_SIZE);
        at += DIGITS;
    }
    return true;
}

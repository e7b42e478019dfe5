/* signer.h — Standard Webhooks signatures with keys that are set up once.
 *
 * The same signatures as outbox_webhook_sign(), which finds the algorithm and sets up the key anew each time: most of
 * what it costs to sign a small body. For one thread.
 */
#ifndef RELAY_SINKS_SIGNER_H
#define RELAY_SINKS_SIGNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "outbox_webhook.h"
#include "settings.h"

struct signer { /* zero-initialised is empty and valid */
    EVP_MAC_CTX *keyed[WEBHOOK_SECRETS_MAX];
    int count;
};

enum { SIGNER_SIZE = WEBHOOK_SECRETS_MAX * OUTBOX_WEBHOOK_SIGNATURE_SIZE };

bool signer_init(struct signer *, const struct webhook_settings *); /* false: libcrypto is out of memory */
void signer_fini(struct signer *);

/* The signatures of `ID.TIMESTAMP.BODY`, one for each secret, the newest first, with single spaces between them: the
 * value of webhook-signature. False: libcrypto is out of memory. */
bool signer_sign(struct signer *, const char *id, int64_t timestamp_s, const void *body, size_t size,
                 char out[SIGNER_SIZE]);

#endif

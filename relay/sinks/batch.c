/* batch.c — several events as one body with one id.
 *
 * Leaves to others: which events go together (webhook_send.c), and what becomes of them (webhook_answer.c). The
 * invariant: every event is in the array as it would be alone, its own id included, since receivers dedupe by that.
 */
#include "batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "envelope.h"
#include "json_write.h"

enum { HASH_DIGITS = 16 };

bool batch_init(struct batch *b, int most)
{
    *b = (struct batch){.events = calloc((size_t)most, sizeof(struct window_event *))};
    return b->events != NULL;
}

void batch_fini(struct batch *b)
{
    free(b->events);
    buffer_free(&b->body);
    b->events = NULL;
}

void batch_clear(struct batch *b)
{
    b->count = 0;
    b->bytes = 0;
}

void batch_add(struct batch *b, struct window_event *e)
{
    const struct envelope *envelope = e->item;

    b->events[b->count++] = e;
    b->bytes += envelope->body.size;
}

static int by_seq(const void *a, const void *b)
{
    const struct window_event *const *left = a, *const *right = b;
    return ((*left)->seq > (*right)->seq) - ((*left)->seq < (*right)->seq);
}

void batch_sort(struct batch *b)
{
    int sorted = 1; /* as they mostly are */

    while (sorted < b->count && b->events[sorted - 1]->seq < b->events[sorted]->seq)
        sorted++;
    if (sorted >= b->count)
        return;
    qsort(b->events, (size_t)b->count, sizeof *b->events, by_seq);
}

static bool hash_seqs(const struct batch *b, unsigned char hash[EVP_MAX_MD_SIZE])
{
    struct buffer seqs = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);

    for (int i = 0; i < b->count; i++) {
        if (i)
            buffer_append_byte(&seqs, ',');
        json_write_int(&seqs, b->events[i]->seq);
    }
    done = done && buffer_ok(&seqs) && EVP_DigestUpdate(context, seqs.data, seqs.size) &&
           EVP_DigestFinal_ex(context, hash, NULL);
    EVP_MD_CTX_free(context);
    buffer_free(&seqs);
    return done;
}

bool batch_id(const struct batch *b, const char *source, char out[BATCH_ID_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];

    if (!hash_seqs(b, hash))
        return false;
    int used = snprintf(out, BATCH_ID_SIZE, "%s-%" PRId64 "-%" PRId64 "-", source, b->events[0]->seq,
                        b->events[b->count - 1]->seq);
    for (int i = 0; i < HASH_DIGITS / 2; i++)
        used += snprintf(out + used, BATCH_ID_SIZE - (size_t)used, "%02x", hash[i]);
    return true;
}

bool batch_message(struct batch *b, enum event_format format, struct http_message *out)
{
    buffer_clear(&b->body);
    for (int i = 0; i < b->count; i++) {
        const struct envelope *e = b->events[i]->item;
        buffer_append_byte(&b->body, i ? ',' : '[');
        buffer_append(&b->body, e->body.data, e->body.size);
    }
    buffer_append_byte(&b->body, ']');
    *out = (struct http_message){
        .body = b->body.data,
        .size = b->body.size,
        .content_type = format == FORMAT_CLOUDEVENTS ? "application/cloudevents-batch+json; charset=utf-8"
                                                     : "application/json",
    };
    return buffer_ok(&b->body);
}

/* buffer.h — a growing run of bytes.
 *
 * Zero-initialised is empty and valid. A failed allocation sticks: later appends do nothing and the caller asks once,
 * at the end (buffer_ok). The memory is kept over buffer_clear, so a buffer that lives with its owner stops allocating
 * once it has seen its largest content.
 */
#ifndef OUTBOX_BUFFER_H
#define OUTBOX_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buffer {
    char *data; /* not NUL-terminated unless buffer_text() was asked */
    size_t size, capacity;
    bool failed;
};

void buffer_free(struct buffer *); /* leaves it empty and valid */

/* Room for n more bytes: where to write them, or NULL and the buffer failed. Follow with buffer_grow. */
char *buffer_reserve_slow(struct buffer *, size_t n);

/* Less than, not up to: an empty buffer has no place to point to. */
static inline char *buffer_reserve(struct buffer *b, size_t n)
{
    return !b->failed && n < b->capacity - b->size ? b->data + b->size : buffer_reserve_slow(b, n);
}

static inline void buffer_grow(struct buffer *b, size_t n) /* counts n bytes written into reserved room */
{
    b->size += n;
}

static inline void buffer_clear(struct buffer *b)
{
    b->size = 0;
    b->failed = false;
}

static inline void buffer_forgive(struct buffer *b) /* keeps the content; for one that outlives the failed call */
{
    b->failed = false;
}

static inline bool buffer_ok(const struct buffer *b)
{
    return !b->failed;
}

static inline void buffer_append(struct buffer *b, const void *bytes, size_t n)
{
    char *to = buffer_reserve(b, n);
    if (to && n) {
        memcpy(to, bytes, n);
        b->size += n;
    }
}

static inline void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

static inline void buffer_append_byte(struct buffer *b, char byte)
{
    buffer_append(b, &byte, 1);
}

const char *buffer_text(struct buffer *); /* the content NUL-terminated (the NUL not counted); NULL where it failed */

#endif

/* buffer.c — the slow side of buffer.h: where a buffer grows, ends, and becomes a C string.
 *
 * Growth doubles, so that appending byte by byte costs a constant each. The content is untouched by a growth that fails.
 */
#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 256 };

char *buffer_reserve_slow(struct buffer *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > SIZE_MAX / 2 || b->size > SIZE_MAX / 2 - n) { /* past what malloc can give */
        b->failed = true;
        return NULL;
    }
    size_t capacity = b->capacity < CAPACITY_MIN ? CAPACITY_MIN : b->capacity;
    while (capacity < b->size + n)
        capacity *= 2;
    if (capacity != b->capacity) {
        char *data = realloc(b->data, capacity);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->capacity = capacity;
    }
    return b->data + b->size;
}

const char *buffer_text(struct buffer *b)
{
    char *end = buffer_reserve(b, 1);
    if (!end)
        return NULL;
    *end = '\0';
    return b->data;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

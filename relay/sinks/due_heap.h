/* due_heap.h — things that come due at a time, the earliest first. A binary heap; pure. */
#ifndef RELAY_SINKS_DUE_HEAP_H
#define RELAY_SINKS_DUE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due_entry {
    int64_t at_us;
    void *what; /* borrowed */
};

struct due_heap { /* zero-initialised is empty and valid */
    struct due_entry *entries;
    size_t count, capacity;
};

void due_heap_free(struct due_heap *);
bool due_heap_reserve(struct due_heap *, size_t more);            /* false: no memory. Room for that many pushes */
void due_heap_push(struct due_heap *, int64_t at_us, void *what); /* into room reserved before */
void *due_heap_pop(struct due_heap *, int64_t now_us);            /* one that is due; NULL: none is */

static inline int64_t due_heap_next_us(const struct due_heap *h)
{
    return h->count ? h->entries[0].at_us : INT64_MAX;
}

#endif

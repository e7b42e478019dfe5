/* due_heap.c — a binary heap in an array: the children of i are 2i+1 and 2i+2, and no child is due before its parent. */
#include "due_heap.h"

#include <stdlib.h>

void due_heap_free(struct due_heap *h)
{
    free(h->entries);
    *h = (struct due_heap){0};
}

bool due_heap_reserve(struct due_heap *h, size_t more)
{
    if (h->capacity - h->count >= more)
        return true;
    size_t capacity = h->capacity * 2 > h->count + more ? h->capacity * 2 : h->count + more;
    struct due_entry *entries = realloc(h->entries, capacity * sizeof *entries);
    if (!entries)
        return false;
    h->entries = entries;
    h->capacity = capacity;
    return true;
}

void due_heap_push(struct due_heap *h, int64_t at_us, void *what)
{
    size_t i = h->count++;

    for (; i > 0 && h->entries[(i - 1) / 2].at_us > at_us; i = (i - 1) / 2)
        h->entries[i] = h->entries[(i - 1) / 2];
    h->entries[i] = (struct due_entry){at_us, what};
}

void *due_heap_pop(struct due_heap *h, int64_t now_us)
{
    if (due_heap_next_us(h) > now_us || h->count == 0)
        return NULL;
    void *what = h->entries[0].what;
    struct due_entry last = h->entries[--h->count];
    size_t i = 0;
    for (size_t child = 1; child < h->count; child = 2 * i + 1) {
        if (child + 1 < h->count && h->entries[child + 1].at_us < h->entries[child].at_us)
            child++;
        if (last.at_us <= h->entries[child].at_us)
            break;
        h->entries[i] = h->entries[child];
        i = child;
    }
    h->entries[i] = last;
    return what;
}

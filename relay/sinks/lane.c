/* lane.c — queues by ordering key.
 *
 * Leaves to others: when a lane is ready, and what becomes of its events (window.c). The invariant: a key has at most
 * one lane, and an unordered event has one of its own that no other event can find.
 */
#include "lane.h"

#include <stdlib.h>
#include <string.h>

struct lane *lane_find(const struct lane_table *table, const char *key)
{
    struct lane *lane = NULL;

    if (key)
        HASH_FIND(hh, table->keyed, key, strlen(key), lane);
    return lane;
}

static uint64_t sum_of(const char *key, size_t size) /* FNV-1a */
{
    uint64_t sum = 14695981039346656037u;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)key[i]) * 1099511628211u;
    return sum;
}

struct lane *lane_new(struct lane_table *table, const char *key)
{
    struct lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return NULL;
    if (!key) {
        lane->key_sum = ++table->loner_count;
        HASH_ADD(hh, table->loners, key_sum, sizeof lane->key_sum, lane);
    } else if ((lane->key = strdup(key))) {
        size_t size = strlen(key);
        lane->key_sum = sum_of(key, size);
        HASH_ADD_KEYPTR(hh, table->keyed, lane->key, size, lane);
    }
    if (lane->hh.tbl)
        return lane;
    free(lane->key);
    free(lane);
    return NULL;
}

void lane_free(struct lane_table *table, struct lane *lane)
{
    if (lane->key)
        HASH_DELETE(hh, table->keyed, lane);
    else
        HASH_DELETE(hh, table->loners, lane);
    free(lane->key);
    free(lane);
}

void lane_append(struct lane *lane, struct window_event *e)
{
    e->lane = lane;
    e->key_sum = lane->key_sum;
    if (lane->last)
        lane->last->behind = e;
    else
        lane->first = e;
    lane->last = e;
    lane->count++;
}

struct window_event *lane_shift(struct lane *lane)
{
    struct window_event *e = lane->first;

    lane->first = e->behind;
    if (!lane->first)
        lane->last = NULL;
    lane->count--;
    return e;
}

/* lane.c — queues by ordering key.
 *
 * Leaves to others: when a lane is ready, and what becomes of its events (window.c). The invariant: a key has at most
 * one lane, and an unordered event has one of its own that no other event can find.
 */
#include "lane.h"

#include <stdlib.h>
#include <string.h>

/* What most keys fit into, and lanes kept with that much room. */
enum { ROOM = 64, IDLE_MAX = 4096 };

/* Eight bytes at a time; each round moves every bit of the word into the half that the next one multiplies. */
static uint64_t sum_of(const char *text, size_t size)
{
    uint64_t sum = size;

    for (; size > 0; text += sizeof(uint64_t)) {
        uint64_t word = 0;
        size_t taken = size < sizeof word ? size : sizeof word;
        memcpy(&word, text, taken);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 32;
        size -= taken;
    }
    return sum;
}

struct lane_key lane_key(const char *text)
{
    size_t size = text ? strlen(text) : 0;

    return (struct lane_key){text, size, text ? sum_of(text, size) : 0};
}

struct lane *lane_find(const struct lane_table *table, const struct lane_key *key)
{
    struct lane *lane = NULL;

    if (key->text)
        HASH_FIND_BYHASHVALUE(hh, table->keyed, key->text, key->size, (unsigned)key->sum, lane);
    return lane;
}

/* Empty, with room for a key of that size. */
static struct lane *take(struct lane_table *table, size_t key_size)
{
    size_t room_size = key_size < ROOM ? ROOM : key_size + 1;
    struct lane *lane = table->idle;

    if (room_size > ROOM || !lane) {
        lane = malloc(sizeof *lane + room_size);
    } else {
        table->idle = lane->next;
        table->idle_count--;
    }
    if (lane)
        *lane = (struct lane){.room_size = room_size};
    return lane;
}

static void give_back(struct lane_table *table, struct lane *lane)
{
    if (lane->room_size > ROOM || table->idle_count == IDLE_MAX) {
        free(lane);
        return;
    }
    lane->next = table->idle;
    table->idle = lane;
    table->idle_count++;
}

void lane_table_fini(struct lane_table *table)
{
    for (struct lane *lane = table->idle, *after; lane; lane = after) {
        after = lane->next;
        free(lane);
    }
    *table = (struct lane_table){0};
}

struct lane *lane_new(struct lane_table *table, const struct lane_key *key)
{
    struct lane *lane = take(table, key->size);

    if (!lane)
        return NULL;
    if (!key->text) {
        lane->key_sum = ++table->loner_count;
        HASH_ADD(hh, table->loners, key_sum, sizeof lane->key_sum, lane);
    } else {
        lane->key = memcpy(lane->room, key->text, key->size + 1);
        lane->key_sum = key->sum;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->keyed, lane->key, key->size, (unsigned)key->sum, lane);
    }
    if (lane->hh.tbl)
        return lane;
    give_back(table, lane);
    return NULL;
}

void lane_free(struct lane_table *table, struct lane *lane)
{
    if (lane->key)
        HASH_DELETE(hh, table->keyed, lane);
    else
        HASH_DELETE(hh, table->loners, lane);
    give_back(table, lane);
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

/* lane.h — one ordering key's queue of events, and the table of all of them. The window's own; see window.h. */
#ifndef RELAY_SINKS_LANE_H
#define RELAY_SINKS_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A hash that can't grow leaves the element out and says so, instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "window.h"

enum lane_state {
    LANE_READY,     /* in the window's ready list */
    LANE_IN_FLIGHT, /* its first event is, or its first few in one request */
    LANE_BACKOFF,   /* in the window's heap: its first event waits for another try */
    LANE_PARKED,    /* its first event is dead, and the others wait for an operator */
    LANE_UNRECORDED /* its first event is dead, and passed over once the ledger has that */
};

/* A key with its hash, which is taken once. */
struct lane_key {
    const char *text; /* NULL: unordered */
    size_t size;
    uint64_t sum;
};

struct lane {
    const char *key;  /* in room; NULL: one unordered event's own */
    uint64_t key_sum; /* a hash of the key, or the loner's number */
    enum lane_state state;
    bool aside; /* all its events have stepped aside; else all are fresh */
    int count;
    int in_flight; /* of its first events */
    struct window_event *first, *last;
    struct lane *prev, *next; /* the ready lanes, who has waited longest first */
    UT_hash_handle hh;
    size_t room_size;
    char room[];
};

/* Lanes that were used and can be again are kept: most keys come and go with one event. */
struct lane_table { /* zero-initialised is empty and valid */
    struct lane *keyed;
    struct lane *loners;  /* of unordered events, by key_sum */
    uint64_t loner_count; /* so far: the next one's key_sum */
    struct lane *idle;    /* by next */
    int idle_count;
};

void lane_table_fini(struct lane_table *); /* every lane has been freed */

struct lane_key lane_key(const char *text);

struct lane *lane_find(const struct lane_table *, const struct lane_key *); /* NULL: none, or it is unordered */
struct lane *lane_new(struct lane_table *, const struct lane_key *);        /* NULL: out of memory */
void lane_free(struct lane_table *, struct lane *);                         /* its events are not touched */

void lane_append(struct lane *, struct window_event *);
struct window_event *lane_shift(struct lane *); /* the first event, taken out */

#endif

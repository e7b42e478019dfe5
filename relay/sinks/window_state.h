/* window_state.h — what window.c (events in and out) and window_settle.c (what there is to know) share. Nobody else
 * includes it. */
#ifndef RELAY_SINKS_WINDOW_STATE_H
#define RELAY_SINKS_WINDOW_STATE_H

#include "change_list.h"
#include "due_heap.h"
#include "lane.h"
#include "position.h"
#include "window.h"

struct window {
    bool skip_dead;
    void (*free_item)(void *, void *);
    void *arg;               /* its first */
    int64_t last_seq;        /* the last one put or passed */
    int64_t settled_seq;     /* the highest that needs nothing more from here; above it all is fresh */
    struct position settled; /* above the cursor, from before the start */
    struct lane_table lanes;
    struct lane *ready;         /* utlist: prev, next */
    struct lane *untold, *told; /* likewise: unrecorded, before and after the settlement that says so */
    struct due_heap backoff;    /* lanes */
    struct window_event *fresh; /* utlist, by seq */
    struct window_event *idle;  /* by behind: used, and can be again */
    int idle_count;
    size_t fresh_count, in_flight;
    int64_t aside_count, parked_count; /* events */
    struct buffer position;
    struct change_list changes;
    bool news; /* since the last settlement */
};

#endif

/* window.h — which event may go next, and what the ledger has to know of those that went.
 *
 * Every event belongs to a lane: its ordering key's, or one of its own where it is unordered. A lane is a queue, and
 * only its first event is ever in flight: so two of one key are never under way together, and never overtake.
 *
 * An event is fresh until it is settled: delivered, or stepped aside into failed_deliveries. Where a lane's first event
 * fails, the whole lane steps aside, what comes later into it too; it goes on from there, in order, and is fresh again
 * once everything in it is delivered. The cursor is the seq below the first fresh event; what is settled above it is
 * the position. So a failing key holds up nothing but itself, and a kill repeats only what was in flight.
 *
 * No I/O, no clock: times are arguments, monotonic but where "wall" is said. Nothing here knows what an item is.
 */
#ifndef RELAY_SINKS_WINDOW_H
#define RELAY_SINKS_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink.h"

struct window;

/* One event, the window's own. The caller may read all of it, and write what the second part says. */
struct window_event {
    int64_t seq;
    int attempts;     /* that failed and counted, before this one */
    uint64_t key_sum; /* the same for all events of its lane */

    void *item;               /* what to send, freed with free_item; NULL: it stepped aside, read it again by its seq */
    int64_t failing_since_us; /* the caller's: first counted failure, by whatever clock it likes; 0: none */
    bool alone;               /* the caller's: to be sent in a request of its own */

    struct lane *lane; /* the window's from here on */
    struct window_event *behind;
    struct window_event *prev, *next; /* fresh events, by seq */
    bool dead;
};

/* acked_seq and position are the cursor's (position may be NULL); free_item gets every item that is let go of, and arg.
 * NULL: out of memory. */
struct window *window_new(int64_t acked_seq, const char *position, bool skip_dead,
                          void (*free_item)(void *arg, void *item), void *arg);
void window_free(struct window *);

/* Brings back a row of failed_deliveries; all of them in seq order, before the first put. due_us: when one in state
 * `retry` may go; next_attempt_at_us is not read. False: out of memory. */
bool window_restore(struct window *, const struct failed_change *row, int64_t due_us, int64_t failing_since_us);

/* Takes the next event of the stream, and its item. key NULL: unordered. An event that is settled already is passed
 * over; one whose lane has stepped aside is settled as `waiting` at once. False: out of memory; the item is still the
 * caller's and nothing happened. */
bool window_put(struct window *, int64_t seq, const char *key, void *item);

void window_pass(struct window *, int64_t seq); /* read, and not for this sink */

/* The next event that may be sent at now_us, in flight from here on: each must come back by exactly one of the four
 * below. NULL: none may. */
struct window_event *window_next(struct window *, int64_t now_us);

/* What window_next would give, left where it is. */
const struct window_event *window_peek(struct window *, int64_t now_us);

/* The event behind e in its lane, to go in one request with e, which was the last given out of it. NULL: there is none
 * that may. Those of one lane that go together come back delivered in their order; or else the later ones return first,
 * and then the leading one is what it is. */
struct window_event *window_behind(struct window *, struct window_event *e);

bool window_leads(const struct window_event *); /* none of its lane is before it */

/* What failed_deliveries will say of a failure. */
struct window_failure {
    int attempts;               /* that count, this one among them */
    int64_t next_attempt_at_us; /* wall; 0 for a dead one */
    int status;                 /* 0: no answer */
    const char *error;          /* in words; copied, as are: */
    int64_t failed_at_us;       /* wall, as struct failed_change has it */
    int64_t attempted_at_us;    /* wall; 0: nothing was attempted. And as struct failed_attempt has it: */
    const char *request, *answer;
    size_t answer_size;
};

/* In flight no more. Where these return false memory ran out, or another of its lane is still before it; nothing has
 * changed, and the event is still in flight. */
bool window_delivered(struct window *, struct window_event *);
bool window_retry(struct window *, struct window_event *, int64_t due_us, const struct window_failure *how);
bool window_dead(struct window *, struct window_event *, const struct window_failure *how);
void window_return(struct window *, struct window_event *); /* as if it had not gone; others go first */

/* The ledger has committed every settlement so far: where the dead are skipped, their lanes go on. */
void window_recorded(struct window *);
bool window_is_unrecorded(const struct window *); /* lanes wait for that */

/* When window_next may give more by time alone; INT64_MAX: not by time. */
int64_t window_due_us(const struct window *);

int window_ready(const struct window *);        /* lanes whose first event may be sent */
size_t window_fresh(const struct window *);     /* events not settled, in flight or not */
size_t window_in_flight(const struct window *); /* fresh or not */
int64_t window_retrying(const struct window *); /* stepped aside, and not dead or behind a dead one */

/* As sink_ops.settle: true where there is more to record than at the last call. Out of memory it says so later. */
bool window_settle(struct window *, struct settlement *out);

void window_touch(struct window *); /* the next window_settle has something to say, whether anything changed or not */

#endif

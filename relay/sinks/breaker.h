/* breaker.h — is it the event, or is the whole endpoint down? Pure: time and randomness are arguments.
 *
 * Closed: requests flow. One key that fails says nothing about the others: only failures of several different keys,
 * with no success between them, open the breaker; or two requests in a row that no connection could be had for, since
 * that is no event's doing. Open: nobody is sent, no attempt is counted, until a pause is over,
 * which grows each time. Half-open: one request, the probe, is under way; its answer closes the breaker or opens it
 * again. After an outage the number of requests in flight starts at one and rises by one per success: a receiver that
 * has just come back is not met by everything at once.
 */
#ifndef RELAY_SINKS_BREAKER_H
#define RELAY_SINKS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_KEYS = 3,       /* different keys failing in a row */
    BREAKER_UNREACHABLE = 2 /* one connection may fail by chance */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    int limit;   /* requests in flight at the most, when all is well */
    int allowed; /* at the moment; below limit during recovery */
    int streak;  /* different keys that have failed since the last success */
    uint64_t keys[BREAKER_KEYS];
    int unreachable;        /* requests in a row that never left */
    int openings;           /* in a row, failed probes among them: lengthens the pause */
    int64_t until_us;       /* OPEN: when the probe may go */
    int64_t hold_until_us;  /* Retry-After: before this nobody is sent, whatever the state */
    int64_t min_us, max_us; /* bounds of the pause */
};

void breaker_init(struct breaker *, int limit, int64_t min_us, int64_t max_us);

/* Whether one more request may start now, with in_flight under way. Says nothing durable: breaker_started follows. */
bool breaker_allows(const struct breaker *, int in_flight, int64_t now_us);

/* A request has started. While open and over its pause this is the probe. */
void breaker_started(struct breaker *);

/* The endpoint has answered as one that works: 2xx, or a refusal of this very event. True where that closed it. */
bool breaker_succeeded(struct breaker *);

/* A failure worth a retry. key: any number that is the same for events of the same ordering key. True where that
 * opened a closed breaker. Ask breaker_is_down() whether the failure is the endpoint's, not the event's. */
bool breaker_failed(struct breaker *, uint64_t key, int64_t now_us, uint64_t random);

/* No connection was to be had, so nothing of the event was sent: the endpoint's failure, whatever the key. True where that
 * opened a closed breaker. */
bool breaker_unreachable(struct breaker *, int64_t now_us, uint64_t random);

/* A request ended without saying anything of the endpoint (cancelled by us): a probe is given back. */
void breaker_abandoned(struct breaker *);

/* The receiver has asked for a pause (Retry-After): nobody is sent before until_us. */
void breaker_hold(struct breaker *, int64_t until_us);

static inline bool breaker_is_down(const struct breaker *b)
{
    return b->state != BREAKER_CLOSED;
}

/* When breaker_allows may change by time alone; INT64_MAX: only by an answer. */
int64_t breaker_due_us(const struct breaker *, int64_t now_us);

#endif

/* breaker.c — counts what an endpoint's answers say about the endpoint.
 *
 * Leaves to others: what the answers mean (outcome.h) and what becomes of the events. The invariant: one key alone
 * never opens it where anything was sent, and while it is not closed at most one request that it allowed is under way.
 */
#include "breaker.h"

#include "backoff.h"

void breaker_init(struct breaker *b, int limit, int64_t min_us, int64_t max_us)
{
    *b = (struct breaker){
        .state = BREAKER_CLOSED, .limit = limit, .allowed = limit, .min_us = min_us, .max_us = max_us};
}

bool breaker_allows(const struct breaker *b, int in_flight, int64_t now_us)
{
    if (now_us < b->hold_until_us)
        return false;
    switch (b->state) {
    case BREAKER_CLOSED: return in_flight < b->allowed;
    case BREAKER_OPEN: return in_flight == 0 && now_us >= b->until_us;
    case BREAKER_HALF_OPEN: return false;
    }
    return false;
}

void breaker_started(struct breaker *b)
{
    if (b->state == BREAKER_OPEN)
        b->state = BREAKER_HALF_OPEN;
}

bool breaker_succeeded(struct breaker *b)
{
    bool was_down = breaker_is_down(b);

    b->state = BREAKER_CLOSED;
    b->streak = b->unreachable = 0;
    b->openings = 0;
    if (was_down)
        b->allowed = 1;
    else if (b->allowed < b->limit)
        b->allowed++;
    return was_down;
}

static void open_for_a_while(struct breaker *b, int64_t now_us, uint64_t random)
{
    b->state = BREAKER_OPEN;
    b->openings++;
    b->until_us = now_us + backoff_delay_us(b->openings, b->min_us, b->max_us, random);
}

static bool failed_before(const struct breaker *b, uint64_t key)
{
    for (int i = 0; i < b->streak; i++)
        if (b->keys[i] == key)
            return true;
    return false;
}

bool breaker_failed(struct breaker *b, uint64_t key, int64_t now_us, uint64_t random)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        b->unreachable = 0;
        if (!failed_before(b, key))
            b->keys[b->streak++] = key;
        if (b->streak < BREAKER_KEYS)
            return false;
        open_for_a_while(b, now_us, random);
        return true;
    case BREAKER_HALF_OPEN: open_for_a_while(b, now_us, random); return false;
    case BREAKER_OPEN: return false; /* one that was under way when it opened says nothing new */
    }
    return false;
}

bool breaker_unreachable(struct breaker *b, int64_t now_us, uint64_t random)
{
    switch (b->state) {
    case BREAKER_CLOSED:
        if (++b->unreachable < BREAKER_UNREACHABLE)
            return false;
        open_for_a_while(b, now_us, random);
        return true;
    case BREAKER_HALF_OPEN: open_for_a_while(b, now_us, random); return false;
    case BREAKER_OPEN: return false;
    }
    return false;
}

void breaker_abandoned(struct breaker *b)
{
    if (b->state == BREAKER_HALF_OPEN)
        b->state = BREAKER_OPEN; /* its pause is over: another may probe at once */
}

void breaker_hold(struct breaker *b, int64_t until_us)
{
    if (until_us > b->hold_until_us)
        b->hold_until_us = until_us;
}

int64_t breaker_due_us(const struct breaker *b, int64_t now_us)
{
    int64_t due = b->state == BREAKER_OPEN ? b->until_us : INT64_MIN;

    if (b->hold_until_us > due)
        due = b->hold_until_us;
    return due > now_us ? due : INT64_MAX;
}

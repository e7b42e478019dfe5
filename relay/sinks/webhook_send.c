/* webhook_send.c — begins requests: the next event of the window, its envelope, a handle, and off.
 *
 * Leaves to others: which event is next (window.h), whether the endpoint can take one more (breaker.h), and how a request
 * is made (http_request.h).
 */
#include "webhook.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "timestamp.h"

enum { REREAD_PAUSE_US = 1000000, ID_SIZE = 48 };

/* For reread_event: the envelope of an event that stepped aside. */
struct rewrap {
    struct sink *sink;
    struct envelope *envelope;
};

static void rewrap(void *arg, const struct source_row *row)
{
    struct rewrap *r = arg;
    r->envelope = webhook_wrap(r->sink, row);
}

/* False: it can't be had now, or at all; the event is back in the window then. */
static bool fetch(struct sink *s, struct window_event *e)
{
    struct rewrap r = {.sink = s};

    switch (reread_event(s->reread, e->seq, rewrap, &r)) {
    case REREAD_OK:
        if (!r.envelope) { /* no memory: soon again */
            window_return(s->window, e);
            return false;
        }
        e->item = r.envelope;
        return true;
    case REREAD_UNWANTED: webhook_settle_delivered(s, e); return false;
    case REREAD_GONE: webhook_settle_dead(s, e, e->attempts, 0, "no longer in change_log"); return false;
    case REREAD_LATER:
        webhook_settle_retry(s, e, e->attempts, REREAD_PAUSE_US, 0, "the database could not be read");
        return false;
    }
    return false;
}

/* Sends one event. False: it is back in the window without having been sent, for want of something. */
static bool send_event(struct sink *s, struct window_event *e)
{
    struct http_request *request = s->idle[s->idle_count - 1];
    const struct envelope *envelope = e->item;
    char id[ID_SIZE];

    snprintf(id, sizeof id, "%s-%" PRId64, s->context->source, e->seq);
    if (!http_request_prepare(request, id, timestamp_now_us() / 1000000, envelope) ||
        curl_multi_add_handle(s->multi, request->easy) != CURLM_OK) {
        window_return(s->window, e);
        return false;
    }
    request->about = e;
    s->idle_count--;
    breaker_started(&s->breaker);
    return true;
}

/* Whether another event may be begun. A SIGTERM lets only what is in flight end; --once wants all of it delivered. */
bool webhook_may_begin(const struct sink *s, int64_t now_us)
{
    return s->idle_count > 0 && !s->gone && (!s->finishing || s->context->once) &&
           breaker_allows(&s->breaker, (int)window_in_flight(s->window), now_us);
}

bool webhook_begin_events(struct sink *s)
{
    int64_t now_us = clock_monotonic_us();
    bool begun = false;

    while (webhook_may_begin(s, now_us)) {
        struct window_event *e = window_next(s->window, now_us);
        if (!e || (!e->item && !fetch(s, e)))
            break;
        const struct envelope *envelope = e->item;
        if (envelope->error) {
            webhook_settle_dead(s, e, e->attempts, 0, envelope->error);
        } else if (!send_event(s, e)) {
            break;
        } else {
            begun = true;
        }
    }
    return begun;
}

/* webhook_send.c — begins requests: the next events of the window, their envelopes, a handle, and off.
 *
 * Leaves to others: which event is next (window.h), how several make one body (batch.h), whether the endpoint can take one more (breaker.h), and how a request
 * is made (http_request.h).
 */
#include "webhook.h"

#include <string.h>

#include "clock.h"
#include "decimal.h"
#include "timestamp.h"

enum { REREAD_PAUSE_US = 1000000 };

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

/* Reads the event again where its envelope is not at hand. */
static enum reread_result load(struct sink *s, struct window_event *e)
{
    struct rewrap r = {.sink = s};

    if (e->item)
        return REREAD_OK;
    enum reread_result result = reread_event(s->reread, e->seq, rewrap, &r);
    e->item = r.envelope;
    return result;
}

/* An envelope for the first event of its lane. False: it can't be had now, or at all; the event is back in the window
 * then. */
static bool fetch(struct sink *s, struct window_event *e)
{
    switch (load(s, e)) {
    case REREAD_OK:
        if (e->item)
            return true;
        window_return(s->window, e);
        webhook_lacks_memory(s);
        return false;
    case REREAD_UNWANTED: webhook_settle_delivered(s, e); return false;
    case REREAD_GONE: webhook_settle_dead(s, e, "no longer in change_log"); return false;
    case REREAD_LATER: webhook_settle_retry(s, e, REREAD_PAUSE_US, "the database could not be read"); return false;
    }
    return false;
}

/* ---- Which events go together ---------------------------------------------------------------------------------------- */

/* A request that fails says nothing about any one of its events. One that failed twice in company is the next time by
 * itself, so that a bad event soon fails alone. */
static bool goes_alone(const struct window_event *e)
{
    return e->alone || e->attempts >= 2;
}

static bool is_full(const struct sink *s, const struct batch *b)
{
    return b->count == s->settings->batch_count || b->bytes > BATCH_BYTES_MAX;
}

/* The events behind e in its lane, as far as they can go with it. What is wrong with one is said when it leads. */
static void add_behind(struct sink *s, struct batch *b, struct window_event *e)
{
    while (!is_full(s, b) && e->behind && !goes_alone(e->behind) && (e = window_behind(s->window, e))) {
        bool good = load(s, e) == REREAD_OK && e->item && !((const struct envelope *)e->item)->error;
        if (!good) {
            window_return(s->window, e);
            return;
        }
        batch_add(b, e);
    }
}

/* Fills b with what may go in one request. False: nothing may, or can, now. */
static bool gather(struct sink *s, struct batch *b, int64_t now_us)
{
    batch_clear(b);
    while (!is_full(s, b)) {
        const struct window_event *next = window_peek(s->window, now_us);
        if (!next || (b->count > 0 && goes_alone(next)))
            break;
        struct window_event *e = window_next(s->window, now_us);
        if (!e->item && !fetch(s, e))
            break;
        const struct envelope *envelope = e->item;
        if (envelope->error) {
            webhook_settle_dead(s, e, envelope->error);
            continue;
        }
        batch_add(b, e);
        if (goes_alone(e))
            break;
        add_behind(s, b, e);
    }
    batch_sort(b);
    return b->count > 0;
}

/* ---- Requests -------------------------------------------------------------------------------------------------------- */

static void event_id(const char *source, int64_t seq, char id[BATCH_ID_SIZE])
{
    char digits[DECIMAL_SIZE], *end = digits + sizeof digits, *at = decimal_before(end, (uint64_t)seq);
    size_t size = strlen(source);

    memcpy(id, source, size);
    id[size] = '-';
    memcpy(id + size + 1, at, (size_t)(end - at));
    id[size + 1 + (size_t)(end - at)] = 0;
}

static bool make_message(struct sink *s, struct batch *b, char id[BATCH_ID_SIZE], struct http_message *message)
{
    if (webhook_batches(s))
        return batch_id(b, s->context->source, id) && batch_message(b, s->settings->format, message);
    const struct envelope *e = b->events[0]->item;
    event_id(s->context->source, b->events[0]->seq, id);
    *message = (struct http_message){
        .body = e->body.data,
        .size = e->body.size,
        .content_type = e->content_type,
        .header_count = e->header_count,
        .headers = e->headers,
    };
    return true;
}

void webhook_return_all(struct sink *s, const struct batch *b)
{
    for (int i = b->count - 1; i >= 0; i--)
        window_return(s->window, b->events[i]);
}

/* False: its events are back in the window without having been sent, for want of something. */
static bool send_batch(struct sink *s, struct http_request *request)
{
    struct batch *b = request->about;
    struct http_message message;
    char id[BATCH_ID_SIZE];

    if (!make_message(s, b, id, &message) ||
        !http_request_prepare(request, id, timestamp_now_us() / 1000000, &message) ||
        curl_multi_add_handle(s->loop.multi, request->easy) != CURLM_OK) {
        webhook_return_all(s, b);
        webhook_lacks_memory(s);
        return false;
    }
    s->idle_count--;
    rate_take(&s->rate, b->count, clock_monotonic_us());
    breaker_started(&s->breaker);
    return true;
}

/* Whether another request may be begun. A SIGTERM lets only what is in flight end; --once wants all of it delivered. */
bool webhook_may_begin(const struct sink *s, int64_t now_us)
{
    return s->idle_count > 0 && !s->gone && (!s->finishing || s->context->once) && now_us >= s->lacking_until_us &&
           breaker_allows(&s->breaker, webhook_under_way(s), now_us);
}

bool webhook_begin_events(struct sink *s)
{
    int64_t now_us = clock_monotonic_us();
    bool begun = false;

    while (webhook_may_begin(s, now_us) && rate_due_us(&s->rate, now_us) <= now_us) {
        struct http_request *request = s->idle[s->idle_count - 1];
        if (!gather(s, request->about, now_us) || !send_batch(s, request))
            break;
        begun = true;
    }
    return begun;
}

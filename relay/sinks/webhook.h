/* webhook.h — the webhook sink's inside, shared by its three files and by nobody else.
 *
 * webhook.c is the sink as its pipeline sees it, webhook_send.c the way out, webhook_answer.c the way back. The
 * invariant that they keep together: every event that window_next() gives out comes back to the window exactly once,
 * whatever happens.
 */
#ifndef RELAY_SINKS_WEBHOOK_H
#define RELAY_SINKS_WEBHOOK_H

#include "batch.h"
#include "breaker.h"
#include "buffer.h"
#include "envelope.h"
#include "http_loop.h"
#include "http_request.h"
#include "rate.h"
#include "reread.h"
#include "sink.h"
#include "trouble.h"
#include "window.h"

struct sink {
    const struct sink_context *context;
    const struct webhook_settings *settings;
    struct http_endpoint endpoint;
    struct http_loop loop;
    struct http_request *requests; /* settings->concurrency of them; what each is about is its batch */
    struct batch *batches;         /* likewise */
    int request_count;
    struct http_request **idle;
    int idle_count;

    struct window *window; /* its items are envelopes */
    struct envelope_pool envelopes;
    struct envelope_pool ahead; /* of the thread that prepares, while it does */
    size_t bytes;               /* of the window's items */
    struct breaker breaker;
    struct rate rate;
    struct trouble trouble;   /* of ours, not the endpoint's: memory, or the database */
    int64_t retry_at_us;      /* after it: when to be opened again; 0: it is open */
    int64_t lacking_until_us; /* no memory for a request, or for its outcome: none begins before */
    int lacks;                /* times in a row */
    struct reread *reread;
    int64_t down_since_us, down_total_us; /* ages stand still while the endpoint is down */

    bool finishing;
    bool gone, gone_told; /* 410: nothing more is sent; and the ledger has been told */
};

/* The envelope of one event, counted in s->bytes; window items are these. NULL: out of memory. */
struct envelope *webhook_wrap(struct sink *s, const struct source_row *row);

/* Then every body is a list of events, one of one event too. */
static inline bool webhook_batches(const struct sink *s)
{
    return s->settings->batch_count > 1;
}

static inline int webhook_under_way(const struct sink *s)
{
    return s->request_count - s->idle_count;
}

/* webhook_send.c: begins as many events as the endpoint, its rate, the window and the idle handles allow. True: some.
 * The rate has a time of its own: it isn't in webhook_may_begin(). */
bool webhook_may_begin(const struct sink *s, int64_t now_us);
bool webhook_begin_events(struct sink *s);

/* webhook.c: there was no memory for a request, or for what became of it; and there was. Nothing of that is the event's. */
void webhook_lacks_memory(struct sink *s);
void webhook_has_memory(struct sink *s);

/* Gives all events of a request back, as if they had not gone. */
void webhook_return_all(struct sink *s, const struct batch *b);

/* webhook_answer.c: gives every request that has ended back to the window, with its outcome. */
void webhook_take_answers(struct sink *s);

/* Gives an event back that was not sent: as dead, or to be tried again after delay_us. No attempt is counted. */
void webhook_settle_dead(struct sink *s, struct window_event *e, const char *words);
void webhook_settle_retry(struct sink *s, struct window_event *e, int64_t delay_us, const char *words);
void webhook_settle_delivered(struct sink *s, struct window_event *e);

#endif

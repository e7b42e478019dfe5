/* webhook.c — the webhook sink: one multi handle, kept-alive connections, up to N requests in flight.
 *
 * Leaves to others: sending and answers (webhook.h says which file), reading (the pipeline; reread.h for what stepped
 * aside), and making outcomes durable (the ledger; the trail until then). A kill at any point repeats only what was in
 * flight, under the same ids.
 */
#include "webhook.h"

#include <stdio.h>
#include <stdlib.h>

#include "backoff.h"
#include "clock.h"
#include "database.h"
#include "encode.h"
#include "log.h"
#include "timestamp.h"

/* What is read ahead of the requests; also what one stuck request can hold in memory. Batches want more events at hand,
 * the bytes stay what they are. */
enum { FRESH_MAX = 1000, FRESH_BATCHED_MAX = 10000, FRESH_BYTES_MAX = 16 << 20 };

/* However long events back off, an endpoint that is down is asked at least this often. */
static const int64_t PROBE_MAX_US = 60000000;

/* The ledger does not call back: it is looked at, this often, while a key waits for it. */
enum { RECORDED_LOOK_US = 10000 };

static const struct trouble_pace pace = {1000 * 1000, 60 * 1000 * 1000};
static const struct trouble_pace memory_pace = {50 * 1000, 10 * 1000 * 1000};

enum { LACKS_MOST = 6 }; /* in a row: then --once gives up */

/* ---- Opening and closing --------------------------------------------------------------------------------------------- */

static void webhook_close(struct sink *s)
{
    if (!s)
        return;
    for (int i = 0; s->requests && i < s->request_count; i++) {
        curl_multi_remove_handle(s->loop.multi, s->requests[i].easy);
        http_request_fini(&s->requests[i]);
        batch_fini(&s->batches[i]);
    }
    http_loop_fini(&s->loop);
    window_free(s->window);
    reread_free(s->reread);
    http_endpoint_fini(&s->endpoint);
    envelope_pool_fini(&s->envelopes);
    envelope_pool_fini(&s->ahead);
    free(s->requests);
    free(s->batches);
    free(s->idle);
    free(s);
    curl_global_cleanup(); /* counted by curl: one for each create */
}

static bool add_request(struct sink *s, size_t i)
{
    struct http_request *request = &s->requests[i];

    if (!http_request_init(request, &s->endpoint))
        return false;
    s->idle[s->request_count++] = request;
    request->about = &s->batches[i];
    return batch_init(&s->batches[i], s->settings->batch_count);
}

static struct sink *webhook_create(const struct sink_context *context)
{
    const struct webhook_settings *settings = &context->settings->webhook;
    size_t count = (size_t)settings->concurrency;
    struct sink *s = calloc(1, sizeof *s);

    if (!s || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(s);
        return NULL;
    }
    s->context = context;
    s->settings = settings;
    s->requests = calloc(count, sizeof *s->requests);
    s->batches = calloc(count, sizeof *s->batches);
    s->idle = calloc(count, sizeof(struct http_request *));
    rate_init(&s->rate, context->settings->rate, clock_monotonic_us());
    s->reread = reread_new(context);
    bool done = s->requests && s->batches && s->idle && s->reread && http_loop_init(&s->loop) &&
                http_endpoint_init(&s->endpoint, settings, &s->loop);
    for (size_t i = 0; done && i < count; i++)
        done = add_request(s, i);
    if (done)
        done = curl_multi_setopt(s->loop.multi, CURLMOPT_MAXCONNECTS, (long)settings->concurrency) == CURLM_OK &&
               curl_multi_setopt(s->loop.multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)settings->concurrency) ==
                   CURLM_OK;
    s->idle_count = s->request_count;
    if (done)
        return s;
    webhook_close(s);
    return NULL;
}

static void free_envelope(void *arg, void *item)
{
    struct sink *s = arg;
    struct envelope *e = item;

    s->bytes -= envelope_bytes(e);
    envelope_free(&s->envelopes, e);
}

static int64_t at_most(int64_t us, int64_t limit_us)
{
    return us < limit_us ? us : limit_us;
}

/* How long it was to wait when its last attempt failed. Both times were stored by one clock, so this holds whatever that
 * clock has done since. Where the attempt is not on record, the longest that anything waits. */
static int64_t meant_to_wait_us(const struct sink *s, const struct failed_change *row)
{
    int64_t longest_us = s->settings->backoff_max_us > RETRY_AFTER_MAX_US ? s->settings->backoff_max_us
                                                                          : RETRY_AFTER_MAX_US;
    int64_t at_us = row->attempt.at_us;

    if (at_us <= 0)
        return longest_us;
    return row->next_attempt_at_us > at_us ? at_most(row->next_attempt_at_us - at_us, longest_us) : 0;
}

/* How long it had been failing when its last attempt failed, and what it has waited since as far as it was meant to: what
 * came after that may have been an outage, or a relay that was not running, and ages nothing. */
static int64_t age_us(const struct failed_change *row, int64_t failed_at_us, int64_t wall_us)
{
    int64_t at_us = row->attempt.at_us, until_us = row->next_attempt_at_us;

    if (until_us > wall_us)
        until_us = at_us > wall_us ? at_us : wall_us; /* after it only where the clock has been set back */
    return failed_at_us > 0 && until_us > failed_at_us ? at_most(until_us - failed_at_us, wall_us) : 0;
}

/* Wall clock to monotonic, once, at the start; a time that a broken clock has stored is neither for ever nor negative. */
static bool restore(void *arg, const struct failed_change *row, int64_t failed_at_us)
{
    struct sink *s = arg;
    int64_t now_us = clock_monotonic_us(), wall_us = timestamp_now_us(), delay_us = 0;

    if (row->next_attempt_at_us > wall_us)
        delay_us = at_most(row->next_attempt_at_us - wall_us, meant_to_wait_us(s, row));
    return window_restore(s->window, row, now_us + delay_us, now_us - age_us(row, failed_at_us, wall_us));
}

/* The relay itself lacks something. Said once, and tried again: nothing of it is the endpoint's. */
static enum sink_result trouble(struct sink *s, const char *words)
{
    snprintf(s->context->reason, SINK_REASON_SIZE, "%s", words);
    if (!s->context->once) /* else the pipeline says it, and ends */
        s->retry_at_us = trouble_report(&s->trouble, &pace, s->context->settings->consumer, words,
                                        clock_monotonic_us());
    return SINK_LATER;
}

void webhook_lacks_memory(struct sink *s)
{
    int64_t now_us = clock_monotonic_us();

    if (now_us < s->lacking_until_us)
        return; /* several requests of one moment */
    s->lacks++;
    s->lacking_until_us = trouble_report(&s->trouble, &memory_pace, s->context->settings->consumer, "out of memory",
                                         now_us);
}

void webhook_has_memory(struct sink *s)
{
    if (s->lacks)
        trouble_over(&s->trouble, s->context->settings->consumer, "the sink");
    s->lacks = 0;
}

/* Begins afresh from what the database has: at the start, and again after a fault or when an operator moved the cursor. */
static enum sink_result webhook_open(struct sink *s, struct cursor *cursor)
{
    char words[SINK_REASON_SIZE];

    for (int i = 0; i < s->request_count; i++) {
        curl_multi_remove_handle(s->loop.multi, s->requests[i].easy);
        s->idle[i] = &s->requests[i];
    }
    s->idle_count = s->request_count;
    window_free(s->window);
    s->down_since_us = s->down_total_us = 0;
    s->gone = s->gone_told = s->finishing = false;
    s->retry_at_us = s->lacking_until_us = 0;
    s->lacks = 0;
    breaker_init(&s->breaker, s->settings->concurrency, at_most(s->settings->backoff_min_us, PROBE_MAX_US),
                 at_most(s->settings->backoff_max_us, PROBE_MAX_US));
    s->window = window_new(cursor->acked_seq, cursor->position, s->settings->skip_dead, free_envelope, s);
    int rc = s->window ? reread_failed(s->context, restore, s) : SQLITE_NOMEM;
    snprintf(words, sizeof words, "reading failed_deliveries: %s", sqlite3_errstr(rc));
    if (database_error_is_temporary(rc))
        return trouble(s, words);
    if (rc == SQLITE_OK)
        return SINK_OK;
    snprintf(s->context->reason, SINK_REASON_SIZE, "%s", words);
    return SINK_BROKEN;
}

/* ---- Taking events --------------------------------------------------------------------------------------------------- */

static size_t fresh_max(const struct sink *s)
{
    size_t wanted = FRESH_MAX + (size_t)s->settings->batch_count * (size_t)s->settings->concurrency;

    if (!webhook_batches(s))
        return FRESH_MAX;
    return wanted < FRESH_BATCHED_MAX ? wanted : FRESH_BATCHED_MAX;
}

/* While the breaker is not closed: whether everything at hand has had its turn as a probe, or there is nothing. It may be
 * the events then, a few keys' that fail always, and not the endpoint: the next one read will tell. */
static bool has_probed_all(const struct sink *s, int64_t now_us)
{
    int ready = window_ready(s->window);

    return ready ? s->breaker.openings > ready : window_due_us(s->window) > now_us;
}

/* While the endpoint is down nothing is read, but for one event to probe it with where none other is left. Once the ledger
 * knows of a 410 there is room for a look, at which the pipeline finds the consumer disabled and waits for an operator. */
static int webhook_room(const struct sink *s)
{
    size_t fresh = window_fresh(s->window), most = fresh_max(s);
    int64_t now_us = clock_monotonic_us();

    if (s->gone)
        return s->gone_told && fresh < most;
    if (s->finishing || fresh >= most || s->bytes >= FRESH_BYTES_MAX)
        return 0;
    if (breaker_is_down(&s->breaker))
        return breaker_allows(&s->breaker, webhook_under_way(s), now_us) && has_probed_all(s, now_us);
    return now_us < s->breaker.hold_until_us ? 0 : (int)(most - fresh);
}

static struct envelope *new_envelope(const struct sink *s, struct envelope_pool *pool, const struct source_row *row)
{
    return envelope_new(pool, row, s->settings, s->context->source, s->context->settings->before_transform != NULL);
}

struct envelope *webhook_wrap(struct sink *s, const struct source_row *row)
{
    struct envelope *e = new_envelope(s, &s->envelopes, row);

    if (e)
        s->bytes += envelope_bytes(e);
    return e;
}

static enum sink_result put_envelope(struct sink *s, struct envelope *e)
{
    if (e && window_put(s->window, e->seq, e->key, e)) {
        trouble_over(&s->trouble, s->context->settings->consumer, "the sink");
        return SINK_OK;
    }
    if (e)
        free_envelope(s, e);
    return trouble(s, "out of memory");
}

static enum sink_result webhook_put(struct sink *s, const struct source_row *row)
{
    return put_envelope(s, webhook_wrap(s, row));
}

static void *webhook_prepare(struct sink *s, const struct source_row *row)
{
    return new_envelope(s, &s->ahead, row);
}

static enum sink_result webhook_put_prepared(struct sink *s, void *item)
{
    s->bytes += envelope_bytes(item);
    return put_envelope(s, item);
}

static void webhook_discard(struct sink *s, void *item)
{
    envelope_free(&s->ahead, item);
}

static void webhook_prepare_more(struct sink *s)
{
    envelope_pool_move(&s->ahead, &s->envelopes);
}

static void webhook_skip(struct sink *s, int64_t seq)
{
    window_pass(s->window, seq);
}

/* Whether --once has come to an end here: it does not wait out an outage, a receiver's Retry-After, or a lack of memory. */
static bool gives_up(const struct sink *s)
{
    return s->context->once && !window_in_flight(s->window) &&
           (breaker_is_down(&s->breaker) || clock_monotonic_us() < s->breaker.hold_until_us || s->lacks > LACKS_MOST);
}

static enum sink_result webhook_push(struct sink *s)
{
    if (!trail_awaits(s->context->trail))
        window_recorded(s->window);
    /* A request can end within the very call that began it. That has to be seen now: no socket has anything left then to
     * wake webhook_wait() with. */
    do {
        http_loop_run(&s->loop);
        webhook_take_answers(s);
        trail_flush(s->context->trail); /* Crash before it: what was in flight comes again, and no other */
    } while (webhook_begin_events(s));
    if (gives_up(s)) {
        if (s->lacks > LACKS_MOST)
            snprintf(s->context->reason, SINK_REASON_SIZE, "out of memory");
        else
            snprintf(s->context->reason, SINK_REASON_SIZE, "%s is down", s->settings->url_shown);
        return SINK_LATER;
    }
    return SINK_OK;
}

static void webhook_wait(struct sink *s, int wake_fd, int timeout_ms)
{
    http_loop_wait(&s->loop, wake_fd, timeout_ms);
}

/* curl's own timers are in webhook_wait(); here are only ours. */
static int64_t webhook_due(const struct sink *s)
{
    int64_t now_us = clock_monotonic_us(), held_us = breaker_due_us(&s->breaker, now_us);

    if (s->retry_at_us)
        return s->retry_at_us;
    if (s->gone || !s->window) /* with --once it is not opened again */
        return INT64_MAX;
    if (held_us != INT64_MAX)
        return held_us;
    if (now_us < s->lacking_until_us)
        return s->lacking_until_us;
    if (!webhook_may_begin(s, now_us))
        return INT64_MAX;
    int64_t event_us = window_due_us(s->window), rate_us = rate_due_us(&s->rate, now_us);
    int64_t next_us = event_us > rate_us ? event_us : rate_us;
    bool unrecorded = window_is_unrecorded(s->window);
    return unrecorded && next_us > now_us + RECORDED_LOOK_US ? now_us + RECORDED_LOOK_US : next_us;
}

/* ---- Outcomes --------------------------------------------------------------------------------------------------------- */

static bool webhook_settle(struct sink *s, struct settlement *out)
{
    bool tell_gone = s->gone && !s->gone_told && !window_in_flight(s->window);

    if (tell_gone)
        window_touch(s->window);
    if (!window_settle(s->window, out))
        return false;
    out->disable = tell_gone;
    s->gone_told |= tell_gone;
    return true;
}

static enum sink_result webhook_finish(struct sink *s)
{
    s->finishing = true;
    bool more = s->context->once && !s->gone && !gives_up(s) && window_fresh(s->window) > 0;
    return more || window_in_flight(s->window) ? SINK_LATER : SINK_OK;
}

/* Fresh ones too: those that a breaker holds back are tried again like the others. */
static int64_t webhook_retrying(const struct sink *s)
{
    return window_retrying(s->window) + (breaker_is_down(&s->breaker) ? (int64_t)window_fresh(s->window) : 0);
}

const struct sink_ops sink_webhook = {
    .kind = "webhook",
    .create = webhook_create,
    .open = webhook_open,
    .room = webhook_room,
    .put = webhook_put,
    .prepare = webhook_prepare,
    .put_prepared = webhook_put_prepared,
    .discard = webhook_discard,
    .prepare_more = webhook_prepare_more,
    .skip = webhook_skip,
    .push = webhook_push,
    .wait = webhook_wait,
    .due = webhook_due,
    .settle = webhook_settle,
    .finish = webhook_finish,
    .retrying = webhook_retrying,
    .close = webhook_close,
};

/* webhook_answer.c — what became of each request, and what that means for its event and its endpoint.
 *
 * Leaves to others: the table of answers (outcome.h), when to try again (backoff.h), whether the endpoint is down
 * (breaker.h), and the order of events (window.h). Every answer ends in exactly one of delivered, retry, dead or, where
 * the endpoint is to blame, as if the event had not been sent.
 */
#include "webhook.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "backoff.h"
#include "clock.h"
#include "log.h"
#include "outcome.h"
#include "timestamp.h"

enum { WORDS_SIZE = 300 };

static uint64_t random_bits(void)
{
    uint64_t bits;

    while (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    }
    return bits;
}

/* Time during which the endpoint was not known to be down. */
static int64_t up_time_us(const struct sink *s, int64_t now_us)
{
    return now_us - s->down_total_us - (breaker_is_down(&s->breaker) ? now_us - s->down_since_us : 0);
}

/* Memory ran out before its fate could be recorded: it goes again, and the receiver knows its id. */
static void or_return(struct sink *s, struct window_event *e, bool recorded)
{
    if (recorded)
        return;
    window_return(s->window, e);
    webhook_lacks_memory(s);
}

void webhook_settle_delivered(struct sink *s, struct window_event *e)
{
    or_return(s, e, window_delivered(s->window, e));
}

static void record_dead(struct sink *s, struct window_event *e, const struct window_failure *how)
{
    log_delivery(LOG_LEVEL_ERROR, s->context->settings->consumer, e->seq, how->attempts, "dead", "%s", how->error);
    if (s->settings->skip_dead)
        trail_await(s->context->trail); /* its key goes on without it, once that is recorded */
    or_return(s, e, window_dead(s->window, e, how));
}

static void record_retry(struct sink *s, struct window_event *e, int64_t delay_us, struct window_failure how)
{
    how.next_attempt_at_us = timestamp_now_us() + delay_us;
    log_delivery(how.attempts > 1 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, s->context->settings->consumer, e->seq,
                 how.attempts, "retry", "%s", how.error);
    or_return(s, e, window_retry(s->window, e, clock_monotonic_us() + delay_us, &how));
}

void webhook_settle_dead(struct sink *s, struct window_event *e, const char *words)
{
    record_dead(s, e, &(struct window_failure){.attempts = e->attempts, .error = words});
}

void webhook_settle_retry(struct sink *s, struct window_event *e, int64_t delay_us, const char *words)
{
    record_retry(s, e, delay_us, (struct window_failure){.attempts = e->attempts, .error = words});
}

static bool is_worn_out(const struct sink *s, const struct window_event *e, int attempts, int64_t now_us)
{
    return (s->settings->max_attempts > 0 && attempts >= s->settings->max_attempts) ||
           (s->settings->max_age_us > 0 && up_time_us(s, now_us) - e->failing_since_us >= s->settings->max_age_us);
}

/* What is stored must say how old the event is to whoever begins again with it, in another process and perhaps after years:
 * since when it would have failed, had the endpoint never been down. */
static void count_attempt(const struct sink *s, struct window_event *e, int64_t now_us, struct window_failure *how)
{
    int64_t up_us = up_time_us(s, now_us);

    how->attempts = e->attempts + 1;
    if (how->attempts == 1)
        e->failing_since_us = up_us;
    how->failed_at_us = how->attempted_at_us - (up_us - e->failing_since_us);
}

/* One event of a request that failed: its turn comes again, unless it has had enough of them. It dies of a request of
 * its own only, as another one may have spoilt this one. */
static void fail_event(struct sink *s, const struct batch *b, struct window_event *e, int64_t least_us,
                       struct window_failure how)
{
    int64_t now_us = clock_monotonic_us();

    count_attempt(s, e, now_us, &how);
    int64_t delay_us = backoff_delay_us(how.attempts, s->settings->backoff_min_us, s->settings->backoff_max_us,
                                        random_bits());
    bool worn_out = is_worn_out(s, e, how.attempts, now_us);
    e->alone |= worn_out;
    if (worn_out && b->count == 1)
        record_dead(s, e, &how);
    else
        record_retry(s, e, delay_us > least_us ? delay_us : least_us, how);
}

/* What stands behind a window_failure. */
struct failure_texts {
    char words[WORDS_SIZE], request[BATCH_ID_SIZE], answer[KEPT_ANSWER_MAX];
};

/* The failure of a request, as failed_deliveries and failed_attempts are to have it, but for what count_attempt() says of
 * each of its events. */
static struct window_failure describe(const struct sink *s, const struct batch *b, const struct http_answer *answer,
                                      struct failure_texts *texts)
{
    bool own_id = !webhook_batches(s) || !batch_id(b, s->context->source, texts->request);

    outcome_words(answer->result, answer->status, answer->transport, texts->words, sizeof texts->words);
    memcpy(texts->answer, answer->start, answer->start_size);
    kept_answer_mask(texts->answer, answer->start_size, s->settings);
    return (struct window_failure){
        .status = (int)answer->status,
        .error = texts->words,
        .attempted_at_us = timestamp_now_us(),
        .request = own_id ? NULL : texts->request,
        .answer = answer->start_size ? texts->answer : NULL,
        .answer_size = answer->start_size,
    };
}

/* A failure that may pass. While the endpoint is down it is nobody's in particular, and is not counted. Of each key only
 * the first event is said to have failed; those behind it wait for it again. */
static void handle_failure(struct sink *s, const struct batch *b, const struct http_answer *answer)
{
    int64_t now_us = clock_monotonic_us(), asked_us = 0;
    bool asked = backoff_retry_after(answer->retry_after, timestamp_now_us() / 1000000, &asked_us);
    struct failure_texts texts;
    struct window_failure how = describe(s, b, answer, &texts);

    if (asked && outcome_holds_endpoint(answer->status))
        breaker_hold(&s->breaker, now_us + asked_us);
    bool opened = answer->unsent ? breaker_unreachable(&s->breaker, now_us, random_bits())
                                 : breaker_failed(&s->breaker, b->events[0]->key_sum, now_us, random_bits());
    if (opened) {
        s->down_since_us = now_us;
        log_write(LOG_LEVEL_WARN, s->context->settings->consumer, "%s is down, delivery pauses: %s",
                  s->settings->url_shown, how.error);
    }
    if (breaker_is_down(&s->breaker)) {
        webhook_return_all(s, b);
        return;
    }
    for (int i = b->count - 1; i >= 0; i--) {
        struct window_event *e = b->events[i];
        if (window_leads(e))
            fail_event(s, b, e, asked_us, how);
        else
            window_return(s->window, e);
    }
}

/* 2xx, or a refusal of this very event: either way the endpoint works. */
static void note_alive(struct sink *s)
{
    int64_t now_us = clock_monotonic_us();

    if (!breaker_succeeded(&s->breaker))
        return;
    s->down_total_us += now_us - s->down_since_us;
    log_write(LOG_LEVEL_INFO, s->context->settings->consumer, "%s answers again after %" PRId64 " s",
              s->settings->url_shown, (now_us - s->down_since_us) / 1000000);
}

/* 2xx. The trail has it at once, the ledger soon. */
static void record_delivered(struct sink *s, struct window_event *e)
{
    const struct envelope *sent = e->item;
    int64_t seq = e->seq, created_at_us = sent->created_at_us;
    bool recorded = window_delivered(s->window, e);

    if (recorded)
        trail_add(s->context->trail, seq, created_at_us);
    or_return(s, e, recorded);
}

static void handle_success(struct sink *s, const struct batch *b, long status)
{
    note_alive(s);
    webhook_has_memory(s);
    for (int i = 0; i < b->count; i++) {
        struct window_event *e = b->events[i];
        log_delivery(LOG_LEVEL_DEBUG, s->context->settings->consumer, e->seq, e->attempts + 1, "delivered",
                     "status %ld", status);
        record_delivered(s, e);
    }
}

/* Of a batch nobody knows whom the refusal is meant for: each event goes again, alone, and gets its own answer. */
static void handle_refusal(struct sink *s, const struct batch *b, const struct http_answer *answer)
{
    struct failure_texts texts;
    struct window_failure how = describe(s, b, answer, &texts);

    note_alive(s);
    if (b->count == 1) {
        count_attempt(s, b->events[0], clock_monotonic_us(), &how);
        record_dead(s, b->events[0], &how);
        return;
    }
    log_write(LOG_LEVEL_WARN, s->context->settings->consumer, "a batch of %d events is refused, they go one by one: %s",
              b->count, how.error);
    for (int i = 0; i < b->count; i++)
        b->events[i]->alone = true;
    webhook_return_all(s, b);
}

static void handle_answer(struct sink *s, const struct batch *b, const struct http_answer *answer)
{
    if (answer->result == CURLE_OUT_OF_MEMORY) { /* ours: neither the event's nor the endpoint's, and no attempt */
        breaker_abandoned(&s->breaker);
        webhook_return_all(s, b);
        webhook_lacks_memory(s);
        return;
    }
    switch (outcome_of(answer->result, answer->status)) {
    case OUTCOME_DELIVERED: handle_success(s, b, answer->status); return;
    case OUTCOME_RETRY: handle_failure(s, b, answer); return;
    case OUTCOME_DEAD: handle_refusal(s, b, answer); return;
    case OUTCOME_GONE:
        breaker_abandoned(&s->breaker);
        webhook_return_all(s, b); /* still owed, should an operator resume */
        if (!s->gone)
            log_write(LOG_LEVEL_ERROR, s->context->settings->consumer, "%s answered 410 Gone: nothing more is sent",
                      s->settings->url_shown);
        s->gone = true;
        return;
    }
}

void webhook_take_answers(struct sink *s)
{
    int left;

    for (CURLMsg *message; (message = curl_multi_info_read(s->loop.multi, &left));) {
        struct http_request *request = NULL;
        struct http_answer answer;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result; /* gone once the handle is removed */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        curl_multi_remove_handle(s->loop.multi, request->easy);
        http_request_answer(request, result, &answer);
        handle_answer(s, request->about, &answer);
        s->idle[s->idle_count++] = request;
    }
}

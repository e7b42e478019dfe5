/* receiver.c — see receiver.h. */
#include "receiver.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/http_loop.h"
#include "sinks/http_request.h"
#include "world.h"

enum { REQUESTS_MAX = 64, BATCH_MAX = 16 };

/* One request, from when it was prepared until its answer was taken. */
struct request {
    struct http_request *from;
    int64_t seqs[BATCH_MAX];
    int count;
    bool sent, answered;
    int64_t due_us;
};

/* One event, as the receiver knows it. */
struct event {
    bool committed;
    int key;
    int taken;  /* times */
    bool known; /* the relay has read the 200 */
};

static struct request requests[REQUESTS_MAX];
static struct event events[EVENTS_MAX + 1];
static bool batches, down;
static int trouble, hated;

void receiver_begin(bool in_batches)
{
    memset(requests, 0, sizeof requests);
    memset(events, 0, sizeof events);
    batches = in_batches;
    down = false;
    trouble = 0;
    hated = -1;
}

void receiver_trouble(int in_a_thousand)
{
    trouble = in_a_thousand;
}

void receiver_is_down(bool is)
{
    down = is;
}

void receiver_hates(int key)
{
    hated = key;
}

void receiver_expect(int64_t seq, int key)
{
    events[seq] = (struct event){.committed = true, .key = key};
}

bool receiver_has(int64_t seq)
{
    return events[seq].taken > 0;
}

/* ---- Taking events ------------------------------------------------------------------------------------------------- */

/* What comes for the first time comes before all later ones of its key. */
static void take(int64_t seq)
{
    struct event *e = &events[seq];
    for (int64_t later = seq + 1; later <= EVENTS_MAX && e->key >= 0 && e->taken == 0; later++)
        if (events[later].committed && events[later].key == e->key && events[later].taken)
            world_fail("event %d of key %d overtook %d", (int)later, e->key, (int)seq);
    if (e->known)
        world_fail("event %d comes again, and its 200 was read", (int)seq);
    e->taken++;
}

static void take_all(const struct request *r)
{
    for (int i = 0; i < r->count; i++)
        take(r->seqs[i]);
}

static bool is_hated(const struct request *r)
{
    for (int i = 0; i < r->count; i++)
        if (hated >= 0 && events[r->seqs[i]].key == hated)
            return true;
    return false;
}

/* ---- On the wire --------------------------------------------------------------------------------------------------- */

static struct request *request_of(const struct http_request *from)
{
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (requests[i].from == from)
            return &requests[i];
    return NULL;
}

static struct request *request_of_easy(CURL *easy)
{
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (requests[i].from && requests[i].from->easy == easy)
            return &requests[i];
    return NULL;
}

/* The seqs in a body: the events' own come first in each object, and no payload here has the word. */
static void read_body(struct request *r, const char *body, size_t size)
{
    static const char word[] = "{\"seq\":";
    const char *at = body, *end = body + size;
    r->count = 0;
    while ((at = memmem(at, (size_t)(end - at), word, sizeof word - 1))) {
        int64_t seq = strtoll(at + sizeof word - 1, NULL, 10);
        if (seq < 1 || seq > EVENTS_MAX || !events[seq].committed)
            world_fail("event %lld was sent and never committed", (long long)seq);
        else if (r->count < BATCH_MAX)
            r->seqs[r->count++] = seq;
        at += sizeof word - 1;
    }
    if (r->count == 0 || (!batches && r->count > 1))
        world_fail("%d events in a request", r->count);
}

/* Two of one key are never under way together, but in one request. */
static void check_alone(const struct request *r)
{
    for (const struct request *other = requests; other < requests + REQUESTS_MAX; other++) {
        if (other == r || !other->from || !other->sent || other->answered)
            continue;
        for (int i = 0; i < r->count; i++)
            for (int j = 0; j < other->count; j++)
                if (r->seqs[i] == other->seqs[j] ||
                    (events[r->seqs[i]].key >= 0 && events[r->seqs[i]].key == events[other->seqs[j]].key))
                    world_fail("%d and %d are in flight together", (int)r->seqs[i], (int)other->seqs[j]);
    }
}

int64_t receiver_due_us(void)
{
    int64_t due_us = INT64_MAX;
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (requests[i].from && requests[i].sent && !requests[i].answered && requests[i].due_us < due_us)
            due_us = requests[i].due_us;
    return due_us;
}

void receiver_cut_off(void)
{
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (requests[i].from && requests[i].sent && !requests[i].answered && !down && world_chance(500))
            take_all(&requests[i]);
    memset(requests, 0, sizeof requests);
}

/* ---- libcurl, and the request's own file, as the sink sees them ------------------------------------------------------ */

/* NOLINTBEGIN(bugprone-reserved-identifier): these names are ld's */
bool __real_http_request_prepare(struct http_request *, const char *, int64_t, const struct http_message *);
bool __wrap_http_request_prepare(struct http_request *, const char *, int64_t, const struct http_message *);
bool __wrap_http_request_prepare(struct http_request *from, const char *id, int64_t now_s,
                                 const struct http_message *message)
{
    struct request *r = request_of(from);
    if (!r)
        r = request_of(NULL);
    *r = (struct request){.from = from};
    read_body(r, message->body, message->size);
    return __real_http_request_prepare(from, id, now_s, message);
}

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy);
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy)
{
    struct request *r = request_of_easy(easy);
    (void)multi;
    if (world_chance(trouble / 20)) /* memory is short */
        return CURLM_OUT_OF_MEMORY;
    check_alone(r);
    r->sent = true;
    r->due_us = world_now_us() + world_below(world_chance(100) ? 3000000 : 50000);
    return CURLM_OK;
}

CURLMcode __wrap_curl_multi_remove_handle(CURLM *multi, CURL *easy);
CURLMcode __wrap_curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
    struct request *r = request_of_easy(easy);
    (void)multi;
    if (r && r->sent && !r->answered && !down && world_chance(500))
        take_all(r); /* given up by us, and it may have arrived */
    if (r && !r->answered)
        r->from = NULL;
    return CURLM_OK;
}

void __wrap_http_loop_run(struct http_loop *);
void __wrap_http_loop_run(struct http_loop *loop)
{
    (void)loop; /* answers come by time: curl_multi_info_read has them */
}

CURLMsg *__wrap_curl_multi_info_read(CURLM *multi, int *left);
CURLMsg *__wrap_curl_multi_info_read(CURLM *multi, int *left)
{
    static CURLMsg message;
    (void)multi;
    *left = 0;
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct request *r = &requests[i];
        if (!r->from || !r->sent || r->answered || r->due_us > world_now_us())
            continue;
        r->answered = true;
        message = (CURLMsg){.msg = CURLMSG_DONE, .easy_handle = r->from->easy, .data.result = CURLE_OK};
        return &message;
    }
    return NULL;
}

static void answer_badly(const struct request *r, struct http_answer *answer)
{
    static const int codes[] = {500, 503, 429, 408, 301, 404, 400};
    int which = (int)world_below(10);
    if (which < 7) {
        answer->status = codes[which];
        answer->retry_after = which == 1 || which == 2 ? (world_chance(500) ? "2" : "Fri, 31 Dec 1999 23:59:59 GMT")
                                                       : NULL;
        return;
    }
    answer->result = which == 7 ? CURLE_COULDNT_CONNECT : CURLE_RECV_ERROR;
    if (which == 9)
        take_all(r); /* the answer is lost, the event is not */
}

void __wrap_http_request_answer(struct http_request *from, CURLcode result, struct http_answer *answer);
void __wrap_http_request_answer(struct http_request *from, CURLcode result, struct http_answer *answer)
{
    struct request *r = request_of(from);
    *answer = (struct http_answer){.result = result, .status = 200, .transport = "", .start = ""};
    if (down) {
        answer->result = CURLE_COULDNT_CONNECT;
        answer->status = 0;
    } else if (is_hated(r)) {
        answer->status = 500;
    } else if (world_chance(trouble)) {
        answer->status = 0;
        answer_badly(r, answer);
    } else {
        take_all(r);
        for (int i = 0; i < r->count; i++)
            events[r->seqs[i]].known = true;
    }
    r->from = NULL;
}
/* NOLINTEND(bugprone-reserved-identifier) */

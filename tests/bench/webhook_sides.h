/* webhook_sides.h — the two senders that are compared, each measured by the receiver over the same window. */
#ifndef BENCH_WEBHOOK_SIDES_H
#define BENCH_WEBHOOK_SIDES_H

#include <curl/curl.h>

#include "child.h"
#include "receiver.h"

struct side {
    double seconds, cpu; /* within the window; cpu is the sender's, all its threads */
    int64_t bytes, requests;
};

static inline struct side side_measured(const struct receiver *r)
{
    if (!r->from.passed || !r->to.passed)
        bench_die("receiver", "the sender ended before the window did");
    return (struct side){r->to.time - r->from.time, r->to.cpu - r->from.cpu, r->to.bytes - r->from.bytes,
                         r->to.accepted - r->from.accepted};
}

/* Rounds of two sides, in seconds per byte. */
struct duel {
    int rounds;
    double seconds[2][BENCH_ROUNDS_MAX], cpu[2][BENCH_ROUNDS_MAX]; /* ours, theirs */
};

static inline void duel_add(struct duel *d, const struct side *mine, const struct side *theirs)
{
    const struct side *sides[] = {mine, theirs};
    for (int i = 0; i < 2; i++) {
        d->seconds[i][d->rounds] = sides[i]->seconds / (double)sides[i]->bytes;
        d->cpu[i][d->rounds] = sides[i]->cpu / (double)sides[i]->bytes;
    }
    d->rounds++;
}

/* Two lines: by the clock, and by the senders' CPU time, which a busy machine hardly moves. */
static inline void duel_report(const char *what, struct duel *d, double event_size, double goal)
{
    double ratios[BENCH_ROUNDS_MAX];
    bench_report(what, d->seconds[0], d->seconds[1], d->rounds, 1 / event_size, goal); /* sorts only its own two */
    for (int i = 0; i < d->rounds; i++)
        ratios[i] = d->cpu[1][i] / d->cpu[0][i];
    printf("%-52s %11.2f µs %11.2f µs %7.2f %8.2f\n", "  by CPU time per event",
           bench_median(d->cpu[0], d->rounds) * event_size * 1e6, bench_median(d->cpu[1], d->rounds) * event_size * 1e6,
           bench_median(ratios, d->rounds), goal);
    fflush(stdout);
}

static inline double side_run(struct receiver *r, char *const argv[], const char *log, long *peak_kib)
{
    struct rusage usage;
    int status;
    double start = bench_now();
    pid_t pid = child_start(argv, log);
    r->sender = pid;
    if (wait4(pid, &status, 0, &usage) != pid || status != 0)
        bench_die(argv[0], "ended badly; see its log");
    if (peak_kib && usage.ru_maxrss > *peak_kib)
        *peak_kib = usage.ru_maxrss;
    return bench_now() - start;
}

struct relay_run {
    char *db;
    int in_flight, batch;
    const char *secret;
    const char *log;
};

/* Each run is a new consumer, so that all is owed to it. The environment says the secret. */
static inline void run_relay(struct receiver *r, const struct relay_run *run, long *peak_kib)
{
    static int consumer;
    char name[32], in_flight[16], batch[16];
    snprintf(name, sizeof name, "bench-%d", consumer++);
    snprintf(in_flight, sizeof in_flight, "%d", run->in_flight);
    snprintf(batch, sizeof batch, "%d", run->batch);
    if (run->secret)
        setenv("OUTBOX_WEBHOOK_SECRET", run->secret, 1);
    else
        unsetenv("OUTBOX_WEBHOOK_SECRET");
    char *argv[] = {strdup(child_program("outbox-relay")),
                    (char[]){"--db"},
                    run->db,
                    (char[]){"--webhook"},
                    r->url,
                    (char[]){"--consumer"},
                    name,
                    (char[]){"--concurrency"},
                    in_flight,
                    (char[]){"--once"},
                    (char[]){"--log-level"},
                    (char[]){"warn"},
                    (char[]){"--webhook-batch"},
                    batch,
                    NULL};
    side_run(r, argv, run->log, peak_kib);
    free(argv[0]);
}

/* ---- The bare loop: reads nothing, encodes nothing, signs nothing ---- */

static inline CURL *bare_request(const char *url, const char *body, long size, struct curl_slist *headers)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, size);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    return easy;
}

static inline struct curl_slist *bare_headers(void)
{
    /* The very head that the relay sends. */
    static const char *const lines[] = {"User-Agent: outbox-relay/" OUTBOX_BUILD_VERSION,
                                        "webhook-id: 0123456789abcdef-123456",
                                        "webhook-timestamp: 1795252692",
                                        "idempotency-key: 0123456789abcdef-123456",
                                        "Content-Type: application/cloudevents+json; charset=utf-8",
                                        "Accept:"};
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        headers = curl_slist_append(headers, lines[i]);
    return headers;
}

static inline int bare_loop(const char *url, int64_t requests, int in_flight, long body_size)
{
    char *body = malloc((size_t)body_size);
    struct curl_slist *headers = bare_headers();
    memset(body, 'x', (size_t)body_size);
    curl_global_init(CURL_GLOBAL_ALL);
    CURLM *multi = curl_multi_init();
    int64_t started = 0, done = 0;
    for (; started < in_flight; started++)
        curl_multi_add_handle(multi, bare_request(url, body, body_size, headers));
    while (done < requests) {
        int left, running;
        curl_multi_perform(multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));) {
            CURL *easy = m->easy_handle;
            if (m->data.result != CURLE_OK)
                bench_die("bare", curl_easy_strerror(m->data.result));
            done++;
            curl_multi_remove_handle(multi, easy);
            if (started++ < requests)
                curl_multi_add_handle(multi, easy);
            else
                curl_easy_cleanup(easy);
        }
        if (done < requests)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    free(body);
    return 0;
}

/* A process of its own: `self --bare URL REQUESTS IN-FLIGHT BODY-SIZE`. */
static inline int bare_main(char **argv)
{
    return bare_loop(argv[2], atoll(argv[3]), atoi(argv[4]), atol(argv[5]));
}

static inline void run_bare(struct receiver *r, char *self, int64_t requests, int in_flight, int64_t body_size,
                            const char *log)
{
    char count[24], flying[16], size[24];
    snprintf(count, sizeof count, "%lld", (long long)requests);
    snprintf(flying, sizeof flying, "%d", in_flight);
    snprintf(size, sizeof size, "%lld", (long long)body_size);
    char *argv[] = {self, (char[]){"--bare"}, r->url, count, flying, size, NULL};
    side_run(r, argv, log, NULL);
}

#endif

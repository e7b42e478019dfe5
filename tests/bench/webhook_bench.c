/* webhook_bench.c — outbox-relay to a webhook on loopback, against a bare libcurl multi loop and wrk.
 *
 * All post bodies of the same size to the same receiver with the same number in flight: 400 bytes an event, and batches
 * once more with events that are longer. The receiver has one core; for single events the sender has the other, for
 * batches, which cost the receiver little, both senders may use any. What is measured is a window in the middle, so
 * neither side's start counts. The ratio is that of the bytes per second (of one size: requests, and events). Where the
 * machine is busy, look at the CPU time per request: it hardly varies.
 */
#include "backlog.h"
#include "webhook_sides.h"

enum { ROUNDS = 7, BATCH = 100 };

static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct bench {
    char *self, db[128], log[128];
    struct receiver *receiver;
    int events;
    int64_t bytes; /* of all events, each alone in a request */
    double single; /* events per second at 32 in flight */
    long peak_kib;
};

struct work {
    const char *what;
    int in_flight, batch, events;
    bool against_unsigned; /* signed against unsigned, both ours */
    double goal;           /* 0: none */
    bool is_long;          /* events of more than 400 bytes: only shown */
};

/* From a fifth of the bytes to nine tenths. */
static void open_window(struct bench *b, int64_t bytes)
{
    receiver_reset(b->receiver, RECEIVER_ACCEPTS, bytes / 5, bytes / 10 * 9);
}

static struct side ours(struct bench *b, const struct work *w, bool is_signed, int64_t bytes)
{
    struct relay_run run = {b->db, w->in_flight, w->batch, is_signed ? secret : NULL, b->log};
    open_window(b, bytes);
    run_relay(b->receiver, &run, &b->peak_kib);
    return side_measured(b->receiver);
}

static struct side theirs(struct bench *b, const struct work *w, int64_t bytes, int64_t body_size)
{
    if (w->against_unsigned)
        return ours(b, w, false, bytes);
    open_window(b, bytes);
    run_bare(b->receiver, b->self, bytes / body_size + 1, w->in_flight, body_size, b->log);
    return side_measured(b->receiver);
}

static void measure(struct bench *b, const struct work *w)
{
    struct duel duel = {.rounds = 0};
    int64_t bytes = b->bytes / b->events * w->events;
    if (w->batch > 1)
        bench_unpin();
    struct side first = ours(b, w, w->against_unsigned, bytes); /* warms up, and says how large a body is */
    int64_t body_size = first.bytes / first.requests;
    for (int i = 0; i < ROUNDS; i++) {
        struct side bare = theirs(b, w, bytes, body_size), mine = ours(b, w, w->against_unsigned, bytes);
        duel_add(&duel, &mine, &bare);
    }
    double event_size = (double)b->bytes / b->events;
    duel_report(w->what, &duel, event_size, w->goal);
    double rate = 1 / (bench_median(duel.seconds[0], ROUNDS) * event_size);
    if (w->batch == 1 && w->in_flight == 32 && !w->against_unsigned)
        b->single = rate;
    if (w->batch > 1)
        printf("%-52s %11.0f ev/s %28s %8s\n", "  in events per second", rate, "", w->is_long ? "" : "1500000");
    if (w->batch > 1 && !w->is_long && b->single > 0)
        printf("%-52s %11.1f x %31s %8s\n", "  against one event per POST, 32 in flight", rate / b->single, "", "20");
    fflush(stdout);
}

/* How fast the receiver can be asked by something that knows no libcurl: only to show the scale. */
static void show_wrk(struct bench *b, int in_flight)
{
    char command[700], line[256];
    FILE *script = NULL;
    double rate = 0;
    if (system("command -v wrk >/dev/null 2>&1") != 0) {
        printf("%-52s not installed, nothing measured\n", "wrk");
        return;
    }
    snprintf(command, sizeof command, "%s.lua", b->log);
    if (!(script = fopen(command, "w")))
        bench_die(command, "not writable");
    fprintf(script, "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\n", (int)(b->bytes / b->events));
    fclose(script);
    open_window(b, INT64_MAX);
    snprintf(command, sizeof command, "wrk -t1 -c%d -d2s -s %s.lua %s 2>&1", in_flight, b->log, b->receiver->url);
    FILE *wrk = popen(command, "r");
    while (wrk && fgets(line, sizeof line, wrk))
        if (sscanf(line, "Requests/sec: %lf", &rate) == 1)
            printf("  wrk, %3d in flight %33s %14s %10.0f/s\n", in_flight, "", "", rate);
    if (wrk)
        pclose(wrk);
}

/* One run of everything, to know the size of the events. */
static void learn_sizes(struct bench *b)
{
    struct relay_run run = {b->db, 32, 1, NULL, b->log};
    receiver_reset(b->receiver, RECEIVER_ACCEPTS, 0, 0);
    run_relay(b->receiver, &run, NULL);
    if (b->receiver->accepted < b->events)
        bench_die("receiver", "events are missing");
    b->bytes = b->receiver->bytes;
    printf("  an event's body %45.0f bytes\n", (double)b->bytes / b->events);
}

static void open_bench(struct bench *b, const char *dir, const char *name, const char *payload, int events)
{
    snprintf(b->db, sizeof b->db, "%s/%s.db", dir, name);
    b->events = events;
    backlog_make_of(payload, b->db, events, 10000, "3600000000000");
    learn_sizes(b);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--bare") == 0)
        return bare_main(argv);
    static const struct work singles[] = {{"relay to a webhook, 1 in flight", 1, 1, 15000, false, 0.9, false},
                                          {"relay to a webhook, 8 in flight", 8, 1, 30000, false, 0.9, false},
                                          {"relay to a webhook, 32 in flight", 32, 1, 30000, false, 0.9, false},
                                          {"relay to a webhook, 128 in flight", 128, 1, 30000, false, 0.9, false},
                                          {"  signed against unsigned, 32 in flight", 32, 1, 30000, true, 0.95, false}};
    static const struct work batch = {"relay to a webhook, batches of 100", 8, BATCH, 300000, false, 0, false};
    static const struct work long_batch = {
        "relay to a webhook, batches of 100, of 690 bytes", 8, BATCH, 300000, false, 0, true};
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", command[160];
    struct bench b = {.self = argv[0]};
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(b.log, sizeof b.log, "%s/log", dir);
    b.receiver = receiver_start();
    open_bench(&b, dir, "singles", backlog_short_order, 30000);
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        if (argc < 2 || strstr(singles[i].what, argv[1]))
            measure(&b, &singles[i]);
    if (argc < 2 || strstr("wrk", argv[1]))
        for (int in_flight = 8; in_flight <= 128; in_flight *= 4)
            show_wrk(&b, in_flight);
    if (argc < 2 || strstr("batches", argv[1])) {
        open_bench(&b, dir, "batches", backlog_short_order, 300000);
        measure(&b, &batch);
        open_bench(&b, dir, "long", backlog_order, 300000);
        measure(&b, &long_batch);
    }
    printf("%-52s %11.1f MiB %27s %8s\n", "  its peak memory", (double)b.peak_kib / 1024, "", "< 64");
    receiver_stop(b.receiver);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

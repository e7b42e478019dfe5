/* webhook_keys_bench.c — what many ordering keys cost a webhook per event, against 100 of them: the same events, each
 * alone in a request, 32 in flight. 10,000 and 60,000 keys; with BENCH_FULL 1,000,000.
 *
 * A window in the middle of each run is measured, and the relay's CPU time in it, as in webhook_bench.c.
 */
#include "backlog.h"
#include "webhook_sides.h"

enum { FEW = 100, ROUNDS = 3, LONG = 1000000 };

struct bench {
    char dir[32], few[128], many[128], log[128];
    struct receiver *receiver;
    long peak_kib;
};

static struct side drain(struct bench *b, char *db, int64_t bytes)
{
    struct relay_run run = {db, 32, 1, NULL, b->log};
    receiver_reset(b->receiver, RECEIVER_ACCEPTS, bytes / 5, bytes / 10 * 9);
    run_relay(b->receiver, &run, &b->peak_kib);
    return side_measured(b->receiver);
}

/* As many events as keys are needed for each key to have one. */
static void measure(struct bench *b, int keys, int events)
{
    char what[96];
    struct duel duel = {.rounds = 0};
    backlog_make(b->few, events, FEW, "3600000000000");
    backlog_make(b->many, events, keys, "3600000000000");
    drain(b, b->many, 1); /* warms up, and says how much it is */
    int64_t bytes = b->receiver->bytes;
    for (int i = 0; i < ROUNDS; i++) {
        struct side few = drain(b, b->few, bytes), many = drain(b, b->many, bytes);
        duel_add(&duel, &many, &few);
    }
    snprintf(what, sizeof what, "webhook, %d keys (bare: ours with %d)", keys, FEW);
    duel_report(what, &duel, (double)bytes / events, 0.95);
    unlink(b->few);
    unlink(b->many);
}

int main(void)
{
    struct bench b = {.dir = "/var/tmp/outbox-bench-XXXXXX"};
    char command[160];
    if (!mkdtemp(b.dir))
        bench_die("mkdtemp", b.dir);
    snprintf(b.few, sizeof b.few, "%s/few.db", b.dir);
    snprintf(b.many, sizeof b.many, "%s/many.db", b.dir);
    snprintf(b.log, sizeof b.log, "%s/log", b.dir);
    b.receiver = receiver_start();
    measure(&b, 10000, 30000);
    if (getenv("BENCH_FULL"))
        measure(&b, LONG, LONG);
    else
        measure(&b, 60000, 60000);
    printf("%-52s %11.1f MiB %27s %8s\n", "  its peak memory", (double)b.peak_kib / 1024, "", "< 64");
    receiver_stop(b.receiver);
    snprintf(command, sizeof command, "rm -rf %s", b.dir);
    return system(command);
}

/* writer.c — an application under test: writes rows and messages, and keeps a ledger of what it was told.
 *
 *     writer DB LEDGER NAME [TRANSACTIONS [PAUSE_US]]
 *
 * Every write carries a token in its headers. The ledger has a line before and after it, each appended with one write():
 *
 *     MAYBE token…                 the transaction is about to begin
 *     OK token seq key revision    the commit has returned; key and revision are - and 0 for a message
 *     VOID token                   rolled back, or lost to another writer: it must never be seen
 *
 * So after a kill at any moment: OK ⊆ what was committed ⊆ OK ∪ MAYBE, and VOID has no part in it. A commit that failed
 * stays MAYBE. Rows are counted up under compare-and-swap on a few keys that all writers share; one transaction in four
 * is rolled back. SIGTERM, or so many transactions, ends it with exit code 0 and a line of figures. SYNCHRONOUS=NORMAL
 * in the environment has it do without syncs; TIMES=FILE has it append a line for each transaction there: when it began,
 * and how long it took, in microseconds.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "outbox.h"

enum { KEYS = 20, WRITES_MAX = 9, PADDING_MAX = 400, LEDGER_SIZE = 4096 };

struct writer {
    outbox *ob;
    const char *name;
    int ledger;
    unsigned seed;
    long transaction;
    long ok, voided, failed; /* writes; failed: transactions that ended in a fault */
    char text[LEDGER_SIZE];  /* lines to be appended together */
    size_t used;
    FILE *times; /* NULL: not wanted */
};

static volatile sig_atomic_t stop_wanted;

static void on_term(int signal)
{
    (void)signal;
    stop_wanted = 1;
}

static int draw(struct writer *w, int below)
{
    return rand_r(&w->seed) % below;
}

static void note(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->used, sizeof w->text - w->used, format, args);
    va_end(args);
    w->used += (size_t)n;
    if (n < 0 || w->used >= sizeof w->text)
        abort();
}

static void append_notes(struct writer *w)
{
    if (write(w->ledger, w->text, w->used) != (ssize_t)w->used) {
        perror("writer: its ledger");
        exit(2);
    }
    w->used = 0;
}

static void token(const struct writer *w, int i, char text[64])
{
    snprintf(text, 64, "%s.%ld.%d", w->name, w->transaction, i);
}

/* One write, into the transaction that is open or as its own. What is OK once committed stands in done. */
static int write_one(struct writer *w, int i, char done[256])
{
    char mark[64], headers[96], key[16], padding[PADDING_MAX + 1];
    int64_t revision = 0, seq;
    outbox_write_options options = {.size = sizeof options, .headers = headers};

    token(w, i, mark);
    snprintf(headers, sizeof headers, "{\"token\":\"%s\"}", mark);
    int size = draw(w, PADDING_MAX);
    memset(padding, 'x', (size_t)size);
    padding[size] = '\0';
    if (draw(w, 3) == 0) {
        char payload[PADDING_MAX + 16];
        snprintf(payload, sizeof payload, "{\"pad\":\"%s\"}", padding);
        int code = outbox_emit(w->ob, "notes", w->name, payload, -1, &options, &seq);
        snprintf(done, 256, "OK %s %" PRId64 " - 0\n", mark, code == OUTBOX_OK ? seq : 0);
        return code;
    }
    snprintf(key, sizeof key, "k%d", draw(w, KEYS));
    int code = outbox_get(w->ob, "things", key, NULL, &revision);
    if (code != OUTBOX_OK && code != OUTBOX_NOT_FOUND)
        return code;
    outbox_value row[] = {outbox_text("id", key), outbox_text("token", mark), outbox_text("pad", padding)};
    code = outbox_upsert(w->ob, "things", row, 3, revision, &options, &revision);
    snprintf(done, 256, "OK %s %" PRId64 " %s %" PRId64 "\n", mark, outbox_last_seq(w->ob), key, revision);
    return code;
}

static void note_outcome(struct writer *w, int writes, char done[][256], bool committed)
{
    char mark[64];

    for (int i = 0; i < writes; i++) {
        token(w, i, mark);
        if (committed)
            note(w, "%s", done[i]);
        else
            note(w, "VOID %s\n", mark);
    }
    *(committed ? &w->ok : &w->voided) += writes;
}

static void transact(struct writer *w)
{
    char done[WRITES_MAX][256], mark[64];
    int writes = 1 + draw(w, WRITES_MAX);
    bool alone = writes == 1 && draw(w, 2), roll_back = !alone && draw(w, 4) == 0;

    w->transaction++;
    note(w, "MAYBE");
    for (int i = 0; i < writes; i++) {
        token(w, i, mark);
        note(w, " %s", mark);
    }
    note(w, "\n");
    append_notes(w);

    int code = alone ? OUTBOX_OK : outbox_begin(w->ob);
    for (int i = 0; code == OUTBOX_OK && i < writes; i++)
        code = write_one(w, i, done[i]);
    bool at_commit = code == OUTBOX_OK && !alone && !roll_back;
    if (at_commit)
        code = outbox_commit(w->ob);
    bool failed = code != OUTBOX_OK && code != OUTBOX_CONFLICT;
    if (failed && w->failed++ == 0) /* before the next call takes the words away */
        fprintf(stderr, "writer %s: %s\n", w->name, outbox_errmsg(w->ob));
    if (!at_commit)
        outbox_rollback(w->ob);
    if (!failed)
        note_outcome(w, writes, done, code == OUTBOX_OK && !roll_back);
    if (w->used)
        append_notes(w);
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void transact_timed(struct writer *w)
{
    int64_t began_us = now_us();
    transact(w);
    if (w->times)
        fprintf(w->times, "%" PRId64 " %" PRId64 "\n", began_us, now_us() - began_us);
}

static void pause_for(int us)
{
    struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    if (us > 0)
        nanosleep(&pause, NULL);
}

int main(int argc, char **argv)
{
    const char *synchronous = getenv("SYNCHRONOUS");
    outbox_open_options options = {.size = sizeof options, .busy_timeout_ms = 60000};
    struct writer w = {0};

    if (argc < 4)
        return 2;
    long transactions = argc > 4 ? atol(argv[4]) : 0;
    int pause_us = argc > 5 ? atoi(argv[5]) : 0;
    w.name = argv[3];
    w.seed = (unsigned)(getenv("SEED") ? atoi(getenv("SEED")) : 1);
    for (const char *p = w.name; *p; p++)
        w.seed = w.seed * 31 + (unsigned char)*p;
    if (synchronous && strcmp(synchronous, "NORMAL") == 0)
        options.synchronous = OUTBOX_SYNC_NORMAL;
    w.ledger = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (w.ledger < 0 || outbox_open(argv[1], &options, &w.ob) != OUTBOX_OK) {
        fprintf(stderr, "writer: %s\n", w.ledger < 0 ? argv[2] : outbox_errmsg(NULL));
        return 2;
    }
    if (getenv("TIMES") && (w.times = fopen(getenv("TIMES"), "ae")))
        setvbuf(w.times, NULL, _IOLBF, 4096);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
    while (!stop_wanted && (!transactions || w.transaction < transactions)) {
        long failed = w.failed;
        transact_timed(&w);
        pause_for(w.failed > failed ? 10000 : pause_us ? draw(&w, 2 * pause_us) : 0);
    }
    outbox_close(w.ob);
    if (w.times)
        fclose(w.times);
    printf("%ld transactions, %ld writes OK, %ld void, %ld transactions failed\n", w.transaction, w.ok, w.voided,
           w.failed);
    return 0;
}

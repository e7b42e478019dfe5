/* fanout.c — one stream of files, read by several threads, each at its own pace and each exactly once.
 *
 *     fanout [--state DB] [--once] [--listen] FILE NAME…      # default: fanout.db
 *
 * FILE is what outbox-relay --jsonl writes. Every NAME is a consumer on a thread of its own: it counts the events of
 * each topic in the table `counts` of DB, in the same transaction as its acknowledgement. Killed at any moment and
 * started again, every count is right. --listen adds a thread that prints what comes from now on and keeps nothing.
 * --once ends when everybody has read what is there; otherwise SIGINT or SIGTERM ends it.
 *
 * An example of readers on liboutbox, made to be copied. It shows:
 *
 *   - a database of the reader's own, attached: the application's need not be in reach;
 *   - work and outbox_reader_ack() in one transaction: exactly once;
 *   - one connection, one handle and one reader per thread: a slow one hurts nobody but itself;
 *   - what to do about a gap, and how to end a wait from a signal handler.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <outbox.h>

static const char sql_create[] = "CREATE TABLE IF NOT EXISTS counts(consumer TEXT, topic TEXT, events INTEGER,"
                                 "                                  PRIMARY KEY (consumer, topic))";

static const char sql_count[] = "INSERT INTO counts VALUES (?1, ?2, 1)"
                                " ON CONFLICT DO UPDATE SET events = events + 1";

enum { EVENTS_PER_TRANSACTION = 100, THREADS_MAX = 32 };

struct options {
    const char *state, *file;
    bool once, listen;
};

struct worker {
    const char *name; /* of the consumer; NULL: the listener */
    const struct options *options;
    pthread_t thread;
    sqlite3 *db;
    outbox *ob;
    outbox_reader *reader;
    sqlite3_stmt *count;
};

/* Says what failed, unless it is only the end. */
static int report(const struct worker *w, int code)
{
    if (code != OUTBOX_OK && code != OUTBOX_DONE && code != OUTBOX_INTERRUPTED)
        fprintf(stderr, "fanout: %s: %s: %s\n", w->name ? w->name : "listener", outbox_strerror(code),
                outbox_errmsg(w->ob));
    return code;
}

/* ---- The consumers' work ------------------------------------------------------------------------------------------ */

static int count_event(struct worker *w, const outbox_event *event)
{
    sqlite3_bind_text(w->count, 1, w->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(w->count, 2, event->topic ? event->topic : "", -1, SQLITE_STATIC);
    int rc = sqlite3_step(w->count);
    sqlite3_reset(w->count);
    if (rc == SQLITE_DONE)
        return OUTBOX_OK;
    fprintf(stderr, "fanout: %s: %s\n", w->name, sqlite3_errmsg(w->db));
    return OUTBOX_ERROR;
}

/* event and those that are there already, in one transaction with the acknowledgement of the last. */
static int take_batch(struct worker *w, const outbox_event *event)
{
    int64_t last = 0;
    int more = OUTBOX_OK, code = outbox_begin(w->ob);
    for (int i = 0; code == OUTBOX_OK && more == OUTBOX_OK; i++) {
        code = count_event(w, event);
        last = event->seq;
        more = i + 1 < EVENTS_PER_TRANSACTION ? outbox_reader_next(w->reader, 0, &event) : OUTBOX_DONE;
    }
    if (code == OUTBOX_OK)
        code = outbox_reader_ack(w->reader, last);
    /* Crash here: neither counted nor acknowledged; the next start is handed the same events again. */
    if (code == OUTBOX_OK)
        code = outbox_commit(w->ob);
    report(w, code);
    outbox_rollback(w->ob); /* after a commit there is nothing to roll back */
    return code == OUTBOX_OK && more == OUTBOX_INTERRUPTED ? more : code; /* a gap or a fault is told again */
}

/* Without a copy of the application's tables there is nothing to make good from a snapshot: say it and go on with what
 * is there. What was lost is named. */
static int pass_gap(struct worker *w)
{
    int64_t last, first;
    outbox_reader_gap(w->reader, &last, &first);
    fprintf(stderr, "fanout: %s: lost what was between seq %" PRId64 " and %" PRId64 "\n",
            w->name ? w->name : "listener", last, first);
    return report(w, outbox_reader_restart(w->reader, w->name ? OUTBOX_FROM_START : OUTBOX_FROM_NOW));
}

/* ---- A thread ----------------------------------------------------------------------------------------------------- */

static int open_worker(struct worker *w)
{
    outbox_reader_options options = {.size = sizeof options, .jsonl = w->options->file};
    options.from = w->name ? OUTBOX_FROM_START : OUTBOX_FROM_NOW;
    /* The listener keeps nothing, so a database in memory does. */
    int rc = sqlite3_open(w->name ? w->options->state : ":memory:", &w->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(w->db, 5000);
    if (rc == SQLITE_OK && w->name)
        rc = sqlite3_prepare_v2(w->db, sql_count, -1, &w->count, NULL);
    if (rc != SQLITE_OK) {
        fprintf(stderr, "fanout: %s: %s\n", w->options->state, sqlite3_errmsg(w->db));
        return OUTBOX_ERROR;
    }
    int code = outbox_attach(w->db, NULL, &w->ob);
    return report(w, code == OUTBOX_OK ? outbox_reader_open(w->ob, w->name, &options, &w->reader) : code);
}

static void close_worker(struct worker *w)
{
    outbox_reader_close(w->reader);
    outbox_close(w->ob);
    sqlite3_finalize(w->count);
    sqlite3_close(w->db);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    const outbox_event *event;
    int code = OUTBOX_OK;
    while (code == OUTBOX_OK) {
        code = outbox_reader_next(w->reader, w->options->once ? 0 : -1, &event);
        if (code == OUTBOX_GAP)
            code = pass_gap(w);
        else if (code == OUTBOX_OK && w->name)
            code = take_batch(w, event);
        else if (code == OUTBOX_OK)
            printf("%" PRId64 " %s %s %s\n", event->seq, event->op, event->topic ? event->topic : "",
                   event->key ? event->key : "");
        else
            report(w, code);
    }
    return code == OUTBOX_DONE || code == OUTBOX_INTERRUPTED ? NULL : w;
}

/* ---- The program -------------------------------------------------------------------------------------------------- */

/* Waits for a signal, then ends every reader's wait. */
static void wait_for_signal(const sigset_t *signals, struct worker *workers, int n)
{
    int signal_number;
    sigwait(signals, &signal_number);
    for (int i = 0; i < n; i++)
        outbox_reader_interrupt(workers[i].reader);
}

static bool make_state(const char *path)
{
    sqlite3 *db;
    bool ok = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_busy_timeout(db, 5000) == SQLITE_OK &&
              sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) == SQLITE_OK &&
              sqlite3_exec(db, sql_create, NULL, NULL, NULL) == SQLITE_OK;
    if (!ok)
        fprintf(stderr, "fanout: %s: %s\n", path, sqlite3_errmsg(db));
    sqlite3_close(db);
    return ok;
}

static int run_all(const struct options *options, struct worker *workers, int n)
{
    sigset_t signals;
    void *failed = NULL;
    int started = 0, opened = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* for all threads: only wait_for_signal takes them */
    while (opened < n && open_worker(&workers[opened]) == OUTBOX_OK)
        opened++;
    while (opened == n && started < n && pthread_create(&workers[started].thread, NULL, run, &workers[started]) == 0)
        started++;
    if (started == n && !options->once)
        wait_for_signal(&signals, workers, n);
    for (int i = 0; i < started; i++) {
        void *result;
        if (started < n)
            outbox_reader_interrupt(workers[i].reader);
        pthread_join(workers[i].thread, &result);
        failed = result ? result : failed;
    }
    for (int i = 0; i < n; i++)
        close_worker(&workers[i]);
    return started < n || failed ? 1 : 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: fanout [--state DB] [--once] [--listen] FILE NAME...\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {.state = "fanout.db"};
    struct worker workers[THREADS_MAX] = {{0}};
    int n = 0, i = 1;
    for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
        if (!strcmp(argv[i], "--state") && i + 1 < argc)
            options.state = argv[++i];
        else if (!strcmp(argv[i], "--once"))
            options.once = true;
        else if (!strcmp(argv[i], "--listen"))
            options.listen = true;
        else
            return usage();
    }
    if (i == argc || argc - i - 1 + options.listen > THREADS_MAX)
        return usage();
    options.file = argv[i++];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (; i < argc; i++)
        workers[n++] = (struct worker){.name = argv[i], .options = &options};
    if (options.listen)
        workers[n++] = (struct worker){.options = &options};
    if (n == 0)
        return usage();
    return make_state(options.state) ? run_all(&options, workers, n) : 1;
}

/* sink.h — a destination, seen from its pipeline.
 *
 * The pipeline reads a batch and hands each event to put(), which only encodes: a read transaction is open. When that
 * has ended and the WAL is synced, push() delivers; it may do I/O, and a slow destination returns from it with work
 * still under way. settle() then says what is durable at the destination, and the ledger records it; delivery never
 * waits for that record. So one event's way is: source → put → push → settle → ledger.
 *
 * Everything but prepare() is called from the pipeline's own thread. A sink logs its own failures, once per change of state.
 * Delivery has three outcomes and no fourth: delivered, retry, dead.
 */
#ifndef RELAY_SINK_H
#define RELAY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "outbox.h"
#include "settings.h"
#include "trail.h"

/* One row as the source read it, but for event.id and event.prev, which are left empty. Borrowed: gone when put() returns. */
struct source_row {
    outbox_event event;
    const char *error; /* filter or transform failed on this row: why; NULL: fine */
};

enum sink_result {
    SINK_OK,
    SINK_LATER, /* a temporary fault: the pipeline calls open() again at sink_ops.due(), reading from its answer; where
                   due() is INT64_MAX there is no later in this process (stdout's reader is gone): the pipeline ends, the
                   others go on, and the relay exits 111 when they have ended too */
    SINK_BROKEN /* permanent: the pipeline stops; reason in sink_context.reason; the relay exits 100 */
};

/* A destination's position as the database has it. */
struct cursor {
    int64_t acked_seq;
    char *position; /* the sink's own note, stored beside acked_seq; malloc'ed; NULL: none */
};

enum failed_state {
    FAILED_RETRY,
    FAILED_WAITING,
    FAILED_DEAD,
    FAILED_GONE /* delivered after all: the row is deleted */
};

/* What one attempt came to, for failed_attempts. */
struct failed_attempt {
    int64_t at_us; /* wall clock, when its outcome was known; 0: nothing was attempted */
    char *request; /* the id that the request carried; NULL: the event's own */
    char *answer;  /* how the answer's body began; NULL: not kept */
    size_t answer_size;
};

/* One row of failed_deliveries to be written or deleted. Its strings are its own. */
struct failed_change {
    int64_t seq;
    char *key;
    enum failed_state state;
    int attempts;
    int64_t next_attempt_at_us; /* wall clock, as stored */
    int64_t failed_at_us;       /* likewise, since when it fails, outages left out; 0: as it was, or from now on */
    int last_status;            /* 0: no answer */
    char *last_error;
    struct failed_attempt attempt;
};

static inline void failed_change_fini(struct failed_change *change)
{
    free(change->key);
    free(change->last_error);
    free(change->attempt.request);
    free(change->attempt.answer);
}

/* What the ledger makes durable in one transaction. Everything up to acked_seq is at the destination, filtered out, or
 * stepped aside in changes of this or an earlier settlement. */
struct settlement {
    int64_t acked_seq;
    const char *position;          /* borrowed until the next call to the sink; NULL: none */
    struct failed_change *changes; /* in order; ownership goes to the ledger with their strings */
    int change_count;
    bool
        disable; /* the receiver answered 410: consumer_offsets.state becomes 'disabled' until an operator resumes it */
};

/* What a sink may know of the rest. Borrowed from the pipeline, valid until close(). */
struct sink_context {
    const struct sink_settings *settings;
    const char *db_path;
    const char *source;         /* 16 hex digits */
    const char *former_sources; /* JSON as in outbox_meta; NULL: none */
    int64_t last_seq;           /* of the database when open() was called: a destination beyond it is ahead of it */
    bool once;           /* --once, until it is stopped or paused: wait out no backoff, finish all that was put */
    struct trail *trail; /* where a delivery is noted until the ledger has it; NULL: nowhere */
    sqlite3 *db;         /* the pipeline's read-only connection: for recovery and retries; end every statement */
    char *reason;        /* REASON_SIZE bytes: words for SINK_BROKEN and SINK_LATER, without the consumer's name */
};

enum { SINK_REASON_SIZE = 512 };

struct sink; /* each destination's own; begins wherever it likes */

struct sink_ops {
    const char *kind; /* "jsonl", … as in settings and logs */

    /* NULL: out of memory. Opens nothing. */
    struct sink *(*create)(const struct sink_context *);

    /* Opens, or recovers what a crash or fault left. *cursor is what the database has; on SINK_OK the sink may set
     * acked_seq lower (write again from change_log) or higher (already there): reading goes on after it. Also called
     * again after SINK_LATER. Blocking I/O is allowed, waiting for others is not (LATER). */
    enum sink_result (*open)(struct sink *, struct cursor *cursor);

    /* How many more events put() takes now; 0: full, or holding off. */
    int (*room)(const struct sink *);

    /* Takes one event: encodes it into memory, nothing else. Never fails but for memory (LATER). */
    enum sink_result (*put)(struct sink *, const struct source_row *);

    /* put() in two parts, for a sink whose encoding is worth a thread of its own; NULL: it isn't. prepare() is called
     * from that thread, while everything else goes on: it encodes into memory that nothing else of the sink's touches.
     * NULL: enough for one page, or out of memory. put_prepared() takes what it made, later and in the same order.
     * discard() lets go of it, while nothing is being prepared or by that very thread; prepare_more() comes before a
     * page of events is prepared. */
    void *(*prepare)(struct sink *, const struct source_row *);
    enum sink_result (*put_prepared)(struct sink *, void *item);
    void (*discard)(struct sink *, void *item);
    void (*prepare_more)(struct sink *);

    /* seq was read and filtered out: nothing to deliver, but the cursor passes it. */
    void (*skip)(struct sink *, int64_t seq);

    /* Delivers what was put, handles answers, timers and syncs that are due. Called after every wait too. */
    enum sink_result (*push)(struct sink *);

    /* Waits for its own I/O, for wake_fd becoming readable, or timeout_ms (-1: for ever). NULL: poll(wake_fd) will do. */
    void (*wait)(struct sink *, int wake_fd, int timeout_ms);

    /* When push() (or, after LATER, open()) wants to be called again: CLOCK_MONOTONIC µs; INT64_MAX: no wish. */
    int64_t (*due)(const struct sink *);

    /* True where there is more to record than at the last call: *out filled. */
    bool (*settle)(struct sink *, struct settlement *out);

    /* The end (SIGTERM, --once, a changed config): finish what is in flight and sync; settle() afterwards says all
     * that was reached. Until SINK_OK the pipeline goes on calling push() and wait(). */
    enum sink_result (*finish)(struct sink *);

    /* Events waiting for another try, in memory and in failed_deliveries; dead and parked ones not counted. */
    int64_t (*retrying)(const struct sink *);

    void (*reopen)(struct sink *); /* SIGHUP: files and secrets anew. NULL: nothing to do */
    void (*close)(struct sink *);  /* frees it; NULL is fine */
};

extern const struct sink_ops sink_jsonl, sink_webhook, sink_exec, sink_stdout, sink_null;

#endif

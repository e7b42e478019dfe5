/* pipeline_run.h — what pipeline.c (a pipeline's life), pipeline_run.c (delivering) and pipeline_read.c (reading) share.
 * Nobody else includes it. */
#ifndef RELAY_PIPELINE_RUN_H
#define RELAY_PIPELINE_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "lock.h"
#include "pipeline.h"
#include "read_ahead.h"
#include "schema.h"
#include "sinks/rate.h"
#include "source.h"
#include "trail.h"
#include "wake.h"

enum stage {
    STAGE_DATABASE, /* open the reading connection */
    STAGE_LOCK,     /* wait for the consumer's lock */
    STAGE_CLAIM,    /* raise the lease token, learn the cursor */
    STAGE_CHECK,    /* wait while an operator has the consumer paused */
    STAGE_OPEN,     /* open the sink, or recover it */
    STAGE_DELIVER,
    STAGE_PAUSE,  /* finish what is in flight, close the sink, then CHECK */
    STAGE_FINISH, /* finish what is in flight, then end */
    STAGE_DONE,
    STAGE_TEMPORARY,
    STAGE_BROKEN
};

struct pipeline {
    struct pipeline_options options;
    pthread_t thread;
    struct wake *wake;
    struct ledger_consumer *consumer; /* NULL: not registered, keeps no cursor */
    atomic_bool stop, reopen;
    atomic_int state; /* enum pipeline_state */

    /* The thread's own. */
    sqlite3 *db;
    struct schema_info schema;
    char *former_sources;
    struct lock lock;
    struct trail *trail; /* NULL: its destination says by itself what it has, or nothing can */
    struct source *source;
    struct read_ahead *ahead; /* NULL: there was no backlog yet */
    bool page_open;           /* its page is being taken */
    struct sink *sink;
    struct sink_context context;
    char reason[SINK_REASON_SIZE];

    struct cursor cursor;              /* the newest that was settled or claimed */
    int64_t lease_token;               /* 0: not registered */
    int64_t owed_after;                /* see source_expect() */
    int64_t read_seq;                  /* the last one handed to the sink */
    int64_t reached_seq;               /* the last one it has settled */
    int batch;                         /* rows to ask for: few when quiet, more under a backlog */
    bool leads;                        /* see durable.h; during a read only */
    bool look;                         /* there may be something to read */
    bool heard;                        /* somebody has committed since the consumer's state was looked at, perhaps */
    bool trouble_said;                 /* reading fails, and that was said */
    bool unsettled;                    /* something may have been reached since settled_at_us */
    struct rate rate;                  /* of a sink that doesn't mind it itself */
    int64_t read_at_us, settled_at_us; /* when last; see READ_GAP_US, SETTLE_GAP_US */
    int64_t read_paced_us;             /* see READ_PACE_US */
    int64_t state_seen_at_us;          /* likewise; STATE_GAP_US */
    int64_t progress_at_us;            /* --once: when something last moved */
};

/* Opens a pipeline's round of delivery at the cursor that the sink answered. */
void pipeline_run_begin(struct pipeline *, int64_t read_seq);

/* Delivers until something else is to be done. */
enum stage pipeline_run(struct pipeline *);

/* When there is something to read, and room for it; INT64_MAX: not by time. */
int64_t pipeline_read_due_us(const struct pipeline *);

/* Reads what there is room for, or takes it from what was read ahead, if it is time to; else looks at the consumer's
 * state where that is due. DELIVER, or what is to be done instead. */
enum stage pipeline_read(struct pipeline *);

/* Each read sees whether an operator has paused, moved or removed the consumer. A sink that is full, backs off or is down
 * goes on sending what it has, and nothing is read; nor is anything of what was read ahead: so it is looked at here.
 * DELIVER, PAUSE or CLAIM; what else is wrong a read will say. */
int64_t pipeline_state_due_us(const struct pipeline *);
enum stage pipeline_look_at_state(struct pipeline *);

enum { PIPELINE_BACKLOG_MAX = 10000 }; /* changes that the ledger could not write yet */

#define PIPELINE_MOVED "the database file was moved, removed or replaced; start the relay again"

/* Logs the reason. BROKEN. */
enum stage pipeline_stop_for_good(struct pipeline *, const char *reason);

/* Waits until the ledger has recorded what was settled, within a bound; says so where it could not. */
bool pipeline_flush(struct pipeline *);

/* Has the sink finish what is in flight, settles it and waits for the ledger. OK, or why it could not. */
enum sink_result pipeline_finish(struct pipeline *);

/* Waits for at most timeout_ms, or until the wake fires. True: told to stop. */
bool pipeline_pause(struct pipeline *, int timeout_ms);

/* Waits until then, whatever is committed meanwhile: what is to be tried again may be what commits, a claim for one.
 * True: told to stop. */
bool pipeline_rest(struct pipeline *, int64_t until_us);

#endif

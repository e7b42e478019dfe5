/* pipeline.h — one sink's thread: lock, claim, open, then read, deliver and settle until told to stop.
 *
 * Each has its own read-only connection, cursor and pace, so a slow or broken sink holds up nobody else.
 */
#ifndef RELAY_PIPELINE_H
#define RELAY_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "durable.h"
#include "ledger.h"
#include "settings.h"
#include "sink.h"

struct pipeline;

/* Borrowed until pipeline_join(), but for the struct itself. */
struct pipeline_options {
    const struct sink_settings *settings;
    const struct sink_ops *ops;
    const char *db_path;
    struct ledger *ledger;
    struct durable *durable; /* shared by the relay's pipelines; NULL: not */
    bool once;               /* deliver up to once_seq, wait for nobody, then end */
    int64_t once_seq;
    int notify_fd; /* an eventfd, written to when the thread ends; -1: none */
};

/* How it ended; fixed once the thread is at its end. */
enum pipeline_state {
    PIPELINE_RUNNING,
    PIPELINE_DONE,      /* told to, or drained: everything in flight is finished and acknowledged */
    PIPELINE_TEMPORARY, /* something is left that may work later */
    PIPELINE_BROKEN     /* needs a human; logged */
};

struct pipeline *pipeline_start(const struct pipeline_options *); /* NULL: no memory, descriptor or thread */

void pipeline_stop(struct pipeline *);   /* finish what is in flight, acknowledge it, end */
void pipeline_reopen(struct pipeline *); /* SIGHUP for an unchanged sink */
enum pipeline_state pipeline_state(const struct pipeline *);

enum pipeline_state pipeline_join(struct pipeline *); /* waits for the end and frees it */

#endif

/* jsonl_progress.h — how far a stream has come: what was taken, what of it is durable, what the ledger was told.
 *
 * Pure: seqs in, seqs out. All of it begins anew where the stream is opened.
 */
#ifndef RELAY_SINKS_JSONL_PROGRESS_H
#define RELAY_SINKS_JSONL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "sink.h"
#include "sinks/jsonl_recover.h"

struct jsonl_progress {
    int64_t put_seq;     /* of the last line encoded: the next one's prev */
    int64_t passed_seq;  /* the last seq put or skipped */
    int64_t durable_seq; /* everything up to it is durable, or filtered out */
    int64_t syncing_seq; /* will be durable_seq once the sync under way has ended well */
    int64_t after_seq;   /* what is left of the stream begins after it */

    int64_t recorded_seq; /* as the ledger was told last */
    struct jsonl_position recorded;
    char position[JSONL_POSITION_SIZE];
};

/* From what the disk and the database say; acked_seq of *cursor becomes what reading goes on after. */
void jsonl_progress_begin(struct jsonl_progress *, const struct recovery *, struct cursor *cursor);

void jsonl_progress_put(struct jsonl_progress *, int64_t seq);
void jsonl_progress_skip(struct jsonl_progress *, int64_t seq);

/* A sync begins, and all that was put is written. */
void jsonl_progress_sync(struct jsonl_progress *);

/* None is under way. all: whatever was put is on stable storage; else what was when the last sync began. True: that is
 * more than was known. */
bool jsonl_progress_synced(struct jsonl_progress *, bool all);

/* As sink_ops.settle; synced_seq is the last line's on stable storage. out->position is borrowed until the next call. */
bool jsonl_progress_settle(struct jsonl_progress *, int64_t synced_seq, struct settlement *out);

#endif

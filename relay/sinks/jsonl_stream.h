/* jsonl_stream.h — a stream made the sink's own: its path found, its lock held, its end recovered.
 *
 * Opened again and again, after every failure and from the disk alone; the lock stays held in between.
 */
#ifndef RELAY_SINKS_JSONL_STREAM_H
#define RELAY_SINKS_JSONL_STREAM_H

#include <stdbool.h>

#include "segment.h"
#include "sink.h"
#include "sinks/jsonl_file.h"
#include "stream_lock.h"

struct jsonl_stream {
    const struct sink_context *context;
    struct stream_path path; /* given NULL: not opened yet */
    struct stream_lock lock;
    struct jsonl_file file;
    bool was_open; /* once at least */
    bool is_taken; /* another relay writes it: the last open ended there */
    char said_note[SINK_REASON_SIZE];
};

/* Both are borrowed until close. */
void jsonl_stream_init(struct jsonl_stream *, const struct sink_context *, const struct file_ops *);
void jsonl_stream_close(struct jsonl_stream *); /* of one never opened, too; writes nothing */

/* Ready to be written to; *found says where it stands. LATER and BROKEN: context.reason says why, and file is as a crash
 * would leave it. BROKEN is what somebody has to mend: before the first success also a path that can't be had. */
enum sink_result jsonl_stream_open(struct jsonl_stream *, const struct cursor *, struct recovery *found);

/* What file.fault says, as context.reason. */
void jsonl_stream_say_fault(const struct jsonl_stream *);

#endif

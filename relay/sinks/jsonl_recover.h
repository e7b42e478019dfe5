/* jsonl_recover.h — where a stream stands, judged by what is on the disk. */
#ifndef RELAY_SINKS_JSONL_RECOVER_H
#define RELAY_SINKS_JSONL_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "sink.h"
#include "segment.h"

/* A stream's own note in consumer_offsets.position: {"seq":42,"after":0}. */
struct jsonl_position {
    int64_t seq;   /* of the last line known to be on stable storage */
    int64_t after; /* what is left of the stream begins after this seq */
};

enum { JSONL_POSITION_SIZE = 64 };

void jsonl_position_format(char text[JSONL_POSITION_SIZE], const struct jsonl_position *);
bool jsonl_position_parse(const char *text, struct jsonl_position *); /* NULL text: false */

struct recover_input {
    const struct stream_path *path;
    const struct sink_context *context; /* source, former_sources, last_seq, db; reason is written */
    const struct cursor *cursor;        /* as the database has it */
    int64_t proven_seq;                 /* this process itself has synced the stream up to here; 0: it hasn't yet */
    bool sync_never;                    /* an acknowledgement proves nothing about the disk */
    int dir_fd, fd;                     /* the active file; -1: there is none */
};

/* What was found. All offsets are in the active file. */
struct recovery {
    int64_t acked_seq; /* reading goes on after it */
    int64_t last_seq;  /* the stream's last good line, the next one's prev; where it has no line: what it began after */
    int64_t after_seq; /* what is there of the stream begins after this seq */
    int64_t first_seq; /* the active file's first line; 0: it has none */
    int64_t end;       /* behind its last good line; what follows is torn, zeros, or damage */
    int64_t size;
    int64_t synced_end, synced_seq; /* behind the last line that is proven to be on stable storage; 0: none */
    int64_t renamed_at_us;          /* when the newest segment became one, wall clock; 0: there is none */
    char note[SINK_REASON_SIZE];    /* what the operator should hear though the stream goes on; "": nothing */
};

/* SINK_OK: *out says how to go on. LATER (a read failed) and BROKEN (foreign, ahead of the database, events gone from
 * both): context.reason says why. Reads only: nothing on the disk is changed, whatever the answer. */
enum sink_result jsonl_recover(const struct recover_input *, struct recovery *out);

#endif

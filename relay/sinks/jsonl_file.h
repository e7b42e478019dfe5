/* jsonl_file.h — the writing end of a stream: append, sync, rotate; and after a failed sync, cut and seal. */
#ifndef RELAY_SINKS_JSONL_FILE_H
#define RELAY_SINKS_JSONL_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"
#include "sinks/file_ops.h"
#include "sinks/jsonl_recover.h"
#include "segment.h"
#include "sinks/jsonl_sync.h"

/* Encoded lines that wait to be written, each with its line break. */
struct pending_line {
    size_t end; /* of the line, in text */
    int64_t seq;
};

enum { PENDING_LINES = 4096 };

struct pending {
    struct buffer text;
    int count;
    struct pending_line lines[PENDING_LINES];
};

struct jsonl_file {
    const struct file_ops *ops;
    const struct stream_path *path;
    int64_t max_size_bytes;

    int dir_fd, fd; /* -1: not open */
    dev_t device;
    ino_t inode;
    int64_t first_seq;      /* the active file's first line; 0: it has none */
    int64_t last_seq;       /* the stream's last line written */
    int64_t end;            /* behind the last whole line written */
    int64_t size;           /* more than end while a torn line waits for its first write */
    struct jsonl_sync sync; /* up to where it is on stable storage */
    int64_t rotated_at_us;
    bool distrusted; /* a sync of this inode has failed: it must be sealed before anything else */
    bool rotated;    /* a segment more since the caller last looked */
    struct file_fault fault;
};

/* A failure leaves fault filled and the stream as a crash would: the caller closes or recovers. All return success. */

void jsonl_file_init(struct jsonl_file *, const struct file_ops *, const struct stream_path *, int64_t max_size_bytes,
                     bool sync_never);

/* The directory, and in it the active file where there is one (fd -1: none). A file still distrusted is sealed first. */
bool jsonl_file_look(struct jsonl_file *);

/* Goes on where the recovery found the stream: makes the active file where there is none, and everything that was found
 * durable. */
bool jsonl_file_begin(struct jsonl_file *, const struct recovery *, int64_t wall_us);

/* Appends the pending lines and rotates where the size limit says so. Nothing is pending after success. */
bool jsonl_file_write(struct jsonl_file *, struct pending *);

/* Makes durable what was written: sync.synced is there then. */
bool jsonl_file_sync(struct jsonl_file *);

/* Has it made durable while the caller goes on, where that can be had; else as jsonl_file_sync(). The outcome comes with
 * one of the later calls: jsonl_file_check_sync() takes it where there is one. jsonl_sync_fd() says when there is. */
bool jsonl_file_start_sync(struct jsonl_file *);
bool jsonl_file_check_sync(struct jsonl_file *);

/* Closes the descriptors, writes nothing. A distrusted file stays open until it is sealed, unless for good. */
void jsonl_file_close(struct jsonl_file *, bool for_good);

#endif

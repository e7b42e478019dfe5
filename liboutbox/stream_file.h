/* stream_file.h — one file of a stream, open, and its whole lines.
 *
 * A line is whole when its line break is there. What follows the last one is looked at anew each time, since its writer
 * may complete it, cut it, or write something else in its place.
 */
#ifndef OUTBOX_STREAM_FILE_H
#define OUTBOX_STREAM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"
#include "event_line.h"

struct stream_file {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
    bool sealed;           /* a segment: what is missing at its end stays missing */
    int64_t offset;        /* where the next line begins */
    int64_t before;        /* the seq of the line that ends there; -1: none, or it is no event */
    struct buffer content; /* of the file; from `begin` on it is what stands at offset */
    size_t begin;
};

#define STREAM_FILE_CLOSED ((struct stream_file){.fd = -1, .before = -1})

/* A regular file, which no symbolic link names. False: errno. */
bool stream_file_open(struct stream_file *, int dir_fd, const char *name);
void stream_file_close(struct stream_file *);

enum stream_line { LINE_EVENT, LINE_DAMAGED /* whole, but no event */, LINE_NONE, LINE_ERROR /* errno */ };

/* The next line, and what is in it; again the same until it is passed. The text is the file's until the next call. */
enum stream_line stream_file_look(struct stream_file *, struct event_line *, size_t *size);
void stream_file_pass(struct stream_file *, const struct event_line *, size_t size); /* NULL: it was damaged */

/* Goes to a line at or before the first one with a seq above after, and not far before it: seqs rise, so it need not
 * read everything. A shortcut, no proof: in a file that was tampered with it may pass over lines. */
enum stream_line stream_file_seek(struct stream_file *, struct event_line *, int64_t after);
void stream_file_rewind(struct stream_file *);

#endif

/* segment.h — what the files of a JSONL stream are called, and which of them a directory holds.
 *
 * The active file has the name that the operator gave, a segment NAME.FIRST-LAST.jsonl, where NAME is the given file
 * name less a final ".jsonl" and FIRST and LAST are the seqs of its first and last line, 20 digits each. So the name
 * says what is in it, and the byte order of names is the order of seqs.
 */
#ifndef OUTBOX_SEGMENT_H
#define OUTBOX_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { SEGMENT_NAME_SIZE = 256 };

/* Where a stream lies: the path that was given, taken apart once. */
struct stream_path {
    char *given;      /* as the operator wrote it, for messages */
    char *directory;  /* "." where the path has none */
    char *absolute;   /* the given path made absolute by words alone: symbolic links stay as they are */
    char *lock;       /* PATH.lock */
    char *names_lock; /* PATH.jsonl.lock, of the other path whose segments have these names; NULL: that is lock */
    const char *file; /* the active file's name, inside given */
    char stem[SEGMENT_NAME_SIZE]; /* NAME */
};

/* False: out of memory, or errno ENAMETOOLONG or EISDIR where the last part can't be a file's name. */
bool stream_path_init(struct stream_path *, const char *given);
void stream_path_fini(struct stream_path *);

/* Whether two paths name one stream, however they are spelled: the same file name in the same directory, by way of
 * symbolic links too. (The active file itself is never one that is followed.) Asked anew each time: where a link leads
 * today is where a reader that opens it goes on. */
enum stream_same {
    STREAM_OTHER,
    STREAM_SAME,
    STREAM_UNKNOWN /* a directory can't be looked at, or memory is short: it may be the same, so keep what it needs */
};

enum stream_same stream_same(const char *path, const char *other);

/* Whether the segments of both would have the same names: one stream, or "events" beside "events.jsonl". */
enum stream_same stream_same_names(const char *path, const char *other);

struct segment {
    int64_t first, last; /* seqs */
    int64_t size_bytes;
    int64_t written_at_us; /* mtime: the last line, more or less */
    int64_t renamed_at_us; /* ctime: when it became a segment, or later */
};

struct segment_list {
    struct segment *items; /* by first, rising */
    int count;
};

/* The name of the segment FIRST-LAST. False: longer than a name may be. */
bool segment_name(char name[SEGMENT_NAME_SIZE], const char *stem, int64_t first, int64_t last);

/* Whether name is one of stem's segments, to the last digit: fills first and last only. */
bool segment_parse(const char *name, const char *stem, struct segment *);

/* The stem's segments in a directory: regular files only. False: errno. Free it whatever it returns. */
bool segment_list_read(struct segment_list *, int dir_fd, const char *stem);
void segment_list_free(struct segment_list *);

#endif

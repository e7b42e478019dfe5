/* stream_place.h — where a seq stands in a stream: in which file, before which line, or what is missing there.
 *
 * A line that follows proves itself: its prev is not above the seq. So any file may be tried for it, the likely ones
 * first. That nothing follows, or that something is missing, takes a look at all names: the first segment whose LAST is
 * above the seq, else the active file. A segment's rename comes before the next active file, so the active file is
 * opened first and the names are read after: what lies between the two can't be overlooked.
 */
#ifndef OUTBOX_STREAM_PLACE_H
#define OUTBOX_STREAM_PLACE_H

#include "event_line.h"
#include "segment.h"
#include "stream_file.h"

enum place_result {
    PLACE_LINE,    /* file stands before the line that follows */
    PLACE_END,     /* nothing follows yet; file is the active one, behind its last line, where there is one */
    PLACE_GAP,     /* what follows is missing; no file */
    PLACE_DAMAGED, /* the active file goes on with something that is no event; no file */
    PLACE_ERROR    /* errno; no file */
};

/* Zero-initialised, and kept from one search to the next. */
struct stream_place {
    struct segment_list known; /* when the directory was last read: it is not read for every segment */
    char source[SOURCE_SIZE];  /* of the last line passed on the way, with a seq up to after; "": there was none */
    int64_t first_available;   /* PLACE_GAP: the first seq there is; 0: none */
    int64_t damaged_at;        /* PLACE_DAMAGED: the offset */
    struct segment failed;     /* PLACE_ERROR: the segment that can't be read; first 0: it was another file */
};

/* Finds what follows after in the stream. file is closed, line scratch. */
enum place_result stream_place_find(const struct stream_path *, int64_t after, struct event_line *,
                                    struct stream_file *, struct stream_place *);
void stream_place_forget(struct stream_place *);

/* Whether event, the next line of file and above after, is the one that follows after: nothing was left out, neither in
 * the stream (prev) nor in this file (the line before). after need not be a line of the stream. */
bool stream_line_follows(const struct stream_file *, const outbox_event *, int64_t after);

/* The seq that the stream begins after, as its first line has it, or its last line's; -1: it has no line. False: errno. */
bool stream_place_begin(const struct stream_path *, struct event_line *, int64_t *after);
bool stream_place_end(const struct stream_path *, struct event_line *, int64_t *after);

#endif

/* stream_place.h — where a seq stands in a stream: in which file, before which line, or what is missing there.
 *
 * By names first: the first segment whose LAST is above the seq, else the active file. Then by the lines themselves. A
 * segment's rename comes before the next active file, so the active file is opened first and the names are read after:
 * what lies between the two can't be overlooked.
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

struct stream_place {
    char source[SOURCE_SIZE]; /* of the last line passed on the way, with a seq up to after; "": there was none */
    int64_t first_available;  /* PLACE_GAP: the first seq there is; 0: none */
    int64_t damaged_at;       /* PLACE_DAMAGED: the offset */
};

/* Finds what follows after in the stream; after < 0: its very first line. file is closed, line scratch. */
enum place_result stream_place_find(const struct stream_path *, int64_t after, struct event_line *,
                                    struct stream_file *, struct stream_place *);

/* Whether event, the next line of file and above after, is the one that follows after: nothing was left out, neither in
 * the stream (prev) nor in this file (the line before). after need not be a line of the stream. */
bool stream_line_follows(const struct stream_file *, const outbox_event *, int64_t after);

/* The seq that the stream begins after, as its first line has it, or its last line's; -1: it has no line. False: errno. */
bool stream_place_begin(const struct stream_path *, struct event_line *, int64_t *after);
bool stream_place_end(const struct stream_path *, struct event_line *, int64_t *after);

#endif

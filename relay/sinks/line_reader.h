/* line_reader.h — the lines of a file read back, whole ones only. What a line is, is event_line.h's. */
#ifndef RELAY_SINKS_LINE_READER_H
#define RELAY_SINKS_LINE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "event_line.h"

/* Whole lines of a file, from an offset on. Memory is what the longest line needs. */
struct line_reader {
    int fd;
    int64_t offset;        /* where the next line begins */
    struct buffer content; /* of the file from `offset - begin` on */
    size_t begin, searched;
};

enum line_found { LINE_WHOLE, LINE_END /* no whole line that could be an event */, LINE_ERROR /* errno */ };

void line_reader_init(struct line_reader *, int fd, int64_t offset);
void line_reader_fini(struct line_reader *);

/* The next line without its line break, borrowed until the next call. At LINE_END offset is where something begins that
 * is not a whole line: the end of the file, a torn line, zeros. */
enum line_found line_reader_next(struct line_reader *, const char **text, size_t *size);

/* Whether the line just read is an event, and where it stands in its stream: event_line_place(), and once more where
 * outboxctl erase was writing it over in that moment (line_settled.h). */
bool line_reader_place(struct line_reader *, struct event_place *, const char *text, size_t size);

/* The last line of a file of size_bytes, if it is whole: its offset, else -1. LINE_ERROR: errno. */
enum line_found line_last_offset(int fd, int64_t size_bytes, int64_t *offset);

#endif

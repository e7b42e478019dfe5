/* line_reader.c — the lines of a stream read back. Reads only; what a line means for the stream is jsonl_recover.c's.
 *
 * Invariant: a file is read in pieces of fixed size, and a piece that can't be part of an event (zeros after a power cut,
 * a file of somebody else's) ends the reading instead of growing the buffer.
 */
#include "sinks/line_reader.h"

#include "line_settled.h"
#include "read_at.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 256 * 1024,
    LONG_LINE_BYTES = 4 * PIECE_BYTES /* beyond it a NUL is looked for before more is read */
};

void line_reader_init(struct line_reader *reader, int fd, int64_t offset)
{
    memset(reader, 0, sizeof *reader);
    reader->fd = fd;
    reader->offset = offset;
}

void line_reader_fini(struct line_reader *reader)
{
    buffer_free(&reader->content);
}

/* Drops the lines already handed out and reads one piece more. 0: end of file; -1: errno. */
static ssize_t read_piece(struct line_reader *reader)
{
    struct buffer *content = &reader->content;
    ssize_t n;

    if (reader->begin > 0) {
        memmove(content->data, content->data + reader->begin, content->size - reader->begin);
        content->size -= reader->begin;
        reader->begin = 0;
    }
    char *to = buffer_reserve(content, PIECE_BYTES);
    if (!to) {
        errno = ENOMEM;
        return -1;
    }
    do
        n = pread(reader->fd, to, PIECE_BYTES, reader->offset + (int64_t)content->size);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        buffer_grow(content, (size_t)n);
    return n;
}

enum line_found line_reader_next(struct line_reader *reader, const char **text, size_t *size)
{
    struct buffer *content = &reader->content;

    for (reader->searched = 0;;) {
        const char *line = content->data + reader->begin;
        size_t there = content->size - reader->begin;
        const char *end = there > reader->searched ? memchr(line + reader->searched, '\n', there - reader->searched)
                                                   : NULL;
        if (end) {
            *text = line;
            *size = (size_t)(end - line);
            reader->begin += *size + 1;
            reader->offset += (int64_t)*size + 1;
            return LINE_WHOLE;
        }
        if (there > 0 && (line[0] != '{' || (there >= LONG_LINE_BYTES && memchr(line, '\0', there))))
            return LINE_END;
        reader->searched = there;
        ssize_t n = read_piece(reader);
        if (n <= 0)
            return n == 0 ? LINE_END : LINE_ERROR;
    }
}

bool line_reader_place(struct line_reader *reader, struct event_place *place, const char *text, size_t size)
{
    int64_t offset = reader->offset - (int64_t)size - 1;
    char *line = reader->content.data + reader->begin - size - 1;

    return event_line_place(place, text, size) ||
           (line_read_settled(reader->fd, line, size, offset) && event_line_place(place, line, size));
}

enum line_found line_last_offset(int fd, int64_t size_bytes, int64_t *offset)
{
    char piece[4096];
    int64_t end = size_bytes;

    for (bool last_byte = true; end > 0; last_byte = false) {
        size_t want = end < (int64_t)sizeof piece ? (size_t)end : sizeof piece;
        ssize_t n = read_at(fd, piece, want, end - (int64_t)want);
        if (n != (ssize_t)want) {
            if (n >= 0)
                errno = EIO; /* shorter than it was a moment ago */
            return LINE_ERROR;
        }
        if (last_byte && piece[want - 1] != '\n')
            return LINE_END;
        const char *before = memrchr(piece, '\n', want - (last_byte ? 1 : 0));
        if (before) {
            *offset = end - (int64_t)want + (before - piece) + 1;
            return LINE_WHOLE;
        }
        end -= (int64_t)want;
    }
    *offset = 0;
    return size_bytes > 0 ? LINE_WHOLE : LINE_END;
}

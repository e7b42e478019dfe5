/* jsonl_line.c — the lines of a stream read back. Reads only; what a line means for the stream is jsonl_recover.c's.
 *
 * Invariant: a file is read in pieces of fixed size, and a piece that can't be part of an event (zeros after a power cut,
 * a file of somebody else's) ends the reading instead of growing the buffer.
 */
#include "sinks/jsonl_line.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "json_scan.h"

enum {
    PIECE_BYTES = 256 * 1024,
    LONG_LINE_BYTES = 4 * PIECE_BYTES /* beyond it a NUL is looked for before more is read */
};

static bool is(const struct json_value *name, const char *text)
{
    return name->size == strlen(text) && memcmp(name->text, text, name->size) == 0;
}

static bool digits(const char *text, size_t size, int64_t *number)
{
    int64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text[i] - '0', &value))
            return false;
    }
    *number = value;
    return size > 0;
}

/* A seq as native (an integer) or as CloudEvents has it (a string of digits). */
static bool seq_of(const struct json_value *value, int64_t *seq)
{
    return (value->type == JSON_INTEGER || value->type == JSON_STRING) && digits(value->text, value->size, seq);
}

/* "SOURCE-SEQ": the source, and whether the seq is the line's. */
static bool id_of(const struct json_value *value, struct jsonl_line *line)
{
    enum { HEX = LINE_SOURCE_SIZE - 1 };
    int64_t seq;

    if (value->type != JSON_STRING || value->size <= HEX + 1 || value->text[HEX] != '-')
        return false;
    for (int i = 0; i < HEX; i++)
        if (!isxdigit((unsigned char)value->text[i]))
            return false;
    memcpy(line->source, value->text, HEX);
    line->source[HEX] = '\0';
    return digits(value->text + HEX + 1, value->size - HEX - 1, &seq) && seq == line->seq;
}

bool jsonl_line_parse(const char *text, size_t size, struct jsonl_line *line)
{
    struct json_walk walk;
    struct json_value name, value, id = {0};
    bool has_seq = false, has_prev = false, ok = true;

    if (size == 0 || text[0] != '{' || !json_check_event(text, size, NULL) || !json_walk_begin(&walk, text, size))
        return false;
    memset(line, 0, sizeof *line);
    while (ok && json_walk_member(&walk, &name, &value)) {
        if (is(&name, "seq") || is(&name, "sequence")) {
            ok = has_seq = seq_of(&value, &line->seq);
        } else if (is(&name, "prev")) {
            ok = has_prev = seq_of(&value, &line->prev);
        } else if (is(&name, "id")) {
            id = value;
        } else if (is(&name, "time") && value.type == JSON_STRING) {
            line->time = value.text;
            line->time_size = value.size;
        }
    }
    return ok && has_seq && has_prev && id.text && id_of(&id, line);
}

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

enum line_found line_last_offset(int fd, int64_t size_bytes, int64_t *offset)
{
    char piece[4096];
    int64_t end = size_bytes;

    for (bool last_byte = true; end > 0; last_byte = false) {
        size_t want = end < (int64_t)sizeof piece ? (size_t)end : sizeof piece;
        ssize_t n = pread(fd, piece, want, end - (int64_t)want);
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

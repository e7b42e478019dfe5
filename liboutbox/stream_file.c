/* stream_file.c — see stream_file.h. Reads with pread from offsets of its own; never writes.
 *
 * Memory is what the longest line needs: a piece that can't be part of an event (zeros after a power cut, a file of
 * somebody else's) ends the reading instead of growing the buffer.
 */
#include "stream_file.h"

#include "line_settled.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 64 * 1024,
    LONG_LINE_BYTES = 1 << 20, /* beyond it the beginning must look like an event before more is read */
    NEAR_BYTES = 4 * PIECE_BYTES
};

bool stream_file_open(struct stream_file *f, int dir_fd, const char *name)
{
    struct stat status;

    /* O_NONBLOCK: a FIFO by this name must not hold us up. */
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        errno = EINVAL;
        return false;
    }
    f->fd = fd;
    f->device = status.st_dev;
    f->inode = status.st_ino;
    stream_file_rewind(f);
    return true;
}

void stream_file_close(struct stream_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    buffer_free(&f->content);
    *f = STREAM_FILE_CLOSED;
}

static void go_to(struct stream_file *f, int64_t offset)
{
    f->offset = offset;
    f->before = -1;
    f->begin = 0;
    buffer_clear(&f->content);
}

void stream_file_rewind(struct stream_file *f)
{
    go_to(f, 0);
}

/* Drops what was passed and reads one piece more. 0: end of file; -1: errno. */
static ssize_t read_piece(struct stream_file *f)
{
    struct buffer *content = &f->content;
    ssize_t n;

    if (f->begin > 0) {
        memmove(content->data, content->data + f->begin, content->size - f->begin);
        content->size -= f->begin;
        f->begin = 0;
    }
    char *to = buffer_reserve(content, PIECE_BYTES);
    if (!to) {
        errno = ENOMEM;
        return -1;
    }
    do
        n = pread(f->fd, to, PIECE_BYTES, f->offset + (int64_t)content->size);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        buffer_grow(content, (size_t)n);
    return n;
}

/* Whether the first bytes of a long line can be an event's. */
static bool looks_like_an_event(const char *line, size_t size)
{
    return size < LONG_LINE_BYTES || (line[0] == '{' && !memchr(line, '\0', size));
}

/* The bytes up to the next line break. */
static enum stream_line take_line(struct stream_file *f, const char **text, size_t *size)
{
    size_t searched = 0;
    ssize_t n;

    do {
        size_t there = f->content.size - f->begin;
        const char *line = there ? f->content.data + f->begin : "";
        const char *end = there > searched ? memchr(line + searched, '\n', there - searched) : NULL;
        if (end) {
            *text = line;
            *size = (size_t)(end - line);
            return LINE_EVENT;
        }
        searched = there;
        n = looks_like_an_event(line, there) ? read_piece(f) : 0;
    } while (n > 0);
    f->begin = 0; /* half a line may be another one by the next look */
    buffer_clear(&f->content);
    return n == 0 ? LINE_NONE : LINE_ERROR;
}

enum stream_line stream_file_look(struct stream_file *f, struct event_line *line, size_t *size)
{
    const char *text;
    enum stream_line found = take_line(f, &text, size);

    if (found != LINE_EVENT || event_line_parse(line, text, *size))
        return found;
    if (buffer_ok(&line->decoded) && line_read_settled(f->fd, f->content.data + f->begin, *size, f->offset) &&
        event_line_parse(line, text, *size))
        return LINE_EVENT;
    if (buffer_ok(&line->decoded))
        return LINE_DAMAGED;
    errno = ENOMEM;
    return LINE_ERROR;
}

void stream_file_pass(struct stream_file *f, const struct event_line *line, size_t size)
{
    f->begin += size + 1;
    f->offset += (int64_t)size + 1;
    f->before = line ? line->event.seq : -1;
}

/* The first event that begins behind a byte in mid-file: its seq and its offset. */
static enum stream_line probe(struct stream_file *f, struct event_line *line, int64_t middle)
{
    const char *text;
    size_t size;

    go_to(f, middle);
    enum stream_line found = take_line(f, &text, &size); /* the rest of the line there */
    if (found != LINE_EVENT)
        return found;
    stream_file_pass(f, NULL, size);
    return stream_file_look(f, line, &size);
}

enum stream_line stream_file_seek(struct stream_file *f, struct event_line *line, int64_t after)
{
    struct stat status;
    int64_t low = 0; /* a line begins here, with a seq not above after, or it is the file's beginning */

    if (fstat(f->fd, &status) != 0)
        return LINE_ERROR;
    for (int64_t high = status.st_size; high - low > NEAR_BYTES;) {
        int64_t middle = low + (high - low) / 2;
        enum stream_line found = probe(f, line, middle);
        if (found == LINE_ERROR)
            return found;
        if (found == LINE_EVENT && line->event.seq <= after && f->offset < high)
            low = f->offset;
        else
            high = middle;
    }
    go_to(f, low);
    return LINE_EVENT;
}

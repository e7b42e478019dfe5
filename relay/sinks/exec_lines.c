/* exec_lines.c — lines on their way to a command; see exec_lines.h. */
#include "sinks/exec_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct exec_line *line_at(struct exec_lines *l, int i)
{
    return &l->ring[(l->first + i) % EXEC_LINES_MAX];
}

/* Where the first i lines end. */
static int64_t end_of(struct exec_lines *l, int i)
{
    return i > 0 ? line_at(l, i - 1)->end : l->acked_end;
}

void exec_lines_clear(struct exec_lines *l)
{
    buffer_clear(&l->text);
    l->written = 0;
    l->first = l->count = l->sent = 0;
    l->put_end = l->written_end = l->acked_end = 0;
}

/* The last line's seq, where the position is our own; else the stream's lines begin after the cursor. */
static int64_t last_line(int64_t acked_seq, const char *position)
{
    char *end = NULL;
    int64_t seq = position ? strtoll(position, &end, 10) : 0;
    return seq > 0 && *end == '\0' && seq <= acked_seq ? seq : acked_seq;
}

void exec_lines_begin(struct exec_lines *l, int64_t acked_seq, const char *position)
{
    exec_lines_clear(l);
    l->put_seq = l->acked_seq = last_line(acked_seq, position);
    l->sent_seq = l->reached_seq = acked_seq;
}

void exec_lines_free(struct exec_lines *l)
{
    buffer_free(&l->text);
}

bool exec_lines_full(const struct exec_lines *l)
{
    return l->count == EXEC_LINES_MAX || l->put_end - l->acked_end >= EXEC_LINES_BYTES_MAX;
}

void exec_lines_put(struct exec_lines *l, int64_t seq, int64_t created_at_us)
{
    l->put_end = l->written_end + (int64_t)(l->text.size - l->written);
    l->put_seq = seq;
    *line_at(l, l->count++) = (struct exec_line){seq, seq, created_at_us, l->put_end};
}

void exec_lines_skip(struct exec_lines *l, int64_t seq)
{
    if (l->count > 0)
        line_at(l, l->count - 1)->passed_seq = seq;
    else
        l->reached_seq = seq;
}

size_t exec_lines_pending(const struct exec_lines *l, const char **bytes)
{
    size_t size = l->text.size - l->written;
    *bytes = size > 0 ? l->text.data + l->written : "";
    return size;
}

void exec_lines_wrote(struct exec_lines *l, size_t size)
{
    l->written += size;
    l->written_end += (int64_t)size;
    while (l->sent < l->count && line_at(l, l->sent)->end <= l->written_end)
        l->sent_seq = line_at(l, l->sent++)->seq;
    if (l->written == l->text.size) {
        buffer_clear(&l->text);
        l->written = 0;
    }
}

bool exec_lines_seq(const char *line, int64_t *seq)
{
    enum { DIGITS_MAX = 19 }; /* of a seq */
    size_t digits = strspn(line, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || line[digits])
        return false;
    errno = 0;
    *seq = strtoll(line, NULL, 10);
    return errno == 0;
}

bool exec_lines_ack(struct exec_lines *l, int64_t seq)
{
    int before = l->count;

    while (l->sent > 0 && line_at(l, 0)->seq <= seq) {
        const struct exec_line *line = line_at(l, 0);
        l->acked_seq = line->seq;
        l->acked_created_at_us = line->created_at_us;
        l->reached_seq = line->passed_seq;
        l->acked_end = line->end;
        l->first = (l->first + 1) % EXEC_LINES_MAX;
        l->count--;
        l->sent--;
    }
    return l->count < before;
}

void exec_lines_cut(struct exec_lines *l)
{
    int keep = l->sent + (l->written_end > end_of(l, l->sent));
    int64_t end = end_of(l, keep);

    l->text.size -= (size_t)(l->put_end - end);
    l->put_end = end;
    l->count = keep;
}

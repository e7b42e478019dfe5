/* position.c — reads and writes the settled seqs above a cursor.
 *
 * Leaves to others: what settled means. The invariant: a seq that was not added is never read back as settled, however
 * damaged the text: what isn't exactly our form counts as nothing.
 */
#include "position.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char OPENING[] = "{\"settled\":\"", CLOSING[] = "\"}";

static bool read_seq(const char **at, int64_t *seq)
{
    char *end;

    if (**at < '1' || **at > '9')
        return false;
    errno = 0;
    *seq = strtoll(*at, &end, 10);
    *at = end;
    return errno == 0;
}

/* "103-110" or "113", beginning above floor. */
static bool read_range(const char **at, int64_t floor, struct seq_range *range)
{
    if (!read_seq(at, &range->first) || range->first <= floor)
        return false;
    range->last = range->first;
    if (**at == '-') {
        ++*at;
        return read_seq(at, &range->last) && range->last > range->first;
    }
    return true;
}

static bool read_ranges(struct position *out, const char *at)
{
    for (int64_t floor = 0;; at++) {
        struct seq_range *range = &out->ranges[out->count];
        if (!read_range(&at, floor, range))
            return false;
        out->count++;
        floor = range->last;
        if (*at != ',')
            return strcmp(at, CLOSING) == 0;
    }
}

bool position_parse(struct position *out, const char *text)
{
    size_t commas = 0;

    *out = (struct position){0};
    if (!text || !*text)
        return true;
    errno = EINVAL;
    if (strncmp(text, OPENING, sizeof OPENING - 1) != 0)
        return false;
    text += sizeof OPENING - 1;
    for (const char *p = text; *p; p++)
        commas += *p == ',';
    out->ranges = calloc(commas + 1, sizeof *out->ranges);
    if (!out->ranges)
        return false;
    if (read_ranges(out, text))
        return true;
    position_free(out);
    errno = EINVAL;
    return false;
}

void position_free(struct position *p)
{
    free(p->ranges);
    *p = (struct position){0};
}

bool position_take(struct position *p, int64_t seq)
{
    int passed = 0;

    while (passed < p->count && p->ranges[passed].last < seq)
        passed++;
    if (passed) {
        p->count -= passed;
        memmove(p->ranges, p->ranges + passed, (size_t)p->count * sizeof *p->ranges);
    }
    return p->count && p->ranges[0].first <= seq;
}

void position_begin(struct position_writer *w, struct buffer *out)
{
    *w = (struct position_writer){.out = out};
    buffer_clear(out);
}

static void write_pending(struct position_writer *w)
{
    char text[48];
    bool first = w->out->size == 0;

    if (w->pending.first == w->pending.last)
        snprintf(text, sizeof text, "%" PRId64, w->pending.first);
    else
        snprintf(text, sizeof text, "%" PRId64 "-%" PRId64, w->pending.first, w->pending.last);
    buffer_append_text(w->out, first ? OPENING : ",");
    buffer_append_text(w->out, text);
}

void position_add(struct position_writer *w, int64_t first, int64_t last)
{
    if (first > last)
        return;
    if (w->any && w->pending.last + 1 == first) {
        w->pending.last = last;
        return;
    }
    if (w->any)
        write_pending(w);
    w->pending = (struct seq_range){first, last};
    w->any = true;
}

void position_end(struct position_writer *w)
{
    if (!w->any)
        return;
    write_pending(w);
    buffer_append_text(w->out, CLOSING);
}

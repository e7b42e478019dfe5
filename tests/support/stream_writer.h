/* stream_writer.h — writes a stream as outbox-relay does, by hand: whole lines with prev, a rename to the name that says
 * what is in the segment, a new active file. And does to it what nobody should.
 */
#ifndef TESTS_STREAM_WRITER_H
#define TESTS_STREAM_WRITER_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITER_SOURCE "9f86d081884c7d65"

struct stream_writer {
    char dir[128], path[160]; /* of the active file, events.jsonl */
    const char *source;
    int fd;         /* -1: there is no active file */
    int64_t first;  /* of the active file; 0: it is empty */
    int64_t last;   /* the stream's last seq */
    size_t padding; /* bytes more in each payload */
};

static inline void writer_init(struct stream_writer *w, const char *dir)
{
    *w = (struct stream_writer){.fd = -1, .source = WRITER_SOURCE};
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    snprintf(w->path, sizeof w->path, "%.120s/events.jsonl", w->dir);
}

static inline void writer_fini(struct stream_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static inline void writer_bytes(struct stream_writer *w, const void *bytes, size_t size)
{
    if (w->fd < 0) {
        w->fd = open(w->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        w->first = 0;
    }
    assert_true(w->fd >= 0);
    assert_int_equal(write(w->fd, bytes, size), size);
}

static inline void writer_text(struct stream_writer *w, const char *text)
{
    writer_bytes(w, text, strlen(text));
}

/* A line in the native form, to be freed. */
static inline char *writer_line(const struct stream_writer *w, int64_t seq, int64_t prev)
{
    char *line = NULL;
    assert_true(
        asprintf(&line,
                 "{\"seq\":%lld,\"prev\":%lld,\"id\":\"%s-%lld\",\"topic\":\"t\",\"key\":\"k%lld\",\"op\":"
                 "\"emit\",\"time\":\"2026-11-21T05:21:00.123456Z\",\"payload\":{\"n\":%lld,\"pad\":\"%0*d\"}}\n",
                 (long long)seq, (long long)prev, w->source, (long long)seq, (long long)seq, (long long)seq,
                 (int)w->padding + 1, 0) > 0);
    return line;
}

static inline void writer_put(struct stream_writer *w, int64_t seq)
{
    char *line = writer_line(w, seq, w->last);
    writer_text(w, line);
    free(line);
    if (!w->first)
        w->first = seq;
    w->last = seq;
}

/* The next n events. */
static inline void writer_write(struct stream_writer *w, int n)
{
    for (int i = 0; i < n; i++)
        writer_put(w, w->last + 1);
}

static inline void writer_segment(const struct stream_writer *w, char name[192], int64_t first, int64_t last)
{
    snprintf(name, 192, "%.120s/events.%020lld-%020lld.jsonl", w->dir, (long long)first, (long long)last);
}

/* The active file becomes a segment; the next write makes a new one. */
static inline void writer_rotate(struct stream_writer *w)
{
    char name[192];
    writer_segment(w, name, w->first, w->last);
    assert_int_equal(rename(w->path, name), 0);
    close(w->fd);
    w->fd = -1;
}

static inline void writer_delete(struct stream_writer *w, int64_t first, int64_t last)
{
    char name[192];
    writer_segment(w, name, first, last);
    assert_int_equal(unlink(name), 0);
}

#endif

/* stream_found.h — a JSONL stream as a start may find it: its files read, cut and written over by the test's own hand. */
#ifndef TEST_STREAM_FOUND_H
#define TEST_STREAM_FOUND_H

#include "stream.h"

struct text {
    char *bytes;
    size_t size;
};

static inline struct text read_text(const char *path)
{
    struct stat status;
    struct text text = {0};
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    text.bytes = calloc(1, (size_t)status.st_size + 1);
    text.size = (size_t)status.st_size;
    assert_int_equal(read(fd, text.bytes, text.size), text.size);
    close(fd);
    return text;
}

static inline void write_text(const char *path, const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

/* Longer by zeros, or shorter. */
static inline void resize(const struct stream *s, int64_t by)
{
    struct stat status;
    assert_int_equal(stat(s->path, &status), 0);
    assert_int_equal(truncate(s->path, status.st_size + by), 0);
}

static inline size_t last_line(const struct text *text)
{
    size_t at = text->size - 1;
    while (at > 0 && text->bytes[at - 1] != '\n')
        at--;
    return at;
}

/* Ten lines in the file, of which the ledger knows the first `known`. */
static inline void ten_lines(struct stream *s, int known)
{
    stream_events(s, 10);
    stream_deliver(s);
    stream_complete(s);
    stream_kill(s);
    s->acked_seq = known;
    snprintf(s->position, sizeof s->position, "{\"seq\":%d,\"after\":0}", known);
    s->disk.syncs = s->disk.truncates = 0;
    s->disk.written_bytes = 0;
}

/* Three segments and an active file, 60 events. */
static inline void many_segments(struct stream *s)
{
    s->settings.jsonl.max_size_bytes = 2500;
    s->step_us = 600000;
    stream_events(s, 60);
    stream_deliver(s);
    stream_complete(s);
    stream_kill(s);
    s->step_us = 10000;
    s->settings.jsonl.max_size_bytes = 64 << 20;
    assert_true(stream_check(s).segments >= 3);
}

static inline char *newest_segment(const struct stream *s)
{
    static char newest[NAME_MAX + 100];
    struct dirent *entry;
    DIR *dir = opendir(s->dir);
    newest[0] = '\0';
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, "events.0", 8) == 0 &&
            (!newest[0] || strcmp(strrchr(newest, '/') + 1, entry->d_name) < 0))
            snprintf(newest, sizeof newest, "%s/%s", s->dir, entry->d_name);
    closedir(dir);
    return newest;
}

#endif

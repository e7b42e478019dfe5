/* stream_file_fuzz.c — the lines of a file, as memchr and event_line_parse find them; and a search by seq, which in a file
 * that was not tampered with must find what reading from the start finds. */
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"
#include "stream_file.h"

static const char name[] = "stream.jsonl";

static char directory_path[] = "/tmp/outbox-fuzz-XXXXXX";

static void remove_directory(void)
{
    char path[sizeof directory_path + sizeof name];
    snprintf(path, sizeof path, "%s/%s", directory_path, name);
    unlink(path);
    rmdir(directory_path);
}

static int directory(void)
{
    static int fd = -1;
    if (fd < 0) {
        CHECK(mkdtemp(directory_path));
        fd = open(directory_path, O_RDONLY | O_DIRECTORY);
        CHECK(fd >= 0 && atexit(remove_directory) == 0);
    }
    return fd;
}

static void write_file(const void *data, size_t size)
{
    int fd = openat(directory(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

/* Every line, twice looked at, in order; what is behind the last line break is none. */
static void check_lines(struct stream_file *file, const char *data, size_t size)
{
    struct event_line line = {0}, expected = {0};
    size_t at = 0, line_size = 0;
    const char *end;

    for (; size - at > 0 && (end = memchr(data + at, '\n', size - at)); at += line_size + 1) {
        size_t wanted = (size_t)(end - data) - at;
        bool good = event_line_parse(&expected, data + at, wanted);
        for (int look = 0; look < 2; look++) {
            CHECK(stream_file_look(file, &line, &line_size) == (good ? LINE_EVENT : LINE_DAMAGED));
            CHECK(line_size == wanted && file->offset == (int64_t)at);
            CHECK(!good || (line.event.seq == expected.event.seq && !strcmp(line.event.id, expected.event.id)));
        }
        stream_file_pass(file, good ? &line : NULL, line_size);
        CHECK(file->before == (good ? expected.event.seq : -1));
    }
    CHECK(stream_file_look(file, &line, &line_size) == LINE_NONE && file->offset == (int64_t)at);
    event_line_free(&line);
    event_line_free(&expected);
}

/* A file of good lines: for each byte one, that many KiB long, its seq some way above the one before. */
static void write_stream(struct buffer *content, int64_t seqs[], const uint8_t *data, size_t count)
{
    int64_t seq = 0;
    for (size_t i = 0; i < count; i++) {
        char head[160];
        int64_t prev = seq;
        seq += 1 + data[i] % 3;
        seqs[i] = seq;
        snprintf(head, sizeof head, "{\"seq\":%lld,\"prev\":%lld,\"id\":\"0123456789abcdef-%lld\",\"payload\":\"",
                 (long long)seq, (long long)prev, (long long)seq);
        buffer_append_text(content, head);
        size_t padding = (size_t)data[i] << 10;
        char *to = buffer_reserve(content, padding);
        CHECK(to != NULL);
        memset(to, 'x', padding);
        buffer_grow(content, padding);
        buffer_append_text(content, "\"}\n");
    }
    CHECK(buffer_ok(content));
}

/* What follows `after`, by way of a search: line i, or none. */
static void check_seek(struct stream_file *file, const int64_t seqs[], size_t count, int64_t after)
{
    struct event_line line = {0};
    enum stream_line found;
    size_t size = 0, i = 0;

    CHECK(stream_file_seek(file, &line, after) == LINE_EVENT);
    while ((found = stream_file_look(file, &line, &size)) == LINE_EVENT && line.event.seq <= after)
        stream_file_pass(file, &line, size);
    while (i < count && seqs[i] <= after)
        i++;
    CHECK(found == (i < count ? LINE_EVENT : LINE_NONE));
    CHECK(i == count || line.event.seq == seqs[i]);
    event_line_free(&line);
}

static void check_seeks(struct stream_file *file, const uint8_t *data, size_t size)
{
    enum { LINES_MAX = 16 };
    int64_t seqs[LINES_MAX];
    size_t count = size < LINES_MAX ? size : LINES_MAX;
    struct buffer content = {0};

    write_stream(&content, seqs, data, count);
    write_file(content.size ? content.data : "", content.size);
    for (size_t i = 0; i < count; i++) {
        check_seek(file, seqs, count, seqs[i] - 1);
        check_seek(file, seqs, count, seqs[i]);
    }
    check_seek(file, seqs, count, INT64_MAX);
    buffer_free(&content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream_file file = STREAM_FILE_CLOSED;
    bool made = size > 0 && data[0] == 'S'; /* no line begins so */

    write_file(data, size);
    CHECK(stream_file_open(&file, directory(), name));
    if (made)
        check_seeks(&file, data + 1, size - 1);
    else
        check_lines(&file, (const char *)data, size);
    stream_file_close(&file);
    return 0;
}

/* stdout.c — native lines on standard output.
 *
 * A line is acknowledged when its last byte is written. Writes are cut to what a pipe takes without blocking, so that a
 * reader who has fallen asleep never keeps the relay from stopping; standard output itself stays as it was given: making
 * it non-blocking would do so for everybody who shares it.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "encode.h"
#include "log.h"
#include "sink.h"

enum { LINES_MAX = 1000, TEXT_MAX = 4 << 20, RETRY_US = 1000000 };

/* Where a line ends in the text, and what has been delivered when that much is written. */
struct mark {
    size_t end;
    int64_t seq;
};

struct sink {
    const struct sink_context *context;
    struct buffer text;
    struct mark marks[LINES_MAX];
    int mark_count, next_mark; /* next_mark: the first line not wholly written */
    size_t written;
    bool whole_writes; /* a file: a write neither blocks nor is cut short */
    bool gone;         /* the reader is */
    bool trouble_said;
    int64_t retry_at_us; /* after a failed write; 0: none */
    int64_t reached_seq, settled_seq;
};

static struct sink *stdout_create(const struct sink_context *context)
{
    struct sink *s = calloc(1, sizeof *s);
    if (s)
        s->context = context;
    return s;
}

static enum sink_result stdout_open(struct sink *s, struct cursor *cursor)
{
    struct stat st;
    s->whole_writes = fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode);
    s->reached_seq = s->settled_seq = cursor->acked_seq;
    return SINK_OK;
}

/* The next batch when this one is out. */
static int stdout_room(const struct sink *s)
{
    return s->written < s->text.size || s->text.size >= TEXT_MAX ? 0 : LINES_MAX - s->mark_count;
}

static enum sink_result stdout_put(struct sink *s, const struct source_row *row)
{
    const struct encode_options options = {.source = s->context->source};
    const char *error = NULL;
    size_t before = s->text.size;
    encode_native(&s->text, row, &options, &error);
    buffer_append_byte(&s->text, '\n');
    if (!buffer_ok(&s->text)) {
        s->text.failed = false;
        s->text.size = before;
        snprintf(s->context->reason, SINK_REASON_SIZE, "out of memory");
        return SINK_LATER;
    }
    if (error)
        log_delivery(LOG_LEVEL_WARN, s->context->settings->consumer, row->event.seq, 0, "delivered",
                     "with an error: %s", error);
    s->marks[s->mark_count++] = (struct mark){s->text.size, row->event.seq};
    return SINK_OK;
}

static void stdout_skip(struct sink *s, int64_t seq)
{
    if (s->next_mark < s->mark_count)
        s->marks[s->mark_count - 1].seq = seq; /* passed together with the line before it */
    else
        s->reached_seq = seq;
}

/* The marks that the writes have passed. */
static void advance(struct sink *s)
{
    while (s->next_mark < s->mark_count && s->marks[s->next_mark].end <= s->written)
        s->reached_seq = s->marks[s->next_mark++].seq;
    if (s->written == s->text.size) {
        buffer_clear(&s->text);
        s->written = 0;
        s->mark_count = s->next_mark = 0;
    }
}

static bool is_writable(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) > 0; /* an error or a hang-up too: the write then says what it is */
}

static enum sink_result write_failed(struct sink *s, int error)
{
    if (error == EAGAIN || error == EINTR)
        return SINK_OK;
    if (error == EPIPE) {
        s->gone = true;
        snprintf(s->context->reason, SINK_REASON_SIZE, "the reader of standard output is gone");
        return SINK_LATER;
    }
    /* The rest of the line stays here: begun anew it would stand on the same line as its own first half. */
    s->retry_at_us = clock_monotonic_us() + RETRY_US;
    if (!s->trouble_said)
        log_write(LOG_LEVEL_WARN, s->context->settings->consumer, "standard output: %s; trying again", strerror(error));
    s->trouble_said = true;
    return SINK_OK;
}

static enum sink_result stdout_push(struct sink *s)
{
    while (s->written < s->text.size && clock_monotonic_us() >= s->retry_at_us) {
        size_t left = s->text.size - s->written;
        if (!s->whole_writes && left > PIPE_BUF)
            left = PIPE_BUF;
        if (!s->whole_writes && !is_writable())
            break;
        ssize_t n = write(STDOUT_FILENO, s->text.data + s->written, left);
        if (n < 0)
            return write_failed(s, errno);
        if (s->trouble_said)
            log_write(LOG_LEVEL_INFO, s->context->settings->consumer, "standard output: good again");
        s->trouble_said = false;
        s->retry_at_us = 0;
        s->written += (size_t)n;
    }
    advance(s);
    return SINK_OK;
}

static void stdout_wait(struct sink *s, int wake_fd, int timeout_ms)
{
    bool blocked = s->written < s->text.size && !s->retry_at_us;
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN}, {.fd = STDOUT_FILENO, .events = POLLOUT}};
    poll(fds, blocked ? 2 : 1, timeout_ms);
}

static int64_t stdout_due(const struct sink *s)
{
    return s->gone || s->written == s->text.size || !s->retry_at_us ? INT64_MAX : s->retry_at_us;
}

static bool stdout_settle(struct sink *s, struct settlement *out)
{
    if (s->settled_seq == s->reached_seq)
        return false;
    s->settled_seq = out->acked_seq = s->reached_seq;
    return true;
}

/* To stop, only the line begun is finished; --once has all of them written, but does not wait for room on a full disk. */
static enum sink_result stdout_finish(struct sink *s)
{
    if (!s->context->once && s->mark_count > s->next_mark) {
        size_t line_begin = s->next_mark ? s->marks[s->next_mark - 1].end : 0;
        bool begun = s->written > line_begin;
        s->mark_count = s->next_mark + begun;
        s->text.size = begun ? s->marks[s->next_mark].end : s->written;
    }
    return s->written < s->text.size && !s->retry_at_us ? SINK_LATER : SINK_OK;
}

static int64_t stdout_retrying(const struct sink *s)
{
    return s->mark_count - s->next_mark;
}

static void stdout_close(struct sink *s)
{
    if (!s)
        return;
    buffer_free(&s->text);
    free(s);
}

const struct sink_ops sink_stdout = {
    .kind = "stdout",
    .create = stdout_create,
    .open = stdout_open,
    .room = stdout_room,
    .put = stdout_put,
    .skip = stdout_skip,
    .push = stdout_push,
    .wait = stdout_wait,
    .due = stdout_due,
    .settle = stdout_settle,
    .finish = stdout_finish,
    .retrying = stdout_retrying,
    .close = stdout_close,
};

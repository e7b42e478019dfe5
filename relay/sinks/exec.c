/* exec.c — the exec sink: lines on a command's standard input, acknowledged by the seqs that it prints.
 *
 * One event's way here: put() encodes it, push() moves it into the pipe as far as that takes it without waiting, and a
 * seq that the command prints acknowledges every line up to it. From one that never prints any, an exit of 0 after the
 * end of file that finish() brings acknowledges all that was sent; it comes once the last line was read. After any other
 * end nothing is kept: open() starts the command anew, and the lines without an acknowledgement are read from the
 * database and sent again. The process itself is exec_child.c's, which line was acknowledged exec_lines.c's.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "encode.h"
#include "log.h"
#include "sink.h"
#include "sinks/exec_child.h"
#include "sinks/exec_lines.h"
#include "sinks/trouble.h"

enum {
    GRACE_MS = 5000,     /* from SIGTERM to SIGKILL, and for a command that has closed its input to end */
    LAST_WORDS_MAX = 16, /* pieces of output looked at after its death */
    LOOK_MS = 10         /* at the pipe, for whether the command has read all of it: nothing tells us */
};

/* How far the command is from its end. From RUNNING on, a step down at until_us where it hasn't ended by itself. */
enum phase {
    PHASE_NONE,       /* no command */
    PHASE_RUNNING,    /* it is fed */
    PHASE_LEAVING,    /* its input is closed: by finish(), or by itself */
    PHASE_TERMINATED, /* SIGTERM was sent */
    PHASE_KILLED      /* SIGKILL was sent */
};

struct sink {
    const struct sink_context *context;
    struct exec_child child;
    enum phase phase;
    int64_t until_us; /* INT64_MAX: no limit */
    bool finishing;
    bool fed;                     /* all that was put was written, and we have closed its input */
    bool acknowledges;            /* it has printed a seq, or did when it ran before: its exit says nothing */
    bool distrusted;              /* it acknowledged what it was never sent */
    char fault[SINK_REASON_SIZE]; /* why we have signalled it; "": we haven't */

    struct trouble trouble;
    int64_t retry_at_us;
    bool junk_said, silence_said;
    int64_t stuck_since_us; /* no room, and no acknowledgement since then; 0: there is room */

    struct exec_lines lines;
    int64_t settled_seq;
    char position[24]; /* the last line's seq: so prev outlives the relay */
};

static const struct trouble_pace pace = {1000 * 1000, 60 * 1000 * 1000};

static const char *consumer(const struct sink *s)
{
    return s->context->settings->consumer;
}

static struct sink *exec_create(const struct sink_context *context)
{
    struct sink *s = calloc(1, sizeof *s);
    if (s) {
        s->context = context;
        exec_child_init(&s->child);
    }
    return s;
}

/* ---- Failures: said once, tried again ----------------------------------------------------------------------------- */

/* Lets go of the command and of all lines. Crash here, or anywhere: what was not acknowledged is still owed. */
static void drop(struct sink *s, int grace_ms)
{
    exec_child_close(&s->child, grace_ms);
    s->phase = PHASE_NONE;
    s->until_us = INT64_MAX;
    exec_lines_clear(&s->lines);
    s->finishing = s->fed = s->distrusted = false;
    s->stuck_since_us = 0;
    s->fault[0] = '\0';
}

/* Logged here and not left in context.reason, as at the end nobody would look there. */
static enum sink_result failed(struct sink *s, const char *words)
{
    if (s->context->once || s->finishing)
        log_write(LOG_LEVEL_WARN, consumer(s), "%s; what it has not acknowledged is sent again at the next start",
                  words);
    else
        s->retry_at_us = trouble_report(&s->trouble, &pace, consumer(s), words, clock_monotonic_us());
    drop(s, 0);
    return SINK_LATER;
}

/* ---- Taking events ------------------------------------------------------------------------------------------------ */

static enum sink_result exec_open(struct sink *s, struct cursor *cursor)
{
    char words[SINK_REASON_SIZE];

    drop(s, 0);
    exec_lines_begin(&s->lines, cursor->acked_seq, cursor->position);
    s->settled_seq = cursor->acked_seq;
    if (!exec_child_start(&s->child, s->context->settings->exec.command)) {
        snprintf(words, sizeof words, "the command was not started: %s", strerror(errno));
        return failed(s, words);
    }
    s->phase = PHASE_RUNNING;
    return SINK_OK;
}

/* The next batch when this one is in the pipe. */
static int exec_room(const struct sink *s)
{
    const char *bytes;
    bool taking = s->phase == PHASE_RUNNING && !s->finishing && exec_lines_pending(&s->lines, &bytes) == 0;
    return taking && !exec_lines_full(&s->lines) ? EXEC_LINES_MAX - s->lines.count : 0;
}

static enum sink_result exec_put(struct sink *s, const struct source_row *row)
{
    const struct encode_options options = {.source = s->context->source, .with_prev = true, .prev = s->lines.put_seq};
    struct buffer *text = &s->lines.text;
    const char *error = NULL;

    encode_native(text, row, &options, &error);
    buffer_append_byte(text, '\n');
    if (!buffer_ok(text))
        return failed(s, "out of memory");
    if (error)
        log_delivery(LOG_LEVEL_WARN, consumer(s), row->event.seq, 0, "delivered", "without its payload: %s", error);
    exec_lines_put(&s->lines, row->event.seq, row->event.time_us);
    return SINK_OK;
}

static void exec_skip(struct sink *s, int64_t seq)
{
    exec_lines_skip(&s->lines, seq);
}

/* ---- Ending the command ------------------------------------------------------------------------------------------- */

static int64_t timeout_us(const struct sink *s)
{
    return s->context->settings->exec.timeout_us;
}

static void kill_now(struct sink *s)
{
    exec_child_signal(&s->child, SIGKILL);
    s->phase = PHASE_KILLED;
    s->until_us = INT64_MAX;
}

/* Takes the next step towards its end, if it is time. */
static void hasten(struct sink *s, int64_t now_us)
{
    if (now_us < s->until_us)
        return;
    switch (s->phase) {
    case PHASE_RUNNING: /* finish() waits, and it does not read */
    case PHASE_LEAVING:
        if (s->phase == PHASE_LEAVING && !s->fed)
            snprintf(s->fault, sizeof s->fault, "the command closed its standard input: stopped");
        else
            snprintf(s->fault, sizeof s->fault, "the command did not end within %.1f s: stopped",
                     (double)timeout_us(s) / 1e6);
        exec_child_signal(&s->child, SIGTERM);
        s->phase = PHASE_TERMINATED;
        s->until_us = now_us + GRACE_MS * INT64_C(1000);
        break;
    case PHASE_TERMINATED: kill_now(s); break;
    case PHASE_NONE:
    case PHASE_KILLED: break;
    }
}

static void distrust(struct sink *s, int64_t seq)
{
    snprintf(s->fault, sizeof s->fault,
             "the command acknowledged %" PRId64 ", and the last line it was sent is %" PRId64 ": stopped", seq,
             s->lines.sent_seq);
    s->distrusted = true;
    kill_now(s);
}

static void describe_end(const struct sink *s, int status, char words[SINK_REASON_SIZE])
{
    if (s->fault[0])
        memcpy(words, s->fault, sizeof s->fault);
    else if (status == 0 && s->fed)
        snprintf(words, SINK_REASON_SIZE, "the command ended and left its last %d events unacknowledged",
                 s->lines.count);
    else
        exec_child_describe(status, words, SINK_REASON_SIZE);
}

/* ---- Feeding it and listening to it ------------------------------------------------------------------------------- */

/* All is in the pipe. Its exit of 0 is to say that it took each line, so it has to take them before their end is told; of
 * one that acknowledges it says nothing. */
static bool may_end(struct sink *s, bool reads, int64_t now_us)
{
    return s->acknowledges || s->lines.count == 0 || (reads && exec_child_took_all(&s->child, now_us));
}

static void feed(struct sink *s, int64_t now_us)
{
    const char *bytes;
    size_t pending = exec_lines_pending(&s->lines, &bytes), n;
    bool reads = exec_child_reads(&s->child); /* in every phase: a dead pipe would keep wait() from waiting */

    if (s->phase != PHASE_RUNNING)
        return;
    while (reads && pending > 0 && (n = exec_child_write(&s->child, bytes, pending)) > 0) {
        exec_lines_wrote(&s->lines, n);
        pending = exec_lines_pending(&s->lines, &bytes);
    }
    if (pending == 0 && s->finishing && may_end(s, reads, now_us)) {
        exec_child_close_input(&s->child);
        s->fed = true;
        s->phase = PHASE_LEAVING;
    } else if (!reads) { /* most often because it is about to end */
        int64_t grace_us = now_us + GRACE_MS * INT64_C(1000);
        s->phase = PHASE_LEAVING;
        s->until_us = grace_us < s->until_us ? grace_us : s->until_us;
    }
}

static void acknowledge(struct sink *s, int64_t seq)
{
    if (!exec_lines_ack(&s->lines, seq))
        return;
    trail_add(s->context->trail, s->lines.acked_seq, s->lines.acked_created_at_us);
    trouble_over(&s->trouble, consumer(s), "the command");
    s->silence_said = false;
    s->stuck_since_us = 0;
    /* Nobody waits for --once to stop: it may take as long as there is progress. */
    if (s->finishing && s->context->once && s->phase <= PHASE_LEAVING)
        s->until_us = clock_monotonic_us() + timeout_us(s);
}

/* What was heard last, line by line. */
static void take_lines(struct sink *s)
{
    const char *line;
    int64_t seq;

    while (!s->distrusted && (line = exec_child_line(&s->child)) != NULL) {
        if (exec_lines_seq(line, &seq)) {
            s->acknowledges = true;
            if (seq > s->lines.sent_seq)
                distrust(s, seq);
            else
                acknowledge(s, seq);
        } else if (!s->junk_said) {
            log_write(LOG_LEVEL_WARN, consumer(s),
                      "the command printed '%.40s', which is no seq; its standard output is for acknowledgements",
                      line);
            s->junk_said = true;
        }
    }
}

/* The command is dead. It may have printed something since it was last listened to, and that counts. */
static enum sink_result ended(struct sink *s, int status)
{
    bool good = s->phase == PHASE_LEAVING && s->fed && status == 0;
    char words[SINK_REASON_SIZE];

    for (int i = 0; i < LAST_WORDS_MAX && exec_child_listen(&s->child); i++)
        take_lines(s);
    if (good && !s->acknowledges)
        acknowledge(s, s->lines.sent_seq);
    trail_flush(s->context->trail);
    describe_end(s, status, words);
    if (!s->finishing || s->lines.count > 0)
        return failed(s, words);
    if (!good)
        log_write(LOG_LEVEL_WARN, consumer(s), "%s, with everything acknowledged", words);
    drop(s, 0);
    return SINK_OK;
}

static int64_t silence_due(const struct sink *s)
{
    return s->stuck_since_us && !s->silence_said ? s->stuck_since_us + timeout_us(s) : INT64_MAX;
}

/* A command that acknowledges nothing would else hold its own events back without a word. */
static void watch_silence(struct sink *s, int64_t now_us)
{
    if (s->phase != PHASE_RUNNING || s->finishing || exec_room(s) > 0)
        s->stuck_since_us = 0;
    else if (!s->stuck_since_us)
        s->stuck_since_us = now_us;
    if (now_us >= silence_due(s)) {
        log_write(LOG_LEVEL_WARN, consumer(s), "the command has acknowledged none of %d events for %.1f s: waiting",
                  s->lines.count, (double)timeout_us(s) / 1e6);
        s->silence_said = true;
    }
}

static enum sink_result exec_push(struct sink *s)
{
    int64_t now_us = clock_monotonic_us();
    int status;

    if (s->phase == PHASE_NONE)
        return SINK_LATER;
    feed(s, now_us);
    if (exec_child_listen(&s->child))
        take_lines(s);
    trail_flush(s->context->trail);
    watch_silence(s, now_us);
    hasten(s, now_us);
    return exec_child_ended(&s->child, &status) ? ended(s, status) : SINK_OK;
}

static void exec_wait(struct sink *s, int wake_fd, int timeout_ms)
{
    const char *bytes;
    if (s->phase == PHASE_RUNNING && s->finishing && (timeout_ms < 0 || timeout_ms > LOOK_MS))
        timeout_ms = LOOK_MS;
    exec_child_wait(&s->child, exec_lines_pending(&s->lines, &bytes) > 0, wake_fd, timeout_ms);
}

static int64_t exec_due(const struct sink *s)
{
    int64_t silence_us = silence_due(s);
    if (s->phase == PHASE_NONE)
        return s->retry_at_us;
    return s->until_us < silence_us ? s->until_us : silence_us;
}

static bool exec_settle(struct sink *s, struct settlement *out)
{
    if (s->settled_seq == s->lines.reached_seq)
        return false;
    s->settled_seq = s->lines.reached_seq;
    snprintf(s->position, sizeof s->position, "%" PRId64, s->lines.acked_seq);
    *out = (struct settlement){.acked_seq = s->settled_seq, .position = s->position};
    return true;
}

/* ---- The end ------------------------------------------------------------------------------------------------------ */

/* To stop, only the line begun is completed; --once has all of them sent. Then end of file, and its exit is awaited. */
static enum sink_result exec_finish(struct sink *s)
{
    if (s->phase == PHASE_NONE)
        return SINK_OK;
    if (!s->finishing) {
        s->finishing = true;
        if (s->phase == PHASE_RUNNING)
            s->until_us = clock_monotonic_us() + timeout_us(s);
        if (!s->context->once)
            exec_lines_cut(&s->lines); /* what it has seen nothing of stays owed */
    }
    return SINK_LATER;
}

static int64_t exec_retrying(const struct sink *s)
{
    return s->lines.count;
}

static void exec_close(struct sink *s)
{
    if (!s)
        return;
    drop(s, GRACE_MS);
    exec_lines_free(&s->lines);
    free(s);
}

const struct sink_ops sink_exec = {
    .kind = "exec",
    .create = exec_create,
    .open = exec_open,
    .room = exec_room,
    .put = exec_put,
    .skip = exec_skip,
    .push = exec_push,
    .wait = exec_wait,
    .due = exec_due,
    .settle = exec_settle,
    .finish = exec_finish,
    .retrying = exec_retrying,
    .close = exec_close,
};

/* jsonl.c — the JSONL sink: every committed event in a file, exactly once, in order.
 *
 * One event's way here: put() encodes it into memory (under a backlog jsonl_ahead.c has done that before), push()
 * appends it and syncs when that is due, settle() tells the ledger of it once it is on stable storage. The ledger may
 * lag, or lose its last word in a crash: open() believes the file, not the cursor. Where a step fails, all that is in
 * memory is dropped, and the way back is the one after a crash: open(), from the disk.
 *
 * What is on the disk is found by jsonl_stream.c, changed by jsonl_file.c; here it is decided when, and what is said.
 */
#include "sinks/jsonl.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/jsonl_ahead.h"
#include "sinks/jsonl_progress.h"
#include "sinks/jsonl_stream.h"
#include "sinks/retention.h"
#include "sinks/trouble.h"
#include "timestamp.h"

enum {
    PENDING_BYTES = 4 * 1024 * 1024,    /* encoded lines held at the most, but for one line more */
    RETENTION_GAP_US = 60 * 1000 * 1000 /* ages pass, and readers move on, without a rotation */
};

struct sink {
    const struct sink_context *context;
    const struct jsonl_settings *settings;
    const struct file_ops *ops;
    struct jsonl_stream stream;
    struct pending pending;
    struct jsonl_ahead ahead;
    struct jsonl_progress progress;
    struct trouble trouble;
    char said_keeping[SINK_REASON_SIZE];

    bool is_open;
    bool cannot_write; /* a disk may let a file be opened and still be full: only a line written ends the trouble */
    bool reopen_wanted;
    int64_t retry_at_us;     /* while closed */
    int64_t retention_at_us; /* INT64_MAX: everything is kept */
};

static int64_t now_us(const struct sink *sink)
{
    return sink->ops->now_us(sink->ops->arg);
}

struct sink *jsonl_create(const struct sink_context *context, const struct file_ops *ops)
{
    struct sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return NULL;
    sink->context = context;
    sink->settings = &context->settings->jsonl;
    sink->ops = ops;
    sink->retention_at_us = INT64_MAX;
    jsonl_stream_init(&sink->stream, context, ops);
    return sink;
}

static struct sink *create(const struct sink_context *context)
{
    return jsonl_create(context, &file_ops_system);
}

/* Drops what is in memory; the disk says what was reached. */
static void drop(struct sink *sink)
{
    sink->is_open = false;
    buffer_clear(&sink->pending.text);
    sink->pending.count = 0;
}

/* ---- Failures: said once, tried again ---------------------------------------------------------------------------- */

static const struct trouble_pace retry_pace = {100000, 5000000};
static const struct trouble_pace held_pace = {10000, 1000000}; /* a killed holder lets go within a moment */

/* context.reason holds the words. */
static enum sink_result later(struct sink *sink, const struct trouble_pace *pace)
{
    drop(sink);
    sink->retry_at_us = trouble_report(&sink->trouble, pace, sink->context->settings->consumer, sink->context->reason,
                                       now_us(sink));
    return SINK_LATER;
}

static void good_again(struct sink *sink)
{
    trouble_over(&sink->trouble, sink->context->settings->consumer, sink->stream.path.given);
    sink->cannot_write = false;
}

static enum sink_result file_failed(struct sink *sink)
{
    jsonl_stream_say_fault(&sink->stream);
    return later(sink, &retry_pace);
}

/* ---- Retention ---------------------------------------------------------------------------------------------------- */

/* A failure here is said, once, and is no reason to stop. */
static void retain(struct sink *sink)
{
    const struct jsonl_settings *settings = sink->settings;
    const struct retention_policy keep = {settings->keep_count, settings->keep_size_bytes, settings->keep_age_us};
    char reason[SINK_REASON_SIZE] = "";
    int64_t read_seq = 0;

    sink->retention_at_us = now_us(sink) + RETENTION_GAP_US;
    if (retention_read_seq(sink->context->db, sink->stream.path.absolute, &read_seq) != SQLITE_OK)
        snprintf(reason, sizeof reason, "its readers are not known: %s", sqlite3_errmsg(sink->context->db));
    else
        retention_apply(&keep, sink->ops, sink->stream.file.dir_fd, sink->stream.path.stem, sink->stream.file.end,
                        read_seq, timestamp_now_us(), &sink->progress.after_seq, reason, sizeof reason);
    if (reason[0] && strcmp(reason, sink->said_keeping) != 0)
        log_write(LOG_LEVEL_WARN, sink->context->settings->consumer, "%s: segments are kept for now: %s",
                  sink->stream.path.given, reason);
    memcpy(sink->said_keeping, reason, sizeof reason);
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* Everything the disk and the database say, put to use. */
static void go_on(struct sink *sink, const struct recovery *found, struct cursor *cursor)
{
    const struct jsonl_settings *keep = sink->settings;
    bool keeps_all = keep->keep_count <= 0 && keep->keep_size_bytes <= 0 && keep->keep_age_us <= 0;

    jsonl_progress_begin(&sink->progress, found, cursor);
    sink->retention_at_us = INT64_MAX;
    if (!keeps_all)
        retain(sink); /* before a line is written: on a full disk this is what makes room for it */
    sink->is_open = true;
    sink->reopen_wanted = false;
    if (!sink->cannot_write)
        good_again(sink);
}

static enum sink_result open_stream(struct sink *sink, struct cursor *cursor)
{
    struct recovery found;

    drop(sink);
    enum sink_result result = jsonl_stream_open(&sink->stream, cursor, &found);
    if (result == SINK_OK)
        go_on(sink, &found, cursor);
    return result == SINK_LATER ? later(sink, sink->stream.is_taken ? &held_pace : &retry_pace) : result;
}

/* ---- Taking events ----------------------------------------------------------------------------------------------- */

static int room(const struct sink *sink)
{
    if (!sink->is_open || sink->pending.text.size >= PENDING_BYTES)
        return 0;
    return PENDING_LINES - sink->pending.count;
}

static enum sink_result lack_memory(struct sink *sink)
{
    snprintf(sink->context->reason, SINK_REASON_SIZE, "out of memory");
    return later(sink, &retry_pace);
}

/* The line at the end of what is pending is this event's. */
static void took(struct sink *sink, int64_t seq, const char *error)
{
    struct pending *pending = &sink->pending;

    if (error)
        log_delivery(LOG_LEVEL_WARN, sink->context->settings->consumer, seq, 0, "delivered", "without its payload: %s",
                     error);
    pending->lines[pending->count++] = (struct pending_line){pending->text.size, seq};
    jsonl_progress_put(&sink->progress, seq);
}

static enum sink_result put(struct sink *sink, const struct source_row *row)
{
    const char *error = NULL;

    if (!jsonl_encode(&sink->pending.text, sink->context, row, sink->progress.put_seq, &error))
        return lack_memory(sink);
    took(sink, row->event.seq, error);
    return SINK_OK;
}

static void *prepare(struct sink *sink, const struct source_row *row)
{
    return jsonl_ahead_add(&sink->ahead, sink->context, row);
}

static enum sink_result put_prepared(struct sink *sink, void *item)
{
    struct ahead_line *line = item;
    struct buffer *text = &sink->pending.text;
    bool follows = line->prev == sink->progress.put_seq;

    if (follows)
        buffer_append(text, line->page->text.data + line->begin, line->end - line->begin);
    bool good = follows && buffer_ok(text);
    if (good)
        took(sink, line->seq, line->error);
    jsonl_ahead_let_go(line);
    if (good)
        return SINK_OK;
    if (!follows) /* never, unless the pipeline errs: then the disk says where the stream is */ {
        snprintf(sink->context->reason, SINK_REASON_SIZE, "a line was made ready for another place");
        return later(sink, &retry_pace);
    }
    buffer_forgive(text);
    return lack_memory(sink);
}

static void discard(struct sink *sink, void *item)
{
    (void)sink;
    jsonl_ahead_let_go(item);
}

static void prepare_more(struct sink *sink)
{
    jsonl_ahead_begin(&sink->ahead, sink->progress.put_seq);
}

static void skip(struct sink *sink, int64_t seq)
{
    jsonl_progress_skip(&sink->progress, seq);
}

/* ---- Delivering -------------------------------------------------------------------------------------------------- */

/* Best right after a write: the commit that led to it has ended, and where commits come singly the next one's sync, which
 * would wait for this one, is not soon. */
static bool sync_due(const struct sink *sink, bool wrote)
{
    int64_t due_us = jsonl_sync_due(&sink->stream.file.sync, sink->stream.file.end);
    return sink->settings->sync_never || now_us(sink) >= due_us - (wrote ? SYNC_PATIENCE_US : 0);
}

/* What the file has made durable by now: all of it, or what was written when the last sync that has ended began. Nothing
 * is pending. */
static void look_at_sync(struct sink *sink)
{
    const struct jsonl_sync *sync = &sink->stream.file.sync;

    if (!sync->under_way && jsonl_progress_synced(&sink->progress, sync->synced.end == sink->stream.file.end))
        good_again(sink);
}

/* now: everything is durable when it returns. Else a sync that is due goes on beside what comes next. */
static enum sink_result deliver(struct sink *sink, bool now)
{
    struct jsonl_file *file = &sink->stream.file;

    if (!sink->is_open)
        return SINK_LATER;
    bool wrote = sink->pending.count > 0;
    bool good = jsonl_file_check_sync(file) && jsonl_file_write(file, &sink->pending);
    if (good)
        look_at_sync(sink); /* before the next one begins */
    if (good && now)
        good = jsonl_file_sync(file);
    else if (good && sync_due(sink, wrote)) {
        jsonl_progress_sync(&sink->progress);
        good = jsonl_file_start_sync(file);
    }
    if (!good) {
        sink->cannot_write = true;
        return file_failed(sink);
    }
    look_at_sync(sink);
    return SINK_OK;
}

static enum sink_result push(struct sink *sink)
{
    enum sink_result result = deliver(sink, sink->reopen_wanted);

    if (result != SINK_OK)
        return result;
    if (sink->reopen_wanted) { /* by way of open(), so that there is one way to find out where the stream stands */
        drop(sink);
        sink->retry_at_us = now_us(sink);
        return SINK_LATER;
    }
    if (sink->retention_at_us != INT64_MAX && (sink->stream.file.rotated || now_us(sink) >= sink->retention_at_us))
        retain(sink);
    sink->stream.file.rotated = false;
    return SINK_OK;
}

static enum sink_result finish(struct sink *sink)
{
    return deliver(sink, true);
}

/* The end of a sync is something to be told of, too. */
static void wait(struct sink *sink, int wake_fd, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN},
                           {.fd = jsonl_sync_fd(&sink->stream.file.sync), .events = POLLIN}};
    poll(fds, 2, timeout_ms);
}

static int64_t due(const struct sink *sink)
{
    if (!sink->is_open)
        return sink->retry_at_us;
    if (sink->reopen_wanted)
        return 0;
    int64_t sync_at_us = jsonl_sync_due(&sink->stream.file.sync, sink->stream.file.end);
    return sync_at_us < sink->retention_at_us ? sync_at_us : sink->retention_at_us;
}

static bool settle(struct sink *sink, struct settlement *out)
{
    return sink->is_open && jsonl_progress_settle(&sink->progress, sink->stream.file.sync.synced.seq, out);
}

static int64_t retrying(const struct sink *sink)
{
    (void)sink; /* a line waits in memory for a moment, never for another try */
    return 0;
}

static void reopen(struct sink *sink)
{
    sink->reopen_wanted = true;
}

static void close_stream(struct sink *sink)
{
    if (!sink)
        return;
    jsonl_stream_close(&sink->stream);
    buffer_free(&sink->pending.text);
    jsonl_ahead_fini(&sink->ahead);
    free(sink);
}

const struct sink_ops sink_jsonl = {
    .kind = "jsonl",
    .create = create,
    .open = open_stream,
    .room = room,
    .put = put,
    .prepare = prepare,
    .put_prepared = put_prepared,
    .discard = discard,
    .prepare_more = prepare_more,
    .skip = skip,
    .push = push,
    .wait = wait,
    .due = due,
    .settle = settle,
    .finish = finish,
    .retrying = retrying,
    .reopen = reopen,
    .close = close_stream,
};

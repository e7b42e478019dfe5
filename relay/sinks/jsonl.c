/* jsonl.c — the JSONL sink: every committed event in a file, exactly once, in order.
 *
 * One event's way here: put() encodes it into memory (under a backlog jsonl_ahead.c has done that before), push()
 * appends it and syncs when that is due, settle() tells the ledger of it once it is on stable storage. The ledger may
 * lag, or lose its last word in a crash: open() believes the file, not the cursor. Where a step fails, all that is in
 * memory is dropped, and the way back is the one after a crash: open(), from the disk.
 *
 * What is on the disk is judged by jsonl_recover.c, changed by jsonl_file.c; here it is decided when, and what is said.
 */
#include "sinks/jsonl.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lock.h"
#include "sinks/jsonl_ahead.h"
#include "sinks/jsonl_file.h"
#include "sinks/jsonl_progress.h"
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
    struct stream_path path;
    struct lock lock;
    struct jsonl_file file;
    struct pending pending;
    struct jsonl_ahead ahead;
    struct jsonl_progress progress;
    struct trouble trouble;
    char said_note[SINK_REASON_SIZE], said_keeping[SINK_REASON_SIZE];

    bool is_open, was_open;
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
    sink->lock.fd = -1;
    sink->retention_at_us = INT64_MAX;
    jsonl_file_init(&sink->file, ops, &sink->path, sink->settings->max_size_bytes, sink->settings->sync_never);
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
    trouble_over(&sink->trouble, sink->context->settings->consumer, sink->path.given);
    sink->cannot_write = false;
}

/* At the very start these are mistakes to be mended by hand; later they may pass: a directory is mounted again. */
static bool is_permanent(const struct sink *sink, int error)
{
    if (sink->was_open)
        return false;
    switch (error) {
    case 0: /* not a regular file */
    case EACCES:
    case EPERM:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENXIO:
    case ENAMETOOLONG:
    case EROFS: return true;
    default: return false;
    }
}

static enum sink_result file_failed(struct sink *sink)
{
    const struct file_fault *fault = &sink->file.fault;

    snprintf(sink->context->reason, SINK_REASON_SIZE, "%s: %s%s%s", sink->path.given, fault->what,
             fault->error ? ": " : "", fault->error ? strerror(fault->error) : "");
    return is_permanent(sink, fault->error) ? SINK_BROKEN : later(sink, &retry_pace);
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* A lock file that was removed with its directory holds nobody back any more. */
static bool lock_is_current(const struct sink *sink)
{
    struct stat held, there;

    return sink->lock.fd >= 0 && fstat(sink->lock.fd, &held) == 0 && stat(sink->path.lock, &there) == 0 &&
           held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

static enum sink_result hold_lock(struct sink *sink)
{
    char holder[128];

    if (lock_is_current(sink))
        return SINK_OK;
    lock_release(&sink->lock);
    switch (lock_try(&sink->lock, sink->path.lock)) {
    case LOCK_HELD: return SINK_OK;
    case LOCK_TAKEN:
        lock_holder(sink->path.lock, holder, sizeof holder);
        snprintf(sink->context->reason, SINK_REASON_SIZE, "%s is being written by %s: waiting", sink->path.given,
                 holder);
        return later(sink, &held_pace);
    case LOCK_ERROR: break;
    }
    sink->file.fault = (struct file_fault){"its lock file", errno};
    return file_failed(sink);
}

static enum sink_result take_path(struct sink *sink)
{
    if (sink->path.given || stream_path_init(&sink->path, sink->settings->path))
        return SINK_OK;
    int error = errno;
    stream_path_fini(&sink->path);
    snprintf(sink->context->reason, SINK_REASON_SIZE, "%s: %s", sink->settings->path, strerror(error));
    return error == ENOMEM ? later(sink, &retry_pace) : SINK_BROKEN;
}

/* Everything the disk and the database say, put to use. */
static void go_on(struct sink *sink, const struct recovery *found, struct cursor *cursor)
{
    const struct jsonl_settings *keep = sink->settings;
    bool keeps_all = keep->keep_count <= 0 && keep->keep_size_bytes <= 0 && keep->keep_age_us <= 0;

    jsonl_progress_begin(&sink->progress, found, cursor);
    sink->retention_at_us = keeps_all ? INT64_MAX : now_us(sink);
    sink->is_open = sink->was_open = true;
    sink->reopen_wanted = false;
    if (!sink->cannot_write)
        good_again(sink);
}

static enum sink_result open_stream(struct sink *sink, struct cursor *cursor)
{
    struct recovery found;
    struct recover_input in = {
        .path = &sink->path,
        .context = sink->context,
        .cursor = cursor,
        .proven_seq = sink->was_open ? sink->file.sync.synced.seq : 0,
        .sync_never = sink->settings->sync_never,
    };
    enum sink_result result = take_path(sink);

    drop(sink);
    if (result == SINK_OK)
        result = hold_lock(sink);
    if (result != SINK_OK)
        return result;
    if (!jsonl_file_look(&sink->file))
        return file_failed(sink);
    in.dir_fd = sink->file.dir_fd;
    in.fd = sink->file.fd;
    result = jsonl_recover(&in, &found);
    if (result != SINK_OK)
        return result == SINK_LATER ? later(sink, &retry_pace) : result;
    if (!jsonl_file_begin(&sink->file, &found, timestamp_now_us()))
        return file_failed(sink);
    if (found.note[0] && strcmp(found.note, sink->said_note) != 0)
        log_write(LOG_LEVEL_WARN, sink->context->settings->consumer, "%s", found.note);
    memcpy(sink->said_note, found.note, sizeof sink->said_note);
    go_on(sink, &found, cursor);
    return SINK_OK;
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

/* A failure here is said, once, and is no reason to stop. */
static void retain(struct sink *sink)
{
    const struct jsonl_settings *settings = sink->settings;
    const struct retention_policy keep = {settings->keep_count, settings->keep_size_bytes, settings->keep_age_us};
    const char *path = sink->path.absolute;
    char *resolved = realpath(path, NULL); /* a reader may have registered with symbolic links followed */
    char reason[SINK_REASON_SIZE] = "";
    int64_t read_seq = 0;

    sink->retention_at_us = now_us(sink) + RETENTION_GAP_US;
    if (retention_read_seq(sink->context->db, path, resolved ? resolved : path, &read_seq) != SQLITE_OK)
        snprintf(reason, sizeof reason, "its readers are not known: %s", sqlite3_errmsg(sink->context->db));
    else
        retention_apply(&keep, sink->ops, sink->file.dir_fd, sink->path.stem, sink->file.end, read_seq,
                        timestamp_now_us(), &sink->progress.after_seq, reason, sizeof reason);
    if (reason[0] && strcmp(reason, sink->said_keeping) != 0)
        log_write(LOG_LEVEL_WARN, sink->context->settings->consumer, "%s: segments are kept for now: %s",
                  sink->path.given, reason);
    memcpy(sink->said_keeping, reason, sizeof reason);
    free(resolved);
}

/* Best right after a write: the commit that led to it has ended, and where commits come singly the next one's sync, which
 * would wait for this one, is not soon. */
static bool sync_due(const struct sink *sink, bool wrote)
{
    int64_t due_us = jsonl_sync_due(&sink->file.sync, sink->file.end);
    return sink->settings->sync_never || now_us(sink) >= due_us - (wrote ? SYNC_PATIENCE_US : 0);
}

/* What the file has made durable by now: all of it, or what was written when the last sync that has ended began. Nothing
 * is pending. */
static void look_at_sync(struct sink *sink)
{
    const struct jsonl_sync *sync = &sink->file.sync;

    if (!sync->under_way && jsonl_progress_synced(&sink->progress, sync->synced.end == sink->file.end))
        good_again(sink);
}

/* now: everything is durable when it returns. Else a sync that is due goes on beside what comes next. */
static enum sink_result deliver(struct sink *sink, bool now)
{
    struct jsonl_file *file = &sink->file;

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
    if (sink->retention_at_us != INT64_MAX && (sink->file.rotated || now_us(sink) >= sink->retention_at_us))
        retain(sink);
    sink->file.rotated = false;
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
                           {.fd = jsonl_sync_fd(&sink->file.sync), .events = POLLIN}};
    poll(fds, 2, timeout_ms);
}

static int64_t due(const struct sink *sink)
{
    if (!sink->is_open)
        return sink->retry_at_us;
    if (sink->reopen_wanted)
        return 0;
    int64_t sync_at_us = jsonl_sync_due(&sink->file.sync, sink->file.end);
    return sync_at_us < sink->retention_at_us ? sync_at_us : sink->retention_at_us;
}

static bool settle(struct sink *sink, struct settlement *out)
{
    return sink->is_open && jsonl_progress_settle(&sink->progress, sink->file.sync.synced.seq, out);
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
    jsonl_file_close(&sink->file, true);
    lock_release(&sink->lock);
    buffer_free(&sink->pending.text);
    jsonl_ahead_fini(&sink->ahead);
    stream_path_fini(&sink->path);
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

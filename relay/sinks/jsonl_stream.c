/* jsonl_stream.c — takes the stream over, each time from what is on the disk; see jsonl_stream.h.
 *
 * Where the stream stands is judged by jsonl_recover.c; when to try again is jsonl.c's.
 * Invariant: nothing is read or written but under the lock, and only while the lock file is the one beside the stream.
 */
#include "sinks/jsonl_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "timestamp.h"

void jsonl_stream_init(struct jsonl_stream *stream, const struct sink_context *context, const struct file_ops *ops)
{
    const struct jsonl_settings *settings = &context->settings->jsonl;

    memset(stream, 0, sizeof *stream);
    stream->context = context;
    stream->lock = STREAM_LOCK_NONE;
    jsonl_file_init(&stream->file, ops, &stream->path, settings->max_size_bytes, settings->sync_never);
}

void jsonl_stream_close(struct jsonl_stream *stream)
{
    jsonl_file_close(&stream->file, true);
    stream_lock_release(&stream->lock);
    stream_path_fini(&stream->path);
}

/* At the very start these are mistakes to be mended by hand; later they may pass: a directory is mounted again. */
static bool is_permanent(const struct jsonl_stream *stream, int error)
{
    if (stream->was_open)
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

void jsonl_stream_say_fault(const struct jsonl_stream *stream)
{
    const struct file_fault *fault = &stream->file.fault;

    snprintf(stream->context->reason, SINK_REASON_SIZE, "%s: %s%s%s", stream->path.given, fault->what,
             fault->error ? ": " : "", fault->error ? strerror(fault->error) : "");
}

static enum sink_result file_failed(const struct jsonl_stream *stream)
{
    jsonl_stream_say_fault(stream);
    return is_permanent(stream, stream->file.fault.error) ? SINK_BROKEN : SINK_LATER;
}

static enum sink_result hold_lock(struct jsonl_stream *stream)
{
    const struct stream_path *path = &stream->path;
    const char *which;
    char holder[128];

    if (stream_lock_is_current(&stream->lock, path))
        return SINK_OK;
    stream_lock_release(&stream->lock);
    switch (stream_lock_try(&stream->lock, path, &which)) {
    case LOCK_HELD: return SINK_OK;
    case LOCK_TAKEN:
        lock_holder(which, holder, sizeof holder);
        snprintf(stream->context->reason, SINK_REASON_SIZE, "%s%s is being written by %s: waiting", path->given,
                 which == path->lock ? "" : ".jsonl, whose full files would have the same names,", holder);
        stream->is_taken = true;
        return SINK_LATER;
    case LOCK_ERROR: break;
    }
    stream->file.fault = (struct file_fault){"its lock file", errno};
    return file_failed(stream);
}

static enum sink_result take_path(struct jsonl_stream *stream)
{
    const char *path = stream->context->settings->jsonl.path;

    if (stream->path.given || stream_path_init(&stream->path, path))
        return SINK_OK;
    int error = errno;
    stream_path_fini(&stream->path);
    snprintf(stream->context->reason, SINK_REASON_SIZE, "%s: %s", path, strerror(error));
    return error == ENOMEM ? SINK_LATER : SINK_BROKEN;
}

static enum sink_result recover(struct jsonl_stream *stream, const struct cursor *cursor, struct recovery *found)
{
    const struct recover_input in = {
        .path = &stream->path,
        .context = stream->context,
        .cursor = cursor,
        .proven_seq = stream->was_open ? stream->file.sync.synced.seq : 0,
        .sync_never = stream->file.sync.never,
        .dir_fd = stream->file.dir_fd,
        .fd = stream->file.fd,
    };
    return jsonl_recover(&in, found);
}

enum sink_result jsonl_stream_open(struct jsonl_stream *stream, const struct cursor *cursor, struct recovery *found)
{
    enum sink_result result = take_path(stream);

    stream->is_taken = false;
    if (result == SINK_OK)
        result = hold_lock(stream);
    if (result == SINK_OK && !jsonl_file_look(&stream->file))
        result = file_failed(stream);
    if (result == SINK_OK)
        result = recover(stream, cursor, found);
    if (result == SINK_OK && !jsonl_file_begin(&stream->file, found, timestamp_now_us()))
        result = file_failed(stream);
    if (result != SINK_OK)
        return result;
    if (found->note[0] && strcmp(found->note, stream->said_note) != 0)
        log_write(LOG_LEVEL_WARN, stream->context->settings->consumer, "%s", found->note);
    memcpy(stream->said_note, found->note, sizeof stream->said_note);
    stream->was_open = true;
    return SINK_OK;
}

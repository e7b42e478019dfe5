/* jsonl_recover.c — where a stream stands, judged by what is on the disk and not by what was meant to be.
 *
 * The active file is read from its first line to the first that is no whole event, or does not follow the line before
 * it: a power cut can leave a good last line behind zeros. Of the segments only the newest matters, for its name and
 * its last line: all of them were synced before they were renamed. Then four questions, in this order:
 *   whose is it      another source's stream is left alone;
 *   is it ahead      of its database: an older copy was restored, and its next events would have used numbers;
 *   is it behind     what was acknowledged: the lines are written again, if change_log still has all of them;
 *   else             reading goes on after the last good line, acknowledged or not: that is what makes it exactly once.
 *
 * Invariant: nothing is changed here. Repairs are made by jsonl_file.c when the next line is written.
 */
#include "sinks/jsonl_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event_line.h"
#include "json_scan.h"
#include "lineage.h"
#include "read_at.h"
#include "sinks/jsonl_history.h"
#include "sinks/line_reader.h"

void jsonl_position_format(char text[JSONL_POSITION_SIZE], const struct jsonl_position *position)
{
    snprintf(text, JSONL_POSITION_SIZE, "{\"seq\":%" PRId64 ",\"after\":%" PRId64 "}", position->seq, position->after);
}

bool jsonl_position_parse(const char *text, struct jsonl_position *position)
{
    struct json_walk walk;
    struct json_value name, value;
    bool found = false;

    if (!text || !json_check(text, strlen(text), NULL) || !json_walk_begin(&walk, text, strlen(text)) || *text != '{')
        return false;
    position->after = 0;
    while (json_walk_member(&walk, &name, &value)) {
        if (name.size == 3 && memcmp(name.text, "seq", 3) == 0)
            found = value.type == JSON_INTEGER && json_int64(&value, &position->seq);
        else if (name.size == 5 && memcmp(name.text, "after", 5) == 0 && value.type == JSON_INTEGER)
            json_int64(&value, &position->after);
    }
    return found;
}

/* What one look at the disk collects. */
struct look {
    const struct recover_input *in;
    struct recovery *out;
    struct segment newest; /* first 0: there is none */
    struct jsonl_position noted;
    bool has_note;
    struct event_place last; /* the last good line, of the active file or the newest segment; seq 0: there is none */
    struct history history;
};

static enum sink_result say(const struct look *look, enum sink_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum sink_result say(const struct look *look, enum sink_result result, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(look->in->context->reason, SINK_REASON_SIZE, format, args);
    va_end(args);
    return result;
}

static enum sink_result read_failed(const struct look *look, const char *what)
{
    return say(look, SINK_LATER, "%s: %s can't be read: %s", look->in->path->given, what, strerror(errno));
}

static enum sink_result find_segments(struct look *look)
{
    struct segment_list list;
    bool ok = segment_list_read(&list, look->in->dir_fd, look->in->path->stem);

    if (ok && list.count > 0) {
        look->newest = list.items[list.count - 1];
        look->out->after_seq = list.items[0].first - 1;
        look->out->renamed_at_us = look->newest.renamed_at_us;
        look->out->last_seq = look->newest.last;
    }
    segment_list_free(&list);
    return ok ? SINK_OK : read_failed(look, "its directory");
}

/* The newest segment must end as its name says: what follows is written behind that very line. */
static enum sink_result check_newest_segment(struct look *look)
{
    char name[SEGMENT_NAME_SIZE];
    struct line_reader reader;
    struct stat status;
    const char *text = NULL;
    size_t size = 0;
    int64_t offset = 0;
    enum line_found found = LINE_ERROR;

    segment_name(name, look->in->path->stem, look->newest.first, look->newest.last);
    int fd = openat(look->in->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return read_failed(look, name);
    if (fstat(fd, &status) == 0)
        found = line_last_offset(fd, status.st_size, &offset);
    line_reader_init(&reader, fd, offset);
    if (found == LINE_WHOLE)
        found = line_reader_next(&reader, &text, &size);
    bool true_name = found == LINE_WHOLE && line_reader_place(&reader, &look->last, text, size) &&
                     look->last.seq == look->newest.last;
    look->last.time = NULL;
    line_reader_fini(&reader);
    close(fd);
    if (found == LINE_ERROR)
        return read_failed(look, name);
    if (!true_name)
        return say(look, SINK_BROKEN,
                   "segment %s does not end with seq %" PRId64 ": somebody has cut or changed it. Put it back, or move "
                   "it away to have its events written again",
                   name, look->newest.last);
    return SINK_OK;
}

/* Whether a good line follows what is before it; and whether it is this database's event of that seq. */
static enum sink_result take_line(struct look *look, const struct event_place *line, bool *follows)
{
    struct recovery *out = look->out;
    bool first = out->first_seq == 0;

    *follows = first ? line->prev < line->seq : line->prev == out->last_seq && line->seq > line->prev;
    if (!*follows)
        return SINK_OK;
    if (first && look->newest.first && line->prev < look->newest.last)
        return say(look, SINK_BROKEN,
                   "%s begins with seq %" PRId64 " though a segment goes up to %" PRId64
                   ": one of them is another stream's. Move that one away",
                   look->in->path->given, line->seq, look->newest.last);
    if (first && look->newest.first && line->prev > look->newest.last)
        snprintf(out->note, sizeof out->note,
                 "%s goes on after seq %" PRId64 ", but its newest segment ends at %" PRId64
                 ": segments between them are gone",
                 look->in->path->given, line->prev, look->newest.last);
    if (first && !look->newest.first)
        out->after_seq = line->prev;
    if (first)
        out->first_seq = line->seq;
    out->last_seq = line->seq;
    return SINK_OK;
}

/* A line that nobody has acknowledged must be the event that the database has under that seq. After a restored backup
 * the numbers fit, and the events are others. */
static enum sink_result compare_with_database(struct look *look, const struct event_place *line)
{
    switch (history_compare(&look->history, line->seq, line->time, line->time_size)) {
    case HISTORY_SAME:
    case HISTORY_UNKNOWN: return SINK_OK;
    case HISTORY_ERROR:
        return say(look, SINK_LATER, "change_log can't be read: %s", sqlite3_errmsg(look->in->context->db));
    case HISTORY_OTHER: break;
    }
    if (strcmp(line->source, look->in->context->source) != 0) { /* a former source: new-source has been called */
        if (!look->out->note[0])
            snprintf(look->out->note, sizeof look->out->note,
                     "%s has another event %" PRId64 " than this database: what was written between the restore and "
                     "new-source, up to the stream's end, is not in it",
                     look->in->path->given, line->seq);
        return SINK_OK;
    }
    return say(look, SINK_BROKEN,
               "%s has another event %" PRId64 " than this database: was a backup restored? `outboxctl new-source "
               "--seq-after N`, N not below the stream's last seq, lets the stream go on",
               look->in->path->given, line->seq);
}

/* Reads the active file up to the first line that isn't good. */
static enum sink_result read_active(struct look *look, int64_t proven_seq)
{
    struct recovery *out = look->out;
    struct line_reader reader;
    struct event_place line;
    const char *text;
    size_t size;
    bool follows = true;
    enum sink_result result = SINK_OK;
    enum line_found found;

    posix_fadvise(look->in->fd, 0, 0, POSIX_FADV_DONTNEED); /* what the page cache has, the disk may not */
    line_reader_init(&reader, look->in->fd, 0);
    while ((found = line_reader_next(&reader, &text, &size)) == LINE_WHOLE &&
           line_reader_place(&reader, &line, text, size)) {
        result = take_line(look, &line, &follows);
        if (result == SINK_OK && follows && line.seq > proven_seq)
            result = compare_with_database(look, &line);
        if (result != SINK_OK || !follows)
            break;
        look->last = line;
        look->last.time = NULL;
        out->end = reader.offset;
        if (line.seq <= proven_seq) {
            out->synced_end = out->end;
            out->synced_seq = line.seq;
        }
    }
    line_reader_fini(&reader);
    return result == SINK_OK && found == LINE_ERROR ? read_failed(look, "the file") : result;
}

/* A file with content but no good line: is it a stream's first line torn, or somebody's own file? */
static enum sink_result check_not_foreign(const struct look *look)
{
    static const char *const beginnings[] = {"{\"seq\":", "{\"specversion\":"};
    char head[16] = {0};
    ssize_t n = read_at(look->in->fd, head, sizeof head, 0);

    if (n < 0)
        return read_failed(look, "the file");
    for (int i = 0; i < 2; i++) {
        size_t size = strlen(beginnings[i]);
        if (strncmp(head, beginnings[i], (size_t)n < size ? (size_t)n : size) == 0)
            return SINK_OK;
    }
    if (head[0] == '\0')
        return SINK_OK;
    return say(look, SINK_BROKEN, "%s holds something else than events: give another path, or move it away",
               look->in->path->given);
}

static enum sink_result read_disk(struct look *look, int64_t proven_seq)
{
    struct stat status;
    enum sink_result result = find_segments(look);

    if (result == SINK_OK && look->in->fd >= 0) {
        if (fstat(look->in->fd, &status) < 0)
            return read_failed(look, "the file");
        look->out->size = status.st_size;
        result = read_active(look, proven_seq);
        if (result == SINK_OK && look->out->end == 0 && look->out->size > 0)
            result = check_not_foreign(look);
    }
    if (result == SINK_OK && look->last.seq == 0 && look->newest.first)
        result = check_newest_segment(look);
    return result;
}

static enum sink_result check_source(const struct look *look)
{
    const struct sink_context *context = look->in->context;

    if (strcmp(look->last.source, context->source) != 0 && !lineage_knows(context->former_sources, look->last.source))
        return say(look, SINK_BROKEN,
                   "%s belongs to another database: its last line is of source %s, this database is %s. Give another "
                   "path, or move the file and its segments away. (Where this database takes the other's place, "
                   "`outboxctl new-source` in a copy of that one keeps the stream.)",
                   look->in->path->given, look->last.source, context->source);
    if (look->last.seq > context->last_seq)
        return say(look, SINK_BROKEN,
                   "%s ends at seq %" PRId64 ", but the database's last is %" PRId64 ": was a backup restored? "
                   "`outboxctl new-source --seq-after %" PRId64 "` lets the stream go on",
                   look->in->path->given, look->last.seq, context->last_seq, look->last.seq);
    return SINK_OK;
}

/* The stream lacks lines that were acknowledged. They are written again from change_log, or it is said which can't be. */
static enum sink_result go_back(const struct look *look, int64_t owed_seq)
{
    struct recovery *out = look->out;
    int64_t first = 0, last = 0;

    switch (history_missing(&look->history, out->last_seq, owed_seq, &first, &last)) {
    case HISTORY_SAME: break;
    case HISTORY_OTHER:
        return say(
            look, SINK_BROKEN,
            "%s ends at seq %" PRId64 ", but was at %" PRId64 ", and the events from %" PRId64 " to %" PRId64
            " are no longer in change_log: put the files back, or `outboxctl consumers remove` it, move away what "
            "is left, and begin a new stream",
            look->in->path->given, out->last_seq, owed_seq, first, last);
    default: return say(look, SINK_LATER, "change_log can't be read: %s", sqlite3_errmsg(look->in->context->db));
    }
    snprintf(out->note, sizeof out->note,
             "%s ends at seq %" PRId64 ", but was at %" PRId64
             ": the events after it are written again from change_log",
             look->in->path->given, out->last_seq, owed_seq);
    out->acked_seq = out->last_seq;
    return SINK_OK;
}

static enum sink_result decide(struct look *look, int64_t proven_seq)
{
    struct recovery *out = look->out;
    int64_t acked_seq = look->in->cursor->acked_seq;
    bool has_lines = look->last.seq > 0;
    enum sink_result result = has_lines ? check_source(look) : SINK_OK;

    if (result != SINK_OK)
        return result;
    if (!has_lines)
        out->last_seq = out->after_seq = look->has_note ? look->noted.after : acked_seq;
    out->acked_seq = out->last_seq > acked_seq ? out->last_seq : acked_seq;

    /* Without a note this consumer is new. A stream that is already there may have no hole before its first line. */
    int64_t reached_seq = look->has_note || proven_seq > 0 ? proven_seq : has_lines ? acked_seq : 0;
    if (out->last_seq < reached_seq)
        return go_back(look, reached_seq > acked_seq ? reached_seq : acked_seq);
    return SINK_OK;
}

enum sink_result jsonl_recover(const struct recover_input *in, struct recovery *out)
{
    struct look look = {.in = in, .out = out};
    int64_t proven_seq = in->proven_seq;
    enum sink_result result;

    memset(out, 0, sizeof *out);
    look.has_note = jsonl_position_parse(in->cursor->position, &look.noted);
    if (look.has_note && look.noted.seq > proven_seq)
        proven_seq = look.noted.seq;
    history_init(&look.history, in->context->db, in->context->former_sources);
    result = read_disk(&look, proven_seq);
    if (result == SINK_OK)
        result = decide(&look, proven_seq);
    history_fini(&look.history);
    if (in->sync_never) { /* nothing is synced, nothing distrusted */
        out->synced_end = out->end;
        out->synced_seq = out->last_seq;
    }
    return result;
}

/* verify_stream.c — a stream's files: whole lines, an unbroken chain of prev, names that tell the truth, and the database
 * beside them.
 *
 * prev proves what the files lack of what was written; change_log shows what was never written: with a filter that is
 * as it should be (--filtered), else it is a loss. The writer's own note says how far the files must go at least. A relay
 * may go on writing meanwhile: the active file is opened before the names are read, and what is behind its last whole
 * line is not judged.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lineage.h"
#include "log_window.h"
#include "query.h"
#include "segment.h"
#include "stream_file.h"
#include "verify.h"

static const char sql_identity[] = "SELECT (SELECT value FROM main.outbox_meta WHERE name = 'source'),"
                                   "       (SELECT value FROM main.outbox_meta WHERE name = 'former_sources')";

static const char sql_last_seq[] = "SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'";

/* How far each writer of a stream has come on stable storage. Which of them wrote this one no row says: where there are
 * several, the one that is least far. */
static const char sql_noted[] = "SELECT min(json_extract(position, '$.seq')) FROM main.consumer_offsets"
                                " WHERE reads IS NULL AND json_valid(position) AND json_type(position) = 'object'"
                                "   AND json_type(position, '$.seq') = 'integer'";

struct check {
    struct verify *verify;
    sqlite3 *db;
    struct stream_path path;
    int dir_fd;
    struct stream_file active;
    struct segment_list segments;
    struct event_line line;

    char source[SOURCE_SIZE], other_source[SOURCE_SIZE]; /* the database's; one that isn't its own, once said */
    char *former_sources;
    int64_t noted_seq; /* 0: no writer's note */

    struct log_window log;
    bool log_open;
    struct run unwritten; /* in change_log, and in no line */

    int64_t first, last, events; /* lines so far; first 0: none */
};

static int failed(const char *name)
{
    ctl_say("%s: %s", name, strerror(errno));
    return EXIT_TEMPORARY;
}

/* ---- What the database says, before the files are looked at ---- */

static int read_identity(struct check *c)
{
    sqlite3_stmt *st;
    int rc = query_open(c->db, &st, sql_identity, "");
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *source = (const char *)sqlite3_column_text(st, 0),
                   *former = (const char *)sqlite3_column_text(st, 1);
        snprintf(c->source, sizeof c->source, "%s", source ? source : "");
        c->former_sources = former ? strdup(former) : NULL;
        rc = former && !c->former_sources ? SQLITE_NOMEM : SQLITE_OK;
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_OK)
        rc = query_int(c->db, &c->noted_seq, sql_noted, "");
    return rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(c->db, rc, "outbox_meta");
}

/* ---- A line ---- */

static void check_source(struct check *c)
{
    const char *source = c->line.source;
    if (!strcmp(source, c->source) || !strcmp(source, c->other_source) || lineage_knows(c->former_sources, source))
        return;
    memcpy(c->other_source, source, SOURCE_SIZE);
    verify_problem(c->verify, "source", c->line.event.seq, c->line.event.seq,
                   "%" PRId64 " is of source %s, which this database never was", c->line.event.seq, source);
}

/* Whether the line goes on from the one before. */
static bool check_chain(struct check *c, const char *name)
{
    const outbox_event *event = &c->line.event;
    if (!c->first)
        return true;
    if (event->seq <= c->last) {
        verify_problem(c->verify, "repeated", event->seq, event->seq, "%" PRId64 " stands in %s again, behind %" PRId64,
                       event->seq, name, c->last);
        return false;
    }
    if (event->prev > c->last)
        verify_problem(c->verify, "missing", c->last + 1, event->prev,
                       "lines are missing: what was written after %" PRId64 ", up to %" PRId64, c->last, event->prev);
    else if (event->prev < c->last)
        verify_problem(c->verify, "chain", event->seq, event->seq,
                       "%" PRId64 " stands behind %" PRId64 ", but says that it follows %" PRId64, event->seq, c->last,
                       event->prev);
    return true;
}

/* Reads change_log up to the line. Of a former source it may have other events under these numbers, or none. */
static int compare(struct check *c)
{
    const outbox_event *event = &c->line.event;
    const struct log_row *row;
    bool ours = !strcmp(c->line.source, c->source);
    int rc = SQLITE_OK;
    if (!c->log_open)
        rc = log_window_open(&c->log, c->db, event->prev);
    c->log_open = true;
    while (rc == SQLITE_OK && (rc = log_window_look(&c->log, &row)) == SQLITE_OK && row && row->seq <= event->seq) {
        if (row->seq < event->seq && row->seq > event->prev && ours && !c->verify->filtered)
            run_add(&c->unwritten, row->seq);
        if (row->seq == event->seq && ours && row->created_at_us != event->time_us)
            verify_problem(c->verify, "other", event->seq, event->seq,
                           "%" PRId64 " is another event than the database's", event->seq);
        log_window_pass(&c->log);
    }
    return rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(c->db, rc, "change_log");
}

static int take_line(struct check *c, const char *name)
{
    check_source(c);
    if (!check_chain(c, name))
        return EXIT_DONE;
    if (!c->first)
        c->first = c->line.event.seq;
    c->last = c->line.event.seq;
    c->events++;
    return compare(c);
}

/* ---- A file ---- */

static void check_end(struct check *c, const struct stream_file *file, const char *name, bool sealed)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0 || st.st_size <= file->offset)
        return;
    if (sealed)
        verify_problem(c->verify, "torn", 0, 0, "%s ends with something that is no line, at byte %" PRId64, name,
                       file->offset);
    else
        verify_note(c->verify, "torn", 0, 0,
                    "%s ends with a line that is not whole, at byte %" PRId64
                    ": its relay is at it, or mends it at its start",
                    name, file->offset);
}

/* Every line. *first and *last: the seqs of its outer ones, 0 where there is none. */
static int read_file(struct check *c, struct stream_file *file, const char *name, bool sealed, int64_t *first,
                     int64_t *last)
{
    enum stream_line found;
    size_t size;
    int code = EXIT_DONE;
    *first = *last = 0;
    while (code == EXIT_DONE && (found = stream_file_look(file, &c->line, &size)) != LINE_NONE) {
        if (found == LINE_ERROR)
            return failed(name);
        if (found == LINE_DAMAGED) {
            verify_problem(c->verify, "damaged", 0, 0, "the line of %s at byte %" PRId64 " is no event", name,
                           file->offset);
        } else {
            *first = *first ? *first : c->line.event.seq;
            *last = c->line.event.seq;
            code = take_line(c, name);
        }
        stream_file_pass(file, found == LINE_EVENT ? &c->line : NULL, size);
    }
    check_end(c, file, name, sealed);
    return code;
}

static int read_segment(struct check *c, const struct segment *segment)
{
    char name[SEGMENT_NAME_SIZE];
    struct stream_file file = STREAM_FILE_CLOSED;
    int64_t first, last;
    segment_name(name, c->path.stem, segment->first, segment->last);
    if (!stream_file_open(&file, c->dir_fd, name)) {
        if (errno != ENOENT)
            return failed(name);
        verify_note(c->verify, "deleted", segment->first, segment->last, "%s was deleted meanwhile", name);
        return EXIT_DONE;
    }
    bool is_active = c->active.fd >= 0 && file.device == c->active.device && file.inode == c->active.inode;
    int code = is_active ? EXIT_DONE : read_file(c, &file, name, true, &first, &last);
    if (code == EXIT_DONE && !is_active && (first != segment->first || last != segment->last))
        verify_problem(c->verify, "name", first, last, "%s holds %" PRId64 " to %" PRId64, name, first, last);
    stream_file_close(&file);
    return code;
}

/* The active file first: what is renamed from here on is open already. */
static int open_files(struct check *c)
{
    c->dir_fd = open(c->path.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0)
        return failed(c->path.directory);
    if (!stream_file_open(&c->active, c->dir_fd, c->path.file) && errno != ENOENT)
        return failed(c->path.given);
    return segment_list_read(&c->segments, c->dir_fd, c->path.stem) ? EXIT_DONE : failed(c->path.directory);
}

static int read_files(struct check *c)
{
    int64_t first, last;
    int code = open_files(c);
    for (int i = 0; code == EXIT_DONE && i < c->segments.count; i++)
        code = read_segment(c, &c->segments.items[i]);
    if (code == EXIT_DONE && c->active.fd >= 0)
        code = read_file(c, &c->active, c->path.file, false, &first, &last);
    return code;
}

/* ---- The whole ---- */

static void judge(struct check *c, int64_t last_seq)
{
    run_end(&c->unwritten);
    if (c->noted_seq > c->last)
        verify_problem(c->verify, "missing", c->last + 1, c->noted_seq,
                       "its relay had written up to %" PRId64 ", and what is there ends at %" PRId64, c->noted_seq,
                       c->last);
    if (c->last > last_seq)
        verify_problem(c->verify, "ahead", last_seq + 1, c->last,
                       "it ends at %" PRId64 ", the database at %" PRId64
                       ": was a backup restored? outboxctl new-source "
                       "--seq-after %" PRId64,
                       c->last, last_seq, c->last);
    else if (c->last < last_seq)
        verify_note(c->verify, "behind", c->last + 1, last_seq, "the database goes on to %" PRId64, last_seq);
    verify_conclude(c->verify, c->first, c->last, c->events);
}

static void close_all(struct check *c)
{
    if (c->log_open)
        log_window_close(&c->log);
    segment_list_free(&c->segments);
    stream_file_close(&c->active);
    event_line_free(&c->line);
    if (c->dir_fd >= 0)
        close(c->dir_fd);
    stream_path_fini(&c->path);
    free(c->former_sources);
}

int verify_stream(struct verify *v, sqlite3 *db, const char *path)
{
    struct check *c = calloc(1, sizeof *c);
    int64_t last_seq = 0;
    if (!c) {
        ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
        return EXIT_TEMPORARY;
    }
    c->verify = v;
    c->db = db;
    c->dir_fd = -1;
    c->active = STREAM_FILE_CLOSED;
    c->unwritten = (struct run){.verify = v,
                                .kind = "unwritten",
                                .text = "in the database, and not in the stream (has its relay a filter? --filtered)"};
    v->what = path;
    int code = stream_path_init(&c->path, path) ? read_identity(c) : failed(path);
    if (code == EXIT_DONE)
        code = read_files(c);
    int rc = code == EXIT_DONE ? query_int(db, &last_seq, sql_last_seq, "") : SQLITE_OK;
    if (rc != SQLITE_OK)
        code = ctl_fail_sqlite(db, rc, "sqlite_sequence");
    if (code == EXIT_DONE)
        judge(c, last_seq);
    close_all(c);
    free(c);
    return code;
}

/* feed_files.c — events out of the files of a stream, as outbox-relay writes them: segments NAME.FIRST-LAST.jsonl and
 * the active file.
 *
 * The place in the stream is a seq, and nothing else: not an inode, not an offset, which only say where to look next
 * while the file that is open goes on to be the right one. Whatever happens to the files (renamed, cut, replaced,
 * deleted), the place is found again by names and by what stands in the lines (stream_place.h).
 *
 * The invariant: a line is handed out only if its own prev says that nothing lies between it and the one before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "feed.h"
#include "handle.h"
#include "stream_place.h"

/* From this seq on events are of this source. A cursor lags behind what was read, so the one before is kept too. */
struct source_from {
    char source[SOURCE_SIZE];
    int64_t seq;
};

struct feed_files {
    struct feed feed; /* first: a feed is one of these */
    struct stream_path path;
    struct stream_file file; /* where we read */
    struct event_line line;
    struct stream_place place;
    int64_t at; /* the seq that the file is placed after */
    bool placed;
    struct source_from sources[2]; /* the newest first */
};

static struct feed_files *of(struct feed *feed)
{
    return (struct feed_files *)feed;
}

static int failed(struct feed_files *f)
{
    return fail(f->feed.ob, errno == ENOMEM ? OUTBOX_NOMEM : OUTBOX_IO, "%s: %s", f->path.absolute, strerror(errno));
}

/* It may be one segment alone that can't be read; its name is what somebody can mend. */
static int place_failed(struct feed_files *f)
{
    char name[SEGMENT_NAME_SIZE];
    int error = errno;

    if (!f->place.failed.first || !segment_name(name, f->path.stem, f->place.failed.first, f->place.failed.last))
        return failed(f);
    return fail(f->feed.ob, error == ENOMEM ? OUTBOX_NOMEM : OUTBOX_IO, "%s/%s: %s", f->path.directory, name,
                strerror(error));
}

/* ---- Whose events these are ---- */

/* "": not known. */
static const char *source_at(const struct feed_files *f, int64_t seq)
{
    for (size_t i = 0; i < sizeof f->sources / sizeof *f->sources; i++)
        if (seq >= f->sources[i].seq)
            return f->sources[i].source;
    return "";
}

static void note_source(struct feed_files *f, const struct event_line *line)
{
    if (strcmp(f->sources[0].source, line->source) == 0)
        return;
    f->sources[1] = f->sources[0];
    memcpy(f->sources[0].source, line->source, SOURCE_SIZE);
    f->sources[0].seq = line->event.seq;
}

static const char *position(const struct feed *feed, int64_t seq)
{
    return source_at((const struct feed_files *)feed, seq);
}

static int resume(struct feed *feed, int64_t after_seq, const char *position_text)
{
    struct feed_files *f = of(feed);
    memset(f->sources, 0, sizeof f->sources);
    if (strlen(position_text) < SOURCE_SIZE)
        strcpy(f->sources[0].source, position_text);
    f->sources[0].seq = after_seq;
    f->placed = false;
    return OUTBOX_OK;
}

/* Lines up to our place that are another source's: the files were begun anew, and our seq means nothing in them. */
static int check_source(struct feed_files *f)
{
    const char *ours = source_at(f, f->at), *theirs = f->place.source;
    if (!ours[0] || !theirs[0] || strcmp(ours, theirs) == 0)
        return OUTBOX_OK;
    f->placed = false;
    return fail(
        f->feed.ob, OUTBOX_REWOUND,
        "%s: up to seq %lld its events are of source %s, but the consumer has read those of %s: was the database "
        "replaced, and its files with it? read it again from the start, or from a snapshot",
        f->path.absolute, (long long)f->at, theirs, ours);
}

/* ---- The place ---- */

static int start(struct feed *feed, int from, int64_t *after_seq)
{
    struct feed_files *f = of(feed);
    bool ok = from == OUTBOX_FROM_NOW ? stream_place_end(&f->path, &f->line, after_seq)
                                      : stream_place_begin(&f->path, &f->line, after_seq);
    return ok ? OUTBOX_OK : failed(f);
}

static int find_place(struct feed_files *f, bool *line_is_there)
{
    *line_is_there = false;
    f->placed = false;
    stream_file_close(&f->file);
    switch (stream_place_find(&f->path, f->at, &f->line, &f->file, &f->place)) {
    case PLACE_LINE: *line_is_there = true; break;
    case PLACE_END: break;
    case PLACE_GAP: f->feed.first_available = f->place.first_available; return OUTBOX_GAP;
    case PLACE_DAMAGED:
        return fail(f->feed.ob, OUTBOX_CORRUPT,
                    "%s: what follows seq %lld, at byte %lld, is not an event; the relay mends its file when it starts",
                    f->path.absolute, (long long)f->at, (long long)f->place.damaged_at);
    case PLACE_ERROR: return place_failed(f);
    }
    f->placed = true;
    return check_source(f);
}

/* Whether lines may still be added behind the place: the file is the active one and as long as it was. */
static bool goes_on(const struct feed_files *f)
{
    struct stat ours, named;
    return f->file.fd >= 0 && !f->file.sealed && lstat(f->path.absolute, &named) == 0 &&
           fstat(f->file.fd, &ours) == 0 && named.st_dev == ours.st_dev && named.st_ino == ours.st_ino &&
           ours.st_size >= f->file.offset;
}

/* ---- Reading ---- */

/* Takes lines for as long as each follows the one before. */
static int take_lines(struct feed_files *f, int count, struct event_batch *batch, enum stream_line *ended)
{
    size_t size;
    while (batch->count < count && !event_batch_is_large(batch)) {
        *ended = stream_file_look(&f->file, &f->line, &size);
        if (*ended != LINE_EVENT)
            return *ended == LINE_ERROR ? failed(f) : OUTBOX_OK;
        const outbox_event *event = &f->line.event;
        if (event->seq > f->at) {
            if (!stream_line_follows(&f->file, event, f->at))
                return OUTBOX_OK;
            if (!event_batch_put(batch, event))
                return fail(f->feed.ob, OUTBOX_NOMEM, "out of memory");
            note_source(f, &f->line);
            f->at = event->seq;
        }
        stream_file_pass(&f->file, &f->line, size);
    }
    return OUTBOX_OK;
}

static int read_batch(struct feed *feed, int64_t after_seq, int count, struct event_batch *batch)
{
    enum { TRIES = 16 }; /* each time the files changed between two looks; the next wake goes on */
    struct feed_files *f = of(feed);
    enum stream_line ended = LINE_NONE;
    bool line_is_there = true;
    int code = OUTBOX_OK;

    if (after_seq == FEED_UNBEGUN && !stream_place_begin(&f->path, &f->line, &after_seq))
        return failed(f);
    if (after_seq == FEED_UNBEGUN) /* there is no line yet */
        return OUTBOX_OK;
    f->placed = f->placed && f->at == after_seq;
    f->at = after_seq;
    for (int i = 0; i < TRIES; i++) {
        if (f->placed && f->file.fd >= 0)
            code = take_lines(f, count, batch, &ended);
        if (code != OUTBOX_OK)
            f->placed = false;
        if (code != OUTBOX_OK || batch->count || (f->placed && ended == LINE_NONE && goes_on(f)))
            return code;
        code = find_place(f, &line_is_there);
        if (code != OUTBOX_OK || !line_is_there)
            return code;
    }
    return OUTBOX_OK;
}

/* ---- Open and close ---- */

static void close_feed(struct feed *feed, bool forked)
{
    struct feed_files *f = of(feed);
    (void)forked; /* all that is open here is the child's own copy */
    stream_file_close(&f->file);
    event_line_free(&f->line);
    stream_path_fini(&f->path);
    stream_place_forget(&f->place);
    wake_close(feed->wake);
    free(f);
}

static const struct feed_ops ops = {start, resume, read_batch, position, close_feed};

static int open_feed(struct feed_files *f, const char *jsonl)
{
    struct stream_path given;
    bool ok = stream_path_init(&given, jsonl) && stream_path_init(&f->path, given.absolute);
    int error = errno;
    stream_path_fini(&given);
    if (!ok)
        return fail(f->feed.ob, error == ENOMEM ? OUTBOX_NOMEM : OUTBOX_INVALID, "jsonl \"%s\": %s", jsonl,
                    strerror(error));
    f->feed.reads = f->path.absolute;
    f->feed.wake = wake_open_file(f->path.absolute);
    return f->feed.wake ? OUTBOX_OK
                        : fail(f->feed.ob, errno == ENOMEM ? OUTBOX_NOMEM : OUTBOX_IO, "cannot wait for lines: %m");
}

int feed_files_open(outbox *ob, const char *jsonl, struct feed **out)
{
    struct feed_files *f = calloc(1, sizeof *f);
    if (!f)
        return fail(ob, OUTBOX_NOMEM, "out of memory");
    f->feed.ops = &ops;
    f->feed.ob = ob;
    f->file = STREAM_FILE_CLOSED;
    int code = open_feed(f, jsonl);
    if (code != OUTBOX_OK) {
        close_feed(&f->feed, false);
        return code;
    }
    *out = &f->feed;
    return OUTBOX_OK;
}

/* stream_place.c — see stream_place.h. Reads only. */
#include "stream_place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The stream's files at one moment. */
struct files {
    const struct stream_path *path;
    int dir_fd;
    struct stream_file active; /* closed where there is none */
    struct segment_list segments;
};

static void close_files(struct files *files)
{
    int error = errno;

    stream_file_close(&files->active);
    segment_list_free(&files->segments);
    if (files->dir_fd >= 0)
        close(files->dir_fd);
    errno = error;
}

static bool open_active(const struct stream_path *path, struct files *files)
{
    *files = (struct files){.path = path, .active = STREAM_FILE_CLOSED};
    files->dir_fd = open(path->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->dir_fd >= 0 && (stream_file_open(&files->active, files->dir_fd, path->file) || errno == ENOENT))
        return true;
    close_files(files);
    return false;
}

static bool open_files(const struct stream_path *path, struct files *files)
{
    if (!open_active(path, files))
        return false;
    if (segment_list_read(&files->segments, files->dir_fd, path->stem))
        return true;
    close_files(files);
    return false;
}

static bool open_segment(const struct files *files, const struct segment *segment, struct stream_file *file)
{
    char name[SEGMENT_NAME_SIZE];

    if (!segment_name(name, files->path->stem, segment->first, segment->last)) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (!stream_file_open(file, files->dir_fd, name))
        return false;
    file->sealed = true;
    return true;
}

/* File number i of the stream, the active one behind all segments. False: errno; ENOENT where it is not there. */
static bool open_nth(struct files *files, int i, struct stream_file *file)
{
    if (i < files->segments.count)
        return open_segment(files, &files->segments.items[i], file);
    stream_file_close(file);
    *file = files->active;
    files->active = STREAM_FILE_CLOSED;
    errno = ENOENT;
    return file->fd >= 0;
}

bool stream_line_follows(const struct stream_file *file, const outbox_event *event, int64_t after)
{
    bool unbroken = file->before < 0 || event->prev == file->before;
    return unbroken && event->prev <= after;
}

/* ---- In one file -------------------------------------------------------------------------------------------------- */

/* Passes what is not above after. LINE_EVENT: file stands before a line above it; else it has none. */
static enum stream_line scan(struct stream_file *file, int64_t after, struct event_line *line,
                             struct stream_place *place)
{
    place->source[0] = '\0';
    place->damaged_at = -1;
    for (;;) {
        size_t size;
        enum stream_line found = stream_file_look(file, line, &size);
        if (found == LINE_NONE || found == LINE_ERROR)
            return found;
        if (found == LINE_EVENT && line->event.seq > after)
            return found;
        if (found == LINE_EVENT) {
            memcpy(place->source, line->source, SOURCE_SIZE);
            place->damaged_at = -1; /* what was damaged before is behind us */
        } else if (place->damaged_at < 0) {
            place->damaged_at = file->offset;
        }
        stream_file_pass(file, found == LINE_EVENT ? line : NULL, size);
    }
}

/* PLACE_END: nothing above after is in this file. */
static enum place_result judge(struct stream_file *file, enum stream_line found, int64_t after, struct event_line *line,
                               struct stream_place *place)
{
    if (found == LINE_ERROR)
        return PLACE_ERROR;
    if (found == LINE_EVENT && stream_line_follows(file, &line->event, after))
        return PLACE_LINE;
    if (!file->sealed && place->damaged_at >= 0)
        return PLACE_DAMAGED;
    if (found != LINE_EVENT)
        return PLACE_END;
    place->first_available = line->event.seq;
    return PLACE_GAP;
}

static enum place_result find_in(struct stream_file *file, int64_t after, struct event_line *line,
                                 struct stream_place *place)
{
    enum stream_line found = stream_file_seek(file, line, after);
    if (found == LINE_EVENT)
        found = scan(file, after, line, place);
    enum place_result result = judge(file, found, after, line, place);
    if (result == PLACE_LINE || result == PLACE_ERROR || (result == PLACE_END && !file->sealed))
        return result;
    stream_file_rewind(file); /* such an answer needs a look at every line */
    return judge(file, scan(file, after, line, place), after, line, place);
}

/* ---- In the stream ------------------------------------------------------------------------------------------------ */

/* The next segment known, or the active file, where that is enough: true, with file placed. */
static bool find_nearby(struct files *files, int64_t after, struct event_line *line, struct stream_file *file,
                        struct stream_place *place, enum place_result *result)
{
    const struct segment_list *known = &place->known;
    int i = 0;

    while (i < known->count && known->items[i].last <= after)
        i++;
    if (i < known->count && open_segment(files, &known->items[i], file)) {
        *result = find_in(file, after, line, place);
        if (*result == PLACE_LINE)
            return true;
        stream_file_close(file);
    }
    if (files->active.fd < 0)
        return false;
    *result = find_in(&files->active, after, line, place);
    if (*result != PLACE_LINE && (*result != PLACE_END || files->active.before != after)) {
        stream_file_rewind(&files->active);
        return false;
    }
    *file = files->active;
    files->active = STREAM_FILE_CLOSED;
    return true;
}

static enum place_result find_anywhere(struct files *files, int64_t after, struct event_line *line,
                                       struct stream_file *file, struct stream_place *place)
{
    enum place_result result = PLACE_END;
    bool lost = false; /* a segment's name promised more than it holds */

    for (int i = 0; i <= files->segments.count; i++) {
        bool active = i == files->segments.count;
        if (!active && files->segments.items[i].last <= after)
            continue;
        if (active)
            memset(&place->failed, 0, sizeof place->failed);
        else
            place->failed = files->segments.items[i];
        stream_file_close(file);
        if (!open_nth(files, i, file)) {
            if (errno != ENOENT)
                return PLACE_ERROR;
            lost = lost || !active; /* deleted since: what follows will say so too */
            continue;
        }
        result = find_in(file, after, line, place);
        if (result != PLACE_END)
            return result;
        lost = lost || !active;
    }
    place->first_available = 0;
    return lost ? PLACE_GAP : PLACE_END;
}

static enum place_result find(struct files *files, int64_t after, struct event_line *line, struct stream_file *file,
                              struct stream_place *place)
{
    enum place_result result;

    if (find_nearby(files, after, line, file, place, &result))
        return result;
    segment_list_free(&place->known);
    if (!segment_list_read(&files->segments, files->dir_fd, files->path->stem))
        return PLACE_ERROR;
    result = find_anywhere(files, after, line, file, place);
    place->known = files->segments;
    files->segments = (struct segment_list){0};
    return result;
}

static enum place_result find_once(const struct stream_path *path, int64_t after, struct event_line *line,
                                   struct stream_file *file, struct stream_place *place)
{
    struct files files;

    place->source[0] = '\0';
    place->failed = (struct segment){0};
    if (!open_active(path, &files))
        return PLACE_ERROR;
    enum place_result result = find(&files, after, line, file, place);
    close_files(&files);
    if (result != PLACE_LINE && result != PLACE_END) {
        int error = errno;
        stream_file_close(file);
        errno = error;
    }
    return result;
}

/* While a directory is read, a file that is renamed may be missed and a later one seen. But what had its name before the
 * one seen is there when the names are read once more. So a gap is one when it is found twice. */
enum place_result stream_place_find(const struct stream_path *path, int64_t after, struct event_line *line,
                                    struct stream_file *file, struct stream_place *place)
{
    int64_t first_available;
    enum place_result result;

    place->first_available = -1;
    do {
        first_available = place->first_available;
        result = find_once(path, after, line, file, place);
    } while (result == PLACE_GAP && place->first_available != first_available);
    return result;
}

void stream_place_forget(struct stream_place *place)
{
    segment_list_free(&place->known);
}

/* ---- Its two ends ------------------------------------------------------------------------------------------------- */

static bool begin_once(const struct stream_path *path, struct event_line *line, int64_t *after)
{
    struct files files;
    struct stream_file file = STREAM_FILE_CLOSED;
    struct stream_place place = {0};
    enum stream_line found = LINE_NONE;

    if (!open_files(path, &files))
        return false;
    for (int i = 0; i <= files.segments.count && found == LINE_NONE; i++) {
        stream_file_close(&file);
        if (open_nth(&files, i, &file))
            found = scan(&file, -1, line, &place);
        else if (errno != ENOENT)
            found = LINE_ERROR;
    }
    *after = found == LINE_EVENT ? line->event.prev : -1;
    close_files(&files);
    stream_file_close(&file);
    return found != LINE_ERROR;
}

/* As with a gap, names must be read twice to be sure that the first one was not missed. */
bool stream_place_begin(const struct stream_path *path, struct event_line *line, int64_t *after)
{
    int64_t before, begin = -1;

    do {
        before = begin;
        if (!begin_once(path, line, &begin))
            return false;
    } while (begin != before);
    *after = begin;
    return true;
}

bool stream_place_end(const struct stream_path *path, struct event_line *line, int64_t *after)
{
    struct files files;
    struct stream_place place = {0};
    enum stream_line found = LINE_NONE;
    int64_t last = -1;

    if (!open_files(path, &files))
        return false;
    if (files.segments.count)
        last = files.segments.items[files.segments.count - 1].last;
    if (files.active.fd >= 0)
        found = stream_file_seek(&files.active, line, INT64_MAX);
    if (found == LINE_EVENT)
        found = scan(&files.active, INT64_MAX, line, &place);
    if (files.active.before > last)
        last = files.active.before;
    *after = last;
    close_files(&files);
    return found != LINE_ERROR;
}

/* erase_files.c — see erase.h.
 *
 * A line is written over where it stands, by one call: nothing else of the file changes, neither its length nor where
 * any line begins, so a relay appends to it and readers read on meanwhile. Lines that were erased before are written
 * again: what a killed run wrote, or one whose sync failed, is on the disk when this one has synced.
 *
 * The active file is opened before the names are read: a file that becomes a segment meanwhile is not missed. Whoever
 * starts a relay in this moment would judge the file by what he reads; so where nobody holds the stream, we do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "erase.h"
#include "segment.h"
#include "stream_file.h"
#include "stream_lock.h"

struct stream {
    struct erase_files *total;
    struct stream_path path;
    int dir_fd;
    struct stream_file active; /* fd -1: there is none */
    struct segment_list segments;
    struct event_line line;
    struct buffer erased; /* a line, as it has to be */
};

static int failed(const char *name, const char *what)
{
    ctl_say("%s: %s%s", name, what, strerror(errno));
    return EXIT_TEMPORARY;
}

/* ---- Open ---- */

/* False: errno. No symbolic link is followed, and what is no regular file is EINVAL. */
static bool open_file(const struct stream *s, const char *name, bool sealed, struct stream_file *file)
{
    struct stat status;
    int access = s->total && s->total->keep ? O_RDWR : O_RDONLY;
    *file = STREAM_FILE_CLOSED;
    int fd = openat(s->dir_fd, name, access | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        file->fd = fd;
        file->sealed = sealed;
        stream_file_rewind(file);
        return true;
    }
    close(fd);
    errno = EINVAL;
    return false;
}

static int open_failed(const char *name)
{
    if (errno != ELOOP && errno != EINVAL)
        return failed(name, "");
    ctl_say("%s: %s; name the file itself", name, errno == ELOOP ? "it is a symbolic link" : "it is no regular file");
    return EXIT_PERMANENT;
}

/* Segments alone may be what is left of a stream; or they are another's, whose newest lines would be left as they are. */
static int check_owner(const struct stream *s)
{
    char other[SEGMENT_NAME_SIZE + 8];
    struct stat status;
    snprintf(other, sizeof other, "%s%s", s->path.stem, s->path.names_lock ? ".jsonl" : "");
    if (fstatat(s->dir_fd, other, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return EXIT_DONE;
    ctl_say("%s: there is no such file, and beside it is %s, whose segments have the same names; name that",
            s->path.given, other);
    return EXIT_USAGE;
}

static int open_stream(struct stream *s, const char *path)
{
    s->dir_fd = -1;
    s->active = STREAM_FILE_CLOSED;
    if (!stream_path_init(&s->path, path))
        return failed(path, "");
    s->dir_fd = open(s->path.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0)
        return failed(path, "its directory: ");
    if (!open_file(s, s->path.file, false, &s->active) && errno != ENOENT)
        return open_failed(path);
    if (!segment_list_read(&s->segments, s->dir_fd, s->path.stem))
        return failed(path, "its directory: ");
    if (s->active.fd >= 0)
        return EXIT_DONE;
    if (s->segments.count)
        return check_owner(s);
    ctl_say("%s: there is no such stream, neither the file nor a segment of it", path);
    return EXIT_USAGE;
}

static void close_stream(struct stream *s)
{
    stream_file_close(&s->active);
    segment_list_free(&s->segments);
    event_line_free(&s->line);
    buffer_free(&s->erased);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    stream_path_fini(&s->path);
}

int erase_files_look(const char *path)
{
    struct stream s = {0};
    int code = open_stream(&s, path);
    close_stream(&s);
    return code;
}

/* ---- A line ---- */

static bool write_all(const struct stream_file *file, const char *bytes, size_t size)
{
    struct stat status;
    int64_t offset = file->offset;
    /* A relay whose sync has failed cuts its file: writing behind its end would make it another's. */
    if (fstat(file->fd, &status) != 0)
        return false;
    if (status.st_size < offset + (int64_t)size) {
        errno = ESTALE;
        return false;
    }
    while (size > 0) {
        ssize_t n = pwrite(file->fd, bytes, size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        /* Crash here: half of it is written; the next run finds it by its beginning (erase_line.c). */
        bytes += n;
        size -= (size_t)n;
        offset += n;
    }
    return true;
}

/* Whoever reads half of it waits for the lock, and reads again (line_settled.h). */
static bool write_over(const struct stream_file *file, const char *bytes, size_t size)
{
    while (flock(file->fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return false;
    bool ok = write_all(file, bytes, size);
    int error = errno;
    flock(file->fd, LOCK_UN);
    errno = error;
    return ok;
}

static void tell_undecided(struct erase_files *total, const struct stream_file *file, const char *name,
                           const outbox_event *e)
{
    if (total->undecided++ == 0)
        ctl_say("%s: the line at byte %" PRId64
                " has this key, and topic %.*s; it does not say of which table it is, and "
                "change_log no longer does: it is left as it is. If it is of %s: outboxctl erase %.*s %s %s",
                name, file->offset, (int)e->topic_size, e->topic ? e->topic : "", total->key->name, (int)e->topic_size,
                e->topic ? e->topic : "", total->key->key, name);
}

static int take_line(struct stream *s, const struct stream_file *file, const char *name, bool damaged, size_t size)
{
    struct erase_files *total = s->total;
    const char *text = file->content.data + file->begin;
    switch (erase_line(total->key, &total->log, damaged ? NULL : &s->line, text, size, &s->erased)) {
    case ERASE_OTHER: return EXIT_DONE;
    case ERASE_NO_MEMORY: errno = ENOMEM; return failed(name, "");
    case ERASE_FAILED: return EXIT_TEMPORARY;
    case ERASE_UNDECIDED: tell_undecided(total, file, s->path.given, &s->line.event); return EXIT_DONE;
    case ERASE_UNREADABLE:
        if (total->unreadable++ == 0)
            ctl_say("%s: the line at byte %" PRId64 " is no event, and may be of this key: it is left as it is", name,
                    file->offset);
        return EXIT_DONE;
    case ERASE_OURS: break;
    }
    total->lines++;
    total->emptied += memcmp(text, s->erased.data, size) != 0;
    if (total->keep && !write_over(file, s->erased.data, size))
        return failed(name, "writing: ");
    return EXIT_DONE;
}

/* ---- A file ---- */

/* When it was written decides how long a segment is kept. Where we may not put that back, it is kept from now on. */
static int make_durable(const struct stream_file *file, const char *name, const struct stat *before)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before->st_mtim};
    if (fdatasync(file->fd) != 0)
        return failed(name, "syncing, so that nobody knows what the disk has of it; run it again: ");
    if (file->sealed)
        futimens(file->fd, times);
    return EXIT_DONE;
}

static int erase_file(struct stream *s, struct stream_file *file, const char *name)
{
    enum stream_line found;
    struct stat before;
    int64_t lines = s->total->lines;
    size_t size;
    int code = fstat(file->fd, &before) == 0 ? EXIT_DONE : failed(name, "");
    s->total->files++;
    while (code == EXIT_DONE && (found = stream_file_look(file, &s->line, &size)) != LINE_NONE) {
        if (found == LINE_ERROR)
            return failed(name, "");
        code = take_line(s, file, name, found == LINE_DAMAGED, size);
        stream_file_pass(file, NULL, size);
    }
    if (code == EXIT_DONE && file->sealed && file->offset < before.st_size && s->total->unreadable++ == 0)
        ctl_say("%s: from byte %" PRId64 " on it has no whole line: that is left as it is", name, file->offset);
    if (code == EXIT_DONE && s->total->keep && s->total->lines > lines)
        code = make_durable(file, name, &before);
    return code;
}

/* One that retention has deleted since is no more to be done. */
static int erase_segment(struct stream *s, const struct segment *segment)
{
    char name[SEGMENT_NAME_SIZE];
    struct stream_file file;
    segment_name(name, s->path.stem, segment->first, segment->last);
    if (!open_file(s, name, true, &file))
        return errno == ENOENT ? EXIT_DONE : open_failed(name);
    int code = erase_file(s, &file, name);
    stream_file_close(&file);
    return code;
}

/* ---- The stream ---- */

/* Whether name is a segment that is no regular file, or a segment's name with something behind: .gz, or a copy. */
static bool is_untouched(const struct stream *s, const char *name)
{
    static const char suffix[] = ".jsonl";
    char begins[SEGMENT_NAME_SIZE];
    struct segment segment;
    struct stat status;
    size_t stem = strlen(s->path.stem);
    const char *end = strncmp(name, s->path.stem, stem) == 0 ? strstr(name + stem, suffix) : NULL;
    if (!end)
        return false;
    snprintf(begins, sizeof begins, "%.*s", (int)(end + sizeof suffix - 1 - name), name);
    if (!segment_parse(begins, s->path.stem, &segment))
        return false;
    return strlen(begins) < strlen(name) ||
           (fstatat(s->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode));
}

static int look_beside(const struct stream *s)
{
    int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int64_t count = 0;
    if (!dir) {
        int code = failed(s->path.directory, "");
        if (fd >= 0)
            close(fd);
        return code;
    }
    while ((entry = readdir(dir)) != NULL)
        if (is_untouched(s, entry->d_name) && count++ == 0)
            ctl_say("%s: %s is not touched: only plain files that end in .jsonl are", s->path.given, entry->d_name);
    closedir(dir);
    s->total->untouched += count;
    return EXIT_DONE;
}

static int erase_stream(struct stream *s)
{
    int code = EXIT_DONE;
    for (int i = 0; code == EXIT_DONE && i < s->segments.count; i++)
        code = erase_segment(s, &s->segments.items[i]);
    if (code == EXIT_DONE && s->active.fd >= 0)
        code = erase_file(s, &s->active, s->path.given);
    return code == EXIT_DONE ? look_beside(s) : code;
}

int erase_files(struct erase_files *total, const char *path)
{
    struct stream s = {.total = total};
    struct stream_lock lock = STREAM_LOCK_NONE;
    const char *which;
    int code = open_stream(&s, path);
    if (code == EXIT_DONE && total->keep && stream_lock_try(&lock, &s.path, &which) == LOCK_ERROR)
        code = failed(which, "");
    if (code == EXIT_DONE)
        code = erase_stream(&s);
    stream_lock_release(&lock);
    close_stream(&s);
    return code;
}

/* segment.c — names of segments, and directories full of them. Opens no stream and changes nothing.
 *
 * Invariant: what segment_parse accepts, segment_name gives back byte for byte; a file that merely resembles a segment
 * is nobody's business here, so it is never counted, read or deleted.
 */
#include "segment.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEQ_DIGITS = 20 };

static const char suffix[] = ".jsonl";

static char *absolute_path(const char *given)
{
    char *text = NULL, *here;

    if (given[0] == '/')
        return strdup(given);
    here = getcwd(NULL, 0);
    if (here && asprintf(&text, "%s/%s", here, given) < 0)
        text = NULL;
    free(here);
    return text;
}

bool stream_path_init(struct stream_path *path, const char *given)
{
    memset(path, 0, sizeof *path);
    path->given = strdup(given);
    path->absolute = absolute_path(given);
    if (asprintf(&path->lock, "%s.lock", given) < 0)
        path->lock = NULL;
    if (!path->given || !path->absolute || !path->lock)
        return false;

    const char *slash = strrchr(path->given, '/');
    path->file = slash ? slash + 1 : path->given;
    path->directory = !slash ? strdup(".")
                             : strndup(path->given, slash == path->given ? 1 : (size_t)(slash - path->given));
    if (!path->directory)
        return false;

    size_t size = strlen(path->file), tail = sizeof suffix - 1;
    if (size == 0 || strcmp(path->file, ".") == 0 || strcmp(path->file, "..") == 0) {
        errno = EISDIR;
        return false;
    }
    if (size > tail && strcmp(path->file + size - tail, suffix) == 0)
        size -= tail;
    if (size + 2 * SEQ_DIGITS + 2 + tail >= SEGMENT_NAME_SIZE) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(path->stem, path->file, size);
    if (path->file[size] == '\0' && asprintf(&path->names_lock, "%s%s.lock", given, suffix) < 0)
        path->names_lock = NULL;
    return path->file[size] != '\0' || path->names_lock;
}

void stream_path_fini(struct stream_path *path)
{
    free(path->given);
    free(path->directory);
    free(path->absolute);
    free(path->lock);
    free(path->names_lock);
    memset(path, 0, sizeof *path);
}

/* By words where they agree, else by device and inode, so that "./", "a/../", links and bind mounts all count for nothing. */
static enum stream_same same_directory(const struct stream_path *path, const struct stream_path *other)
{
    size_t size = strlen(path->absolute) - strlen(path->file);
    struct stat x, y;

    if (size == strlen(other->absolute) - strlen(other->file) && memcmp(path->absolute, other->absolute, size) == 0)
        return STREAM_SAME;
    if (stat(path->directory, &x) != 0 || stat(other->directory, &y) != 0)
        return STREAM_UNKNOWN;
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino ? STREAM_SAME : STREAM_OTHER;
}

static enum stream_same compare(const char *path, const char *other, bool names)
{
    struct stream_path x = {0}, y = {0};
    enum stream_same result;

    if (!stream_path_init(&x, path) || !stream_path_init(&y, other))
        result = errno == EISDIR || errno == ENAMETOOLONG ? STREAM_OTHER : STREAM_UNKNOWN; /* no stream has that path */
    else if (names ? strcmp(x.stem, y.stem) != 0 : strcmp(x.file, y.file) != 0)
        result = STREAM_OTHER;
    else
        result = same_directory(&x, &y);
    stream_path_fini(&x);
    stream_path_fini(&y);
    return result;
}

enum stream_same stream_same(const char *path, const char *other)
{
    return compare(path, other, false);
}

enum stream_same stream_same_names(const char *path, const char *other)
{
    return compare(path, other, true);
}

bool segment_name(char name[SEGMENT_NAME_SIZE], const char *stem, int64_t first, int64_t last)
{
    int size = snprintf(name, SEGMENT_NAME_SIZE, "%s.%020" PRId64 "-%020" PRId64 "%s", stem, first, last, suffix);
    return size > 0 && size < SEGMENT_NAME_SIZE;
}

/* Exactly 20 digits; NULL where they aren't, or where they are no int64. */
static const char *parse_seq(const char *text, int64_t *seq)
{
    int64_t value = 0;

    for (int i = 0; i < SEQ_DIGITS; i++) {
        if (!isdigit((unsigned char)text[i]))
            return NULL;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text[i] - '0', &value))
            return NULL;
    }
    *seq = value;
    return text + SEQ_DIGITS;
}

bool segment_parse(const char *name, const char *stem, struct segment *segment)
{
    size_t size = strlen(stem);
    int64_t first, last;
    const char *at;

    if (strncmp(name, stem, size) != 0 || name[size] != '.')
        return false;
    at = parse_seq(name + size + 1, &first);
    if (!at || *at != '-')
        return false;
    at = parse_seq(at + 1, &last);
    if (!at || strcmp(at, suffix) != 0 || first < 1 || last < first)
        return false;
    segment->first = first;
    segment->last = last;
    return true;
}

static int by_first(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->last > y->last) - (x->last < y->last);
}

static int64_t microseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool add_segment(struct segment_list *list, int dir_fd, const char *name, struct segment segment)
{
    struct stat status;

    if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT; /* deleted while we looked */
    if (!S_ISREG(status.st_mode))
        return true;
    segment.size_bytes = status.st_size;
    segment.written_at_us = microseconds(status.st_mtim);
    segment.renamed_at_us = microseconds(status.st_ctim);

    if ((list->count & (list->count - 1)) == 0) { /* a power of two is full */
        size_t room = list->count ? 2 * (size_t)list->count : 1;
        struct segment *items = reallocarray(list->items, room, sizeof *items);
        if (!items)
            return false;
        list->items = items;
    }
    list->items[list->count++] = segment;
    return true;
}

bool segment_list_read(struct segment_list *list, int dir_fd, const char *stem)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* its own offset: dir_fd's is shared */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct segment segment = {0};
    struct dirent *entry;
    bool ok = true;

    memset(list, 0, sizeof *list);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (ok && (errno = 0, entry = readdir(dir)) != NULL)
        if (segment_parse(entry->d_name, stem, &segment))
            ok = add_segment(list, dir_fd, entry->d_name, segment);
    ok = ok && errno == 0;
    int error = errno;
    closedir(dir);
    if (list->count)
        qsort(list->items, (size_t)list->count, sizeof *list->items, by_first);
    errno = error;
    return ok;
}

void segment_list_free(struct segment_list *list)
{
    free(list->items);
    memset(list, 0, sizeof *list);
}

/* jsonl_file.c — the writing end of a stream.
 *
 * Whoever reads the stream sees it grow by whole lines at its end, and the active file renamed once to a name that says
 * what is in it. So nothing is ever rewritten, shifted or copied; the one exception is what no reader can have used:
 * a torn line, and what a failed sync has left.
 *
 * Invariant: up to sync.synced the active file is on stable storage, and every segment is so as a whole. Each step of a
 * rotation leaves files that jsonl_recover.c understands by their names alone, so a crash in between needs no note.
 * When to rotate is decided here; what to do about a failure is jsonl.c's.
 */
#include "sinks/jsonl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read_at.h"
#include "sinks/jsonl_proof.h"

enum {
    ROTATION_GAP_US = 1000000, /* tail -F and imfile lose a file that is renamed sooner */
    START_BYTES = 64 * 1024,   /* from here on the disk may begin before it must */
    PIECE_BYTES = 64 * 1024
};

static bool fail(struct jsonl_file *file, const char *what, int error)
{
    file->fault = (struct file_fault){what, error};
    return false;
}

void jsonl_file_init(struct jsonl_file *file, const struct file_ops *ops, const struct stream_path *path,
                     int64_t max_size_bytes, bool sync_never)
{
    memset(file, 0, sizeof *file);
    file->ops = ops;
    file->path = path;
    file->max_size_bytes = max_size_bytes;
    jsonl_sync_init(&file->sync, ops, sync_never);
    file->dir_fd = file->fd = -1;
}

void jsonl_file_close(struct jsonl_file *file, bool for_good)
{
    if (file->distrusted && !for_good)
        return;
    jsonl_sync_close(&file->sync); /* it uses the descriptor */
    if (file->fd >= 0)
        close(file->fd);
    if (file->dir_fd >= 0)
        close(file->dir_fd);
    file->fd = file->dir_fd = -1;
    file->distrusted = false;
}

static bool sync_dir(struct jsonl_file *file)
{
    if (!file->sync.never && file->ops->sync_dir(file->ops->arg, file->dir_fd) < 0)
        return fail(file, "syncing its directory", errno);
    return true;
}

/* Whether the active file's name still leads to the inode that we write. */
static bool is_still_ours(const struct jsonl_file *file, struct stat *status)
{
    return fstatat(file->dir_fd, file->path->file, status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status->st_dev == file->device && status->st_ino == file->inode;
}

/* The active file becomes the segment FIRST-last_seq. */
static bool rename_to_segment(struct jsonl_file *file, int64_t last_seq)
{
    char name[SEGMENT_NAME_SIZE];

    if (!segment_name(name, file->path->stem, file->first_seq, last_seq))
        return fail(file, "naming a segment", ENAMETOOLONG);
    if (file->ops->rename_at(file->ops->arg, file->dir_fd, file->path->file, name) < 0)
        return fail(file, "renaming it to a segment", errno);
    file->rotated = true;
    return true;
}

/* After a failed sync the kernel calls pages clean that never reached the disk, and a second sync says so too: the
 * inode gets no more writes and no more syncs. What was synced before, and is on the disk, stays, under a name that
 * tells the truth; the lines behind it go to a new file. (A disk that fails may have lied before: then lines are missing
 * that were acknowledged, recovery finds the stream behind, and they are written again from change_log.) Every step may
 * be made again. */
static bool seal(struct jsonl_file *file)
{
    struct stat status;
    struct jsonl_proof proof;

    if (is_still_ours(file, &status)) {
        if (!jsonl_proof_read(file->fd, 0, file->sync.synced.end, 0, &proof))
            return fail(file, "reading it back after a failed sync", errno);
        if (file->ops->truncate(file->ops->arg, file->fd, proof.end) < 0)
            return fail(file, "cutting it after a failed sync", errno);
        /* Crash here: the file ends with a line that is durable, and is written on. */
        if (proof.end > 0) {
            if (!rename_to_segment(file, proof.seq))
                return false;
        } else if (file->ops->unlink_at(file->ops->arg, file->dir_fd, file->path->file) < 0) {
            return fail(file, "removing it after a failed sync", errno);
        }
        /* Crash here: there is no active file; the next start makes one. */
    }
    if (!sync_dir(file))
        return false;
    file->distrusted = false;
    return true;
}

/* The sync has failed, and file->fault says how. */
static bool distrust(struct jsonl_file *file)
{
    struct file_fault fault = file->fault;

    file->distrusted = true;
    seal(file); /* where it can't be sealed now, jsonl_file_look tries again */
    file->fault = fault;
    return false;
}

static bool take_sync(struct jsonl_file *file, bool wait)
{
    return jsonl_sync_take(&file->sync, wait, &file->fault) || distrust(file);
}

static struct jsonl_mark written(const struct jsonl_file *file)
{
    return (struct jsonl_mark){file->end, file->last_seq};
}

bool jsonl_file_sync(struct jsonl_file *file)
{
    return jsonl_sync_now(&file->sync, file->fd, written(file), &file->fault) || distrust(file);
}

bool jsonl_file_start_sync(struct jsonl_file *file)
{
    return jsonl_sync_start(&file->sync, file->fd, written(file), &file->fault) || distrust(file);
}

bool jsonl_file_check_sync(struct jsonl_file *file)
{
    return take_sync(file, false);
}

/* Who owns a file reads it, whatever its mode. Who owns the directory could have done anything. */
static bool is_somebody_elses(const struct jsonl_file *file, const struct stat *status)
{
    struct stat directory;

    return status->st_uid != geteuid() && status->st_uid != 0 &&
           (fstat(file->dir_fd, &directory) != 0 || directory.st_uid != status->st_uid);
}

static bool take_inode(struct jsonl_file *file)
{
    struct stat status;

    if (fstat(file->fd, &status) < 0)
        return fail(file, "looking at it", errno);
    if (!S_ISREG(status.st_mode))
        return fail(file, "it is not a regular file", 0);
    if (is_somebody_elses(file, &status))
        return fail(file, "it belongs to somebody else, neither to us nor to the directory's owner", 0);
    /* Lines prove that it is the stream; an empty file may be anybody's, linked here to be written to. */
    if (status.st_size == 0 && status.st_nlink > 1)
        return fail(file, "it is empty, and has another name too: remove one of them", 0);
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return true;
}

bool jsonl_file_look(struct jsonl_file *file)
{
    const struct file_ops *ops = file->ops;

    take_sync(file, true); /* where it fails, the file is distrusted, and that is all there is to know here */
    if (file->distrusted && !seal(file))
        return false;
    jsonl_file_close(file, true);
    file->fault = (struct file_fault){0};
    file->dir_fd = ops->open_at(ops->arg, AT_FDCWD, file->path->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (file->dir_fd < 0)
        return fail(file, "opening its directory", errno);
    file->fd = ops->open_at(ops->arg, file->dir_fd, file->path->file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (file->fd < 0)
        return errno == ENOENT || fail(file, "opening it", errno);
    return take_inode(file);
}

/* An active file that nobody else has made, linked or prepared. */
static bool create(struct jsonl_file *file)
{
    file->fd = file->ops->open_at(file->ops->arg, file->dir_fd, file->path->file,
                                  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (file->fd < 0)
        return fail(file, "creating it", errno);
    file->first_seq = file->end = file->size = 0;
    jsonl_sync_begin_empty(&file->sync);
    /* Crash here: an empty file, or after a power cut none; both are a beginning. */
    return take_inode(file) && sync_dir(file);
}

static bool write_all(struct jsonl_file *file, const char *bytes, size_t size, int64_t offset)
{
    while (size > 0) {
        ssize_t n = file->ops->write_at(file->ops->arg, file->fd, bytes, size, offset);
        if (n <= 0)
            return fail(file, "writing", n < 0 ? errno : EIO);
        bytes += n;
        size -= (size_t)n;
        offset += n;
    }
    return true;
}

/* Lines that a killed process has written may be in the page cache only, and clean: its sync may have failed. Written
 * again in place, byte for byte, they are dirty, and the sync that follows means something. */
static bool write_again(struct jsonl_file *file, int64_t from, int64_t to)
{
    char piece[PIECE_BYTES];

    while (from < to) {
        size_t want = to - from < (int64_t)sizeof piece ? (size_t)(to - from) : sizeof piece;
        ssize_t n = read_at(file->fd, piece, want, from);
        if (n <= 0)
            return fail(file, "reading it", n < 0 ? errno : EIO);
        if (!write_all(file, piece, (size_t)n, from))
            return false;
        from += n;
    }
    return true;
}

bool jsonl_file_begin(struct jsonl_file *file, const struct recovery *found, int64_t wall_us)
{
    int64_t now_us = file->ops->now_us(file->ops->arg);
    int64_t since_us = wall_us - found->renamed_at_us; /* a clock that was set shows as nonsense, and is not believed */

    file->first_seq = found->first_seq;
    file->last_seq = found->last_seq;
    file->end = found->end;
    file->size = found->size;
    jsonl_sync_begin(&file->sync, (struct jsonl_mark){found->synced_end, found->synced_seq});
    file->rotated_at_us = now_us - (since_us >= 0 && since_us < ROTATION_GAP_US ? since_us : ROTATION_GAP_US);

    /* Names that a crash left may not be durable yet: first they, then a new one. */
    if (!sync_dir(file) || (file->fd < 0 && !create(file)))
        return false;
    if (file->sync.synced.end == file->end) {
        jsonl_sync_begin(&file->sync, written(file)); /* its last line may be a segment's */
        return true;
    }
    return write_again(file, file->sync.synced.end, file->end) && jsonl_file_sync(file);
}

static bool rotate(struct jsonl_file *file)
{
    if (!jsonl_file_sync(file))
        return false;
    /* A segment is not looked at again. Did the disk lie, then at the last sync: after it there was no room to succeed. */
    if (!jsonl_sync_prove(&file->sync, file->fd, written(file), &file->fault))
        return distrust(file);
    /* Crash here: a full active file, as before. */
    if (!rename_to_segment(file, file->last_seq))
        return false;
    /* Crash here: no active file; after a power cut perhaps the old name. Either is found at the next start. */
    if (!sync_dir(file))
        return false;
    close(file->fd);
    file->fd = -1;
    file->rotated_at_us = file->ops->now_us(file->ops->arg);
    /* Crash here: no active file, for certain. */
    return create(file);
}

/* Somebody else may have truncated, replaced or removed the file; then recovery looks at what is there now. */
static bool check_untouched(struct jsonl_file *file)
{
    struct stat status;

    if (!is_still_ours(file, &status))
        return fail(file, "somebody has moved, replaced or removed it", 0);
    if (status.st_size != file->size)
        return fail(file, status.st_size < file->size ? "somebody has truncated it" : "somebody else has written to it",
                    0);
    return true;
}

/* What lies behind the last whole line. Where it is the beginning of what comes now it stays, and the write that
 * follows goes over it byte for byte: a reader sees the line completed, and tail -F does not begin anew. Else it is
 * cut. */
static bool resolve_torn(struct jsonl_file *file, const struct buffer *text)
{
    char piece[PIECE_BYTES];
    int64_t torn = file->size - file->end;
    bool begins = torn <= (int64_t)text->size;

    for (int64_t at = 0; begins && at < torn;) {
        size_t want = torn - at < (int64_t)sizeof piece ? (size_t)(torn - at) : sizeof piece;
        ssize_t n = read_at(file->fd, piece, want, file->end + at);
        if (n <= 0)
            return fail(file, "reading it", n < 0 ? errno : EIO);
        begins = memcmp(piece, text->data + at, (size_t)n) == 0;
        at += n;
    }
    if (begins)
        return true;
    if (file->ops->truncate(file->ops->arg, file->fd, file->end) < 0)
        return fail(file, "cutting a torn line", errno);
    file->size = file->end;
    return true;
}

/* How many of the lines from the first on go into the active file; 0: it must be rotated before. */
static int lines_that_fit(const struct jsonl_file *file, const struct pending *pending, int first)
{
    size_t begin = first ? pending->lines[first - 1].end : 0;
    bool must = file->end == 0 || file->size > file->end; /* a line longer than the limit; a torn one to complete */
    int fit = first;

    if (file->ops->now_us(file->ops->arg) - file->rotated_at_us < ROTATION_GAP_US)
        return pending->count - first;
    while (fit < pending->count && file->end + (int64_t)(pending->lines[fit].end - begin) <= file->max_size_bytes)
        fit++;
    return fit == first && must ? 1 : fit - first;
}

bool jsonl_file_write(struct jsonl_file *file, struct pending *pending)
{
    if (pending->count == 0)
        return true;
    if (!check_untouched(file) || (file->size > file->end && !resolve_torn(file, &pending->text)))
        return false;

    for (int first = 0; first < pending->count;) {
        int n = lines_that_fit(file, pending, first);
        if (n == 0) {
            if (!rotate(file))
                return false;
            continue;
        }
        size_t begin = first ? pending->lines[first - 1].end : 0;
        size_t size = pending->lines[first + n - 1].end - begin;
        if (!write_all(file, pending->text.data + begin, size, file->end))
            return false;
        if (!file->sync.never && size >= START_BYTES)
            file->ops->start_sync(file->ops->arg, file->fd, file->end, size);
        /* Crash here, or half-way: whole lines are found by their seq, a torn one is completed. */
        if (file->first_seq == 0)
            file->first_seq = pending->lines[first].seq;
        file->last_seq = pending->lines[first + n - 1].seq;
        file->end += (int64_t)size;
        file->size = file->end;
        first += n;
    }
    buffer_clear(&pending->text);
    pending->count = 0;
    return true;
}

/* disk.c — see disk.h. Reading is not simulated: what is in the files is what the disk would give back. */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world.h"

enum { INODES_MAX = 64, STEPS_MAX = 256, PAGE = 64 };

/* How much of a file is on the disk. */
struct inode {
    ino_t number;
    int64_t synced;
};

/* One change of the directory that is not synced: made, or renamed from `from`. */
struct step {
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
};

static int directory = -1, trouble, kill_in;
static bool killed;
static struct inode inodes[INODES_MAX];
static int inode_count;
static struct step steps[STEPS_MAX];
static int step_count;

static void empty(void)
{
    DIR *dir = fdopendir(dup(directory));
    struct dirent *entry;
    rewinddir(dir);
    while ((entry = readdir(dir)))
        unlinkat(directory, entry->d_name, 0);
    closedir(dir);
}

void disk_begin(const char *path)
{
    if (directory < 0)
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    empty();
    inode_count = step_count = trouble = kill_in = 0;
    killed = false;
}

void disk_trouble(int in_a_thousand)
{
    trouble = in_a_thousand;
}

void disk_kill_in(int calls)
{
    kill_in = calls;
}

bool disk_has_killed(void)
{
    return killed;
}

void disk_revive(void)
{
    killed = false;
    kill_in = 0;
}

/* True: this call does not happen, errno says why. */
static bool strikes(void)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    if (kill_in > 0 && --kill_in == 0)
        killed = true;
    bool fails = killed || world_chance(trouble);
    errno = killed ? EIO : errors[world_below(3)];
    return fails;
}

static struct inode *inode_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return NULL;
    for (int i = 0; i < inode_count; i++)
        if (inodes[i].number == status.st_ino)
            return &inodes[i];
    if (inode_count == INODES_MAX) { /* the oldest are segments, whole and synced */
        memmove(inodes, inodes + 1, sizeof *inodes * (INODES_MAX - 1));
        inode_count--;
    }
    inodes[inode_count] = (struct inode){status.st_ino, 0};
    return &inodes[inode_count++];
}

/* What was not synced is lost, in one of the ways it can be. */
static void lose(int fd, bool may_shorten)
{
    static const char zeros[PAGE];
    struct stat status;
    struct inode *inode = inode_of(fd);
    if (!inode || fstat(fd, &status) != 0 || status.st_size <= inode->synced)
        return;
    int64_t at = inode->synced, end = status.st_size, span = end - at;
    switch (world_below(may_shorten ? 3 : 2)) {
    case 0: break;                                         /* all of it is zeros */
    case 1: end = at + (span < PAGE ? span : PAGE); break; /* its first page is */
    case 2:
        if (ftruncate(fd, at + world_below((uint32_t)span + 1)) != 0)
            world_fail("the simulated disk cannot truncate");
        return;
    }
    for (; at < end; at += PAGE)
        if (pwrite(fd, zeros, (size_t)(end - at < PAGE ? end - at : PAGE), at) < 0)
            world_fail("the simulated disk cannot write");
}

static void note_step(const char *from, const char *to)
{
    if (step_count == STEPS_MAX) {
        world_fail("the directory is never synced");
        step_count = 0;
    }
    snprintf(steps[step_count].from, sizeof steps->from, "%s", from);
    snprintf(steps[step_count++].to, sizeof steps->to, "%s", to);
}

static void undo_step(const struct step *step)
{
    if (step->from[0])
        renameat(directory, step->to, directory, step->from);
    else
        unlinkat(directory, step->to, 0);
}

void disk_cut_power(void)
{
    int kept = (int)world_below((uint32_t)step_count + 1);
    while (step_count > kept)
        undo_step(&steps[--step_count]);
    step_count = 0;

    DIR *dir = fdopendir(dup(directory));
    struct dirent *entry;
    rewinddir(dir);
    while ((entry = readdir(dir))) {
        int fd = strstr(entry->d_name, ".jsonl") ? openat(directory, entry->d_name, O_RDWR | O_CLOEXEC) : -1;
        if (fd >= 0) {
            lose(fd, true);
            struct stat status;
            fstat(fd, &status);
            inode_of(fd)->synced = status.st_size; /* what is there now stays */
            close(fd);
        }
    }
    closedir(dir);
}

/* ---- The calls ----------------------------------------------------------------------------------------------------- */

static int open_at(void *arg, int dir_fd, const char *name, int flags, mode_t mode)
{
    (void)arg;
    if (strikes())
        return -1;
    int fd = file_ops_system.open_at(NULL, dir_fd, name, flags, mode);
    if (fd >= 0 && (flags & O_CREAT)) {
        inode_of(fd)->synced = 0;
        note_step("", name);
    }
    return fd;
}

static ssize_t write_at(void *arg, int fd, const void *bytes, size_t size, int64_t offset)
{
    (void)arg;
    bool was_killed = killed;
    if (strikes()) {
        int error = errno;
        if (!was_killed && size > 1 && world_chance(500) && /* a part of it gets there all the same */
            pwrite(fd, bytes, 1 + world_below((uint32_t)size - 1), offset) < 0)
            world_fail("the simulated disk cannot write");
        errno = error;
        return -1;
    }
    if (size > 1 && world_chance(trouble))
        size = 1 + world_below((uint32_t)size - 1);
    return pwrite(fd, bytes, size, offset);
}

static int truncate_file(void *arg, int fd, int64_t size)
{
    (void)arg;
    if (strikes())
        return -1;
    struct inode *inode = inode_of(fd);
    if (inode && inode->synced > size)
        inode->synced = size;
    return ftruncate(fd, size);
}

static void start_sync(void *arg, int fd, int64_t offset, size_t size)
{
    (void)arg, (void)fd, (void)offset, (void)size;
}

static int sync_data(void *arg, int fd)
{
    struct stat status;
    (void)arg;
    if (strikes()) {
        int error = errno;
        if (!killed) { /* the kernel gives up on the pages, and calls them clean */
            lose(fd, false);
            if (fstat(fd, &status) == 0)
                inode_of(fd)->synced = status.st_size;
        }
        errno = error;
        return -1;
    }
    if (fstat(fd, &status) == 0)
        inode_of(fd)->synced = status.st_size;
    return 0;
}

static int sync_dir(void *arg, int dir_fd)
{
    (void)arg, (void)dir_fd;
    if (strikes())
        return -1;
    step_count = 0;
    return 0;
}

static int rename_at(void *arg, int dir_fd, const char *from, const char *to)
{
    (void)arg;
    if (strikes())
        return -1;
    int rc = file_ops_system.rename_at(NULL, dir_fd, from, to);
    if (rc == 0)
        note_step(from, to);
    return rc;
}

static int unlink_at(void *arg, int dir_fd, const char *name)
{
    (void)arg;
    return strikes() ? -1 : unlinkat(dir_fd, name, 0);
}

static int64_t now_us(void *arg)
{
    (void)arg;
    return world_now_us();
}

const struct file_ops disk_ops = {open_at,   write_at,  truncate_file, start_sync, sync_data, sync_dir,
                                  rename_at, unlink_at, now_us,        NULL,       false};

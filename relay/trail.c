/* trail.c — a ring of entries in a file; see trail.h. What an entry means for the cursor is claim_trail.c's. */
#include "trail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "read_at.h"

enum { PENDING_MAX = 512 };

struct trail {
    int fd;
    char consumer[72];
    uint64_t sealed_head; /* of what all entries have in common */
    int64_t floor;
    bool failed, awaits;
    size_t next; /* in the ring: where the first pending entry goes */
    int pending_count;
    struct trail_entry pending[PENDING_MAX];
};

static const size_t ENTRY = sizeof(struct trail_entry);

static void say(const char *consumer, const char *what)
{
    log_write(LOG_LEVEL_INFO, consumer, "its trail cannot be %s (%s): after a kill more may be delivered again", what,
              strerror(errno));
}

static int open_regular(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
    bool known = fd >= 0 && fstat(fd, &st) == 0;
    if (fd < 0 || (known && S_ISREG(st.st_mode) && st.st_nlink <= 1))
        return fd;
    close(fd);
    errno = known && S_ISREG(st.st_mode) ? EMLINK : EINVAL; /* with another name too it may be anybody's */
    return -1;
}

struct trail *trail_open(const char *path, const char *consumer)
{
    struct trail *t = calloc(1, sizeof *t);
    int fd = t ? open_regular(path) : -1;
    if (fd < 0) {
        say(consumer, "opened");
        free(t);
        return NULL;
    }
    t->fd = fd;
    strncpy(t->consumer, consumer, sizeof t->consumer - 1);
    return t;
}

void trail_close(struct trail *t)
{
    if (t)
        close(t->fd);
    free(t);
}

/* splitmix64's finish over a running sum: each bit of what goes in moves half of those that come out. */
static uint64_t mix(uint64_t sum, uint64_t value)
{
    sum += value + UINT64_C(0x9e3779b97f4a7c15);
    sum = (sum ^ (sum >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    sum = (sum ^ (sum >> 27)) * UINT64_C(0x94d049bb133111eb);
    return sum ^ (sum >> 31);
}

static uint64_t seal_head(const char *source, int64_t lease_token)
{
    uint64_t sum = 0;
    for (const char *p = source; *p; p++)
        sum = mix(sum, (unsigned char)*p);
    return mix(sum, (uint64_t)lease_token);
}

static uint64_t seal_event(uint64_t head, int64_t seq, int64_t floor, int64_t created_at_us)
{
    return mix(mix(mix(head, (uint64_t)seq), (uint64_t)floor), (uint64_t)created_at_us);
}

uint64_t trail_seal(const char *source, int64_t lease_token, int64_t seq, int64_t floor, int64_t created_at_us)
{
    return seal_event(seal_head(source, lease_token), seq, floor, created_at_us);
}

/* Whatever the file has from before stays until it is written over: sealed for another token, it no longer counts. */
void trail_begin(struct trail *t, const char *source, int64_t lease_token, int64_t acked_seq)
{
    if (!t)
        return;
    t->sealed_head = seal_head(source, lease_token);
    t->floor = acked_seq;
    t->failed = t->awaits = false;
    t->next = 0;
    t->pending_count = 0;
}

void trail_add(struct trail *t, int64_t seq, int64_t created_at_us)
{
    if (!t || t->failed)
        return;
    if (t->pending_count == PENDING_MAX)
        trail_flush(t);
    t->pending[t->pending_count++] = (struct trail_entry){
        .seq = seq,
        .floor = t->floor,
        .seal = seal_event(t->sealed_head, seq, t->floor, created_at_us),
    };
}

static bool write_at(struct trail *t, const struct trail_entry *entries, size_t count)
{
    size_t size = count * ENTRY, done = 0;
    while (done < size) {
        ssize_t n = pwrite(t->fd, (const char *)entries + done, size - done, (off_t)(t->next * ENTRY + done));
        if (n == 0)
            errno = ENOSPC;
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    t->next = (t->next + count) % TRAIL_ENTRIES;
    return true;
}

void trail_flush(struct trail *t)
{
    if (!t || t->pending_count == 0)
        return;
    size_t count = (size_t)t->pending_count, to_end = TRAIL_ENTRIES - t->next;
    size_t first = count < to_end ? count : to_end;
    t->pending_count = 0;
    /* Crash here: what was delivered in this round comes again, and no more of it than was in flight. */
    if (write_at(t, t->pending, first) && (first == count || write_at(t, t->pending + first, count - first)))
        return;
    t->failed = true;
    say(t->consumer, "written");
}

void trail_await(struct trail *t)
{
    if (t)
        t->awaits = true;
}

bool trail_awaits(const struct trail *t)
{
    return t && t->awaits;
}

void trail_recorded(struct trail *t, int64_t acked_seq, bool all)
{
    if (!t)
        return;
    t->floor = acked_seq;
    if (all) { /* the same few pages are written again and again, and the file stays small */
        t->awaits = false;
        t->next = 0;
    }
}

bool trail_clear(struct trail *t)
{
    if (!t)
        return true;
    t->next = 0;
    t->pending_count = 0;
    return ftruncate(t->fd, 0) == 0;
}

static int by_seq(const void *a, const void *b)
{
    const struct trail_entry *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

bool trail_read(const struct trail *t, struct trail_entry **entries, size_t *count)
{
    struct stat st;
    *entries = NULL;
    *count = 0;
    if (!t)
        return true;
    if (fstat(t->fd, &st) != 0)
        return false;
    size_t most = (size_t)st.st_size / ENTRY;
    if (most > TRAIL_ENTRIES)
        most = TRAIL_ENTRIES;
    struct trail_entry *all = malloc(most * ENTRY + 1);
    if (!all)
        return false;
    errno = EIO; /* for a file that is shorter than it says */
    if (read_at(t->fd, all, most * ENTRY, 0) != (ssize_t)(most * ENTRY)) {
        free(all);
        return false;
    }
    qsort(all, most, ENTRY, by_seq);
    *entries = all;
    *count = most;
    return true;
}

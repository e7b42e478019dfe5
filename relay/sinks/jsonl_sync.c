/* jsonl_sync.c — counts what is on stable storage, and asks for more at a pace that the disk bears; see jsonl_sync.h.
 *
 * Invariant: synced passes a line only when a sync that began after it was written has ended well; for a while after one
 * that has not, when the disk has given the line back, too. What fails here is told once, to be acted on at once.
 */
#include "sinks/jsonl_sync.h"

#include <errno.h>
#include <string.h>

#include "sinks/jsonl_proof.h"

enum {
    SYNC_GAP_US = 10000,      /* the application waits for each; acknowledgements are recorded every 50 ms when busy */
    SYNC_GAP_MAX_US = 100000, /* acknowledgements wait for it */
    SYNC_SHARE = 8,           /* so much longer writing than waiting for the disk, where it is fast */
    SYNC_SHARE_SLOW = 2,      /* and where it is slow */
    PROBATION_SYNCS = 1000    /* after a failed one: seconds to minutes of a busy stream */
};

static const char not_there[] = "it was synced, and is not on the disk";

static int64_t now_us(const struct jsonl_sync *sync)
{
    return sync->ops->now_us(sync->ops->arg);
}

void jsonl_sync_init(struct jsonl_sync *sync, const struct file_ops *ops, bool never)
{
    memset(sync, 0, sizeof *sync);
    sync->ops = ops;
    sync->never = never;
}

void jsonl_sync_close(struct jsonl_sync *sync)
{
    sync_beside_close(sync->beside);
    sync->beside = NULL;
    sync->under_way = false;
}

void jsonl_sync_begin(struct jsonl_sync *sync, struct jsonl_mark synced)
{
    sync->synced = sync->before = synced;
    sync->synced_at_us = now_us(sync) - SYNC_GAP_US;
}

void jsonl_sync_begin_empty(struct jsonl_sync *sync)
{
    sync->synced.end = sync->before.end = 0;
}

int64_t jsonl_sync_due(const struct jsonl_sync *sync, int64_t written_end)
{
    int64_t gap_us = SYNC_SHARE * sync->took_us, slow_us = SYNC_SHARE_SLOW * sync->took_us;

    if (sync->under_way || sync->synced.end == written_end)
        return INT64_MAX;
    if (gap_us > SYNC_GAP_MAX_US)
        gap_us = slow_us > SYNC_GAP_MAX_US ? slow_us : SYNC_GAP_MAX_US;
    return sync->synced_at_us + (gap_us > SYNC_GAP_US ? gap_us : SYNC_GAP_US) + SYNC_PATIENCE_US;
}

static bool failed(struct jsonl_sync *sync, struct file_fault *fault, const char *what, int error)
{
    sync->probation = PROBATION_SYNCS;
    *fault = (struct file_fault){what, error};
    return false;
}

static bool is_on_disk(int fd, struct jsonl_mark from, struct jsonl_mark to)
{
    struct jsonl_proof proof;

    return jsonl_proof_read(fd, from.end, to.end, from.seq, &proof) && proof.end == to.end && proof.seq == to.seq;
}

/* A sync that began at began_us has ended well: everything up to end is on stable storage. */
static void ended_well(struct jsonl_sync *sync, struct jsonl_mark end, int64_t began_us)
{
    sync->before = sync->synced;
    sync->synced = end;
    sync->synced_at_us = now_us(sync);
    sync->took_us = sync->synced_at_us - began_us;
}

bool jsonl_sync_take(struct jsonl_sync *sync, bool wait, struct file_fault *fault)
{
    int error = 0;

    if (!sync->under_way || !sync_beside_take(sync->beside, wait, &error))
        return true;
    sync->under_way = false;
    if (error)
        return failed(sync, fault, "syncing", error);
    ended_well(sync, sync->covers, sync->since_us);
    return true;
}

int jsonl_sync_fd(const struct jsonl_sync *sync)
{
    return sync->under_way ? sync_beside_fd(sync->beside) : -1;
}

bool jsonl_sync_now(struct jsonl_sync *sync, int fd, struct jsonl_mark written, struct file_fault *fault)
{
    int64_t began_us = now_us(sync);

    if (!jsonl_sync_take(sync, true, fault))
        return false;
    if (sync->never || sync->synced.end == written.end) {
        sync->synced = written;
        sync->synced_at_us = began_us;
        return true;
    }
    if (sync->ops->sync_data(sync->ops->arg, fd) < 0)
        return failed(sync, fault, "syncing", errno);
    if (sync->probation > 0 && !is_on_disk(fd, sync->synced, written))
        return failed(sync, fault, not_there, 0);
    sync->probation -= sync->probation > 0;
    ended_well(sync, written, began_us);
    return true;
}

/* In probation the disk's word is not enough, and what it gives back is looked at here, at once. */
bool jsonl_sync_start(struct jsonl_sync *sync, int fd, struct jsonl_mark written, struct file_fault *fault)
{
    if (sync->under_way || sync->synced.end == written.end)
        return true;
    if (!sync->beside && sync->ops->beside && !sync->never && sync->probation == 0)
        sync->beside = sync_beside_open(sync->ops);
    if (!sync->beside || sync->probation > 0)
        return jsonl_sync_now(sync, fd, written, fault);
    sync->under_way = true;
    sync->covers = written;
    sync->since_us = now_us(sync);
    sync_beside_start(sync->beside, fd);
    return true;
}

bool jsonl_sync_prove(struct jsonl_sync *sync, int fd, struct jsonl_mark written, struct file_fault *fault)
{
    return sync->never || is_on_disk(fd, sync->before, written) || failed(sync, fault, not_there, 0);
}

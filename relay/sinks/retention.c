/* retention.c — which segments of a stream may go, and their going. When is jsonl.c's.
 *
 * Invariant: segments go oldest first and without holes, so what is left is one unbroken piece of the stream; what a
 * registered reader has not acknowledged stays, whatever the limits say.
 */
#include "sinks/retention.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A reader that has acknowledged nothing has NULL or 0: everything is still to be read. */
static const char read_seq_sql[] = "SELECT reads, min(ifnull(acked_seq, 0))\n"
                                   "  FROM main.consumer_offsets\n"
                                   " WHERE reads IS NOT NULL\n"
                                   " GROUP BY reads";

int retention_choose(const struct segment_list *segments, const struct retention_policy *keep, int64_t active_bytes,
                     int64_t read_seq, int64_t now_us)
{
    int64_t total_bytes = active_bytes;
    int chosen = 0;

    for (int i = 0; i < segments->count; i++)
        total_bytes += segments->items[i].size_bytes;

    for (; chosen < segments->count - 1; chosen++) {
        const struct segment *oldest = &segments->items[chosen];
        bool too_many = keep->count > 0 && segments->count - chosen > keep->count;
        bool too_large = keep->size_bytes > 0 && total_bytes > keep->size_bytes;
        bool too_old = keep->age_us > 0 && now_us - oldest->written_at_us > keep->age_us;
        if (oldest->last > read_seq || !(too_many || too_large || too_old))
            break;
        total_bytes -= oldest->size_bytes;
    }
    return chosen;
}

/* A path whose directory can't be looked at may lead here again tomorrow: its reader keeps what it needs as well. */
int retention_read_seq(sqlite3 *db, const char *path, int64_t *read_seq)
{
    sqlite3_stmt *stmt = NULL;
    int64_t slowest = INT64_MAX;
    int rc = sqlite3_prepare_v2(db, read_seq_sql, -1, &stmt, NULL);

    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *reads = (const char *)sqlite3_column_text(stmt, 0);
        int64_t seq = sqlite3_column_int64(stmt, 1);
        rc = reads ? SQLITE_OK : SQLITE_NOMEM;
        if (reads && seq < slowest && stream_same(path, reads) != STREAM_OTHER)
            slowest = seq;
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE)
        return rc;
    *read_seq = slowest;
    return SQLITE_OK;
}

bool retention_apply(const struct retention_policy *keep, const struct file_ops *ops, int dir_fd, const char *stem,
                     int64_t active_bytes, int64_t read_seq, int64_t now_us, int64_t *after_seq, char *reason,
                     size_t reason_size)
{
    struct segment_list segments;
    char name[SEGMENT_NAME_SIZE];
    bool ok = segment_list_read(&segments, dir_fd, stem);

    if (!ok)
        snprintf(reason, reason_size, "its directory can't be read: %s", strerror(errno));
    int count = ok ? retention_choose(&segments, keep, active_bytes, read_seq, now_us) : 0;
    for (int i = 0; ok && i < count; i++) {
        segment_name(name, stem, segments.items[i].first, segments.items[i].last);
        ok = ops->unlink_at(ops->arg, dir_fd, name) == 0 || errno == ENOENT;
        if (ok) /* Crash here: the ledger doesn't have it; the next start reads the names again. */
            *after_seq = segments.items[i + 1].first - 1;
        else
            snprintf(reason, reason_size, "segment %s can't be deleted: %s", name, strerror(errno));
    }
    segment_list_free(&segments);
    return ok;
}

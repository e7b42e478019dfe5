/* jsonl_progress.c — the stream's seqs, from put to settled; see jsonl_progress.h.
 *
 * Invariant: durable_seq never passes an event whose line is not durable, and the ledger hears of nothing else.
 */
#include "sinks/jsonl_progress.h"

void jsonl_progress_begin(struct jsonl_progress *p, const struct recovery *found, struct cursor *cursor)
{
    bool turned_back = found->acked_seq < cursor->acked_seq; /* catching up again is news */

    p->recorded_seq = cursor->acked_seq;
    if (!jsonl_position_parse(cursor->position, &p->recorded) || turned_back)
        p->recorded = (struct jsonl_position){-1, -1};
    cursor->acked_seq = found->acked_seq;
    p->put_seq = found->last_seq;
    p->passed_seq = p->durable_seq = p->syncing_seq = found->acked_seq;
    p->after_seq = found->after_seq;
}

void jsonl_progress_put(struct jsonl_progress *p, int64_t seq)
{
    p->put_seq = p->passed_seq = seq;
}

void jsonl_progress_skip(struct jsonl_progress *p, int64_t seq)
{
    p->passed_seq = seq;
}

void jsonl_progress_sync(struct jsonl_progress *p)
{
    p->syncing_seq = p->passed_seq;
}

bool jsonl_progress_synced(struct jsonl_progress *p, bool all)
{
    int64_t durable_seq = all ? p->passed_seq : p->syncing_seq;

    if (durable_seq <= p->durable_seq)
        return false;
    p->durable_seq = durable_seq;
    return true;
}

/* Lines that are written again were acknowledged before: the ledger hears nothing until its own cursor is passed. Were
 * it turned back, a crash would leave a cursor whose events are no longer owed. */
bool jsonl_progress_settle(struct jsonl_progress *p, int64_t synced_seq, struct settlement *out)
{
    struct jsonl_position now = {synced_seq, p->after_seq};

    if (p->durable_seq < p->recorded_seq)
        return false;
    if (p->durable_seq == p->recorded_seq && now.seq == p->recorded.seq && now.after == p->recorded.after)
        return false;
    p->recorded_seq = p->durable_seq;
    p->recorded = now;
    jsonl_position_format(p->position, &now);
    *out = (struct settlement){.acked_seq = p->durable_seq, .position = p->position};
    return true;
}

/* claim_trail.c — judges a trail's entries and acts on those that hold; see claim_trail.h.
 *
 * The invariant: an event is passed over only where its own row in change_log, under this source and this lease token,
 * was sealed as delivered. A webhook's entries stand for one event each, a command's for all lines up to it.
 */
#include "claim_trail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/position.h"

static const char sql_created[] = "SELECT created_at FROM main.change_log WHERE seq = ?1";

static const char sql_failed[] = "SELECT 1 FROM main.failed_deliveries WHERE consumer = ?1 AND seq = ?2";

static const char sql_drop[] = "DELETE FROM main.failed_deliveries WHERE consumer = ?1 AND seq = ?2";

static const char sql_raise[] = "UPDATE main.consumer_offsets SET acked_seq = ?2, position = ?3 WHERE consumer = ?1";

struct judge {
    sqlite3 *db;
    const char *consumer;
    const struct claim_found *found;
    sqlite3_stmt *created, *failed, *drop;
    int64_t acked_seq;
    struct trail_entry *entries; /* by seq; those that hold are moved to the front */
    size_t count;
    bool moved_back; /* the cursor is below one that the last holder knew: what it delivered is wanted again */
};

static int prepare(struct judge *j)
{
    int rc = sqlite3_prepare_v2(j->db, sql_created, -1, &j->created, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(j->db, sql_failed, -1, &j->failed, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(j->db, sql_drop, -1, &j->drop, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(j->failed, 1, j->consumer, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(j->drop, 1, j->consumer, -1, SQLITE_STATIC);
    return rc;
}

static void finish(struct judge *j)
{
    sqlite3_finalize(j->created);
    sqlite3_finalize(j->failed);
    sqlite3_finalize(j->drop);
    free(j->entries);
}

/* Runs a statement for one seq. SQLITE_ROW, SQLITE_DONE or the error; value is the first column's. */
static int look(sqlite3_stmt *st, int parameter, int64_t seq, int64_t *value)
{
    sqlite3_bind_int64(st, parameter, seq);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && value)
        *value = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return rc;
}

/* SQLITE_ROW: it holds; SQLITE_DONE: it doesn't. */
static int examine(struct judge *j, const struct trail_entry *e)
{
    int64_t created_at_us = 0;
    int rc = look(j->created, 1, e->seq, &created_at_us);
    if (rc != SQLITE_ROW)
        return rc;
    bool holds = e->seal == trail_seal(j->found->source, j->found->lease_token, e->seq, e->floor, created_at_us);
    return holds ? SQLITE_ROW : SQLITE_DONE;
}

/* Of what the cursor has passed only failed deliveries matter: that one of them has succeeded. */
static int matters(struct judge *j, const struct trail_entry *e)
{
    if (e->seq > j->acked_seq || e->floor > j->acked_seq)
        return SQLITE_ROW;
    return e->seq > 0 ? look(j->failed, 2, e->seq, NULL) : SQLITE_DONE;
}

static int judge_all(struct judge *j)
{
    size_t held = 0;
    for (size_t i = 0; i < j->count; i++) {
        const struct trail_entry e = j->entries[i];
        int rc = matters(j, &e);
        if (rc == SQLITE_ROW)
            rc = examine(j, &e);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            return rc;
        if (rc == SQLITE_ROW) {
            j->moved_back |= e.floor > j->acked_seq;
            j->entries[held++] = e;
        }
    }
    j->count = j->moved_back ? 0 : held;
    return SQLITE_OK;
}

/* The ranges of position and the entries above the cursor, one rising list. */
static bool merge_position(const struct judge *j, const char *position, struct buffer *out)
{
    struct position settled;
    struct position_writer writer;
    int64_t last = j->acked_seq;
    int range = 0;
    if (!position_parse(&settled, position) && errno == ENOMEM) /* what isn't ours counts as nothing, as at the sink */
        return false;
    position_begin(&writer, out);
    for (size_t i = 0; i <= j->count; i++) {
        int64_t seq = i < j->count ? j->entries[i].seq : INT64_MAX;
        for (; range < settled.count && settled.ranges[range].first <= seq; range++) {
            const struct seq_range *r = &settled.ranges[range];
            position_add(&writer, r->first > last ? r->first : last + 1, r->last);
            last = r->last > last ? r->last : last;
        }
        if (i < j->count && seq > last) {
            position_add(&writer, seq, seq);
            last = seq;
        }
    }
    position_end(&writer);
    position_free(&settled);
    return buffer_ok(out);
}

static int drop_failed(struct judge *j)
{
    int rc = SQLITE_DONE;
    for (size_t i = 0; rc == SQLITE_DONE && i < j->count; i++)
        rc = look(j->drop, 2, j->entries[i].seq, NULL);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_row(const struct judge *j, const struct cursor *cursor)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(j->db, sql_raise, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, j->consumer, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, cursor->acked_seq);
        sqlite3_bind_text(st, 3, cursor->position, -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The row, and cursor if that worked. position becomes the cursor's. */
static int raise_cursor(const struct judge *j, int64_t acked_seq, const char *position, struct cursor *cursor)
{
    struct cursor raised = {.acked_seq = acked_seq, .position = position ? strdup(position) : NULL};
    if (position && !raised.position)
        return SQLITE_NOMEM;
    int rc = write_row(j, &raised);
    if (rc != SQLITE_OK) {
        free(raised.position);
        return rc;
    }
    free(cursor->position);
    *cursor = raised;
    return SQLITE_OK;
}

static int apply_single(struct judge *j, struct cursor *cursor)
{
    struct buffer position = {0};
    int rc = drop_failed(j);
    if (rc == SQLITE_OK && !merge_position(j, cursor->position, &position))
        rc = SQLITE_NOMEM;
    if (rc == SQLITE_OK)
        rc = raise_cursor(j, cursor->acked_seq, position.size ? buffer_text(&position) : NULL, cursor);
    buffer_free(&position);
    return rc;
}

/* What a command acknowledges, it acknowledges with all before it; its position is its last line's seq. */
static int apply_upto(struct judge *j, struct cursor *cursor)
{
    char position[24];
    int64_t last = j->entries[j->count - 1].seq;
    if (last <= cursor->acked_seq)
        return SQLITE_OK;
    snprintf(position, sizeof position, "%" PRId64, last);
    return raise_cursor(j, last, position, cursor);
}

int claim_trail_apply(sqlite3 *db, const struct sink_settings *settings, const struct trail *trail,
                      const struct claim_found *found, struct cursor *cursor, int64_t *count)
{
    struct judge j = {.db = db, .consumer = settings->consumer, .found = found, .acked_seq = cursor->acked_seq};
    int rc = SQLITE_OK;
    *count = 0;
    if (!trail_read(trail, &j.entries, &j.count)) /* without it more is delivered again, and nothing less */
        return errno == ENOMEM ? SQLITE_NOMEM : SQLITE_OK;
    if (j.count == 0)
        goto done;
    rc = prepare(&j);
    if (rc == SQLITE_OK)
        rc = judge_all(&j);
    if (rc == SQLITE_OK && j.count > 0)
        rc = settings->kind == SINK_EXEC ? apply_upto(&j, cursor) : apply_single(&j, cursor);
    if (rc == SQLITE_OK)
        *count = (int64_t)j.count;
done:
    finish(&j);
    return rc;
}

/* settlement.c — gathers and writes settlements; see settlement.h. */
#include <stdlib.h>
#include <string.h>

#include "settlement.h"
#include "timestamp.h"

/* max(): a JSONL sink that writes lost lines again begins below the cursor, and what it passes was owed once already. */
static const char sql_settle[] = "UPDATE main.consumer_offsets"
                                 "   SET acked_seq = max(coalesce(acked_seq, 0), ?3), position = ?4, updated_at = ?5,"
                                 "       state = CASE WHEN ?6 THEN 'disabled' ELSE state END"
                                 " WHERE consumer = ?1 AND lease_token = ?2";

static const char sql_put[] =
    "INSERT INTO main.failed_deliveries(consumer, seq, key, state, attempts, next_attempt_at, last_status, last_error,"
    "                                   failed_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, ?10))"
    " ON CONFLICT(consumer, seq) DO UPDATE"
    "    SET key = excluded.key, state = excluded.state, attempts = excluded.attempts,"
    "        next_attempt_at = excluded.next_attempt_at, last_status = excluded.last_status,"
    "        last_error = excluded.last_error, failed_at = coalesce(?9, failed_at)";

static const char sql_attempt[] =
    "INSERT OR REPLACE INTO main.failed_attempts(consumer, seq, at, attempt, status, error, request, answer)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

static const char sql_trim[] = "DELETE FROM main.failed_attempts"
                               " WHERE consumer = ?1 AND seq = ?2"
                               "   AND at <= (SELECT at FROM main.failed_attempts WHERE consumer = ?1 AND seq = ?2"
                               "               ORDER BY at DESC LIMIT 1 OFFSET ?3)";

/* failed_attempts of it go too: schema/001 has a trigger for that. */
static const char sql_drop[] = "DELETE FROM main.failed_deliveries WHERE consumer = ?1 AND seq = ?2";

void settlement_free_changes(struct failed_change *changes, int count)
{
    for (int i = 0; i < count; i++)
        failed_change_fini(&changes[i]);
    free(changes);
}

void settlement_clear(struct settlement_batch *b)
{
    free(b->position);
    settlement_free_changes(b->changes, b->change_count);
    *b = (struct settlement_batch){0};
}

static bool reserve(struct settlement_batch *b, int more)
{
    if (more <= b->change_capacity - b->change_count)
        return true;
    int capacity = b->change_capacity ? b->change_capacity : 16;
    while (capacity < b->change_count + more)
        capacity *= 2;
    struct failed_change *grown = realloc(b->changes, (size_t)capacity * sizeof *grown);
    if (!grown)
        return false;
    b->changes = grown;
    b->change_capacity = capacity;
    return true;
}

static void append(struct settlement_batch *b, const struct failed_change *changes, int count)
{
    if (count)
        memcpy(b->changes + b->change_count, changes, (size_t)count * sizeof *changes);
    b->change_count += count;
}

bool settlement_add(struct settlement_batch *b, const struct settlement *s)
{
    char *position = s->position ? strdup(s->position) : NULL;
    if ((s->position && !position) || !reserve(b, s->change_count)) {
        free(position);
        settlement_free_changes(s->changes, s->change_count);
        return false;
    }
    append(b, s->changes, s->change_count);
    free(s->changes); /* the array; its strings are in the batch now */
    free(b->position);
    b->position = position;
    b->acked_seq = s->acked_seq;
    b->disable = b->disable || s->disable;
    b->any = true;
    return true;
}

bool settlement_put_back(struct settlement_batch *b, struct settlement_batch *older)
{
    if (!b->any) {
        settlement_clear(b);
        *b = *older;
        *older = (struct settlement_batch){0};
        return true;
    }
    if (!reserve(older, b->change_count))
        return false;
    append(older, b->changes, b->change_count);
    free(b->changes);
    free(older->position);
    b->changes = older->changes;
    b->change_count = older->change_count;
    b->change_capacity = older->change_capacity;
    b->disable = b->disable || older->disable;
    *older = (struct settlement_batch){0};
    return true;
}

int settlement_writer_open(struct settlement_writer *w, sqlite3 *db)
{
    *w = (struct settlement_writer){.db = db};
    int rc = sqlite3_prepare_v2(db, sql_settle, -1, &w->settle, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, sql_put, -1, &w->put, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, sql_drop, -1, &w->drop, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, sql_attempt, -1, &w->attempt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, sql_trim, -1, &w->trim, NULL);
    return rc;
}

void settlement_writer_fini(struct settlement_writer *w)
{
    sqlite3_finalize(w->settle);
    sqlite3_finalize(w->put);
    sqlite3_finalize(w->drop);
    sqlite3_finalize(w->attempt);
    sqlite3_finalize(w->trim);
    *w = (struct settlement_writer){0};
}

static int run(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static const char *state_name(enum failed_state state)
{
    switch (state) {
    case FAILED_RETRY: return "retry";
    case FAILED_WAITING: return "waiting";
    case FAILED_DEAD: return "dead";
    case FAILED_GONE: break; /* has no row */
    }
    return NULL;
}

static int write_attempt(struct settlement_writer *w, const char *consumer, const struct failed_change *c)
{
    const struct failed_attempt *a = &c->attempt;
    sqlite3_bind_text(w->attempt, 1, consumer, -1, SQLITE_STATIC);
    sqlite3_bind_int64(w->attempt, 2, c->seq);
    sqlite3_bind_int64(w->attempt, 3, a->at_us);
    sqlite3_bind_int(w->attempt, 4, c->attempts);
    if (c->last_status)
        sqlite3_bind_int(w->attempt, 5, c->last_status);
    sqlite3_bind_text(w->attempt, 6, c->last_error, -1, SQLITE_STATIC);
    sqlite3_bind_text(w->attempt, 7, a->request, -1, SQLITE_STATIC);
    sqlite3_bind_blob(w->attempt, 8, a->answer, (int)a->answer_size, SQLITE_STATIC); /* NULL where it is */
    int rc = run(w->attempt);
    if (rc != SQLITE_OK)
        return rc;
    if (sqlite3_bind_text(w->trim, 1, consumer, -1, SQLITE_STATIC) != SQLITE_OK)
        return SQLITE_NOMEM;
    sqlite3_bind_int64(w->trim, 2, c->seq);
    sqlite3_bind_int(w->trim, 3, SETTLEMENT_ATTEMPTS_KEPT);
    return run(w->trim);
}

static int write_change(struct settlement_writer *w, const char *consumer, const struct failed_change *c, int64_t now)
{
    sqlite3_stmt *st = c->state == FAILED_GONE ? w->drop : w->put;
    /* In a database of UTF-16 a text is converted here. One for which there is no memory would be NULL: a delivery without
     * a state, which nobody tries again. */
    if (sqlite3_bind_text(st, 1, consumer, -1, SQLITE_STATIC) != SQLITE_OK)
        return SQLITE_NOMEM;
    sqlite3_bind_int64(st, 2, c->seq);
    if (c->state == FAILED_GONE)
        return run(st);
    if (sqlite3_bind_text(st, 3, c->key, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(st, 4, state_name(c->state), -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(st, 8, c->last_error, -1, SQLITE_STATIC) != SQLITE_OK)
        return SQLITE_NOMEM;
    sqlite3_bind_int(st, 5, c->attempts);
    if (c->next_attempt_at_us)
        sqlite3_bind_int64(st, 6, c->next_attempt_at_us);
    if (c->last_status)
        sqlite3_bind_int(st, 7, c->last_status);
    if (c->failed_at_us)
        sqlite3_bind_int64(st, 9, c->failed_at_us);
    sqlite3_bind_int64(st, 10, now);
    int rc = run(st);
    return rc == SQLITE_OK && c->attempt.at_us ? write_attempt(w, consumer, c) : rc;
}

int settlement_write(struct settlement_writer *w, const char *consumer, int64_t lease_token,
                     const struct settlement_batch *b, bool *stale)
{
    int64_t now = timestamp_now_us();
    if (sqlite3_bind_text(w->settle, 1, consumer, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(w->settle, 4, b->position, -1, SQLITE_STATIC) != SQLITE_OK)
        return SQLITE_NOMEM;
    sqlite3_bind_int64(w->settle, 2, lease_token);
    sqlite3_bind_int64(w->settle, 3, b->acked_seq);
    sqlite3_bind_int64(w->settle, 5, now);
    sqlite3_bind_int(w->settle, 6, b->disable);
    int rc = run(w->settle);
    *stale = rc == SQLITE_OK && sqlite3_changes(w->db) == 0;
    for (int i = 0; rc == SQLITE_OK && !*stale && i < b->change_count; i++)
        rc = write_change(w, consumer, &b->changes[i], now);
    return rc;
}

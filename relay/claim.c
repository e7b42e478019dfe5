/* claim.c — registers and takes over consumers; see claim.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim.h"
#include "claim_trail.h"
#include "database.h"
#include "timestamp.h"

static const char sql_find[] = "SELECT acked_seq, position, reads, kind, coalesce(lease_token, 0),"
                               "       (SELECT value FROM main.outbox_meta WHERE name = 'source')"
                               "  FROM main.consumer_offsets WHERE consumer = ?1";

static const char sql_take_over[] =
    "UPDATE main.consumer_offsets"
    "   SET lease_token = coalesce(lease_token, 0) + 1, lease_owner = ?2, updated_at = ?3, kind = ?5"
    " WHERE consumer = ?1 RETURNING lease_token";

static const char sql_register[] =
    "INSERT INTO main.consumer_offsets(consumer, acked_seq, lease_token, lease_owner, updated_at, kind)"
    " VALUES (?1, ?4, 1, ?2, ?3, ?5) RETURNING lease_token";

static const char sql_oldest_owed[] = "SELECT min(seq) FROM main.outbox";

/* All writers wait meanwhile, so it is counted no further than this; and how far the outbox goes. */
static const char sql_count_after[] = "SELECT count(*), (SELECT max(seq) FROM main.outbox)"
                                      "  FROM (SELECT 1 FROM main.outbox WHERE seq > ?1 LIMIT 10000)";

enum { COUNTED_MAX = 10000 };

/* The first event that change_log has of those wanted. 0: none. */
static const char sql_history_from[] = "SELECT min(seq) FROM main.change_log WHERE seq >= ?1";

/* Owed once more. Consumers that have acknowledged them pass over; the janitor takes them again when this one has. */
static const char sql_owe_again[] = "INSERT INTO main.outbox(seq)"
                                    " SELECT seq FROM main.change_log AS c WHERE seq >= ?1"
                                    "    AND NOT EXISTS (SELECT 1 FROM main.outbox AS o WHERE o.seq = c.seq)";

static enum claim_result failed(sqlite3 *db, int rc, char *reason, size_t reason_size)
{
    snprintf(reason, reason_size, "claiming the consumer: %s", sqlite3_errmsg(db));
    return database_error_is_temporary(rc) ? CLAIM_LATER : CLAIM_BROKEN;
}

/* One row of integers, NULL as 0. Returns SQLITE_ROW, SQLITE_DONE or the error. */
static int query(sqlite3 *db, const char *sql, int64_t argument, int64_t *first, int64_t *second)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        if (sqlite3_bind_parameter_count(st) > 0)
            sqlite3_bind_int64(st, 1, argument);
        rc = sqlite3_step(st);
    }
    if (rc == SQLITE_ROW) {
        *first = sqlite3_column_int64(st, 0);
        if (second)
            *second = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return rc;
}

/* --from SEQ: everything from there on must still be in change_log. */
static enum claim_result begin_at_seq(sqlite3 *db, int64_t seq, int64_t last_seq, char *reason, size_t reason_size)
{
    if (seq > last_seq + 1 || seq < 1) {
        snprintf(reason, reason_size, "--from %lld is not there yet: the last event is %lld", (long long)seq,
                 (long long)last_seq);
        return CLAIM_BROKEN;
    }
    int64_t first = 0;
    int rc = query(db, sql_history_from, seq, &first, NULL);
    if (rc != SQLITE_ROW)
        return failed(db, rc, reason, reason_size);
    if (first > 0 ? first == seq : seq == last_seq + 1)
        return CLAIM_OK; /* a hole further on is the source's to find */
    if (first > 0)
        snprintf(reason, reason_size, "--from %lld: change_log no longer has it; the first one after it is %lld",
                 (long long)seq, (long long)first);
    else
        snprintf(reason, reason_size, "--from %lld: change_log no longer has it; it is empty", (long long)seq);
    return CLAIM_BROKEN;
}

enum claim_result claim_begin(sqlite3 *db, const struct sink_settings *settings, int64_t *after, char *reason,
                              size_t reason_size)
{
    int64_t last_seq = database_last_seq(db), oldest = 0;
    if (last_seq < 0)
        return failed(db, (int)-last_seq, reason, reason_size);
    int rc;
    enum claim_result result;
    switch (settings->start) {
    case START_NOW: *after = last_seq; return CLAIM_OK;
    case START_SEQ:
        result = begin_at_seq(db, settings->start_seq, last_seq, reason, reason_size);
        if (result == CLAIM_OK)
            *after = settings->start_seq - 1;
        return result;
    case START_OLDEST:
        rc = query(db, sql_oldest_owed, 0, &oldest, NULL);
        if (rc != SQLITE_ROW)
            return failed(db, rc, reason, reason_size);
        *after = oldest > 0 ? oldest - 1 : last_seq;
        return CLAIM_OK;
    }
    return CLAIM_BROKEN; /* unreachable: every enumerator returns above */
}

/* Runs sql_take_over or sql_register, which alone uses acked_seq. */
static int write_claim(sqlite3 *db, const char *sql, const struct sink_settings *settings, int64_t acked_seq,
                       int64_t *lease_token)
{
    char owner[128], host[64] = "localhost";
    gethostname(host, sizeof host - 1);
    snprintf(owner, sizeof owner, "%s:%ld", host, (long)getpid());
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, settings->consumer, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 2, owner, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 3, timestamp_now_us());
        sqlite3_bind_int64(st, 4, acked_seq);
        sqlite3_bind_text(st, 5, sink_kind_name(settings->kind), -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    if (rc == SQLITE_ROW) {
        *lease_token = sqlite3_column_int64(st, 0);
        rc = sqlite3_step(st); /* RETURNING: the statement has written when it is done */
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What a new consumer will be given: exact where it is little, else as many as the seqs from there on. */
static int count_waiting(sqlite3 *db, int64_t after, struct claim *out)
{
    int64_t last = 0;
    int rc = query(db, sql_count_after, after, &out->waiting_count, &last);
    out->waiting_more = out->waiting_count == COUNTED_MAX;
    if (out->waiting_more)
        out->waiting_count = last - after;
    return rc;
}

static enum claim_result register_new(sqlite3 *db, const struct sink_settings *settings, struct claim *out,
                                      char *reason, size_t reason_size)
{
    int64_t after = 0;
    enum claim_result result = claim_begin(db, settings, &after, reason, reason_size);
    if (result != CLAIM_OK)
        return result;
    int rc = SQLITE_DONE;
    if (settings->start == START_SEQ)
        rc = query(db, sql_owe_again, after + 1, &out->waiting_count, NULL);
    if (rc == SQLITE_DONE)
        rc = write_claim(db, sql_register, settings, after, &out->lease_token);
    if (rc == SQLITE_OK)
        rc = count_waiting(db, after, out);
    if (rc != SQLITE_ROW)
        return failed(db, rc, reason, reason_size);
    out->cursor.acked_seq = after;
    out->is_new = true;
    return CLAIM_OK;
}

/* Whether what works for it is what always has: nobody else can make anything of its position, and of what stepped aside. */
static bool is_ours(const struct sink_settings *settings, const char *reads, const char *kind, char *reason,
                    size_t reason_size)
{
    const char *ours = sink_kind_name(settings->kind);
    if (reads) {
        snprintf(reason, reason_size, "a consumer of this name follows the file %s; choose another with --consumer",
                 reads);
        return false;
    }
    if (!kind || !strcmp(kind, ours))
        return true;
    if (!strcmp(kind, "reader"))
        snprintf(reason, reason_size,
                 "a consumer of this name is a program's own reader; choose another with --consumer");
    else
        snprintf(
            reason, reason_size,
            "a consumer of this name is of kind %s, and this is of kind %s; choose another with --consumer, or, where "
            "the %s is given up: outboxctl consumers remove %s",
            kind, ours, kind, settings->consumer);
    return false;
}

/* A row of consumer_offsets, as it was before us. */
struct row {
    bool found, had_holder;
    int64_t lease_token;
    char source[17];
};

static bool read_row(sqlite3_stmt *st, struct row *row, struct cursor *cursor)
{
    const char *position = (const char *)sqlite3_column_text(st, 1), *source = (const char *)sqlite3_column_text(st, 5);
    row->had_holder = sqlite3_column_type(st, 3) != SQLITE_NULL;
    row->lease_token = sqlite3_column_int64(st, 4);
    snprintf(row->source, sizeof row->source, "%s", source ? source : "");
    cursor->acked_seq = sqlite3_column_int64(st, 0);
    cursor->position = position ? strdup(position) : NULL;
    return cursor->position || !position;
}

static enum claim_result find(sqlite3 *db, const struct sink_settings *settings, struct row *row, struct cursor *cursor,
                              char *reason, size_t reason_size)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql_find, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, settings->consumer, -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    enum claim_result result = CLAIM_OK;
    row->found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW && !is_ours(settings, (const char *)sqlite3_column_text(st, 2),
                                     (const char *)sqlite3_column_text(st, 3), reason, reason_size)) {
        result = CLAIM_BROKEN;
    } else if (rc == SQLITE_ROW && !read_row(st, row, cursor)) {
        result = failed(db, SQLITE_NOMEM, reason, reason_size);
    } else if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        result = failed(db, rc, reason, reason_size);
    }
    sqlite3_finalize(st);
    return result;
}

/* What stands in the trail of a consumer that is new, or that no holder is known of, was another's of its name. */
static enum claim_result use_trail(sqlite3 *db, const struct sink_settings *settings, struct trail *trail,
                                   const struct row *row, struct claim *claim, char *reason, size_t reason_size)
{
    if (row->found && row->had_holder) {
        const struct claim_found found = {.source = row->source, .lease_token = row->lease_token};
        int rc = claim_trail_apply(db, settings, trail, &found, &claim->cursor, &claim->trail_count);
        return rc == SQLITE_OK ? CLAIM_OK : failed(db, rc, reason, reason_size);
    }
    if (trail_clear(trail))
        return CLAIM_OK;
    snprintf(reason, reason_size, "its trail cannot be emptied: %s", strerror(errno));
    return CLAIM_LATER;
}

enum claim_result claim_take(sqlite3 *db, const struct sink_settings *settings, struct trail *trail, struct claim *out,
                             char *reason, size_t reason_size)
{
    struct claim claim = {0};
    struct row row = {0};
    enum claim_result result = find(db, settings, &row, &claim.cursor, reason, reason_size);
    if (result == CLAIM_OK)
        result = use_trail(db, settings, trail, &row, &claim, reason, reason_size);
    if (result == CLAIM_OK && !row.found) {
        result = register_new(db, settings, &claim, reason, reason_size);
    } else if (result == CLAIM_OK) {
        int rc = write_claim(db, sql_take_over, settings, 0, &claim.lease_token);
        if (rc != SQLITE_OK)
            result = failed(db, rc, reason, reason_size);
    }
    if (result == CLAIM_OK)
        *out = claim;
    else
        free(claim.cursor.position);
    return result;
}

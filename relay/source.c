/* source.c — reads batches of events and proves their chain; see source.h.
 *
 * The invariant: *after only passes a seq that was handed out, or one that `new-source` skipped on record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "database.h"
#include "event_select.h"
#include "expression.h"
#include "lineage.h"
#include "source.h"
#include "sync_ahead.h"
#include "wal.h"

static const char sql_data_version[] = "PRAGMA data_version";

/* Who we are talking to, and whether we may. */
static const char sql_standing[] = "SELECT (SELECT value FROM main.outbox_meta WHERE name = 'source'),"
                                   "       (SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'),"
                                   "       (SELECT lease_token FROM main.consumer_offsets WHERE consumer = ?1),"
                                   "       (SELECT state FROM main.consumer_offsets WHERE consumer = ?1)";

static const char sql_former_sources[] = "SELECT value FROM main.outbox_meta WHERE name = 'former_sources'";

/* A batch is bounded by bytes too: 1,000 events of 1 MiB must not meet in memory. */
enum { BATCH_BYTES = 4 << 20, SOURCE_MESSAGE_SIZE = 512 };

/* After a sync beside the writer's: the writer needs some microseconds more until its commit can be seen; a look takes two. */
enum { LOOKS_MAX = 25 };

struct source {
    sqlite3 *db;
    const struct sink_settings *settings;
    struct expression_budget budget;
    sqlite3_stmt *data_version, *standing;
    sqlite3_stmt *owed, *logged; /* events, from outbox_events and from change_log */
    sqlite3_stmt *bare;          /* without the expressions: the one on which they failed */
    struct buffer number;        /* see event_select_row() */
    struct sync_ahead ahead;
    struct durable *durable; /* borrowed, with what others have synced, too; else its own */
    struct durable own;
    bool follows, held_back; /* see source_follow() */

    char source_id[17];
    int64_t lease_token, owed_after;

    int64_t seen_version;   /* data_version of the last look that found everything read; 0: none */
    int64_t synced_version; /* data_version up to which the WAL is on stable storage; 0: none */
    char message[SOURCE_MESSAGE_SIZE];
};

/* One call of source_read. */
struct batch {
    source_take *take;
    void *arg;
    int64_t after, last_seq;
    int64_t durable_seq; /* as known before the transaction began */
    int64_t upto;        /* no row after it */
    int left;            /* rows */
    size_t bytes;        /* handed out */
    bool any, stopped;
    enum source_result result; /* OK until something ends the batch */
};

/* ---- Open and close ------------------------------------------------------------------------------------------------ */

static int prepare_all(struct source *s)
{
    int rc = sqlite3_prepare_v2(s->db, sql_data_version, -1, &s->data_version, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->db, sql_standing, -1, &s->standing, NULL);
    if (rc == SQLITE_OK)
        rc = event_select_prepare(s->db, "outbox_events", s->settings, &s->owed);
    if (rc == SQLITE_OK)
        rc = event_select_prepare(s->db, "change_log", s->settings, &s->logged);
    if (rc == SQLITE_OK)
        rc = event_select_prepare(s->db, "change_log", NULL, &s->bare);
    return rc;
}

bool source_check_expressions(sqlite3 *db, const struct sink_settings *settings, char *message, size_t message_size)
{
    struct expression_budget budget;
    expression_confine(db, &budget);
    const struct {
        const char *option, *sql;
    } all[] = {{"--filter", settings->filter},
               {"--transform", settings->transform},
               {"--before-transform", settings->before_transform}};
    bool good = true;
    for (size_t i = 0; good && i < sizeof all / sizeof *all; i++)
        good = !all[i].sql || expression_check(db, all[i].option, all[i].sql, message, message_size);
    sqlite3_progress_handler(db, 0, NULL, NULL); /* budget ends here */
    return good;
}

struct source *source_open(sqlite3 *db, const struct sink_settings *settings, bool *temporary, char *message,
                           size_t message_size)
{
    struct source *s = calloc(1, sizeof *s);
    *temporary = true;
    if (!s) {
        snprintf(message, message_size, "out of memory");
        return NULL;
    }
    s->db = s->ahead.db = db;
    s->durable = &s->own;
    s->settings = settings;
    expression_confine(db, &s->budget);
    int rc = prepare_all(s);
    if (rc != SQLITE_OK) {
        snprintf(message, message_size, "reading the outbox: %s",
                 rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(db));
        *temporary = database_error_is_temporary(rc);
        source_close(s);
        return NULL;
    }
    return s;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->data_version);
    sqlite3_finalize(s->standing);
    sqlite3_finalize(s->owed);
    sqlite3_finalize(s->logged);
    sqlite3_finalize(s->bare);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    buffer_free(&s->number);
    free(s);
}

void source_expect(struct source *s, const char *source_id, int64_t lease_token, int64_t owed_after)
{
    if (lease_token != s->lease_token || strcmp(source_id, s->source_id) != 0) /* who knows what else changed */
        durable_forget(s->durable);
    snprintf(s->source_id, sizeof s->source_id, "%s", source_id);
    s->lease_token = lease_token;
    s->owed_after = owed_after;
    s->seen_version = 0;
}

void source_use_wake(struct source *s, struct wake *wake)
{
    s->ahead.wake = wake;
    s->ahead.writes = wake ? wake_writes(wake) : 0;
}

void source_use_durable(struct source *s, struct durable *durable)
{
    s->durable = durable ? durable : &s->own;
}

void source_follow(struct source *s, bool follows)
{
    s->follows = follows;
}

/* What an expression adds to an event may come from any table, and have no seq. */
static bool adds_nothing(const struct sink_settings *settings)
{
    return !settings->filter && !settings->transform && !settings->before_transform;
}

bool source_may_follow(const struct source *s)
{
    return s->durable != &s->own && adds_nothing(s->settings);
}

bool source_held_back(const struct source *s)
{
    return s->held_back;
}

const char *source_message(const struct source *s)
{
    return s->message;
}

/* ---- Failures ----------------------------------------------------------------------------------------------------- */

static enum source_result failed(struct source *s, int rc)
{
    snprintf(s->message, sizeof s->message, "reading the outbox: %s",
             sqlite3_extended_errcode(s->db) == rc ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
    return database_error_is_temporary(rc) ? SOURCE_LATER : SOURCE_BROKEN;
}

/* Whether a failed step is about the row's own data and the operator's expression, not about the database. */
static bool is_row_fault(const struct source *s, int rc)
{
    const struct sink_settings *set = s->settings;
    if (!set->filter && !set->transform && !set->before_transform)
        return false;
    switch (rc & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT: return true;
    case SQLITE_INTERRUPT: return s->budget.left < 0; /* the budget ran out; nobody else interrupts */
    default: return false;
    }
}

/* ---- The chain ---------------------------------------------------------------------------------------------------- */

/* Whether `new-source` skipped all seqs between last and next. */
static int is_explained(struct source *s, int64_t last, int64_t next, bool *explained)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql_former_sources, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *former = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    *explained = lineage_explains(former, last, next);
    if (rc == SQLITE_ROW && !former && sqlite3_errcode(s->db) == SQLITE_NOMEM)
        rc = SQLITE_NOMEM; /* for the text: this is no gap */
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* next is the first seq after b->after that is there, or could be. True: nothing is missing before it. */
static bool chain_holds(struct source *s, struct batch *b, int64_t next)
{
    bool explained = next <= b->after + 1;
    int rc = explained ? SQLITE_OK : is_explained(s, b->after, next, &explained);
    if (explained)
        return true;
    b->stopped = true;
    if (rc != SQLITE_OK) {
        b->result = failed(s, rc);
    } else if (!b->any) { /* else the rows before it are good; the next read begins here and says so */
        snprintf(s->message, sizeof s->message,
                 "events %lld to %lld are gone, and %s still needed them; resynchronise what it feeds,"
                 " then move the cursor: outboxctl consumers seek",
                 (long long)b->after + 1, (long long)next - 1, s->settings->consumer);
        b->result = SOURCE_GAP;
    }
    return false;
}

/* ---- Rows --------------------------------------------------------------------------------------------------------- */

/* Hands out the row that st stands on. False: the batch ends before it. */
static bool hand_out(struct source *s, struct batch *b, sqlite3_stmt *st, const char *error)
{
    struct source_row row = {.error = error};
    row.event.seq = event_select_seq(st);
    if (!chain_holds(s, b, row.event.seq))
        return false;
    bool wanted = error || event_select_wanted(st);
    if (wanted && !event_select_row(st, &s->number, &row)) {
        b->result = failed(s, SQLITE_NOMEM);
        b->stopped = true;
        return false;
    }
    if (!b->take(b->arg, &row, wanted)) {
        b->stopped = true;
        return false;
    }
    b->after = row.event.seq;
    b->any = true;
    b->left--;
    b->bytes += row.event.payload_size + row.event.before_size + row.event.headers_size;
    return true;
}

/* The expressions failed on the row after b->after: hands that one out bare, with the reason. */
static bool hand_out_failed(struct source *s, struct batch *b, int rc)
{
    char reason[256];
    snprintf(reason, sizeof reason, "filter or transform: %s",
             rc == SQLITE_INTERRUPT ? "too much work for one event" : sqlite3_errmsg(s->db));
    event_select_bind(s->bare, b->after, INT64_MAX, 1);
    expression_budget_end(&s->budget);
    rc = sqlite3_step(s->bare);
    bool good = rc == SQLITE_ROW && hand_out(s, b, s->bare, reason);
    if (rc == SQLITE_DONE)
        rc = SQLITE_CORRUPT; /* the row was there a moment ago, in this snapshot */
    if (rc != SQLITE_ROW)
        b->result = failed(s, rc);
    sqlite3_reset(s->bare);
    return good;
}

/* Reads until the limit, the end, or a row that is not taken. */
static void read_rows(struct source *s, struct batch *b)
{
    bool from_log = b->after < s->owed_after;
    sqlite3_stmt *st = from_log ? s->logged : s->owed;
    int64_t upto = from_log && s->owed_after < b->upto ? s->owed_after : b->upto;
    int rc = SQLITE_ROW;
    event_select_bind(st, b->after, upto, b->left);
    while (b->left > 0 && b->bytes < BATCH_BYTES) {
        expression_budget_begin(&s->budget);
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            if (!hand_out(s, b, st, NULL))
                break;
        } else if (rc != SQLITE_DONE && is_row_fault(s, rc)) {
            if (!hand_out_failed(s, b, rc))
                break;
            sqlite3_reset(st);
            event_select_bind(st, b->after, upto, b->left);
        } else {
            if (rc != SQLITE_DONE)
                b->result = failed(s, rc);
            break;
        }
    }
    sqlite3_reset(st);
    expression_budget_end(&s->budget);
    if (rc != SQLITE_DONE || b->any || b->result != SOURCE_OK || b->upto != INT64_MAX)
        return;
    int64_t end = from_log && s->owed_after < b->last_seq ? s->owed_after : b->last_seq;
    if (chain_holds(s, b, end + 1) && end > b->after && from_log)
        b->after = end; /* skipped on record: what is owed begins behind it */
}

/* ---- A batch ------------------------------------------------------------------------------------------------------ */

/* Still the same database, still ours to read, not behind the cursor? */
static enum source_result check_standing(struct source *s, struct batch *b)
{
    sqlite3_stmt *st = s->standing;
    sqlite3_bind_text(st, 1, s->settings->consumer, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    enum source_result result = SOURCE_OK;
    if (rc != SQLITE_ROW) {
        result = failed(s, rc);
    } else {
        const char *source_id = (const char *)sqlite3_column_text(st, 0);
        const char *state = (const char *)sqlite3_column_text(st, 3);
        b->last_seq = sqlite3_column_int64(st, 1);
        if (b->last_seq < b->durable_seq) /* those were others: an older copy is in their place */
            durable_forget(s->durable);
        if ((!source_id || !state) && sqlite3_errcode(s->db) == SQLITE_NOMEM) {
            result = failed(s, SQLITE_NOMEM);
        } else if (!source_id || strcmp(source_id, s->source_id) != 0) {
            durable_forget(s->durable);
            snprintf(s->message, sizeof s->message, "the database has a new source");
            result = SOURCE_STALE;
        } else if (s->lease_token && sqlite3_column_int64(st, 2) != s->lease_token) {
            snprintf(s->message, sizeof s->message, "the cursor was moved by an operator");
            result = SOURCE_STALE;
        } else if (b->after > b->last_seq) {
            snprintf(s->message, sizeof s->message,
                     "the database ends at %lld, but %lld was delivered from it: an older copy was put in its place;"
                     " if that was meant: outboxctl new-source --seq-after %lld",
                     (long long)b->last_seq, (long long)b->after, (long long)b->after);
            result = SOURCE_REWOUND;
        } else if (s->lease_token && state) {
            snprintf(s->message, sizeof s->message, "%s", state);
            result = SOURCE_PAUSED;
        }
    }
    sqlite3_reset(st);
    return result;
}

enum source_result source_look(struct source *s, int64_t after)
{
    struct batch b = {.after = after};
    return check_standing(s, &b);
}

static int read_data_version(struct source *s, int64_t *version)
{
    int rc = sqlite3_step(s->data_version);
    if (rc == SQLITE_ROW)
        *version = sqlite3_column_int64(s->data_version, 0);
    sqlite3_reset(s->data_version);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static enum source_result read_transaction(struct source *s, struct batch *b)
{
    int rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return failed(s, rc);
    b->result = check_standing(s, b);
    if (b->result == SOURCE_OK)
        read_rows(s, b);
    if (b->result == SOURCE_OK && !b->any && !b->stopped && b->upto != INT64_MAX) {
        b->upto = INT64_MAX; /* nothing up to there: whether that is right, what follows says */
        read_rows(s, b);
    }
    rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
    return b->result == SOURCE_OK && rc != SQLITE_OK ? failed(s, rc) : b->result;
}

/* A second sync of the same file would say ok without having written anything. */
static enum source_result sync_failed(struct source *s, int rc)
{
    snprintf(s->message, sizeof s->message, "the WAL could not be synced (%s): check the disk before restarting",
             sqlite3_errstr(rc));
    return SOURCE_BROKEN;
}

/* What was read may stand in the WAL unsynced, where a power cut would take it back after it was delivered. version was
 * asked before the transaction began: where it is the one of the last sync, nothing was committed since. Nor need events
 * be synced that were there at the last sync, whoever made it, whatever was committed since. */
static enum source_result make_durable(struct source *s, const struct batch *b, int64_t version)
{
    if (version == s->synced_version || (b->after <= durable_seq(s->durable) && adds_nothing(s->settings)))
        return SOURCE_OK;
    int rc = sync_ahead_covers(&s->ahead) ? SQLITE_OK : wal_sync(s->db);
    if (rc != SQLITE_OK)
        return sync_failed(s, rc);
    s->synced_version = version;
    durable_reached(s->durable, b->last_seq);
    return SOURCE_OK;
}

/* Looks for a commit; where one was written and can't be seen yet, syncs meanwhile. *version: as last seen. */
static enum source_result look_for_commit(struct source *s, int64_t *version)
{
    int rc = database_roll_back(s->db); /* one that is open still sees no commit any more */
    if (rc == SQLITE_OK)
        rc = read_data_version(s, version);
    if (rc != SQLITE_OK || *version != s->seen_version || !sync_ahead_wanted(&s->ahead))
        return rc == SQLITE_OK ? SOURCE_OK : failed(s, rc);
    rc = read_data_version(s, version);
    if (rc != SQLITE_OK || *version != s->seen_version)
        return rc == SQLITE_OK ? SOURCE_OK : failed(s, rc);
    rc = sync_ahead_sync(&s->ahead);
    if (rc != SQLITE_OK)
        return sync_failed(s, rc);
    for (int i = 0; rc == SQLITE_OK && *version == s->seen_version && i < LOOKS_MAX; i++)
        rc = read_data_version(s, version);
    return rc == SQLITE_OK ? SOURCE_OK : failed(s, rc);
}

enum source_result source_read(struct source *s, int64_t *after, int limit, source_take *take, void *arg, bool *full)
{
    struct batch b = {.take = take, .arg = arg, .after = *after, .left = limit, .upto = INT64_MAX};
    b.durable_seq = durable_seq(s->durable);
    if (s->follows && b.durable_seq > *after && adds_nothing(s->settings))
        b.upto = b.durable_seq;
    s->held_back = false;
    int64_t version = 0;
    *full = false;
    enum source_result result = look_for_commit(s, &version);
    if (result != SOURCE_OK || version == s->seen_version)
        return result; /* nothing was committed since everything was read */
    if (database_moved(s->db)) {
        snprintf(s->message, sizeof s->message,
                 "the database file was moved, removed or replaced; start the relay again");
        return SOURCE_BROKEN;
    }
    result = read_transaction(s, &b);
    if (result == SOURCE_OK && b.any)
        result = make_durable(s, &b, version);
    if (result != SOURCE_OK)
        return result;
    /* Where the log was read up to what is owed, the outbox goes on. */
    bool log_ended = b.after > *after && *after < s->owed_after && s->owed_after != INT64_MAX;
    *full = b.stopped || b.left == 0 || b.bytes >= BATCH_BYTES || log_ended;
    s->held_back = !*full && b.upto < b.last_seq;
    s->seen_version = *full || s->held_back ? 0 : version;
    *after = b.after;
    return SOURCE_OK;
}

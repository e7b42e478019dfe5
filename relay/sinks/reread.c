/* reread.c — reads single events from change_log, and what stepped aside from failed_deliveries.
 *
 * Leaves to others: how a row is read and filtered (source.h). Events come over a connection of its own, opened at the
 * first retry: the pipeline's has the pipeline's own budget for the operator's expressions. No transaction outlives a
 * call.
 */
#include "reread.h"

#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "exit_codes.h"

static const char sql_failed[] = "SELECT f.seq, f.key, f.state, f.attempts, f.next_attempt_at, f.failed_at,"
                                 "       (SELECT a.at FROM main.failed_attempts AS a"
                                 "         WHERE a.consumer = f.consumer AND a.seq = f.seq AND a.attempt = f.attempts"
                                 "         ORDER BY a.at DESC LIMIT 1)"
                                 "  FROM main.failed_deliveries AS f"
                                 " WHERE f.consumer = ?1"
                                 " ORDER BY f.seq";

struct reread {
    const struct sink_context *context;
    sqlite3 *db;
    struct source *source;
};

struct reread *reread_new(const struct sink_context *context)
{
    struct reread *r = calloc(1, sizeof *r);

    if (r)
        r->context = context;
    return r;
}

void reread_free(struct reread *r)
{
    if (!r)
        return;
    source_close(r->source);
    sqlite3_close(r->db);
    free(r);
}

static bool open_source(struct reread *r)
{
    char message[SINK_REASON_SIZE];
    bool temporary; /* a retry is tried again, whatever it is */

    if (!r->db && database_open_reader(r->context->db_path, &r->db, NULL, message, sizeof message) != EXIT_DONE)
        return false;
    r->source = source_open(r->db, r->context->settings, &temporary, message, sizeof message);
    if (r->source) /* no lease: the pipeline's reads watch that; and everything is read from change_log */
        source_expect(r->source, r->context->source, 0, INT64_MAX);
    return r->source != NULL;
}

/* The one row that is looked for. Another one, after it, means that it is gone. */
struct wanted {
    int64_t seq;
    void (*take)(void *arg, const struct source_row *);
    void *arg;
    enum reread_result result;
};

static bool take_wanted(void *arg, const struct source_row *row, bool wanted)
{
    struct wanted *w = arg;

    if (row->event.seq != w->seq)
        return false;
    w->result = wanted ? REREAD_OK : REREAD_UNWANTED;
    if (wanted)
        w->take(w->arg, row);
    return true;
}

enum reread_result reread_event(struct reread *r, int64_t seq, void (*take)(void *arg, const struct source_row *),
                                void *arg)
{
    struct wanted w = {.seq = seq, .take = take, .arg = arg, .result = REREAD_GONE};
    int64_t after = seq - 1;
    bool full;

    if (!r->source && !open_source(r))
        return REREAD_LATER;
    enum source_result result = source_read(r->source, &after, 1, take_wanted, &w, &full);
    if (result == SOURCE_OK || result == SOURCE_GAP)
        return w.result;
    source_close(r->source); /* the next one begins afresh */
    r->source = NULL;
    return REREAD_LATER;
}

/* Anybody can have stored anything: what is counted on from here must neither be negative nor overflow. */
static int attempts_stored(sqlite3_stmt *st, int column)
{
    enum { ATTEMPTS_MOST = 1000000000 };
    int64_t stored = sqlite3_column_int64(st, column);
    return stored < 0 ? 0 : stored > ATTEMPTS_MOST ? ATTEMPTS_MOST : (int)stored;
}

static enum failed_state state_of(const char *text)
{
    if (text && strcmp(text, "dead") == 0)
        return FAILED_DEAD;
    return text && strcmp(text, "waiting") == 0 ? FAILED_WAITING : FAILED_RETRY;
}

int reread_failed(const struct sink_context *context,
                  bool (*each)(void *arg, const struct failed_change *, int64_t failed_at_us), void *arg)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(context->db, sql_failed, -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, context->settings->consumer, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(st, 1);
        char *copy = key ? strdup(key) : NULL;
        struct failed_change row = {
            .seq = sqlite3_column_int64(st, 0),
            .key = copy,
            .state = state_of((const char *)sqlite3_column_text(st, 2)),
            .attempts = attempts_stored(st, 3),
            .next_attempt_at_us = sqlite3_column_int64(st, 4),
            .attempt.at_us = sqlite3_column_int64(st, 6),
        };
        bool more = (!key || copy) && each(arg, &row, sqlite3_column_int64(st, 5));
        free(copy);
        rc = more ? SQLITE_OK : SQLITE_NOMEM;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

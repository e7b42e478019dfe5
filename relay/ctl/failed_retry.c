/* failed_retry.c — `failed retry`: gives deliveries that stepped aside their attempts back, from now on.
 *
 * In the order of their keys: one behind a dead letter of its key cannot go before that one, so it is refused unless
 * both are chosen; and one whose key has moved on without it (--on-dead skip) wants --out-of-order. Those that wait
 * follow the head of their key by themselves. A relay that runs sees the lease token risen and reads them again.
 */
#include <stdio.h>

#include "failed.h"
#include "fields.h"
#include "query.h"
#include "target.h"
#include "timestamp.h"

static const char sql_count[] = "SELECT count(*), count(*) FILTER (WHERE f.state = 'waiting')"
                                "  FROM main.failed_deliveries AS f WHERE " FAILED_CHOSEN;

/* The first chosen one that has a dead letter before it in its key which is not chosen. */
static const char sql_blocked[] =
    "SELECT consumer, seq, head, key FROM ("
    "    SELECT f.consumer, f.seq, f.key, " FAILED_CHOSEN " AS chosen,"
    "           min(CASE WHEN f.state = 'dead' AND NOT " FAILED_CHOSEN " THEN f.seq END) OVER ("
    "               PARTITION BY f.consumer, f.key ORDER BY f.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS head"
    "      FROM main.failed_deliveries AS f WHERE f.key IS NOT NULL)"
    " WHERE chosen AND head IS NOT NULL ORDER BY consumer, seq LIMIT 1";

/* The first chosen dead letter behind which an event of its key was passed on: acknowledged, and neither set aside nor
 * discarded. One walk through change_log, from the oldest chosen one. The CAST lets the join go by an index. */
static const char sql_overtaken[] =
    "WITH chosen AS MATERIALIZED ("
    "    SELECT f.consumer, f.seq, f.key FROM main.failed_deliveries AS f"
    "     WHERE f.state = 'dead' AND f.key IS NOT NULL AND " FAILED_CHOSEN "),"
    " passed AS MATERIALIZED ("
    "    SELECT o.consumer, CAST(coalesce(c.ordering_key, coalesce(coalesce(c.table_name, c.topic) || '/', '') || c.key)"
    "                            AS TEXT) AS key,"
    "           max(c.seq) AS seq"
    "      FROM (SELECT consumer, min(seq) AS first FROM chosen GROUP BY consumer) AS o"
    "      JOIN main.consumer_offsets AS k ON k.consumer = o.consumer"
    "      JOIN main.change_log AS c ON c.seq > o.first AND c.seq <= k.acked_seq"
    "     WHERE NOT EXISTS (SELECT 1 FROM main.failed_deliveries AS f WHERE f.consumer = o.consumer AND f.seq = c.seq)"
    "       AND (o.consumer, c.seq) NOT IN (SELECT consumer, seq FROM main.outbox_audit"
    "                                        WHERE action = 'discard' AND consumer IS NOT NULL AND seq IS NOT NULL)"
    "     GROUP BY 1, 2)"
    " SELECT chosen.consumer, chosen.seq, passed.seq, chosen.key FROM chosen"
    "   JOIN passed ON passed.consumer = chosen.consumer AND passed.key = chosen.key AND passed.seq > chosen.seq"
    " ORDER BY 1, 2 LIMIT 1";

static const char sql_consumers[] =
    "SELECT f.consumer, count(*), min(f.seq) FROM main.failed_deliveries AS f WHERE " FAILED_CHOSEN
    " GROUP BY f.consumer";

static const char sql_retry[] =
    "UPDATE main.failed_deliveries AS f SET state = 'retry', attempts = 0, next_attempt_at = ?6, failed_at = ?6"
    " WHERE f.state <> 'waiting' AND " FAILED_CHOSEN;

struct retry {
    const struct selection *chosen;
    bool out_of_order;
};

/* Runs sql_blocked or sql_overtaken, and says what it found. EXIT_DONE: nothing stands in the way. */
static int look(sqlite3 *db, const char *sql, const struct selection *chosen, bool overtaken)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql, FAILED_TYPES, FAILED_ARGUMENTS(chosen)), code = EXIT_DONE;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        const char *consumer = (const char *)sqlite3_column_text(st, 0),
                   *key = (const char *)sqlite3_column_text(st, 3);
        long long seq = sqlite3_column_int64(st, 1), other = sqlite3_column_int64(st, 2);
        code = EXIT_NEGATIVE;
        if (overtaken)
            ctl_say("%s %lld: its key %s has moved on, up to %lld; --out-of-order sends it all the same", consumer, seq,
                    key, other);
        else
            ctl_say("%s %lld waits behind %lld, a dead letter of the same key %s: retry or discard that one with it",
                    consumer, seq, other, key);
    } else if (rc != SQLITE_DONE) {
        code = ctl_fail_sqlite(db, rc, "failed_deliveries");
    }
    sqlite3_finalize(st);
    return code;
}

/* Each consumer concerned: its relay has to look, and somebody has told it to. */
static int wake_all(sqlite3 *db, const struct selection *chosen)
{
    sqlite3_stmt *st;
    char detail[64];
    int code = EXIT_DONE, rc = query_open(db, &st, sql_consumers, FAILED_TYPES, FAILED_ARGUMENTS(chosen));
    while (code == EXIT_DONE && rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *consumer = (const char *)sqlite3_column_text(st, 0);
        snprintf(detail, sizeof detail, "deliveries: %lld", (long long)sqlite3_column_int64(st, 1));
        code = target_wake(db, consumer);
        if (code == EXIT_DONE)
            code = operation_record(db, "retry", consumer, sqlite3_column_int64(st, 2), NULL, detail);
        rc = SQLITE_OK;
    }
    if (code == EXIT_DONE && rc != SQLITE_DONE)
        code = ctl_fail_sqlite(db, rc, "failed_deliveries");
    sqlite3_finalize(st);
    return code;
}

static int count(sqlite3 *db, const struct selection *chosen, int64_t *all, int64_t *waiting)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_count, FAILED_TYPES, FAILED_ARGUMENTS(chosen));
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        *all = sqlite3_column_int64(st, 0);
        *waiting = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? EXIT_DONE : ctl_fail_sqlite(db, rc, "failed_deliveries");
}

static int step(sqlite3 *db, void *arg, struct report *report)
{
    const struct retry *r = arg;
    const struct selection *chosen = r->chosen;
    int64_t all = 0, waiting = 0;
    int code = count(db, chosen, &all, &waiting);
    if (code == EXIT_DONE && all == 0)
        return selection_none(chosen, report);
    if (code == EXIT_DONE)
        code = look(db, sql_blocked, chosen, false);
    if (code == EXIT_DONE && !r->out_of_order)
        code = look(db, sql_overtaken, chosen, true);
    if (code == EXIT_DONE)
        code = wake_all(db, chosen);
    if (code != EXIT_DONE)
        return code;
    int rc = query_run(db, NULL, sql_retry, FAILED_TYPES "i", FAILED_ARGUMENTS(chosen), timestamp_now_us());
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "failed_deliveries");
    report_say(report, "deliveries that are tried again now: %lld; that follow them in the order of their keys: %lld",
               (long long)(all - waiting), (long long)waiting);
    field_int(&report->fields, "retried", all - waiting);
    field_int(&report->fields, "waiting", waiting);
    return code;
}

int failed_retry(struct ctl *ctl, const struct consent *consent, const struct selection *chosen, bool out_of_order)
{
    struct retry r = {.chosen = chosen, .out_of_order = out_of_order};
    return operation_run(ctl, consent, step, &r);
}

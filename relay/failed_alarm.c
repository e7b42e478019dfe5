/* failed_alarm.c — see failed_alarm.h.
 *
 * Counting reads every failed delivery of the consumer, so it is done rarely: one change adds one row at the most, and
 * until enough of them have been made there is nothing to find. Near a limit, or where it is 0, that would be after each
 * commit: there a hundredth of what there is may come unseen, so that a change costs the reading of a hundred rows at most.
 */
#include <stddef.h>

#include "failed_alarm.h"
#include "log.h"

enum { DEAD_LIMIT = 1000, ALL_LIMIT = 100000, UNSEEN_PART = 100 };

static const char sql_limits[] =
    "SELECT name = 'dead_alarm', value FROM main.outbox_meta WHERE name IN ('dead_alarm', 'failed_alarm')";

static const char sql_count[] = "SELECT count(*) FILTER (WHERE state = 'dead'), count(*)"
                                "  FROM main.failed_deliveries WHERE consumer = ?1";

int failed_limits_read(sqlite3 *db, struct failed_limits *limits)
{
    struct failed_limits found = {.dead = DEAD_LIMIT, .all = ALL_LIMIT};
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql_limits, -1, &st, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        bool never = sqlite3_column_type(st, 1) == SQLITE_NULL;
        *(sqlite3_column_int(st, 0) ? &found.dead : &found.all) = never ? INT64_MAX : sqlite3_column_int64(st, 1);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    if (rc == SQLITE_DONE)
        *limits = found;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

struct failed_count {
    int64_t dead, all;
};

static bool count(sqlite3 *db, const char *consumer, struct failed_count *n)
{
    sqlite3_stmt *st = NULL;
    bool found = sqlite3_prepare_v2(db, sql_count, -1, &st, NULL) == SQLITE_OK &&
                 sqlite3_bind_text(st, 1, consumer, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;
    if (found)
        *n = (struct failed_count){.dead = sqlite3_column_int64(st, 0), .all = sqlite3_column_int64(st, 1)};
    sqlite3_finalize(st);
    return found;
}

static void say(const char *consumer, const struct failed_limits *limits, const struct failed_count *n)
{
    if (n->dead > limits->dead)
        log_write(LOG_LEVEL_ERROR, consumer,
                  "%lld dead letters, more than dead-alarm allows (%lld); none is dropped; outboxctl failed list "
                  "--consumer %s --status dead shows them, failed retry or failed discard ends it",
                  (long long)n->dead, (long long)limits->dead, consumer);
    else
        log_write(
            LOG_LEVEL_ERROR, consumer,
            "%lld failed deliveries, more than failed-alarm allows (%lld); none is dropped; outboxctl failed list "
            "--consumer %s shows what they wait for",
            (long long)n->all, (long long)limits->all, consumer);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void failed_alarm_note(struct failed_alarm *a, sqlite3 *db, const char *consumer, int64_t changes)
{
    struct failed_limits limits = {0};
    struct failed_count n = {0};
    a->calm = a->calm > changes ? a->calm - changes : 0;
    if (a->calm > 0 || failed_limits_read(db, &limits) != SQLITE_OK || !count(db, consumer, &n))
        return;
    if (n.dead > limits.dead || n.all > limits.all) {
        if (!a->raised)
            say(consumer, &limits, &n);
        a->raised = true;
    } else if (n.dead <= limits.dead / 2 && n.all <= limits.all / 2) {
        a->raised = false;
    }
    /* An operator may have emptied it meanwhile: while it is raised, a look comes before it can have filled up again. */
    int64_t left = a->raised ? least(limits.dead, limits.all) / 4 : least(limits.dead - n.dead, limits.all - n.all);
    a->calm = most(left, n.all / UNSEEN_PART);
}

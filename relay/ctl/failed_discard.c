/* failed_discard.c — `failed discard`: gives deliveries up for good, and puts each on record.
 *
 * The event itself stays in change_log until that is reclaimed: `replay` can still send it. What waited behind a
 * discarded one goes on: a relay that runs sees the lease token risen and reads anew what is set aside.
 */
#include "failed.h"
#include "fields.h"
#include "query.h"
#include "timestamp.h"

static const char sql_record[] =
    "INSERT INTO main.outbox_audit(at, actor, action, consumer, seq, key, detail)"
    " SELECT ?6, ?7, 'discard', f.consumer, f.seq, f.key,"
    "        coalesce(?8 || '; ', '') || f.state || ', attempts: ' || coalesce(f.attempts, 0)"
    "        || coalesce('; ' || f.last_error, '')"
    "   FROM main.failed_deliveries AS f WHERE " FAILED_CHOSEN;

static const char sql_wake[] =
    "UPDATE main.consumer_offsets SET lease_token = coalesce(lease_token, 0) + 1"
    " WHERE consumer IN (SELECT f.consumer FROM main.failed_deliveries AS f WHERE " FAILED_CHOSEN ")";

static const char sql_discard[] = "DELETE FROM main.failed_deliveries AS f WHERE " FAILED_CHOSEN;

struct discard {
    const struct selection *chosen;
    const char *reason;
};

static int step(sqlite3 *db, void *arg, struct report *report)
{
    const struct discard *d = arg;
    const struct selection *chosen = d->chosen;
    char actor[200];
    int64_t count = 0;
    operation_actor(actor, sizeof actor);
    int rc = query_run(db, NULL, sql_record, FAILED_TYPES "itt", FAILED_ARGUMENTS(chosen), timestamp_now_us(), actor,
                       d->reason);
    if (rc == SQLITE_OK)
        rc = query_run(db, NULL, sql_wake, FAILED_TYPES, FAILED_ARGUMENTS(chosen));
    if (rc == SQLITE_OK)
        rc = query_run(db, &count, sql_discard, FAILED_TYPES, FAILED_ARGUMENTS(chosen));
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "failed_deliveries");
    if (count == 0)
        return selection_none(chosen, report);
    report_say(report, "deliveries that are given up: %lld; outbox_audit records each", (long long)count);
    field_int(&report->fields, "discarded", count);
    return EXIT_DONE;
}

int failed_discard(struct ctl *ctl, const struct consent *consent, const struct selection *chosen, const char *reason)
{
    struct discard d = {.chosen = chosen, .reason = reason};
    return operation_run(ctl, consent, step, &d);
}

/* replay.c — `replay`: sends a range of events again beside the cursor, with the ids they had.
 *
 * Each becomes a row of failed_deliveries due now, which is where a webhook's relay takes what does not come by the
 * cursor: in the order of the keys, at the endpoint's pace, and gone when delivered. The cursor does not move, nobody
 * else is concerned, and what is new waits only behind replayed events of its own key.
 */
#include <stdio.h>

#include "ctl.h"
#include "fields.h"
#include "history.h"
#include "operation.h"
#include "query.h"
#include "target.h"
#include "timestamp.h"

static const char sql_set_aside[] =
    "INSERT INTO main.failed_deliveries(consumer, seq, key, state, attempts, next_attempt_at, last_error, failed_at)"
    " SELECT ?1, c.seq, coalesce(c.ordering_key, coalesce(coalesce(c.table_name, c.topic) || '/', '') || c.key), 'retry', 0, ?4,"
    "        'replayed', ?4"
    "   FROM main.change_log AS c WHERE c.seq BETWEEN ?2 AND ?3"
    "    AND NOT EXISTS (SELECT 1 FROM main.failed_deliveries AS f WHERE f.consumer = ?1 AND f.seq = c.seq)";

static const char sql_count[] = "SELECT count(*) FROM main.change_log WHERE seq BETWEEN ?1 AND ?2";

/* A relay keeps a line in memory for each, and the application waits while they are written. */
enum { REPLAY_MAX = 100000 };

struct replay {
    const char *consumer;
    int64_t from, to; /* to -1: the cursor */
};

static int refuse(const struct target *t)
{
    switch (t->kind) {
    case TARGET_WEBHOOK: return EXIT_DONE;
    case TARGET_JSONL_WRITER: return target_refuse_writer(t, "write an event again");
    case TARGET_SINK:
        ctl_say("%s is of kind %s, which takes events by its cursor alone: outboxctl consumers seek %s SEQ", t->name,
                t->sink, t->name);
        return EXIT_PERMANENT;
    case TARGET_NOBODYS:
        ctl_say("no relay has worked for %s yet: there is nothing to be sent again", t->name);
        return EXIT_PERMANENT;
    case TARGET_READER:
    case TARGET_FILE_READER: break;
    }
    ctl_say("%s is a program's own reader, which takes events by its cursor alone: outboxctl consumers seek %s SEQ",
            t->name, t->name);
    return EXIT_PERMANENT;
}

/* Whether the range lies behind the cursor, and change_log has all of it. */
static int check_range(sqlite3 *db, const struct replay *r, const struct target *t, int64_t to)
{
    int64_t first = 0;
    if (r->from < 1 || r->from > to) {
        ctl_say("replay: from %lld to %lld is no range; %s has acknowledged everything up to %lld", (long long)r->from,
                (long long)to, t->name, (long long)t->acked_seq);
        return EXIT_USAGE;
    }
    if (to > t->acked_seq) {
        ctl_say("replay: %s has acknowledged everything up to %lld; what is behind it comes anyway", t->name,
                (long long)t->acked_seq);
        return EXIT_USAGE;
    }
    if (to - r->from >= REPLAY_MAX) {
        ctl_say("replay: at most %d at once: --to %lld; to go back further, outboxctl consumers seek %s %lld",
                REPLAY_MAX, (long long)r->from + REPLAY_MAX - 1, t->name, (long long)r->from);
        return EXIT_USAGE;
    }
    int rc = history_unbroken(db, r->from, to, &first);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "change_log");
    if (first == r->from)
        return EXIT_DONE;
    if (first > to)
        ctl_say("replay: change_log no longer has %lld", (long long)to);
    else
        ctl_say("replay: change_log no longer has everything from %lld on; the first one available is %lld",
                (long long)r->from, (long long)first);
    return EXIT_PERMANENT;
}

static int set_aside(sqlite3 *db, const struct replay *r, const struct target *t, int64_t to, struct report *report)
{
    int64_t added = 0, all = 0;
    char detail[64];
    int rc = query_run(db, &added, sql_set_aside, "tiii", t->name, r->from, to, timestamp_now_us());
    if (rc == SQLITE_OK)
        rc = query_int(db, &all, sql_count, "ii", r->from, to);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "failed_deliveries");
    report_say(report, "events from %lld to %lld that %s is sent again: %lld", (long long)r->from, (long long)to,
               t->name, (long long)added);
    if (all > added)
        report_say(report, "events among them that have stepped aside already, which are left as they are: %lld",
                   (long long)(all - added));
    field_text(&report->fields, "consumer", t->name);
    field_int(&report->fields, "from", r->from);
    field_int(&report->fields, "to", to);
    field_int(&report->fields, "replayed", added);
    field_int(&report->fields, "already_aside", all - added);
    snprintf(detail, sizeof detail, "up to %lld, events: %lld", (long long)to, (long long)added);
    int code = target_wake(db, t->name);
    return code == EXIT_DONE ? operation_record(db, "replay", t->name, r->from, NULL, detail) : code;
}

static int step(sqlite3 *db, void *arg, struct report *report)
{
    const struct replay *r = arg;
    struct target t;
    int code = target_find(db, r->consumer, &t);
    if (code != EXIT_DONE)
        return code;
    int64_t to = r->to < 0 ? t.acked_seq : r->to;
    code = refuse(&t);
    if (code == EXIT_DONE)
        code = check_range(db, r, &t, to);
    if (code == EXIT_DONE)
        code = set_aside(db, r, &t, to, report);
    target_free(&t);
    return code;
}

int ctl_replay(struct ctl *ctl, int argc, char **argv)
{
    struct consent consent = {0};
    struct replay r = {.from = -1, .to = -1};
    const struct option_spec options[] = {{"consumer", OPTION_TEXT, &r.consumer},
                                          {"from", OPTION_INT, &r.from},
                                          {"to", OPTION_INT, &r.to},
                                          {"dry-run", OPTION_FLAG, &consent.dry_run},
                                          {"yes", OPTION_FLAG, &consent.yes}};
    int code;
    if (!arguments_read(ctl, options, 5, 0, 0, &argc, argv, &code))
        return code;
    if (!r.consumer || r.from < 0) {
        ctl_say("usage: outboxctl replay %s", ctl->command->usage);
        return EXIT_USAGE;
    }
    return operation_run(ctl, &consent, step, &r);
}

/* new_source.c — `new-source`: what a database needs before it takes the place of another one, restored from a backup
 * or copied.
 *
 * Its last events and the other one's would have the same numbers. So it draws a new source, and its sequence goes on
 * beyond anything the other one can have given out; former_sources (lineage.h) keeps what was skipped, so that no reader
 * takes the hole for a loss. All of it in one transaction: a relay that runs sees the source changed at its next read,
 * and claims its consumers anew.
 */
#include <stdio.h>

#include "ctl.h"
#include "fields.h"
#include "operation.h"
#include "query.h"

static const char sql_standing[] =
    "SELECT (SELECT value FROM main.outbox_meta WHERE name = 'source'),"
    "       coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'), 0),"
    "       coalesce((SELECT max(acked_seq) FROM main.consumer_offsets), 0)";

static const char sql_keep[] =
    "UPDATE main.outbox_meta SET value = json_insert(coalesce(value, '[]'), '$[#]',"
    "       json_object('source', ?1, 'last_seq', ?2, 'next_seq', ?3)) WHERE name = 'former_sources'";

static const char sql_draw[] = "UPDATE main.outbox_meta SET value = lower(hex(randomblob(8))) WHERE name = 'source'";

static const char sql_lift[] = "UPDATE main.sqlite_sequence SET seq = ?1 WHERE name = 'change_log'";

static const char sql_begin[] = "INSERT INTO main.sqlite_sequence(name, seq) VALUES ('change_log', ?1)";

static const char sql_source[] = "SELECT value FROM main.outbox_meta WHERE name = 'source'";

/* Unless told: what the lost database may have written since the backup that nobody knows of. */
enum { MARGIN = 1000000 };

struct new_source {
    int64_t seq_after; /* -1: choose */
};

struct standing {
    char source[24];
    int64_t last_seq, acked_seq; /* acked_seq: of the consumer that is furthest */
};

static int look(sqlite3 *db, struct standing *s)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_standing, "");
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        snprintf(s->source, sizeof s->source, "%s", (const char *)sqlite3_column_text(st, 0));
        s->last_seq = sqlite3_column_int64(st, 1);
        s->acked_seq = sqlite3_column_int64(st, 2);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? EXIT_DONE : ctl_fail_sqlite(db, rc, "outbox_meta");
}

/* The rows that must be there are each changed, or nothing is. */
static int change(sqlite3 *db, const struct standing *s, int64_t after)
{
    int64_t kept = 0, drawn = 0, lifted = 0;
    int rc = query_run(db, &kept, sql_keep, "tii", s->source, s->last_seq, after + 1);
    if (rc == SQLITE_OK)
        rc = query_run(db, &drawn, sql_draw, "");
    if (rc == SQLITE_OK)
        rc = query_run(db, &lifted, sql_lift, "i", after);
    if (rc == SQLITE_OK && !lifted)
        rc = query_run(db, NULL, sql_begin, "i", after);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "outbox_meta");
    if (kept && drawn)
        return EXIT_DONE;
    ctl_say("outbox_meta lacks a row of ours; was it deleted? restore it from a backup");
    return EXIT_PERMANENT;
}

static int tell(sqlite3 *db, const struct standing *s, int64_t after, struct report *report)
{
    sqlite3_stmt *st;
    char detail[80];
    int rc = query_open(db, &st, sql_source, "");
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *source = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : "";
    report_say(report, "the source was %s, its last event %lld; a new one takes its place, and the next event is %lld",
               s->source, (long long)s->last_seq, (long long)after + 1);
    field_text(&report->fields, "former_source", s->source);
    field_text(&report->fields, "source", source);
    field_int(&report->fields, "last_seq", s->last_seq);
    field_int(&report->fields, "next_seq", after + 1);
    snprintf(detail, sizeof detail, "%s at %lld, then %s", s->source, (long long)s->last_seq, source);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? operation_record(db, "new-source", NULL, after + 1, NULL, detail)
                            : ctl_fail_sqlite(db, rc, "outbox_meta");
}

static int step(sqlite3 *db, void *arg, struct report *report)
{
    const struct new_source *wanted = arg;
    struct standing s = {0};
    int code = look(db, &s);
    if (code != EXIT_DONE)
        return code;
    int64_t known = s.last_seq > s.acked_seq ? s.last_seq : s.acked_seq;
    if (wanted->seq_after >= INT64_MAX / 2 || known >= INT64_MAX / 2) {
        ctl_say("new-source: --seq-after %lld leaves too few numbers", (long long)wanted->seq_after);
        return EXIT_USAGE;
    }
    int64_t after = wanted->seq_after < 0 ? known + MARGIN : wanted->seq_after > known ? wanted->seq_after : known;
    code = change(db, &s, after);
    return code == EXIT_DONE ? tell(db, &s, after, report) : code;
}

int ctl_new_source(struct ctl *ctl, int argc, char **argv)
{
    struct consent consent = {0};
    struct new_source wanted = {.seq_after = -1};
    const struct option_spec options[] = {{"seq-after", OPTION_INT, &wanted.seq_after},
                                          {"dry-run", OPTION_FLAG, &consent.dry_run},
                                          {"yes", OPTION_FLAG, &consent.yes}};
    int code;
    if (!arguments_read(ctl, options, 3, 0, 0, &argc, argv, &code))
        return code;
    return operation_run(ctl, &consent, step, &wanted);
}

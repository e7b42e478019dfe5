/* consumers_seek.c — `consumers seek`: moves a cursor, so that another event is the next one delivered.
 *
 * Of a consumer of the database: what lies at or behind the new place is owed again where it is no longer (the relay
 * reads outbox), and a delivery of it that stepped aside is forgotten, since it comes again by itself. What stepped
 * aside before the new place stays. Of a reader of files: its place in the files.
 *
 * The invariant: a cursor never stands where the next read would find a gap. Whoever works for the consumer sees the
 * lease token risen, drops what it had under way and begins again from the row.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "consumers.h"
#include "fields.h"
#include "history.h"
#include "query.h"
#include "settings_value.h"
#include "stream_place.h"
#include "target.h"

static const char sql_last_seq[] = "SELECT seq FROM main.sqlite_sequence WHERE name = 'change_log'";

static const char sql_oldest_owed[] = "SELECT min(seq) FROM main.outbox";

static const char sql_owe_again[] = "INSERT INTO main.outbox(seq) SELECT seq FROM main.change_log AS c WHERE seq >= ?1"
                                    "    AND NOT EXISTS (SELECT 1 FROM main.outbox AS o WHERE o.seq = c.seq)";

static const char sql_count_between[] = "SELECT count(*) FROM main.change_log WHERE seq BETWEEN ?1 AND ?2";

static const char sql_forget_failed[] = "DELETE FROM main.failed_deliveries WHERE consumer = ?1 AND seq >= ?2";

static const char sql_move[] = "UPDATE main.consumer_offsets SET acked_seq = ?2, position = NULL WHERE consumer = ?1";

static const char sql_unbegin[] =
    "UPDATE main.consumer_offsets SET acked_seq = NULL, position = NULL WHERE consumer = ?1";

struct seek {
    const char *name, *to;
    int64_t seq; /* where to is a number, else 0 */
};

/* Where the next one delivered may lie. */
struct reach {
    int64_t start; /* the word */
    int64_t end;   /* behind the last one */
};

static int64_t wanted_seq(const struct seek *s, const struct reach *reach)
{
    return s->seq ? s->seq : !strcmp(s->to, "now") ? reach->end : reach->start;
}

static int refuse_future(const struct seek *s, const struct reach *reach)
{
    ctl_say("seek: %lld is not there yet: the last event is %lld", (long long)s->seq, (long long)reach->end - 1);
    return EXIT_USAGE;
}

static int refuse_past(int64_t seq, int64_t first, int64_t end, const char *where)
{
    if (first < end)
        ctl_say("seek: %s no longer has everything from %lld on; the first one available is %lld", where,
                (long long)seq, (long long)first);
    else
        ctl_say("seek: %s no longer has %lld, nor any other: consumers seek NAME now goes on with what comes next",
                where, (long long)seq);
    return EXIT_PERMANENT;
}

static int record(sqlite3 *db, const struct target *t, int64_t seq)
{
    char from[64];
    snprintf(from, sizeof from, "it had acknowledged %lld", (long long)t->acked_seq);
    int code = target_wake(db, t->name);
    return code == EXIT_DONE ? operation_record(db, "seek", t->name, seq, NULL, from) : code;
}

/* ---- A consumer of the database ---- */

struct moved {
    int64_t owed, owed_again, skipped, forgotten; /* events; the last: deliveries that stepped aside */
};

static void tell(struct report *r, const struct target *t, int64_t seq, const struct moved *m)
{
    report_say(r, "%s goes on with %lld; it had acknowledged everything up to %lld", t->name, (long long)seq,
               (long long)t->acked_seq);
    if (m->skipped)
        report_say(r, "events that it will never be given: %lld", (long long)m->skipped);
    report_say(r, "events that it will be given: %lld, of which %lld are owed again from change_log",
               (long long)m->owed, (long long)m->owed_again);
    if (m->forgotten)
        report_say(r, "failed deliveries from %lld on, forgotten since they are delivered again: %lld", (long long)seq,
                   (long long)m->forgotten);
    field_text(&r->fields, "consumer", t->name);
    field_int(&r->fields, "was_acked_seq", t->acked_seq);
    field_int(&r->fields, "next_seq", seq);
    field_int(&r->fields, "to_deliver", m->owed);
    field_int(&r->fields, "owed_again", m->owed_again);
    field_int(&r->fields, "skipped", m->skipped);
    field_int(&r->fields, "failed_forgotten", m->forgotten);
}

static int move(sqlite3 *db, const struct target *t, int64_t seq, struct report *report)
{
    struct moved m = {0};
    int rc = query_run(db, &m.owed_again, sql_owe_again, "i", seq);
    if (rc == SQLITE_OK)
        rc = query_int(db, &m.owed, sql_count_between, "ii", seq, INT64_MAX);
    if (rc == SQLITE_OK)
        rc = query_int(db, &m.skipped, sql_count_between, "ii", t->acked_seq + 1, seq - 1);
    if (rc == SQLITE_OK)
        rc = query_run(db, &m.forgotten, sql_forget_failed, "ti", t->name, seq);
    if (rc == SQLITE_OK)
        rc = query_run(db, NULL, sql_move, "ti", t->name, seq - 1);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "seek");
    tell(report, t, seq, &m);
    return record(db, t, seq);
}

static int seek_database(sqlite3 *db, const struct seek *s, const struct target *t, struct report *report)
{
    struct reach reach = {0};
    int64_t first = 0;
    int rc = query_int(db, &reach.end, sql_last_seq, "");
    reach.end++;
    if (rc == SQLITE_OK)
        rc = query_int(db, &reach.start, sql_oldest_owed, "");
    if (!reach.start)
        reach.start = reach.end;
    int64_t seq = wanted_seq(s, &reach);
    if (rc == SQLITE_OK && seq > reach.end)
        return refuse_future(s, &reach);
    if (rc == SQLITE_OK)
        rc = history_unbroken(db, seq, reach.end - 1, &first);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "change_log");
    return first == seq ? move(db, t, seq, report) : refuse_past(seq, first, reach.end, "change_log");
}

/* ---- A reader of files ---- */

static int look_at_stream(const struct target *t, struct reach *reach)
{
    struct stream_path path;
    struct event_line line = {0};
    int64_t begin = -1, end = -1;
    bool ok = stream_path_init(&path, t->reads) && stream_place_begin(&path, &line, &begin) &&
              stream_place_end(&path, &line, &end);
    if (!ok)
        ctl_say("%s: %s", t->reads, strerror(errno));
    event_line_free(&line);
    stream_path_fini(&path);
    reach->start = begin + 1;
    reach->end = end + 1;
    return ok ? EXIT_DONE : EXIT_TEMPORARY;
}

/* In a stream without a line "start" and "now" are its first one, whichever that will be. */
static int seek_files(sqlite3 *db, const struct seek *s, const struct target *t, struct report *report)
{
    struct reach reach;
    int code = look_at_stream(t, &reach);
    if (code != EXIT_DONE)
        return code;
    int64_t seq = wanted_seq(s, &reach);
    bool unbegun = reach.end == 0 && !s->seq;
    if (seq > reach.end)
        return refuse_future(s, &reach);
    if (seq < reach.start)
        return refuse_past(seq, reach.start, reach.end, t->reads);
    int rc = unbegun ? query_run(db, NULL, sql_unbegin, "t", t->name)
                     : query_run(db, NULL, sql_move, "ti", t->name, seq - 1);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "consumer_offsets");
    if (unbegun)
        report_say(report, "%s goes on with the first line of %s", t->name, t->reads);
    else
        report_say(report,
                   "%s goes on in %s with %lld, or the first one after it; it had acknowledged everything up to %lld",
                   t->name, t->reads, (long long)seq, (long long)t->acked_seq);
    field_text(&report->fields, "consumer", t->name);
    field_text(&report->fields, "reads", t->reads);
    field_int(&report->fields, "was_acked_seq", t->acked_seq);
    field_int(&report->fields, "next_seq", seq);
    return record(db, t, seq);
}

/* ---- The command ---- */

static int step(sqlite3 *db, void *arg, struct report *report)
{
    const struct seek *s = arg;
    struct target t;
    int code = target_find(db, s->name, &t);
    if (code != EXIT_DONE)
        return code;
    switch (t.kind) {
    case TARGET_JSONL_WRITER: code = target_refuse_writer(&t, "go on elsewhere"); break;
    case TARGET_FILE_READER: code = seek_files(db, s, &t, report); break;
    case TARGET_WEBHOOK:
    case TARGET_SINK:
    case TARGET_NOBODYS:
    case TARGET_READER: code = seek_database(db, s, &t, report); break;
    }
    target_free(&t);
    return code;
}

int consumers_seek(struct ctl *ctl, const struct consent *consent, const char *name, const char *to)
{
    struct seek s = {.name = name, .to = to};
    bool word = !strcmp(to, "start") || !strcmp(to, "now");
    if (!word && (!value_number(to, &s.seq) || s.seq < 1)) {
        ctl_say("consumers seek: wants start, now or a seq from 1 up, not %s", to);
        return EXIT_USAGE;
    }
    return operation_run_on_cursors(ctl, consent, step, &s);
}

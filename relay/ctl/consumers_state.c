/* consumers_state.c — `consumers pause`, `resume` and `remove`.
 *
 * A relay looks at the state with every read, in the same transaction: what it has in flight it finishes, and what it
 * acknowledged stays. A row that is removed is gone for a relay that runs, too: it registers anew, as at its first start.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "consumers.h"
#include "cursors.h"
#include "fields.h"
#include "lock.h"
#include "query.h"
#include "target.h"

static const char sql_pause[] = "UPDATE main.consumer_offsets SET state = 'paused' WHERE consumer = ?1";

static const char sql_resume[] = "UPDATE main.consumer_offsets SET state = NULL WHERE consumer = ?1";

static const char sql_remove[] = "DELETE FROM main.consumer_offsets WHERE consumer = ?1";

static const char sql_remove_failed[] = "DELETE FROM main.failed_deliveries WHERE consumer = ?1";

static const char sql_others[] = "SELECT count(*) FROM main.consumer_offsets WHERE reads IS NULL AND consumer <> ?1";

/* What only this one has still to acknowledge. */
static const char sql_released[] =
    "SELECT count(*) FROM main.outbox WHERE seq > ?2 AND seq <= (SELECT min(coalesce(acked_seq, 0))"
    "  FROM main.consumer_offsets WHERE reads IS NULL AND consumer <> ?1)";

/* ---- pause, resume ---- */

static int refuse_reader(const struct target *t)
{
    ctl_say("%s is a program's own reader, which nobody but its program pauses", t->name);
    return EXIT_PERMANENT;
}

static int set_state(sqlite3 *db, const char *name, const char *sql, const char *action, const char *was)
{
    int rc = query_run(db, NULL, sql, "t", name);
    return rc == SQLITE_OK ? operation_record(db, action, name, 0, NULL, was)
                           : ctl_fail_sqlite(db, rc, "consumer_offsets");
}

static int pause_step(sqlite3 *db, void *arg, struct report *report)
{
    struct target t;
    int code = target_find(db, arg, &t);
    if (code != EXIT_DONE)
        return code;
    if (t.kind == TARGET_READER || t.kind == TARGET_FILE_READER) {
        code = refuse_reader(&t);
    } else {
        code = set_state(db, t.name, sql_pause, "pause", t.state);
        report_say(
            report,
            "%s is paused: nothing is delivered to it, and all of it is kept, until: outboxctl consumers resume %s",
            t.name, t.name);
        field_text(&report->fields, "consumer", t.name);
        field_text(&report->fields, "state", "paused");
    }
    target_free(&t);
    return code;
}

static int resume_step(sqlite3 *db, void *arg, struct report *report)
{
    struct target t;
    int code = target_find(db, arg, &t);
    if (code != EXIT_DONE)
        return code;
    if (t.state) {
        code = set_state(db, t.name, sql_resume, "resume", t.state);
        report_say(report, "%s goes on; it was %s", t.name, t.state);
    } else {
        report_say(report, "%s was not paused", t.name);
        report->empty = true;
    }
    field_text(&report->fields, "consumer", t.name);
    field_text(&report->fields, "state", "active");
    target_free(&t);
    return code;
}

static int change_state(struct ctl *ctl, operation_step *step, const char *name)
{
    const struct consent consent = {.yes = true};
    char copy[256];
    snprintf(copy, sizeof copy, "%s", name); /* a step's argument is not const */
    return operation_run_on_cursors(ctl, &consent, step, copy);
}

int consumers_pause(struct ctl *ctl, const char *name)
{
    return change_state(ctl, pause_step, name);
}

int consumers_resume(struct ctl *ctl, const char *name)
{
    return change_state(ctl, resume_step, name);
}

/* ---- remove ---- */

struct removal {
    const char *name;
    bool force;
    char trail[4096 + 80];
};

static void tell_released(struct report *r, const struct target *t, int64_t others, int64_t released)
{
    if (t->kind == TARGET_FILE_READER)
        report_say(r, "it held back the segments of %s after %lld", t->reads, (long long)t->acked_seq);
    else if (!others)
        report_say(r, "no consumer is left then: until one registers, nothing is reclaimed");
    else
        report_say(r, "events that only it still needed, which may be reclaimed now: %lld", (long long)released);
}

static int remove_row(sqlite3 *db, const struct target *t, struct report *report)
{
    int64_t failed = 0, released = 0, others = 0;
    char was[64];
    bool readers;
    int rc = cursors_ask(db, &readers);
    bool owed = rc == SQLITE_OK && !readers; /* something may be, to somebody, in this database */
    if (owed)
        rc = query_int(db, &released, sql_released, "ti", t->name, t->acked_seq);
    if (owed && rc == SQLITE_OK)
        rc = query_int(db, &others, sql_others, "t", t->name);
    if (owed && rc == SQLITE_OK)
        rc = query_run(db, &failed, sql_remove_failed, "t", t->name);
    if (rc == SQLITE_OK)
        rc = query_run(db, NULL, sql_remove, "t", t->name);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "consumer_offsets");
    report_say(report, "%s is removed; it had acknowledged everything up to %lld", t->name, (long long)t->acked_seq);
    tell_released(report, t, others, released);
    if (failed)
        report_say(report, "deliveries that had stepped aside and are given up: %lld", (long long)failed);
    field_text(&report->fields, "consumer", t->name);
    field_int(&report->fields, "acked_seq", t->acked_seq);
    field_int(&report->fields, "released", t->kind == TARGET_FILE_READER ? 0 : released);
    field_int(&report->fields, "failed_given_up", failed);
    snprintf(was, sizeof was, "it had acknowledged %lld", (long long)t->acked_seq);
    return operation_record(db, "remove", t->name, 0, NULL, was);
}

/* Its lock is taken for as long as it takes, so that nobody begins to work for it meanwhile. */
static int take_lock(sqlite3 *db, const struct removal *removal, struct lock *lock)
{
    char holder[128], path[4096 + 80];
    int n = snprintf(path, sizeof path, "%s.%s.lock", sqlite3_db_filename(db, "main"), removal->name);
    if (n < 0 || (size_t)n >= sizeof path)
        return EXIT_DONE; /* nobody can hold that one either */
    switch (lock_try(lock, path)) {
    case LOCK_HELD: return EXIT_DONE;
    case LOCK_TAKEN:
        if (removal->force)
            return EXIT_DONE;
        lock_holder(path, holder, sizeof holder);
        ctl_say("%s is held by %s: stop it first, or --force (a relay that runs on then registers it anew)",
                removal->name, holder);
        return EXIT_TEMPORARY;
    case LOCK_ERROR: ctl_say("%s: %s", path, strerror(errno)); return EXIT_TEMPORARY;
    }
    return EXIT_PERMANENT; /* unreachable */
}

static int remove_step(sqlite3 *db, void *arg, struct report *report)
{
    struct removal *removal = arg;
    struct target t;
    struct lock lock = {.fd = -1};
    int code = target_find(db, removal->name, &t);
    if (code != EXIT_DONE)
        return code;
    code = take_lock(db, removal, &lock);
    if (code == EXIT_DONE)
        code = remove_row(db, &t, report);
    lock_release(&lock);
    snprintf(removal->trail, sizeof removal->trail, "%s.%s.trail", sqlite3_db_filename(db, "main"), removal->name);
    target_free(&t);
    return code;
}

int consumers_remove(struct ctl *ctl, const struct consent *consent, const char *name, bool force)
{
    struct removal removal = {.name = name, .force = force};
    int code = operation_run_on_cursors(ctl, consent, remove_step, &removal);
    if (code == EXIT_DONE && !consent->dry_run)
        unlink(
            removal.trail); /* its relay's (trail.h), if it had one; a new consumer of the name would not believe it */
    return code;
}

/* status_judge.c — what is worth an operator's attention, and the command that helps; see status_report.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "status_report.h"
#include "text.h"
#include "wal.h"

/* Owed for this long is stuck, not busy. */
static const int64_t stuck_after_us = 60 * INT64_C(1000000);

/* Beyond this somebody's long transaction is keeping the log from being reset. */
static const int64_t wal_large_bytes = INT64_C(64) << 20;

static void add(struct findings *, enum finding_level, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void help(struct findings *, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct findings *f, enum finding_level level, const char *format, ...)
{
    va_list args;
    f->alarm = f->alarm || level == FINDING_ALARM;
    f->full = f->count == FINDINGS_MAX;
    if (f->full)
        return;
    struct finding *item = &f->items[f->count++];
    item->level = level;
    item->command[0] = '\0';
    va_start(args, format);
    vsnprintf(item->text, sizeof item->text, format, args);
    va_end(args);
}

/* The command for the finding just added. */
static void help(struct findings *f, const char *format, ...)
{
    va_list args;
    if (f->full)
        return;
    struct finding *item = &f->items[f->count - 1];
    va_start(args, format);
    vsnprintf(item->command, sizeof item->command, format, args);
    va_end(args);
}

struct age {
    char text[32];
};

static struct age age_of(const struct status *s, int64_t since_us)
{
    struct age age;
    struct buffer b = {0};
    text_append_duration(&b, s->now_us - since_us);
    const char *text = buffer_text(&b);
    snprintf(age.text, sizeof age.text, "%s", text ? text : "?");
    buffer_free(&b);
    return age;
}

static const char *events(int64_t n)
{
    return n == 1 ? "event" : "events";
}

static void judge_progress(const struct status *s, const struct consumer *c, struct findings *f)
{
    long long behind = c->behind;
    if (c->acked_seq > s->last_seq && !c->reads) {
        add(f, FINDING_WARNING,
            "%s has acknowledged seq %lld, but the database ends at %lld: an older copy of it was put in its place.",
            c->name, (long long)c->acked_seq, (long long)s->last_seq);
        help(f, "outboxctl --db %s new-source --seq-after %lld", s->path, (long long)c->acked_seq);
    } else if (c->state) {
        add(f, FINDING_WARNING, "%s is %s and was last heard of %s ago; %lld %s owed to it.", c->name, c->state,
            age_of(s, c->updated_at_us).text, behind, events(behind));
        help(f, "outboxctl --db %s consumers resume %s", s->path, c->name);
    } else if (behind && !c->held && c->kind && !strcmp(c->kind, "reader")) {
        add(f, FINDING_WARNING, "%s: %lld %s owed, the oldest for %s, and nobody holds it: its program is not running.",
            c->name, behind, events(behind), age_of(s, c->oldest_us).text);
    } else if (behind && !c->held) {
        add(f, FINDING_WARNING, "%s: %lld %s owed, the oldest for %s, and nobody holds it: no relay is running for it.",
            c->name, behind, events(behind), age_of(s, c->oldest_us).text);
        help(f, "outbox-relay --db %s --consumer %s …", s->path, c->name);
    } else if (behind && s->now_us - c->oldest_us > stuck_after_us) {
        add(f, FINDING_WARNING, "%s: %lld %s owed, the oldest for %s, though %s holds it; the relay's log says why.",
            c->name, behind, events(behind), age_of(s, c->oldest_us).text, c->holder);
    }
}

static void judge_dead(const struct status *s, const struct consumer *c, struct findings *f)
{
    const char *letters = c->dead == 1 ? "letter" : "letters";
    struct age age = age_of(s, c->dead_since_us);
    if (c->dead > s->failed_limits.dead) {
        add(f, FINDING_ALARM,
            "%s: %lld dead %s, the oldest for %s: more than dead-alarm allows (%lld). They are kept until somebody "
            "retries or discards them.",
            c->name, (long long)c->dead, letters, age.text, (long long)s->failed_limits.dead);
        help(f, "outboxctl --db %s failed list --consumer %s --status dead", s->path, c->name);
    } else if (c->dead) {
        add(f, FINDING_WARNING, "%s: %lld dead %s, the oldest for %s.", c->name, (long long)c->dead, letters, age.text);
        help(f, "outboxctl --db %s failed list", s->path);
    }
}

static void judge_failures(const struct status *s, const struct consumer *c, struct findings *f)
{
    int64_t all = c->dead + c->retry + c->waiting;
    judge_dead(s, c, f);
    if (c->retry + c->waiting) {
        add(f, FINDING_WARNING, "%s: %lld %s in retry, %lld waiting behind, the oldest for %s.", c->name,
            (long long)c->retry, events(c->retry), (long long)c->waiting, age_of(s, c->failing_since_us).text);
        help(f, "outboxctl --db %s failed list", s->path);
    }
    if (all > s->failed_limits.all) {
        add(f, FINDING_ALARM, "%s: %lld failed deliveries in all, more than failed-alarm allows (%lld).", c->name,
            (long long)all, (long long)s->failed_limits.all);
        help(f, "outboxctl --db %s failed list --consumer %s", s->path, c->name);
    }
}

/* Who keeps the most rows of outbox from being reclaimed. */
static void judge_holders(const struct status *s, struct findings *f)
{
    const struct consumer *most = NULL;
    int registered = 0;
    for (int i = 0; i < s->consumers.count; i++) {
        const struct consumer *c = &s->consumers.items[i];
        registered += !c->reads;
        if (!c->reads && c->behind && (!most || c->behind > most->behind))
            most = c;
    }
    if (registered == 0) {
        add(f, FINDING_WARNING,
            "No consumer is registered: nothing is delivered, and no row of outbox is ever reclaimed.");
        help(f, "outbox-relay --db %s --jsonl events.jsonl", s->path);
    } else if (most) {
        add(f, FINDING_NOTE, "%s holds most: %lld of the %lld rows in outbox.", most->name, (long long)most->behind,
            (long long)s->outbox_rows);
    }
}

static void judge_database(const struct status *s, struct findings *f)
{
    if (!s->wal) {
        add(f, FINDING_WARNING, "The database is not in WAL mode: the relay refuses it.");
        help(f, "sqlite3 %s 'PRAGMA journal_mode = WAL'", s->path);
    }
    if (s->wal_bytes > wal_large_bytes)
        add(f, FINDING_WARNING, "The WAL is %lld MiB: a transaction that stays open keeps it from being reset.",
            (long long)(s->wal_bytes >> 20));
}

/* What the database's own state can't show: it depends on connections that are not ours. */
static void judge_exposure(const struct status *s, struct findings *f)
{
    int v = s->sqlite_version;
    if (wal_reset_race(v))
        add(f, FINDING_NOTE,
            "SQLite %d.%d.%d has the WAL-reset race: connections that liboutbox didn't open can damage the file when they "
            "checkpoint; set wal_autocheckpoint to 0 in them, or upgrade to 3.51.3.",
            v / 1000000, v / 1000 % 1000, v % 1000);
    add(f, FINDING_NOTE,
        "A connection below synchronous=FULL can lose its last commits in a power cut, rows and events "
        "together; status can't see how others are set.");
}

void status_judge(const struct status *s, struct findings *f)
{
    f->count = 0;
    f->full = f->alarm = false;
    judge_database(s, f);
    for (int i = 0; i < s->consumers.count; i++) {
        judge_progress(s, &s->consumers.items[i], f);
        judge_failures(s, &s->consumers.items[i], f);
    }
    judge_holders(s, f);
    judge_exposure(s, f);
}

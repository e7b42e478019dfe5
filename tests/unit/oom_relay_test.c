/* oom_relay_test.c — out of memory, interrupted and forbidden in what the relay does to the database: it says so, leaves
 * nothing by halves, and does the same thing as ever when asked again.
 */
#include "fail_alloc.h"
#include "relay_fixture.h"
#include "settings_rig.h"

#include "claim.h"
#include "janitor.h"
#include "ledger.h"
#include "settlement.h"
#include "sinks/retention.h"
#include "sinks/reread.h"
#include "slots.h"
#include "source.h"

/* Twenty events, of which a webhook `c` has acknowledged 5; 7 waits behind 6. */
static const char sql_scene[] =
    "DELETE FROM outbox; DELETE FROM change_log; DELETE FROM consumer_offsets; DELETE FROM failed_deliveries;"
    "UPDATE outbox_meta SET value = '9f86d081884c7d65' WHERE name = 'source';"
    "UPDATE outbox_meta SET value = 1 WHERE name = 'history';"
    "INSERT INTO change_log(seq, topic, key, op, payload, created_at)"
    "  SELECT value, 't', 'k', 'emit', '{}', 1000 + value FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]');"
    "INSERT INTO outbox SELECT seq FROM change_log WHERE seq > 2;"
    "INSERT INTO consumer_offsets(consumer, acked_seq, position, lease_token, kind) VALUES"
    "  ('c', 5, '{\"settled\":\"8-9\"}', 4, 'webhook'), ('slow', 9, NULL, 1, 'stdout');"
    "INSERT INTO consumer_offsets(consumer, acked_seq, reads) VALUES ('reader', 3, '/events.jsonl');"
    "INSERT INTO failed_deliveries(consumer, seq, key, state, attempts, failed_at) VALUES"
    "  ('c', 4, 't/k', 'retry', 2, 1), ('c', 5, 't/k', 'waiting', 0, 1)";

static const char sql_state[] =
    "SELECT (SELECT group_concat(seq) FROM outbox) || ' / ' || (SELECT group_concat(seq) FROM change_log) || ' / ' ||"
    " (SELECT group_concat(concat, '; ') FROM (SELECT consumer || ',' || acked_seq || ',' || coalesce(position, '-') ||"
    "    ',' || coalesce(lease_token, 0) || ',' || coalesce(kind, '-') || ',' || coalesce(state, '-') AS concat"
    "    FROM consumer_offsets ORDER BY consumer)) || ' / ' ||"
    " coalesce((SELECT group_concat(seq || state || attempts || coalesce(last_error, '')) FROM failed_deliveries), '-')"
    " || ' / ' || coalesce((SELECT group_concat(seq || request || answer) FROM failed_attempts), '-')";

struct scene {
    struct fixture *f; /* looks, unwatched while nothing is armed */
    sqlite3 *db;
    long k;
    bool for_good, met;
    char before[4096], after[4096], wanted[4096], reason[512], consumer[8];
    struct sink_settings settings;
};

typedef bool act(struct scene *); /* true: done; false: refused, and said */

struct relay_case {
    const char *name;
    act *act;
    enum fault fault;
};

/* What is to be disturbed stands between the two. */
static void arm(struct scene *s)
{
    if (s->k)
        alloc_arm(s->k, s->for_good);
}

static void disarm(struct scene *s)
{
    s->met = s->k && alloc_disarm();
}

static const char *state_of(struct scene *s)
{
    return fixture_text(s->f, sql_state);
}

static void begin(struct scene *s)
{
    sql_on(s->db, "BEGIN IMMEDIATE");
}

static bool end(struct scene *s, bool good)
{
    disarm(s);
    if (!sqlite3_get_autocommit(s->db)) /* SQLite may have ended it */
        sql_on(s->db, good ? "COMMIT" : "ROLLBACK");
    return good;
}

/* ---- Claims ---- */

static bool take(struct scene *s, const char *consumer, enum start_at start, int64_t seq, const char *trail_path)
{
    struct claim claim = {0};
    snprintf(s->consumer, sizeof s->consumer, "%s", consumer);
    s->settings = settings_of(s->consumer);
    s->settings.kind = SINK_WEBHOOK;
    s->settings.start = start;
    s->settings.start_seq = seq;
    struct trail *trail = trail_path ? trail_open(trail_path, "c") : NULL;
    begin(s);
    arm(s);
    enum claim_result result = claim_take(s->db, &s->settings, trail, &claim, s->reason, sizeof s->reason);
    free(claim.cursor.position);
    bool good = end(s, result == CLAIM_OK);
    trail_close(trail);
    assert_true(good || *s->reason);
    assert_true(good || result == CLAIM_LATER || alloc_fault == FAULT_DENIED);
    return good;
}

static bool take_over(struct scene *s)
{
    return take(s, "c", START_OLDEST, 0, NULL);
}

static bool register_new(struct scene *s)
{
    return take(s, "new", START_OLDEST, 0, NULL);
}

static bool register_at_the_end(struct scene *s)
{
    return take(s, "new", START_NOW, 0, NULL);
}

static bool register_further_back(struct scene *s)
{
    return take(s, "new", START_SEQ, 2, NULL);
}

/* The last holder delivered 4 and 10 to 12, and was killed. */
static bool take_over_with_a_trail(struct scene *s)
{
    char path[128];
    snprintf(path, sizeof path, "%s.c.trail", s->f->path);
    unlink(path);
    struct trail *trail = trail_open(path, "c");
    assert_non_null(trail);
    trail_begin(trail, "9f86d081884c7d65", 4, 3);
    trail_add(trail, 4, 1004);
    for (int64_t seq = 10; seq <= 12; seq++)
        trail_add(trail, seq, 1000 + seq);
    trail_flush(trail);
    trail_close(trail);
    return take(s, "c", START_OLDEST, 0, path);
}

/* ---- Settlements ---- */

static char *copied(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

static struct failed_change change_of(int64_t seq, enum failed_state state)
{
    struct failed_change c = {.seq = seq,
                              .key = copied("t/k"),
                              .state = state,
                              .attempts = 3,
                              .next_attempt_at_us = 99,
                              .last_status = 503,
                              .last_error = copied("not now"),
                              .attempt = {.at_us = 5, .request = copied("r")}};
    c.attempt.answer = copied("busy");
    c.attempt.answer_size = 4;
    return c;
}

static bool settle(struct scene *s)
{
    struct settlement_batch batch = {0}, older = {0};
    struct settlement_writer writer = {0};
    struct settlement first = {.acked_seq = 6, .change_count = 1, .changes = calloc(1, sizeof *first.changes)};
    struct settlement second = {
        .acked_seq = 10, .position = "{\"settled\":\"12\"}", .change_count = 3, .disable = true};
    bool stale = false, good;
    second.changes = calloc(3, sizeof *second.changes);
    assert_true(first.changes && second.changes);
    first.changes[0] = change_of(6, FAILED_RETRY);
    second.changes[0] = change_of(4, FAILED_GONE);
    second.changes[1] = change_of(6, FAILED_DEAD);
    second.changes[2] = change_of(9, FAILED_WAITING);
    begin(s);
    arm(s);
    good = settlement_add(&older, &first);
    good = settlement_add(&batch, &second) && good; /* which takes what it is given, kept or not */
    good = good && settlement_put_back(&batch, &older) && settlement_writer_open(&writer, s->db) == SQLITE_OK &&
           settlement_write(&writer, "c", 4, &batch, &stale) == SQLITE_OK;
    settlement_writer_fini(&writer);
    assert_false(good && stale);
    snprintf(s->reason, sizeof s->reason, "it is the ledger's to say");
    good = end(s, good);
    settlement_clear(&batch);
    settlement_clear(&older);
    return good;
}

/* ---- The rest ---- */

/* Nothing that is owed or failing goes, wherever it ends. */
static bool reclaim(struct scene *s)
{
    struct janitor j;
    enum janitor_result result;
    janitor_init(&j, s->db);
    arm(s);
    while ((result = janitor_slice(&j, INT64_C(2000000000000000))) == JANITOR_MORE) {
    }
    disarm(s);
    assert_true(sqlite3_get_autocommit(s->db) || (s->for_good && result == JANITOR_LATER));
    assert_int_equal(fixture_int(s->f, "SELECT count(*) FROM outbox WHERE seq > 5"), 11);
    assert_int_equal(fixture_int(s->f, "SELECT count(*) FROM change_log WHERE seq > 3"), 13);
    snprintf(s->reason, sizeof s->reason, "it comes again");
    snprintf(s->before, sizeof s->before, "%s", state_of(s)); /* a slice may have been done */
    return result == JANITOR_CLEAN;
}

static bool read_seq_of_files(struct scene *s)
{
    int64_t seq = -7;
    arm(s);
    int rc = retention_read_seq(s->db, "/events.jsonl", &seq);
    disarm(s);
    assert_true(rc != SQLITE_OK || seq == 3);
    snprintf(s->reason, sizeof s->reason, "it is the sink's to say");
    return rc == SQLITE_OK;
}

static bool count_failed(void *arg, const struct failed_change *c, int64_t failed_at_us)
{
    int *count = arg;
    assert_non_null(c->key);
    assert_int_equal(failed_at_us, 1);
    ++*count;
    return true;
}

static void see_event(void *arg, const struct source_row *row)
{
    assert_int_equal(row->event.seq, 6);
    assert_string_equal(row->event.payload, "{}");
    *(int *)arg += 10;
}

static bool read_again(struct scene *s)
{
    int count = 0;
    s->settings = settings_of(s->consumer);
    strcpy(s->consumer, "c");
    struct sink_context context = {.settings = &s->settings,
                                   .db_path = s->f->path,
                                   .source = "9f86d081884c7d65",
                                   .db = s->db,
                                   .reason = s->reason};
    arm(s);
    struct reread *r = reread_new(&context);
    bool good = r && reread_failed(&context, count_failed, &count) == SQLITE_OK &&
                reread_event(r, 6, see_event, &count) == REREAD_OK;
    reread_free(r);
    disarm(s);
    assert_true(!good || count == 12);
    snprintf(s->reason, sizeof s->reason, "it is the sink's to say");
    return good;
}

struct taken {
    int count;
    int64_t last;
};

static bool take_row(void *arg, const struct source_row *row, bool wanted)
{
    struct taken *t = arg;
    assert_true(wanted && row->event.seq == t->last + 1);
    t->last = row->event.seq;
    t->count++;
    return true;
}

/* By one connection, for a filter that has to be prepared too; and again by the same one, where it was disturbed. */
static bool read_a_batch(struct scene *s)
{
    static char filter[] = "topic = 't'";
    struct taken taken = {.last = 5};
    int64_t after = 5;
    bool full, temporary = false;
    s->settings = settings_of(s->consumer);
    s->settings.filter = filter;
    arm(s);
    struct source *source = source_open(s->db, &s->settings, &temporary, s->reason, sizeof s->reason);
    enum source_result result = SOURCE_LATER;
    assert_true(source || temporary);
    if (source) {
        source_expect(source, "9f86d081884c7d65", 0, 0);
        result = source_read(source, &after, 100, take_row, &taken, &full);
    }
    disarm(s);
    assert_true(result != SOURCE_OK || sqlite3_get_autocommit(s->db)); /* what stays open sees no commit any more */
    if (source && result != SOURCE_OK) {
        snprintf(s->reason, sizeof s->reason, "%s", source_message(source));
        assert_int_equal(after, 5);
        taken = (struct taken){.last = 5};
        assert_int_equal(source_read(source, &after, 100, take_row, &taken, &full), SOURCE_OK);
        assert_int_equal(taken.count, 11);
    }
    source_close(source);
    assert_true(result != SOURCE_OK || (after == 16 && taken.count == 11));
    return result == SOURCE_OK;
}

static bool open_both(struct scene *s)
{
    sqlite3 *reader = NULL, *writer = NULL;
    struct schema_info info;
    *s->reason = '\0';
    arm(s);
    int code = database_open_reader(s->f->path, &reader, &info, s->reason, sizeof s->reason);
    if (code == EXIT_DONE)
        code = database_open_writer(s->f->path, &writer, s->reason, sizeof s->reason);
    disarm(s);
    assert_true(code != EXIT_DONE || (reader && writer && database_last_seq(reader) == 16));
    assert_true(code == EXIT_DONE || code == EXIT_TEMPORARY || alloc_fault != FAULT_MEMORY);
    sqlite3_close(reader);
    sqlite3_close(writer);
    return code == EXIT_DONE;
}

/* A reload that adds a sink: all of it, or the settings stay as they are. */
static bool take_settings(struct scene *s)
{
    struct settings_rig one = {.directory = ""}, two = one;
    struct slots *slots = slots_new(s->f->path, NULL, 16, -1);
    assert_int_equal(rig_load(&one, "--db|x.db|--stdout"), SETTINGS_OK);
    assert_int_equal(rig_load(&two, "--db|x.db|--stdout|--jsonl|/events.jsonl"), SETTINGS_OK);
    assert_true(slots_take(slots, &one.settings));
    arm(s);
    bool taken = slots_take(slots, &two.settings);
    disarm(s);
    assert_int_equal(slots_settings(slots)->sink_count, taken ? 2 : 1);
    assert_int_equal(two.settings.sink_count, taken ? 0 : 2);
    assert_true(slots_running(slots)); /* nothing was started, and something still is to be */
    slots_free(slots);
    settings_free(&two.settings);
    snprintf(s->reason, sizeof s->reason, "it is the supervisor's to say");
    return taken;
}

/* ---- One after the other ---- */

static bool run_kth(struct scene *s, const struct relay_case *c, long k)
{
    sql_on(outbox_db(s->f->ob), sql_scene);
    snprintf(s->before, sizeof s->before, "%s", state_of(s));
    s->k = k;
    strcpy(s->reason, "");
    bool done = c->act(s);
    bool met = s->met;
    snprintf(s->after, sizeof s->after, "%s", state_of(s));
    if (!done && (!met || !*s->reason))
        fail_msg("%s: fault %ld: refused, with '%s' said", c->name, k, s->reason);
    if (strcmp(s->after, done ? s->wanted : s->before))
        fail_msg("%s: fault %ld: %s, and there is\n%s\nand not\n%s", c->name, k, done ? "done" : "refused", s->after,
                 done ? s->wanted : s->before);
    s->k = 0;
    if (!done && !c->act(s))
        fail_msg("%s: after fault %ld: %s", c->name, k, s->reason);
    if (!done && strcmp(state_of(s), s->wanted))
        fail_msg("%s: after fault %ld: %s", c->name, k, state_of(s));
    return met;
}

static void ends_well_or_not_at_all(void **state)
{
    const struct relay_case *c = *state;
    struct scene *s = calloc(1, sizeof *s);
    void *fixture = NULL;
    assert_non_null(s);
    fault_choose(c->fault);
    assert_int_equal(fixture_setup(&fixture), 0);
    s->f = fixture;
    assert_int_equal(sqlite3_open(s->f->path, &s->db), SQLITE_OK);
    sql_on(s->db, "PRAGMA synchronous = OFF");
    fixture_sql(s->f, "PRAGMA synchronous = OFF");
    sql_on(outbox_db(s->f->ob), sql_scene);
    assert_true(c->act(s));
    snprintf(s->wanted, sizeof s->wanted, "%s", state_of(s));
    for (int for_good = 0; for_good < 2; for_good++) {
        long k = 1;
        s->for_good = for_good;
        while (run_kth(s, c, k))
            k += k < 32 ? 1 : 3;
        assert_true(k > 1);
    }
    sqlite3_close(s->db);
    assert_int_equal(fixture_teardown(&fixture), 0);
    free(s);
    sqlite3_shutdown(); /* nothing is watched any more */
}

#define EACH_FAULT(name, act)                                                                                          \
    {name, act, FAULT_MEMORY}, {name ", interrupted", act, FAULT_INTERRUPT},                                           \
    {                                                                                                                  \
        name ", forbidden", act, FAULT_DENIED                                                                          \
    }

static struct relay_case cases[] = {
    EACH_FAULT("a consumer is taken over", take_over),
    EACH_FAULT("taken over with a trail", take_over_with_a_trail),
    EACH_FAULT("a new consumer", register_new),
    EACH_FAULT("a new consumer from now on", register_at_the_end),
    EACH_FAULT("a new consumer from further back", register_further_back),
    EACH_FAULT("a settlement", settle),
    EACH_FAULT("reclaiming", reclaim),
    EACH_FAULT("what readers of files have read", read_seq_of_files),
    EACH_FAULT("an event is read again", read_again),
    {"a batch is read", read_a_batch, FAULT_MEMORY}, /* the other two places are taken by the relay's own */
    EACH_FAULT("the database is opened", open_both),
    {"settings are taken", take_settings, FAULT_MEMORY},
};

enum { CASES = sizeof cases / sizeof *cases };

int main(void)
{
    struct CMUnitTest tests[CASES];
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    for (size_t i = 0; i < CASES; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, ends_well_or_not_at_all, NULL, NULL, &cases[i]};
    return alloc_take_sqlite() ? _cmocka_run_group_tests("oom_relay", tests, CASES, NULL, NULL) : 1;
}

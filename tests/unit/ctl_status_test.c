/* ctl_status_test.c — what `outboxctl status` finds worth saying, from numbers alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/status_judge.c"
#include "ctl/text.c"

static const int64_t NOW = INT64_C(1795000000) * 1000000, MINUTE = INT64_C(60) * 1000000;

enum { SQLITE_WITHOUT_RACE = 3051003 };

static char name_a[] = "webhook", name_b[] = "jsonl", paused[] = "paused", file[] = "/var/log/events.jsonl";

/* A database with nothing to complain about, and the findings about it. */
struct scene {
    struct consumer consumers[2];
    struct status status;
    struct findings findings;
};

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    if (!s)
        return -1;
    for (int i = 0; i < 2; i++)
        s->consumers[i] = (struct consumer){.name = i ? name_b : name_a,
                                            .acked_seq = 100,
                                            .held = true,
                                            .holder = "pid 4711 on host",
                                            .updated_at_us = NOW - MINUTE / 60};
    s->status = (struct status){.path = "/srv/shop.db",
                                .last_seq = 100,
                                .wal = true,
                                .now_us = NOW,
                                .sqlite_version = SQLITE_WITHOUT_RACE,
                                .failed_limits = {.dead = 1000, .all = 100000},
                                .consumers = {.items = s->consumers, .count = 2}};
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* The finding that says words; NULL: none does. */
static const struct finding *judged(struct scene *s, const char *words)
{
    status_judge(&s->status, &s->findings);
    for (int i = 0; i < s->findings.count; i++)
        if (strstr(s->findings.items[i].text, words))
            return &s->findings.items[i];
    return NULL;
}

static int warnings(struct scene *s)
{
    int count = 0;
    status_judge(&s->status, &s->findings);
    for (int i = 0; i < s->findings.count; i++)
        count += s->findings.items[i].level == FINDING_WARNING;
    return count;
}

static void make_behind(struct consumer *c, int64_t events_owed, int64_t age_us)
{
    c->behind = events_owed;
    c->acked_seq = 100 - events_owed;
    c->oldest_us = NOW - age_us;
}

static void all_is_well_without_a_warning(void **state)
{
    assert_int_equal(warnings(*state), 0);
}

static void no_consumer_is_a_warning_with_the_command_that_makes_one(void **state)
{
    struct scene *s = *state;
    s->status.consumers.count = 0;
    const struct finding *f = judged(s, "No consumer is registered");
    assert_non_null(f);
    assert_int_equal(f->level, FINDING_WARNING);
    assert_string_equal(f->command, "outbox-relay --db /srv/shop.db --jsonl events.jsonl");
}

static void a_reader_of_files_is_no_consumer_of_the_database(void **state)
{
    struct scene *s = *state;
    s->status.consumers.count = 1;
    s->consumers[0].reads = file;
    s->consumers[0].acked_seq = 500; /* of another stream */
    assert_non_null(judged(s, "No consumer is registered"));
    assert_null(judged(s, "older copy"));
}

static void a_database_behind_its_consumer_is_helped_by_a_new_source(void **state)
{
    struct scene *s = *state;
    s->consumers[1].acked_seq = 130;
    const struct finding *f = judged(s, "older copy");
    assert_non_null(f);
    assert_string_equal(f->command, "outboxctl --db /srv/shop.db new-source --seq-after 130");
}

static void a_consumer_that_nobody_runs_is_named(void **state)
{
    struct scene *s = *state;
    make_behind(&s->consumers[0], 7, 3 * MINUTE);
    s->consumers[0].held = false;
    const struct finding *f = judged(s, "webhook: 7 events owed, the oldest for 3m, and nobody holds it");
    assert_non_null(f);
    assert_string_equal(f->command, "outbox-relay --db /srv/shop.db --consumer webhook …");
}

static void busy_is_not_stuck(void **state)
{
    struct scene *s = *state;
    make_behind(&s->consumers[0], 50, MINUTE / 2);
    assert_int_equal(warnings(s), 0);
    make_behind(&s->consumers[0], 50, 2 * MINUTE);
    assert_non_null(judged(s, "webhook: 50 events owed, the oldest for 2m, though pid 4711 on host holds it"));
}

static void who_holds_most_is_named(void **state)
{
    struct scene *s = *state;
    assert_null(judged(s, "holds most"));
    make_behind(&s->consumers[0], 3, 0);
    make_behind(&s->consumers[1], 40, 0);
    s->status.outbox_rows = 41;
    const struct finding *f = judged(s, "jsonl holds most: 40 of the 41 rows");
    assert_non_null(f);
    assert_int_equal(f->level, FINDING_NOTE);
}

static void a_paused_consumer_comes_with_the_way_back(void **state)
{
    struct scene *s = *state;
    make_behind(&s->consumers[1], 1, MINUTE);
    s->consumers[1].state = paused;
    s->consumers[1].held = false;
    const struct finding *f = judged(s, "jsonl is paused and was last heard of 1s ago; 1 event owed to it.");
    assert_non_null(f);
    assert_string_equal(f->command, "outboxctl --db /srv/shop.db consumers resume jsonl");
    assert_int_equal(warnings(s), 1); /* that nobody runs it is no second one */
}

static void dead_letters_and_retries_are_told_apart(void **state)
{
    struct scene *s = *state;
    s->consumers[0].dead = 1;
    s->consumers[0].dead_since_us = NOW - 50 * 60 * MINUTE;
    s->consumers[0].retry = 2;
    s->consumers[0].waiting = 9;
    s->consumers[0].failing_since_us = NOW - 5 * MINUTE;
    assert_non_null(judged(s, "webhook: 1 dead letter, the oldest for 2d 2h."));
    const struct finding *f = judged(s, "webhook: 2 events in retry, 9 waiting behind, the oldest for 5m.");
    assert_non_null(f);
    assert_string_equal(f->command, "outboxctl --db /srv/shop.db failed list");
}

static void too_many_failed_deliveries_are_an_alarm(void **state)
{
    struct scene *s = *state;
    s->consumers[0].dead = 1000;
    s->consumers[0].dead_since_us = s->consumers[0].failing_since_us = NOW - 50 * 60 * MINUTE;
    s->consumers[0].retry = 90000;
    s->consumers[0].waiting = 9000;
    assert_int_equal(warnings(s), 2); /* as many as there may be */
    assert_false(s->findings.alarm);
    s->consumers[0].dead = 1001;
    const struct finding *f = judged(
        s, "webhook: 1001 dead letters, the oldest for 2d 2h: more than dead-alarm allows (1000)");
    assert_non_null(f);
    assert_int_equal(f->level, FINDING_ALARM);
    assert_string_equal(f->command, "outboxctl --db /srv/shop.db failed list --consumer webhook --status dead");
    f = judged(s, "webhook: 100001 failed deliveries in all, more than failed-alarm allows (100000)");
    assert_non_null(f);
    assert_int_equal(f->level, FINDING_ALARM);
    assert_true(s->findings.alarm);
    s->status.failed_limits = (struct failed_limits){.dead = INT64_MAX, .all = INT64_MAX};
    assert_int_equal(warnings(s), 2);
    assert_false(s->findings.alarm);
}

static void an_alarm_that_finds_no_room_is_one_too(void **state)
{
    struct scene *s = *state;
    enum { MANY = FINDINGS_MAX + 1 };
    struct consumer *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    for (int i = 0; i < MANY; i++)
        many[i] = (struct consumer){.name = name_a, .dead = i < MANY - 1 ? 1 : 1001};
    s->status.consumers = (struct consumer_list){.items = many, .count = MANY};
    status_judge(&s->status, &s->findings);
    free(many);
    assert_true(s->findings.full);
    assert_true(s->findings.alarm);
}

static void a_cursor_beyond_the_database_is_an_older_copy(void **state)
{
    struct scene *s = *state;
    s->consumers[0].acked_seq = 101;
    assert_non_null(judged(s, "webhook has acknowledged seq 101, but the database ends at 100"));
}

static void the_journal_is_judged(void **state)
{
    struct scene *s = *state;
    s->status.wal_bytes = INT64_C(64) << 20;
    assert_int_equal(warnings(s), 0);
    s->status.wal_bytes = INT64_C(200) << 20;
    assert_non_null(judged(s, "The WAL is 200 MiB"));
    s->status.wal = false;
    assert_string_equal(judged(s, "not in WAL mode")->command, "sqlite3 /srv/shop.db 'PRAGMA journal_mode = WAL'");
}

static void the_race_of_old_versions_is_named_where_it_is(void **state)
{
    struct scene *s = *state;
    assert_null(judged(s, "WAL-reset race"));
    s->status.sqlite_version = 3040001;
    assert_non_null(judged(s, "SQLite 3.40.1 has the WAL-reset race"));
}

static void more_consumers_than_room_are_cut_off(void **state)
{
    struct scene *s = *state;
    enum { MANY = FINDINGS_MAX + 10 };
    struct consumer *many = calloc(MANY, sizeof *many);
    assert_non_null(many);
    for (int i = 0; i < MANY; i++)
        many[i] = (struct consumer){.name = name_a, .dead = 1};
    s->status.consumers = (struct consumer_list){.items = many, .count = MANY};
    status_judge(&s->status, &s->findings);
    free(many);
    assert_int_equal(s->findings.count, FINDINGS_MAX);
    assert_true(s->findings.full);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(all_is_well_without_a_warning),
        SCENE(no_consumer_is_a_warning_with_the_command_that_makes_one),
        SCENE(a_reader_of_files_is_no_consumer_of_the_database),
        SCENE(a_database_behind_its_consumer_is_helped_by_a_new_source),
        SCENE(a_consumer_that_nobody_runs_is_named),
        SCENE(busy_is_not_stuck),
        SCENE(who_holds_most_is_named),
        SCENE(a_paused_consumer_comes_with_the_way_back),
        SCENE(dead_letters_and_retries_are_told_apart),
        SCENE(too_many_failed_deliveries_are_an_alarm),
        SCENE(an_alarm_that_finds_no_room_is_one_too),
        SCENE(a_cursor_beyond_the_database_is_an_older_copy),
        SCENE(the_journal_is_judged),
        SCENE(the_race_of_old_versions_is_named_where_it_is),
        SCENE(more_consumers_than_room_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

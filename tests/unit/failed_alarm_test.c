/* failed_alarm_test.c — the relay says once that a consumer has come to have too many failed deliveries. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "failed_alarm.h"
#include "relay_fixture.h"

struct scene {
    struct fixture *f;
    struct failed_alarm alarm;
    char said[4096]; /* by the last note */
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    void *fixture = NULL;
    if (!s || fixture_setup(&fixture) != 0)
        return -1;
    s->f = fixture;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    void *fixture = s->f;
    free(s);
    return fixture_teardown(&fixture);
}

/* Rows from..to of the consumer, in that state. */
static void fails(struct scene *s, const char *consumer, const char *failed_state, int from, int to)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO failed_deliveries(consumer, seq, state) SELECT '%s', i, '%s' FROM n",
             from, to, consumer, failed_state);
    fixture_sql(s->f, sql);
}

/* What is logged when so many rows of consumer "c" have changed. */
static const char *noted(struct scene *s, int changes)
{
    FILE *words = tmpfile();
    int stderr_fd = dup(STDERR_FILENO);
    assert_non_null(words);
    dup2(fileno(words), STDERR_FILENO);
    failed_alarm_note(&s->alarm, outbox_db(s->f->ob), "c", changes);
    dup2(stderr_fd, STDERR_FILENO);
    close(stderr_fd);
    rewind(words);
    s->said[fread(s->said, 1, sizeof s->said - 1, words)] = '\0';
    fclose(words);
    return s->said;
}

static void limits(struct scene *s, const char *dead, const char *all)
{
    char sql[200];
    snprintf(sql, sizeof sql, "REPLACE INTO outbox_meta(name, value) VALUES('dead_alarm', %s), ('failed_alarm', %s)",
             dead, all);
    fixture_sql(s->f, sql);
}

static void without_a_setting_it_is_a_thousand_dead_or_a_hundred_thousand_in_all(void **state)
{
    struct scene *s = *state;
    struct failed_limits found;
    assert_int_equal(failed_limits_read(outbox_db(s->f->ob), &found), SQLITE_OK);
    assert_int_equal(found.dead, 1000);
    assert_int_equal(found.all, 100000);
    limits(s, "7", "NULL");
    assert_int_equal(failed_limits_read(outbox_db(s->f->ob), &found), SQLITE_OK);
    assert_int_equal(found.dead, 7);
    assert_true(found.all == INT64_MAX);
}

static void the_one_too_many_is_said_and_no_later_one(void **state)
{
    struct scene *s = *state;
    limits(s, "3", "100");
    for (int i = 1; i <= 3; i++) {
        fails(s, "c", "dead", i, i);
        assert_string_equal(noted(s, 1), "");
    }
    fails(s, "c", "dead", 4, 4);
    assert_non_null(strstr(noted(s, 1), "error c: 4 dead letters, more than dead-alarm allows (3); none is dropped"));
    assert_non_null(strstr(s->said, "outboxctl failed list --consumer c --status dead"));
    assert_int_equal(strcspn(s->said, "\n"), strlen(s->said) - 1); /* one line */
    for (int i = 5; i <= 50; i++) {
        fails(s, "c", "dead", i, i);
        assert_string_equal(noted(s, 1), "");
    }
}

static void it_is_found_however_the_changes_come(void **state)
{
    enum { LIMIT = 40 };
    struct scene *s = *state;
    limits(s, "40", "1000");
    for (int step = 1; step <= LIMIT + 1; step++) {
        int at = 0;
        fixture_sql(s->f, "DELETE FROM failed_deliveries");
        s->alarm = (struct failed_alarm){0};
        while (at <= LIMIT) {
            fails(s, "c", "dead", at + 1, at + step);
            at += step;
            if ((noted(s, step)[0] != '\0') != (at > LIMIT))
                fail_msg("by %d: at %d it said '%s'", step, at, s->said);
        }
    }
}

static void all_of_them_together_are_one_too_many_too(void **state)
{
    struct scene *s = *state;
    limits(s, "NULL", "10");
    fails(s, "c", "dead", 1, 4);
    fails(s, "c", "retry", 5, 7);
    fails(s, "c", "waiting", 8, 10);
    assert_string_equal(noted(s, 10), "");
    fails(s, "c", "waiting", 11, 11);
    assert_non_null(strstr(noted(s, 1), "11 failed deliveries, more than failed-alarm allows (10); none is dropped"));
}

static void another_consumers_are_not_counted(void **state)
{
    struct scene *s = *state;
    limits(s, "3", "3");
    fails(s, "another", "dead", 1, 20);
    fails(s, "c", "dead", 1, 3);
    assert_string_equal(noted(s, 3), "");
}

static void it_is_said_again_once_it_was_over(void **state)
{
    struct scene *s = *state;
    limits(s, "20", "100");
    fails(s, "c", "dead", 1, 21);
    assert_string_not_equal(noted(s, 21), "");
    fixture_sql(s->f, "DELETE FROM failed_deliveries WHERE seq > 19"); /* up and down at the limit is no news */
    assert_string_equal(noted(s, 2), "");
    fails(s, "c", "dead", 20, 25);
    assert_string_equal(noted(s, 6), "");
    fixture_sql(s->f, "DELETE FROM failed_deliveries"); /* by an operator: the relay's own changes are few */
    for (int i = 1; i <= 20; i++) {
        fails(s, "c", "dead", i, i);
        assert_string_equal(noted(s, 1), "");
    }
    fails(s, "c", "dead", 21, 21);
    assert_string_not_equal(noted(s, 1), "");
}

/* With a limit of 0 the next change can always be the one too many. */
static void among_many_that_wait_not_every_change_counts_them_all(void **state)
{
    struct scene *s = *state;
    int unseen = 0;
    limits(s, "0", "NULL");
    fails(s, "c", "waiting", 1, 10000);
    assert_string_equal(noted(s, 10000), "");
    fails(s, "c", "dead", 10001, 10001);
    while (unseen < 200 && noted(s, 1)[0] == '\0')
        unseen++;
    assert_in_range(unseen, 50, 100);
}

static void what_cannot_be_counted_now_is_counted_later(void **state)
{
    struct scene *s = *state;
    limits(s, "3", "100");
    fails(s, "c", "dead", 1, 4);
    fixture_sql(s->f, "ALTER TABLE failed_deliveries RENAME TO away");
    assert_string_equal(noted(s, 4), "");
    fixture_sql(s->f, "ALTER TABLE away RENAME TO failed_deliveries; ALTER TABLE outbox_meta RENAME TO away");
    assert_string_equal(noted(s, 1), "");
    fixture_sql(s->f, "ALTER TABLE away RENAME TO outbox_meta");
    assert_string_not_equal(noted(s, 1), "");
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(without_a_setting_it_is_a_thousand_dead_or_a_hundred_thousand_in_all),
        SCENE(the_one_too_many_is_said_and_no_later_one),
        SCENE(it_is_found_however_the_changes_come),
        SCENE(all_of_them_together_are_one_too_many_too),
        SCENE(another_consumers_are_not_counted),
        SCENE(it_is_said_again_once_it_was_over),
        SCENE(among_many_that_wait_not_every_change_counts_them_all),
        SCENE(what_cannot_be_counted_now_is_counted_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

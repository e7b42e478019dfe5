/* retention_test.c — which segments go, and above all which stay. */
#include "stream.h"

#include "sinks/retention.h"

/* Ten segments of 100 bytes and ten seqs each, one written per second; now is ten seconds after the first. */
static struct segment items[10];
static const struct segment_list ten = {items, 10};

static int make_ten(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        items[i] = (struct segment){10 * i + 1, 10 * i + 10, 100, i * 1000000LL, i * 1000000LL};
    return 0;
}

static void each_limit_takes_the_oldest_and_never_the_newest(void **state)
{
    static const struct {
        const char *label;
        struct retention_policy keep;
        int64_t active_bytes, read_seq;
        int chosen;
    } cases[] = {
        {"no limit", {0, 0, 0}, 0, INT64_MAX, 0},
        {"count", {4, 0, 0}, 0, INT64_MAX, 6},
        {"count larger than there are", {40, 0, 0}, 0, INT64_MAX, 0},
        {"count one", {1, 0, 0}, 0, INT64_MAX, 9},
        {"size", {0, 450, 0}, 0, INT64_MAX, 6},
        {"size to the byte", {0, 400, 0}, 0, INT64_MAX, 6},
        {"size with the active file", {0, 450, 0}, 100, INT64_MAX, 7},
        {"size that nothing fits", {0, 1, 0}, 5000, INT64_MAX, 9},
        {"age", {0, 0, 4000000}, 0, INT64_MAX, 6},
        {"age of everything", {0, 0, 1}, 0, INT64_MAX, 9},
        {"the strictest wins", {8, 450, 9000000}, 0, INT64_MAX, 6},
        {"a reader in the middle", {1, 0, 0}, 0, 35, 3},
        {"a reader at a segment's end", {1, 0, 0}, 0, 40, 4},
        {"a reader at a segment's beginning", {1, 0, 0}, 0, 41, 4},
        {"a reader who has read nothing", {1, 1, 1}, 0, 0, 0},
        {"a reader who has read everything", {1, 0, 0}, 0, 200, 9},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int chosen = retention_choose(&ten, &cases[i].keep, cases[i].active_bytes, cases[i].read_seq, 10000000);
        if (chosen != cases[i].chosen)
            fail_msg("%s: %d", cases[i].label, chosen);
    }
}

static void of_one_or_no_segment_nothing_goes(void **state)
{
    const struct segment_list one = {items, 1}, none = {NULL, 0};
    const struct retention_policy keep = {1, 1, 1};
    (void)state;
    assert_int_equal(retention_choose(&one, &keep, 100, INT64_MAX, 10000000), 0);
    assert_int_equal(retention_choose(&none, &keep, 100, INT64_MAX, 10000000), 0);
}

static void a_clock_set_back_deletes_nothing(void **state)
{
    const struct retention_policy keep = {0, 0, 1};
    (void)state;
    assert_int_equal(retention_choose(&ten, &keep, 0, INT64_MAX, -5000000), 0);
}

static int64_t read_seq_of(struct stream *s)
{
    int64_t read_seq = -1;
    assert_int_equal(retention_read_seq(s->db, s->path, &read_seq), SQLITE_OK);
    return read_seq;
}

static void register_reader(struct stream *s, const char *name, const char *path, const char *acked_seq)
{
    char sql[600];
    snprintf(sql, sizeof sql, "INSERT INTO consumer_offsets(consumer, reads, acked_seq) VALUES ('%s', '%s/%s', %s)",
             name, s->dir, path, acked_seq);
    stream_sql(s, sql);
}

static void the_slowest_reader_of_this_stream_counts_however_it_is_spelled(void **state)
{
    struct stream *s = *state;
    char link[300], path[400];

    snprintf(link, sizeof link, "%s/link", s->dir);
    assert_int_equal(symlink(s->dir, link), 0);
    assert_true(read_seq_of(s) == INT64_MAX);
    stream_sql(s, "INSERT INTO consumer_offsets(consumer, reads, acked_seq) VALUES ('jsonl', NULL, 1)");
    register_reader(s, "other", "other.jsonl", "2");
    register_reader(s, "elsewhere", "../events.jsonl", "3");
    assert_true(read_seq_of(s) == INT64_MAX);

    static const struct {
        const char *prefix, *acked_seq;
    } spellings[] = {{"", "60"}, {"./", "50"}, {"/", "40"}, {"link/./", "30"}, {"link/", "20"}};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        snprintf(path, sizeof path, "%sevents.jsonl", spellings[i].prefix);
        register_reader(s, spellings[i].acked_seq, path, spellings[i].acked_seq);
        assert_int_equal(read_seq_of(s), atoi(spellings[i].acked_seq));
    }
    assert_int_equal(unlink(link), 0); /* nobody can tell where it led: its reader keeps what it has not read */
    assert_int_equal(read_seq_of(s), 20);
    register_reader(s, "new", "./events.jsonl", "NULL");
    assert_int_equal(read_seq_of(s), 0);
}

/* ---- The sink at work ---------------------------------------------------------------------------------------------- */

static void the_sink_keeps_as_many_as_it_is_told(void **state)
{
    struct stream *s = *state;

    s->settings.jsonl.max_size_bytes = 2000;
    s->settings.jsonl.keep_count = 3;
    s->step_us = 1100000;
    stream_events(s, 500);
    stream_deliver(s);
    struct checked sum = stream_check(s);
    assert_int_equal(sum.segments, 3);
    assert_int_equal(sum.last, 500);
    assert_true(sum.first > 300);
    char position[64];
    snprintf(position, sizeof position, "{\"seq\":500,\"after\":%" PRId64 "}", sum.first - 1);
    stream_events(s, 1); /* the last deletion may have come after the last word to the ledger */
    stream_deliver(s);
    assert_non_null(strstr(s->position, strchr(position, ',')));
}

static void a_registered_reader_keeps_what_it_needs(void **state)
{
    struct stream *s = *state;
    char sql[300];

    snprintf(sql, sizeof sql, "INSERT INTO consumer_offsets(consumer, reads, acked_seq) VALUES ('slow', '%s', 150)",
             s->path);
    stream_sql(s, sql);
    s->settings.jsonl.max_size_bytes = 2000;
    s->settings.jsonl.keep_count = 1;
    s->step_us = 1100000;
    stream_events(s, 500);
    stream_deliver(s);
    struct checked sum = stream_check(s);
    assert_in_range(sum.first, 100, 151);

    stream_sql(s, "UPDATE consumer_offsets SET acked_seq = 500 WHERE consumer = 'slow'");
    s->disk.clock_us += 60000000; /* with no rotation: a minute later */
    assert_true(sink_jsonl.due(s->sink) <= s->disk.clock_us);
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
    assert_int_equal(stream_check(s).segments, 1);
}

static void a_reader_that_spelled_the_path_its_own_way_keeps_what_it_needs(void **state)
{
    static const char *const spellings[] = {"./events.jsonl", "sub/../events.jsonl", "link/events.jsonl"};
    struct stream *s = *state;
    char path[300];

    snprintf(path, sizeof path, "%s/sub", s->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/link", s->dir);
    assert_int_equal(symlink(s->dir, path), 0);
    s->settings.jsonl.max_size_bytes = 2000;
    s->settings.jsonl.keep_count = 1;
    s->step_us = 1100000;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        stream_sql(s, "DELETE FROM consumer_offsets WHERE consumer = 'slow'");
        snprintf(path, sizeof path, "%zu", 150 + 500 * i);
        register_reader(s, "slow", spellings[i], path);
        stream_events(s, 500);
        stream_deliver(s);
        assert_in_range(stream_check(s).first, 100 + 500 * i, 151 + 500 * i);
    }
}

static void a_segment_that_cannot_be_deleted_stops_nothing(void **state)
{
    struct stream *s = *state;
    char name[200];

    s->settings.jsonl.max_size_bytes = 2000;
    s->step_us = 1100000;
    stream_events(s, 100);
    stream_deliver(s);
    stream_kill(s);
    int segments = stream_check(s).segments;
    assert_true(segments > 2);
    s->settings.jsonl.keep_count = 1;
    s->settings.jsonl.max_size_bytes = 64 << 20;
    s->disk.undeletable = EPERM;
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
    assert_int_equal(stream_check(s).segments, segments);
    s->disk.undeletable = 0;
    s->disk.clock_us += 60000000;
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
    assert_int_equal(stream_check(s).segments, 1);
    snprintf(name, sizeof name, "%s.lock", s->path);
    assert_int_equal(access(name, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_takes_the_oldest_and_never_the_newest),
        cmocka_unit_test(of_one_or_no_segment_nothing_goes),
        cmocka_unit_test(a_clock_set_back_deletes_nothing),
        stream_test(the_slowest_reader_of_this_stream_counts_however_it_is_spelled),
        stream_test(the_sink_keeps_as_many_as_it_is_told),
        stream_test(a_registered_reader_keeps_what_it_needs),
        stream_test(a_reader_that_spelled_the_path_its_own_way_keeps_what_it_needs),
        stream_test(a_segment_that_cannot_be_deleted_stops_nothing),
    };
    return cmocka_run_group_tests(tests, make_ten, NULL);
}

/* jsonl_test.c — the JSONL sink through its ops: what it writes, and when it says so. */
#include "stream.h"

static void every_event_is_a_line_once(void **state)
{
    struct stream *s = *state;
    struct stat status;

    stream_events(s, 100);
    stream_deliver(s);
    stream_complete(s);
    assert_string_equal(s->position, "{\"seq\":100,\"after\":0}");
    assert_int_equal(stat(s->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
}

static void a_restart_goes_on_behind_the_last_line(void **state)
{
    struct stream *s = *state;

    for (int i = 1; i <= 3; i++) {
        stream_events(s, 10);
        stream_deliver(s);
        stream_kill(s);
        stream_complete(s);
    }
    assert_int_equal(s->disk.truncates, 0);
}

static void prev_spans_what_the_filter_leaves_out(void **state)
{
    struct stream *s = *state;

    s->keep_each = 7;
    stream_events(s, 100);
    stream_deliver(s);
    stream_complete(s);
    assert_string_equal(s->position, "{\"seq\":98,\"after\":0}");
    stream_kill(s);
    stream_events(s, 1);
    stream_deliver(s);
    stream_events(s, 60);
    stream_deliver(s);
    stream_complete(s);
}

static void a_filter_that_lets_nothing_pass_moves_the_cursor(void **state)
{
    struct stream *s = *state;

    s->keep_each = 1000;
    s->acked_seq = 5;
    stream_events(s, 100);
    stream_deliver(s);
    assert_int_equal(s->acked_seq, 100);
    assert_string_equal(s->position, "{\"seq\":5,\"after\":5}");
    assert_int_equal(stream_size(s), 0);
    stream_kill(s);
    stream_deliver(s);
    assert_int_equal(s->acked_seq, 100);
}

static void a_cursor_moves_only_after_the_sync(void **state)
{
    struct stream *s = *state;

    s->step_us = 2000;
    stream_events(s, 70);
    assert_int_equal(stream_open(s), SINK_OK);
    for (int turn = 1; turn <= 10; turn++) {
        int syncs = s->disk.syncs;
        int64_t acked_seq = s->acked_seq;
        assert_int_equal(stream_turn(s), SINK_OK);
        assert_int_equal(s->acked_seq, s->disk.syncs > syncs ? 7 * turn : acked_seq);
        assert_true(s->disk.synced_bytes <= stream_size(s));
    }
    assert_in_range(s->disk.syncs, 2, 3); /* twenty milliseconds: one at once, then one in ten */
    assert_true(sink_jsonl.due(s->sink) <= s->disk.clock_us + 15000);
    assert_int_equal(sink_jsonl.finish(s->sink), SINK_OK);
    stream_settle(s);
    assert_int_equal(s->acked_seq, 70);
    assert_int_equal(sink_jsonl.due(s->sink), INT64_MAX);
}

/* Where events come singly it then keeps out of the way of the next commit's own sync. */
static void a_sync_comes_right_after_a_write_or_somewhat_later_by_itself(void **state)
{
    struct stream *s = *state;

    s->step_us = 6000;
    stream_events(s, 28);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK); /* at 0 ms */
    assert_int_equal(s->disk.syncs, 1);
    assert_int_equal(stream_turn(s), SINK_OK); /* at 6 */
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
    assert_int_equal(s->disk.syncs, 1); /* at 12 */
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->disk.syncs, 2);
    assert_int_equal(stream_turn(s), SINK_OK); /* at 18 */
    assert_int_equal(s->disk.syncs, 2);
    s->disk.clock_us = sink_jsonl.due(s->sink);
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
    assert_int_equal(s->disk.syncs, 3);
}

static void without_sync_nothing_is_synced(void **state)
{
    struct stream *s = *state;

    s->settings.jsonl.sync_never = s->disk.never_synced = true;
    stream_rotate_often(s);
    stream_events(s, 200);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.syncs, 0);
    assert_true(stream_check(s).segments > 3);
}

static void segments_are_named_for_what_is_in_them(void **state)
{
    struct stream *s = *state;

    stream_rotate_often(s);
    s->keep_each = 3;
    stream_events(s, 600);
    stream_deliver(s);
    stream_complete(s);
    assert_true(stream_check(s).segments > 5);
    assert_true(stream_size(s) <= 2000);
}

static void two_rotations_are_a_second_apart(void **state)
{
    struct stream *s = *state;

    stream_rotate_often(s);
    s->step_us = 10000;
    stream_events(s, 7 * 250); /* 2.5 seconds */
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(stream_check(s).segments, 3);
}

static void a_line_longer_than_the_limit_has_a_file_of_its_own(void **state)
{
    struct stream *s = *state;

    s->settings.jsonl.max_size_bytes = 10;
    s->step_us = 2000000;
    s->batch = 1;
    stream_events(s, 5);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(stream_check(s).segments, 4);
}

static void sighup_reopens_without_loss(void **state)
{
    struct stream *s = *state;

    stream_events(s, 50);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    sink_jsonl.reopen(s->sink);
    assert_true(sink_jsonl.due(s->sink) <= s->disk.clock_us);
    assert_int_equal(stream_turn(s), SINK_LATER);
    stream_deliver(s);
    stream_complete(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(every_event_is_a_line_once),
        stream_test(a_restart_goes_on_behind_the_last_line),
        stream_test(prev_spans_what_the_filter_leaves_out),
        stream_test(a_filter_that_lets_nothing_pass_moves_the_cursor),
        stream_test(a_cursor_moves_only_after_the_sync),
        stream_test(a_sync_comes_right_after_a_write_or_somewhat_later_by_itself),
        stream_test(without_sync_nothing_is_synced),
        stream_test(segments_are_named_for_what_is_in_them),
        stream_test(two_rotations_are_a_second_apart),
        stream_test(a_line_longer_than_the_limit_has_a_file_of_its_own),
        stream_test(sighup_reopens_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

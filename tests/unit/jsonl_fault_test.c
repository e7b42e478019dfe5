/* jsonl_fault_test.c — the JSONL sink killed, unplugged, and with a disk that fails, lies or is full, at every call that
 * changes something: every event is a line once, all the same.
 */
#include "stream.h"

enum { EVENTS = 120 };

/* How many calls an undisturbed run makes. */
static int calls_of_a_run(struct stream *s)
{
    stream_deliver(s);
    stream_complete(s);
    int calls = s->disk.calls;
    stream_reset(s);
    return calls;
}

/* The process ends at its k-th call that changes the disk, for each k. The next one finds everything, though the
 * janitor has taken what was acknowledged; and when the power goes after that one, it is all there still. */
static void end_at_every_call(struct stream *s, enum disk_mode mode, enum power_loss loss, bool forgetful)
{
    stream_rotate_often(s);
    stream_events(s, EVENTS);
    int calls = calls_of_a_run(s);
    assert_true(calls > 50);
    for (int k = 1; k <= calls; k++) {
        stream_sql(s, "BEGIN");
        s->disk.mode = mode;
        s->disk.loss = loss;
        s->disk.at = k;
        s->forgetful = forgetful;
        stream_run(s);
        assert_true(s->disk.gone);
        s->forgetful = false;
        s->reclaimed = true;
        for (int again = 0; again < 2; again++) {
            stream_bury(s);
            stream_deliver(s);
            stream_complete(s);
            s->disk.mode = DISK_NO_POWER;
            s->disk.gone = true;
        }
        s->reclaimed = false;
        stream_sql(s, "ROLLBACK");
        stream_reset(s);
    }
}

static void killed_at_any_call_nothing_is_lost_or_repeated(void **state)
{
    end_at_every_call(*state, DISK_KILLED, LOST_BYTES, false);
}

static void killed_at_any_call_with_a_ledger_that_heard_nothing(void **state)
{
    end_at_every_call(*state, DISK_KILLED, LOST_BYTES, true);
}

static void unplugged_at_any_call_with_the_last_bytes_gone(void **state)
{
    end_at_every_call(*state, DISK_NO_POWER, LOST_BYTES, false);
}

static void unplugged_at_any_call_with_zeros_at_the_end(void **state)
{
    end_at_every_call(*state, DISK_NO_POWER, LOST_TO_ZEROS, false);
}

static void unplugged_at_any_call_with_zeros_before_good_lines(void **state)
{
    end_at_every_call(*state, DISK_NO_POWER, LOST_FIRST_PAGE, false);
}

static void fail_at_every_call(struct stream *s, int error, int times, enum power_loss loss)
{
    stream_rotate_often(s);
    stream_events(s, EVENTS);
    int calls = calls_of_a_run(s);
    for (int k = 1; k <= calls; k++) {
        stream_sql(s, "BEGIN");
        s->reclaimed = true;
        s->disk.mode = DISK_FAILS;
        s->disk.error = error;
        s->disk.times = times;
        s->disk.loss = loss;
        s->disk.at = k;
        stream_deliver(s);
        stream_complete(s);
        assert_int_equal(s->disk.syncs_after_failure, 0);
        s->reclaimed = false;
        stream_sql(s, "ROLLBACK");
        stream_reset(s);
    }
}

static void an_io_error_at_any_call_is_lived_through(void **state)
{
    fail_at_every_call(*state, EIO, 1, LOST_TO_ZEROS);
}

static void io_errors_in_a_row_are_lived_through(void **state)
{
    for (int times = 2; times <= 4; times++) {
        fail_at_every_call(*state, EIO, times, LOST_TO_ZEROS);
        stream_sql(*state, "DELETE FROM change_log; DELETE FROM sqlite_sequence");
    }
}

static void a_full_disk_at_any_call_is_lived_through(void **state)
{
    fail_at_every_call(*state, ENOSPC, 1, LOST_FIRST_PAGE);
}

static void a_short_write_is_written_to_its_end(void **state)
{
    struct stream *s = *state;

    stream_rotate_often(s);
    stream_events(s, EVENTS);
    int calls = calls_of_a_run(s);
    for (int k = 1; k <= calls; k++) {
        s->disk.mode = DISK_SHORT;
        s->disk.at = k;
        stream_deliver(s);
        stream_complete(s);
        stream_reset(s);
    }
}

/* The descriptor whose sync failed gets no second one; what was synced is sealed, the rest comes in a new file. */
static void a_failed_sync_seals_the_file(void **state)
{
    struct stream *s = *state;
    struct stat before, after;

    stream_events(s, 21);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->acked_seq, 7);
    assert_int_equal(stat(s->path, &before), 0);

    s->disk.mode = DISK_FAILS;
    s->disk.loss = LOST_TO_ZEROS;
    s->disk.at = s->disk.calls + 2; /* a write, and its sync */
    assert_int_equal(stream_turn(s), SINK_LATER);
    assert_int_equal(s->acked_seq, 7);
    assert_true(s->disk.failed_inode == before.st_ino);

    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.syncs_after_failure, 0);
    char path[200];
    snprintf(path, sizeof path, "%s/events.00000000000000000001-00000000000000000007.jsonl", s->dir);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(stat(s->path, &after), 0);
    assert_int_not_equal(after.st_ino, before.st_ino);
}

static void a_failed_first_sync_leaves_no_segment(void **state)
{
    struct stream *s = *state;

    stream_events(s, 21);
    assert_int_equal(stream_open(s), SINK_OK);
    s->disk.mode = DISK_FAILS;
    s->disk.loss = LOST_TO_ZEROS;
    s->disk.at = s->disk.calls + 2;
    assert_int_equal(stream_turn(s), SINK_LATER);
    assert_int_equal(s->acked_seq, 0);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(stream_check(s).segments, 0);
}

/* Killed between the failed sync and the end of the sealing: the pages are zeros, and the kernel calls them clean. */
static void killed_while_sealing_the_next_start_finds_the_damage(void **state)
{
    struct stream *s = *state;

    stream_events(s, 42);
    for (int later = 1; later <= 6; later++) {
        assert_int_equal(stream_open(s), SINK_OK);
        assert_int_equal(stream_turn(s), SINK_OK);
        s->disk.mode = DISK_FAILS;
        s->disk.loss = LOST_TO_ZEROS;
        s->disk.at = s->disk.calls + 2;
        s->disk.killed_at = s->disk.at + later;
        stream_run(s);
        stream_bury(s);
        stream_deliver(s);
        stream_complete(s);
        stream_reset(s);
    }
}

/* What the disk said it had, and had not, was acknowledged: it is found when the disk fails, and written again. */
/* Of so many events 14 are acknowledged, the second half of them on the word of a disk that has lost it to zeros. */
static void be_lied_to(struct stream *s, int events)
{
    stream_events(s, events);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    s->disk.mode = DISK_LIES;
    s->disk.loss = LOST_TO_ZEROS;
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->acked_seq, 14);
}

static void a_disk_that_lied_before_it_failed_is_found_out(void **state)
{
    struct stream *s = *state;
    struct checked sum;

    be_lied_to(s, 35);
    s->disk.mode = DISK_FAILS;
    s->disk.at = s->disk.calls + 2; /* a write, and its sync */
    assert_int_equal(stream_turn(s), SINK_LATER);
    sum = stream_check(s);
    assert_int_equal(sum.last, 7);
    assert_int_equal(sum.segments, 1);
    stream_deliver(s);
    stream_complete(s);
}

static void after_a_failed_sync_the_disk_is_not_taken_at_its_word(void **state)
{
    struct stream *s = *state;

    stream_events(s, 700);
    assert_int_equal(stream_open(s), SINK_OK);
    s->disk.mode = DISK_FAILS;
    s->disk.at = s->disk.calls + 2;
    assert_int_equal(stream_turn(s), SINK_LATER);
    for (int i = 0; i < 10; i++) { /* a good sync or a few, then one that is none */
        while (stream_open(s) != SINK_OK)
            s->disk.clock_us += 100000;
        for (int good = 0; good <= i % 3; good++)
            assert_int_equal(stream_turn(s), SINK_OK);
        int64_t acked_seq = s->acked_seq;
        s->disk.mode = DISK_LIES;
        s->disk.loss = i % 2 ? LOST_TO_ZEROS : LOST_FIRST_PAGE;
        s->disk.at = s->disk.calls;
        assert_int_equal(stream_turn(s), SINK_LATER);
        assert_non_null(strstr(s->reason, "is not on the disk"));
        assert_int_equal(s->acked_seq, acked_seq);
        assert_int_equal(stream_check(s).last, acked_seq > 0 ? acked_seq : -1);
    }
    stream_deliver(s);
    stream_complete(s);
}

/* A segment is not looked at again: what its last sync said is looked at before it gets its name. */
static void a_lie_at_the_end_of_a_segment_is_found_before_its_name(void **state)
{
    struct stream *s = *state;

    stream_rotate_often(s);
    s->settings.jsonl.max_size_bytes = 3400; /* two batches, not three */
    be_lied_to(s, 200);
    assert_int_equal(stream_turn(s), SINK_LATER);
    assert_non_null(strstr(s->reason, "is not on the disk"));
    assert_int_equal(stream_check(s).last, 7);
    stream_deliver(s);
    stream_complete(s);
    assert_true(stream_check(s).segments > 10);
}

static void a_disk_that_stays_full_is_asked_less_and_less_often(void **state)
{
    struct stream *s = *state;
    int64_t waits_us[8];

    stream_events(s, 20);
    assert_int_equal(stream_open(s), SINK_OK);
    for (int i = 0; i < 8; i++) {
        s->disk.mode = DISK_FAILS;
        s->disk.error = ENOSPC;
        s->disk.at = s->disk.calls + 1;
        assert_int_equal(stream_turn(s), SINK_LATER);
        waits_us[i] = sink_jsonl.due(s->sink) - (s->disk.clock_us - s->step_us);
        assert_non_null(strstr(s->reason, "No space left"));
        s->disk.mode = DISK_FINE;
        assert_int_equal(stream_open(s), SINK_OK);
    }
    assert_int_equal(waits_us[0], 100000);
    assert_int_equal(waits_us[1], 200000);
    assert_int_equal(waits_us[7], 5000000);
    stream_deliver(s);
    stream_complete(s);
}

static void a_full_disk_has_room_again_by_what_need_not_be_kept(void **state)
{
    struct stream *s = *state;

    stream_rotate_often(s);
    stream_events(s, EVENTS);
    stream_deliver(s);
    assert_true(stream_check(s).segments > 5);
    s->settings.jsonl.keep_count = 1; /* or a reader has got on meanwhile */
    for (int restarted = 0; restarted < 2; restarted++) {
        s->disk.mode = DISK_FULL;
        stream_events(s, EVENTS);
        stream_deliver(s);
        assert_int_equal(stream_check(s).last, s->context.last_seq);
        assert_int_equal(stream_check(s).segments, 1);
        stream_kill(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(killed_at_any_call_nothing_is_lost_or_repeated),
        stream_test(killed_at_any_call_with_a_ledger_that_heard_nothing),
        stream_test(unplugged_at_any_call_with_the_last_bytes_gone),
        stream_test(unplugged_at_any_call_with_zeros_at_the_end),
        stream_test(unplugged_at_any_call_with_zeros_before_good_lines),
        stream_test(an_io_error_at_any_call_is_lived_through),
        stream_test(io_errors_in_a_row_are_lived_through),
        stream_test(a_full_disk_at_any_call_is_lived_through),
        stream_test(a_short_write_is_written_to_its_end),
        stream_test(a_failed_sync_seals_the_file),
        stream_test(a_failed_first_sync_leaves_no_segment),
        stream_test(killed_while_sealing_the_next_start_finds_the_damage),
        stream_test(a_disk_that_lied_before_it_failed_is_found_out),
        stream_test(after_a_failed_sync_the_disk_is_not_taken_at_its_word),
        stream_test(a_lie_at_the_end_of_a_segment_is_found_before_its_name),
        stream_test(a_disk_that_stays_full_is_asked_less_and_less_often),
        stream_test(a_full_disk_has_room_again_by_what_need_not_be_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* jsonl_test.c — the JSONL sink through its ops: what it writes, and what it does when the disk fails. */
#include "stream.h"

/* Small segments, so that everything happens often: a rotation in every other batch. */
static void rotate_often(struct stream *s)
{
    s->settings.jsonl.max_size_bytes = 2000;
    s->step_us = 600000;
}

static int count_segments(const struct stream *s)
{
    return stream_check(s).segments;
}

static int64_t size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

/* ---- What it writes ---------------------------------------------------------------------------------------------- */

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
    assert_int_equal(size_of(s->path), 0);
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
        assert_true(s->disk.synced_bytes <= size_of(s->path));
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
    rotate_often(s);
    stream_events(s, 200);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.syncs, 0);
    assert_true(count_segments(s) > 3);
}

static void segments_are_named_for_what_is_in_them(void **state)
{
    struct stream *s = *state;

    rotate_often(s);
    s->keep_each = 3;
    stream_events(s, 600);
    stream_deliver(s);
    stream_complete(s);
    assert_true(count_segments(s) > 5);
    assert_true(size_of(s->path) <= 2000);
}

static void two_rotations_are_a_second_apart(void **state)
{
    struct stream *s = *state;

    rotate_often(s);
    s->step_us = 10000;
    stream_events(s, 7 * 250); /* 2.5 seconds */
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(count_segments(s), 3);
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
    assert_int_equal(count_segments(s), 4);
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

/* ---- Killed, unplugged, failing at every call -------------------------------------------------------------------- */

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
    rotate_often(s);
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
    rotate_often(s);
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

    rotate_often(s);
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
    assert_int_equal(size_of(path), before.st_size);
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
    assert_int_equal(count_segments(s), 0);
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
static void a_disk_that_lied_before_it_failed_is_found_out(void **state)
{
    struct stream *s = *state;
    struct checked sum;

    stream_events(s, 35);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    s->disk.mode = DISK_LIES;
    s->disk.loss = LOST_TO_ZEROS;
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->acked_seq, 14);
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

    rotate_often(s);
    s->settings.jsonl.max_size_bytes = 3400; /* two batches, not three */
    stream_events(s, 200);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    s->disk.mode = DISK_LIES;
    s->disk.loss = LOST_TO_ZEROS;
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->acked_seq, 14);
    assert_int_equal(stream_turn(s), SINK_LATER);
    assert_non_null(strstr(s->reason, "is not on the disk"));
    assert_int_equal(stream_check(s).last, 7);
    stream_deliver(s);
    stream_complete(s);
    assert_true(count_segments(s) > 10);
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

/* ---- Other hands on the file ------------------------------------------------------------------------------------- */

/* In mid-stream somebody does something to the file; nothing is lost or repeated on the disk. */
static void meddle(struct stream *s, void (*with)(struct stream *), const char *words)
{
    stream_events(s, 100);
    assert_int_equal(stream_open(s), SINK_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(stream_turn(s), SINK_OK);
    with(s);
    assert_int_equal(stream_turn(s), SINK_LATER);
    if (!strstr(s->reason, words))
        fail_msg("'%s' does not say '%s'", s->reason, words);
    stream_deliver(s);
    stream_complete(s);
}

static void truncate_it(struct stream *s)
{
    assert_int_equal(truncate(s->path, 500), 0);
}

static void empty_it(struct stream *s)
{
    assert_int_equal(truncate(s->path, 0), 0);
}

static void remove_it(struct stream *s)
{
    assert_int_equal(unlink(s->path), 0);
}

static void replace_it(struct stream *s)
{
    assert_int_equal(unlink(s->path), 0);
    int fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL, 0640);
    assert_true(fd >= 0);
    close(fd);
}

static void append_to_it(struct stream *s)
{
    FILE *file = fopen(s->path, "a");
    assert_non_null(file);
    fputs("hello, world\n", file);
    fclose(file);
}

static void truncated_by_somebody_it_is_written_again(void **state)
{
    meddle(*state, truncate_it, "truncated");
}

static void emptied_by_somebody_it_is_written_again(void **state)
{
    meddle(*state, empty_it, "truncated");
}

static void removed_by_somebody_it_is_written_again(void **state)
{
    meddle(*state, remove_it, "removed");
}

static void replaced_by_somebody_it_is_written_again(void **state)
{
    meddle(*state, replace_it, "replaced");
}

static void appended_to_by_somebody_it_is_cut_back(void **state)
{
    meddle(*state, append_to_it, "somebody else");
}

static void a_directory_that_is_gone_is_waited_for(void **state)
{
    struct stream *s = *state;

    stream_events(s, 100);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    stream_clean(s->dir);
    assert_int_equal(rmdir(s->dir), 0);
    assert_int_equal(stream_turn(s), SINK_LATER);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stream_open(s), SINK_LATER);
    assert_int_equal(mkdir(s->dir, 0755), 0);
    stream_deliver(s);
    stream_complete(s);
}

static void one_stream_has_one_writer(void **state)
{
    struct stream *s = *state;
    struct cursor cursor = {0};
    char reason[SINK_REASON_SIZE] = "";
    struct sink_context context;

    stream_events(s, 10);
    assert_int_equal(stream_open(s), SINK_OK);
    context = s->context;
    context.reason = reason;
    struct sink *second = jsonl_create(&context, &s->disk.ops);
    assert_int_equal(sink_jsonl.open(second, &cursor), SINK_LATER);
    assert_non_null(strstr(reason, "being written by"));
    assert_true(sink_jsonl.due(second) <= s->disk.clock_us + 1000000);
    assert_int_equal(sink_jsonl.room(second), 0);
    stream_deliver(s);
    stream_kill(s);
    assert_int_equal(sink_jsonl.open(second, &cursor), SINK_OK);
    assert_int_equal(cursor.acked_seq, 10);
    sink_jsonl.close(second);
}

/* ---- What can't work is refused at the start --------------------------------------------------------------------- */

static void refuse(struct stream *s, const char *words)
{
    stream_events(s, 3);
    assert_int_equal(stream_open(s), SINK_BROKEN);
    if (!strstr(s->reason, words))
        fail_msg("'%s' does not say '%s'", s->reason, words);
}

static void a_missing_directory_is_refused(void **state)
{
    struct stream *s = *state;
    strcat(s->path, "/x/events.jsonl");
    refuse(s, "No such file or directory");
}

static void a_symbolic_link_is_refused(void **state)
{
    struct stream *s = *state;
    assert_int_equal(symlink("/tmp/outbox-nowhere", s->path), 0);
    refuse(s, "symbolic links");
}

static void a_link_planted_just_before_the_file_is_made_is_not_followed(void **state)
{
    struct stream *s = *state;
    char elsewhere[96];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", s->dir);
    s->disk.planted = elsewhere;
    stream_events(s, 3);
    assert_int_equal(stream_open(s), SINK_LATER);
    assert_non_null(strstr(s->reason, "creating it"));
    assert_int_equal(access(elsewhere, F_OK), -1);
}

static void a_file_planted_just_before_its_own_is_made_is_not_taken(void **state)
{
    struct stream *s = *state;
    char elsewhere[96];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", s->dir);
    close(open(elsewhere, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    s->disk.planted = elsewhere;
    s->disk.planted_hard = true;
    stream_events(s, 3);
    assert_int_equal(stream_open(s), SINK_LATER);
    assert_non_null(strstr(s->reason, "creating it"));
}

static void an_empty_file_with_another_name_is_refused(void **state)
{
    struct stream *s = *state;
    char elsewhere[96];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", s->dir);
    close(open(elsewhere, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    assert_int_equal(link(elsewhere, s->path), 0);
    refuse(s, "has another name too");
}

/* Somebody's backup is made of hard links. */
static void a_stream_with_another_name_goes_on(void **state)
{
    struct stream *s = *state;
    char elsewhere[96];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", s->dir);
    stream_events(s, 3);
    stream_deliver(s);
    stream_kill(s);
    assert_int_equal(link(s->path, elsewhere), 0);
    stream_events(s, 3);
    stream_deliver(s);
    stream_complete(s);
}

static void a_rename_replaces_nothing(void **state)
{
    struct stream *s = *state;
    static const char *const names[] = {"full", "segment"};
    int dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 2; i++)
        close(openat(dir_fd, names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    assert_int_equal(file_ops_system.rename_at(NULL, dir_fd, "full", "segment"), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(faccessat(dir_fd, "full", F_OK, 0), 0);
    assert_int_equal(file_ops_system.rename_at(NULL, dir_fd, "full", "another"), 0);
    close(dir_fd);
}

static void a_directory_in_its_place_is_refused(void **state)
{
    struct stream *s = *state;
    assert_int_equal(mkdir(s->path, 0755), 0);
    refuse(s, "Is a directory");
    assert_int_equal(rmdir(s->path), 0);
}

static void a_pipe_in_its_place_is_refused(void **state)
{
    struct stream *s = *state;
    assert_int_equal(mkfifo(s->path, 0600), 0);
    refuse(s, "not a regular file");
}

static void a_path_that_names_no_file_is_refused(void **state)
{
    struct stream *s = *state;
    strcpy(s->path, s->dir);
    strcat(s->path, "/");
    refuse(s, "Is a directory");
}

static void somebodys_own_file_is_left_alone(void **state)
{
    struct stream *s = *state;
    FILE *file = fopen(s->path, "w");
    fputs("root:x:0:0:root:/root:/bin/bash\n", file);
    fclose(file);
    refuse(s, "something else than events");
    assert_int_equal(size_of(s->path), 32);
}

#define stream_test(f) cmocka_unit_test_setup_teardown(f, stream_setup, stream_teardown)

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
        stream_test(truncated_by_somebody_it_is_written_again),
        stream_test(emptied_by_somebody_it_is_written_again),
        stream_test(removed_by_somebody_it_is_written_again),
        stream_test(replaced_by_somebody_it_is_written_again),
        stream_test(appended_to_by_somebody_it_is_cut_back),
        stream_test(a_directory_that_is_gone_is_waited_for),
        stream_test(one_stream_has_one_writer),
        stream_test(a_missing_directory_is_refused),
        stream_test(a_symbolic_link_is_refused),
        stream_test(a_link_planted_just_before_the_file_is_made_is_not_followed),
        stream_test(a_file_planted_just_before_its_own_is_made_is_not_taken),
        stream_test(an_empty_file_with_another_name_is_refused),
        stream_test(a_stream_with_another_name_goes_on),
        stream_test(a_rename_replaces_nothing),
        stream_test(a_directory_in_its_place_is_refused),
        stream_test(a_pipe_in_its_place_is_refused),
        stream_test(a_path_that_names_no_file_is_refused),
        stream_test(somebodys_own_file_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

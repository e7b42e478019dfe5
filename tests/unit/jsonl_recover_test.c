/* jsonl_recover_test.c — what a start finds on the disk, and how the stream goes on from there. */
#include "stream_found.h"

/* ---- The cursor and the file differ -------------------------------------------------------------------------------- */

static void a_file_ahead_of_the_cursor_is_believed(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    for (int known = 0; known <= 10; known++) {
        s->acked_seq = known;
        snprintf(s->position, sizeof s->position, "{\"seq\":%d,\"after\":0}", known);
        if (known == 0)
            s->position[0] = '\0';
        stream_deliver(s);
        stream_complete(s);
        stream_kill(s);
    }
}

static void lines_nobody_vouched_for_are_written_and_synced_again(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 4);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(s->disk.syncs, 1);
    assert_int_equal(s->acked_seq, 10);
    struct text text = read_text(s->path);
    const char *fifth = text.bytes;
    for (int line = 1; line < 5; line++)
        fifth = strchr(fifth, '\n') + 1;
    assert_int_equal(s->disk.written_bytes, text.size - (size_t)(fifth - text.bytes));
    assert_int_equal(s->disk.synced_bytes, text.size);
    free(text.bytes);
}

static void a_deleted_file_is_written_again(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    assert_int_equal(unlink(s->path), 0);
    stream_events(s, 3);
    stream_deliver(s);
    stream_complete(s);
}

static void a_rewrite_is_settled_when_it_has_caught_up(void **state)
{
    struct stream *s = *state;
    struct settlement told;

    ten_lines(s, 10);
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(s->read_seq, 0);
    s->forgetful = true;
    assert_int_equal(stream_turn(s), SINK_OK); /* seven of ten */
    assert_false(sink_jsonl.settle(s->sink, &told));
    s->batch = 0;
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_false(sink_jsonl.settle(s->sink, &told));
    s->batch = 7;
    s->forgetful = false;
    s->acked_seq = 0;
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->acked_seq, 10);
}

static void a_deleted_file_behind_segments_is_written_again(void **state)
{
    struct stream *s = *state;

    many_segments(s);
    assert_int_equal(unlink(s->path), 0);
    stream_deliver(s);
    stream_complete(s);
}

static void a_rewrite_that_was_killed_begins_where_it_stopped(void **state)
{
    struct stream *s = *state;

    stream_events(s, 100);
    stream_deliver(s);
    stream_kill(s);
    for (int k = 1; k <= 30; k++) {
        assert_int_equal(truncate(s->path, 0), 0);
        s->disk.mode = DISK_KILLED;
        s->disk.at = s->disk.calls + k;
        stream_run(s);
        assert_int_equal(s->acked_seq, 100); /* never turned back */
        stream_bury(s);
        stream_deliver(s);
        stream_complete(s);
        stream_kill(s);
    }
}

static void a_deleted_file_whose_events_are_reclaimed_is_refused(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    assert_int_equal(unlink(s->path), 0);
    stream_sql(s, "DELETE FROM change_log WHERE seq IN (3, 4)");
    stream_broken(s, "from 3 to 4 are no longer in change_log");
    stream_sql(s, "DELETE FROM change_log WHERE seq > 8; UPDATE change_log SET seq = seq + 2 WHERE seq < 3;"
                  "INSERT INTO change_log(seq) VALUES (1), (2)");
    stream_broken(s, "from 9 to 10 are no longer in change_log");
    assert_int_equal(access(s->path, F_OK), -1);
}

static void what_new_source_passed_over_is_not_missed(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    stream_sql(s, "DELETE FROM change_log WHERE seq IN (3, 4)");
    assert_int_equal(unlink(s->path), 0);
    s->context.former_sources = "[{\"source\":\"0000000000000000\",\"last_seq\":2,\"next_seq\":5}]";
    stream_deliver(s);
    assert_int_equal(stream_check(s).count, 8);
}

static void after_retention_only_what_was_left_is_written_again(void **state)
{
    struct stream *s = *state;

    many_segments(s);
    s->settings.jsonl.keep_count = 1;
    stream_events(s, 1);
    stream_deliver(s);
    struct checked left = stream_check(s);
    assert_int_equal(left.segments, 1);
    stream_kill(s);

    char sql[100];
    snprintf(sql, sizeof sql, "DELETE FROM change_log WHERE seq < %" PRId64, left.first);
    stream_sql(s, sql);
    stream_clean(s->dir);
    stream_deliver(s);
    struct checked again = stream_check(s);
    assert_int_equal(again.first, left.first);
    assert_int_equal(again.last, 61);
}

static void a_new_path_takes_the_backlog_with_it(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    stream_clean(s->dir);
    stream_events(s, 90);
    stream_deliver(s);
    stream_complete(s);
}

static void a_new_consumer_begins_an_empty_stream_where_its_cursor_is(void **state)
{
    struct stream *s = *state;

    stream_events(s, 30);
    s->acked_seq = 20;
    stream_deliver(s);
    struct checked sum = stream_check(s);
    assert_int_equal(sum.first, 21);
    assert_int_equal(sum.count, 10);
    assert_string_equal(s->position, "{\"seq\":30,\"after\":20}");
}

static void a_new_consumer_leaves_no_hole_in_an_old_stream(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    stream_events(s, 10);
    s->position[0] = '\0';
    s->acked_seq = 15; /* --from 16 */
    stream_deliver(s);
    stream_complete(s);
}

static void a_filter_or_format_changed_between_runs_goes_on(void **state)
{
    struct stream *s = *state;

    s->keep_each = 3;
    stream_events(s, 20);
    stream_deliver(s);
    stream_kill(s);
    s->keep_each = 7;
    stream_events(s, 20);
    stream_deliver(s);
    stream_kill(s);
    s->keep_each = 1;
    stream_events(s, 2);
    stream_deliver(s);
    stream_kill(s);
    assert_int_equal(stream_check(s).count, 6 + 3 + 2);

    s->settings.jsonl.format = FORMAT_CLOUDEVENTS;
    for (int i = 0; i < 3; i++) {
        stream_events(s, 2);
        stream_deliver(s);
        stream_kill(s);
    }
    struct text text = read_text(s->path);
    assert_non_null(strstr(text.bytes + last_line(&text), "\"sequence\":\"00000000000000000048\""));
    assert_non_null(strstr(text.bytes + last_line(&text), "\"prev\":\"00000000000000000047\""));
    assert_int_equal(s->disk.truncates, 0);
    free(text.bytes);
}

static void a_position_that_is_not_ours_is_no_position(void **state)
{
    struct stream *s = *state;
    static const char *const odd[] = {"", "7", "[]", "{}", "{\"seq\":\"x\"}", "{\"seq\":1e3}", "{\"seq\":", "null"};

    ten_lines(s, 10);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        snprintf(s->position, sizeof s->position, "%s", odd[i]);
        stream_deliver(s);
        stream_complete(s);
        stream_kill(s);
    }
}

/* ---- Whose stream it is -------------------------------------------------------------------------------------------- */

static void a_stream_of_another_source_is_refused(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    struct text before = read_text(s->path);
    s->context.source = "1111111111111111";
    stream_broken(s, "belongs to another database");
    s->context.former_sources = "[{\"source\":\"2222222222222222\",\"last_seq\":5,\"next_seq\":6}]";
    stream_broken(s, STREAM_SOURCE);
    struct text after = read_text(s->path);
    assert_int_equal(after.size, before.size);
    free(before.bytes);
    free(after.bytes);
}

static void a_stream_of_a_former_source_goes_on(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    s->context.source = "1111111111111111";
    s->context.former_sources = "[{\"source\":\"" STREAM_SOURCE "\",\"last_seq\":10,\"next_seq\":11}]";
    stream_events(s, 5);
    stream_deliver(s);
    stream_complete(s);
}

static void a_stream_ahead_of_its_database_is_refused(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    stream_sql(s, "DELETE FROM change_log WHERE seq > 6");
    s->context.last_seq = s->acked_seq = 6;
    strcpy(s->position, "{\"seq\":6,\"after\":0}");
    stream_broken(s, "outboxctl new-source --seq-after 10");
}

/* The restored backup has been written on: the numbers fit, the events are others. */
static void a_restored_database_that_has_caught_up_is_refused(void **state)
{
    struct stream *s = *state;

    ten_lines(s, 10);
    stream_sql(s, "UPDATE change_log SET created_at = created_at + 1 WHERE seq > 6");
    stream_events(s, 10);
    s->acked_seq = 6;
    strcpy(s->position, "{\"seq\":6,\"after\":0}");
    stream_broken(s, "another event 7 than this database");
}

static void the_check_of_source_needs_no_line_in_the_active_file(void **state)
{
    struct stream *s = *state;

    many_segments(s);
    s->settings.jsonl.max_size_bytes = 1;
    write_text(s->path, "", 0);
    s->context.source = "1111111111111111";
    stream_broken(s, "belongs to another database");
}

/* ---- Segments ------------------------------------------------------------------------------------------------------ */

static void a_rename_whose_new_file_was_never_made_is_finished(void **state)
{
    struct stream *s = *state;
    char name[200];

    ten_lines(s, 4);
    snprintf(name, sizeof name, "%s/events.00000000000000000001-00000000000000000010.jsonl", s->dir);
    assert_int_equal(rename(s->path, name), 0);
    stream_events(s, 5);
    stream_deliver(s);
    stream_complete(s);
}

static void a_segment_cut_by_somebody_is_refused(void **state)
{
    struct stream *s = *state;
    struct stat status;

    many_segments(s);
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(stat(newest_segment(s), &status), 0);
    assert_int_equal(truncate(newest_segment(s), status.st_size - 1), 0);
    stream_broken(s, "does not end with seq");
    struct text text = read_text(newest_segment(s));
    write_text(newest_segment(s), text.bytes, last_line(&text)); /* by a whole line, or more */
    free(text.bytes);
    stream_broken(s, "does not end with seq");
    assert_int_equal(unlink(newest_segment(s)), 0); /* as the words say: moved away */
    stream_deliver(s);
    stream_complete(s);
}

static void an_active_file_that_overlaps_a_segment_is_refused(void **state)
{
    struct stream *s = *state;
    char name[200];

    ten_lines(s, 10);
    snprintf(name, sizeof name, "%s/events.00000000000000000001-00000000000000000004.jsonl", s->dir);
    write_text(name, "", 0);
    stream_broken(s, "one of them is another stream's");
}

static void names_that_resemble_segments_are_left_alone(void **state)
{
    struct stream *s = *state;
    char name[200];

    snprintf(name, sizeof name, "%s/events.00000000000000000001-0000000000000000099.jsonl", s->dir);
    write_text(name, "x", 1);
    stream_events(s, 5);
    stream_deliver(s);
    assert_int_equal(unlink(name), 0);
    stream_complete(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(a_file_ahead_of_the_cursor_is_believed),
        stream_test(lines_nobody_vouched_for_are_written_and_synced_again),
        stream_test(a_deleted_file_is_written_again),
        stream_test(a_rewrite_is_settled_when_it_has_caught_up),
        stream_test(a_deleted_file_behind_segments_is_written_again),
        stream_test(a_rewrite_that_was_killed_begins_where_it_stopped),
        stream_test(a_deleted_file_whose_events_are_reclaimed_is_refused),
        stream_test(what_new_source_passed_over_is_not_missed),
        stream_test(after_retention_only_what_was_left_is_written_again),
        stream_test(a_new_path_takes_the_backlog_with_it),
        stream_test(a_new_consumer_begins_an_empty_stream_where_its_cursor_is),
        stream_test(a_new_consumer_leaves_no_hole_in_an_old_stream),
        stream_test(a_filter_or_format_changed_between_runs_goes_on),
        stream_test(a_position_that_is_not_ours_is_no_position),
        stream_test(a_stream_of_another_source_is_refused),
        stream_test(a_stream_of_a_former_source_goes_on),
        stream_test(a_stream_ahead_of_its_database_is_refused),
        stream_test(a_restored_database_that_has_caught_up_is_refused),
        stream_test(the_check_of_source_needs_no_line_in_the_active_file),
        stream_test(a_rename_whose_new_file_was_never_made_is_finished),
        stream_test(a_segment_cut_by_somebody_is_refused),
        stream_test(an_active_file_that_overlaps_a_segment_is_refused),
        stream_test(names_that_resemble_segments_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* jsonl_recover_test.c — what a start finds on the disk, and how the stream goes on from there. */
#include "stream.h"

#include "event_line.h"
#include "sinks/line_reader.h"

/* ---- Hands on the files ------------------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t size;
};

static struct text read_text(const char *path)
{
    struct stat status;
    struct text text = {0};
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    text.bytes = calloc(1, (size_t)status.st_size + 1);
    text.size = (size_t)status.st_size;
    assert_int_equal(read(fd, text.bytes, text.size), text.size);
    close(fd);
    return text;
}

static void write_text(const char *path, const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

/* Longer by zeros, or shorter. */
static void resize(const struct stream *s, int64_t by)
{
    struct stat status;
    assert_int_equal(stat(s->path, &status), 0);
    assert_int_equal(truncate(s->path, status.st_size + by), 0);
}

static size_t last_line(const struct text *text)
{
    size_t at = text->size - 1;
    while (at > 0 && text->bytes[at - 1] != '\n')
        at--;
    return at;
}

static void broken(struct stream *s, const char *words)
{
    assert_int_equal(stream_open(s), SINK_BROKEN);
    if (!strstr(s->reason, words))
        fail_msg("'%s' does not say '%s'", s->reason, words);
}

/* Ten lines in the file, of which the ledger knows the first `known`. */
static void ten_lines(struct stream *s, int known)
{
    stream_events(s, 10);
    stream_deliver(s);
    stream_complete(s);
    stream_kill(s);
    s->acked_seq = known;
    snprintf(s->position, sizeof s->position, "{\"seq\":%d,\"after\":0}", known);
    s->disk.syncs = s->disk.truncates = 0;
    s->disk.written_bytes = 0;
}

/* Three segments and an active file, 60 events. */
static void many_segments(struct stream *s)
{
    s->settings.jsonl.max_size_bytes = 2500;
    s->step_us = 600000;
    stream_events(s, 60);
    stream_deliver(s);
    stream_complete(s);
    stream_kill(s);
    s->step_us = 10000;
    s->settings.jsonl.max_size_bytes = 64 << 20;
    assert_true(stream_check(s).segments >= 3);
}

static char *newest_segment(const struct stream *s)
{
    static char newest[NAME_MAX + 100];
    struct dirent *entry;
    DIR *dir = opendir(s->dir);
    newest[0] = '\0';
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, "events.0", 8) == 0 &&
            (!newest[0] || strcmp(strrchr(newest, '/') + 1, entry->d_name) < 0))
            snprintf(newest, sizeof newest, "%s/%s", s->dir, entry->d_name);
    closedir(dir);
    return newest;
}

/* ---- Torn ---------------------------------------------------------------------------------------------------------- */

static void cut_at_every_byte_of_its_last_line_it_is_completed(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 9);
    struct text text = read_text(s->path);

    for (size_t size = last_line(&text); size <= text.size; size++) {
        write_text(s->path, text.bytes, size);
        s->acked_seq = 9;
        stream_deliver(s);
        stream_complete(s);
        struct text now = read_text(s->path);
        assert_int_equal(now.size, text.size);
        assert_memory_equal(now.bytes, text.bytes, text.size);
        free(now.bytes);
        stream_kill(s);
    }
    assert_int_equal(s->disk.truncates, 0); /* a reader that follows the file saw it grow, nothing else */
    free(text.bytes);
}

static void a_torn_line_of_another_format_is_cut(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 9);
    struct text text = read_text(s->path);
    static const char torn[] = "{\"specversion\":\"1.0\",\"id\":";

    memcpy(text.bytes + last_line(&text), torn, sizeof torn - 1);
    write_text(s->path, text.bytes, last_line(&text) + sizeof torn - 1);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.truncates, 1);
    free(text.bytes);
}

static void half_a_character_is_cut(void **state)
{
    struct stream *s = *state;
    FILE *file;
    ten_lines(s, 10);

    file = fopen(s->path, "a");
    fputs("{\"seq\":11,\"prev\":10,\"id\":\"9f86\xe2\x82", file);
    fclose(file);
    stream_events(s, 1);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.truncates, 1);
}

static void a_line_without_its_line_break_is_given_one(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 10);
    resize(s, -1);
    stream_deliver(s);
    stream_complete(s);
}

static void zeros_after_the_last_line_are_cut(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 10);
    resize(s, 10000);
    stream_deliver(s);
    stream_events(s, 5);
    stream_deliver(s);
    stream_complete(s);
}

static void zeros_after_half_a_line_are_cut(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 9);
    resize(s, -20);
    resize(s, 64 << 20);
    stream_deliver(s);
    stream_complete(s);
}

static void zeros_before_a_good_last_line_hide_nothing(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 5);
    struct text text = read_text(s->path);

    memset(text.bytes + last_line(&text) - 200, 0, 200);
    write_text(s->path, text.bytes, text.size);
    stream_deliver(s);
    stream_complete(s);
    free(text.bytes);
}

static void a_line_missing_in_the_middle_is_noticed(void **state)
{
    struct stream *s = *state;
    ten_lines(s, 5);
    struct text text = read_text(s->path);
    size_t last = last_line(&text);
    struct text before = {text.bytes, last};
    size_t ninth = last_line(&before);

    memmove(text.bytes + ninth, text.bytes + last, text.size - last);
    write_text(s->path, text.bytes, text.size - (last - ninth));
    stream_deliver(s);
    stream_complete(s);
    free(text.bytes);
}

static void an_empty_active_file_is_a_beginning(void **state)
{
    struct stream *s = *state;
    write_text(s->path, "", 0);
    stream_events(s, 5);
    stream_deliver(s);
    stream_complete(s);
}

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
    broken(s, "from 3 to 4 are no longer in change_log");
    stream_sql(s, "DELETE FROM change_log WHERE seq > 8; UPDATE change_log SET seq = seq + 2 WHERE seq < 3;"
                  "INSERT INTO change_log(seq) VALUES (1), (2)");
    broken(s, "from 9 to 10 are no longer in change_log");
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
    broken(s, "belongs to another database");
    s->context.former_sources = "[{\"source\":\"2222222222222222\",\"last_seq\":5,\"next_seq\":6}]";
    broken(s, STREAM_SOURCE);
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
    broken(s, "outboxctl new-source --seq-after 10");
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
    broken(s, "another event 7 than this database");
}

static void the_check_of_source_needs_no_line_in_the_active_file(void **state)
{
    struct stream *s = *state;

    many_segments(s);
    s->settings.jsonl.max_size_bytes = 1;
    write_text(s->path, "", 0);
    s->context.source = "1111111111111111";
    broken(s, "belongs to another database");
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
    broken(s, "does not end with seq");
    struct text text = read_text(newest_segment(s));
    write_text(newest_segment(s), text.bytes, last_line(&text)); /* by a whole line, or more */
    free(text.bytes);
    broken(s, "does not end with seq");
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
    broken(s, "one of them is another stream's");
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

/* ---- Lines --------------------------------------------------------------------------------------------------------- */

static void only_a_whole_event_is_a_line(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}", true},
        {"{\"seq\":2,\"prev\":0,\"id\":\"9f86d081884c7d65-2\",\"payload\":{\"seq\":9,\"prev\":8}}", true},
        {"{\"id\":\"9f86d081884c7d65-2\",\"sequence\":\"00000000000000000002\",\"prev\":\"00000000000000000000\"}",
         true},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-3\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d6-2\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-\"}", false},
        {"{\"seq\":2,\"prev\":1}", false},
        {"{\"seq\":2,\"id\":\"9f86d081884c7d65-2\"}", false},
        {"{\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}", false},
        {"{\"seq\":99999999999999999999,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}", false},
        {"{\"seq\":-2,\"prev\":1,\"id\":\"9f86d081884c7d65--2\"}", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"", false},
        {"{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\"}}", false},
        {"[2]", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct event_place line;
        if (event_line_place(&line, cases[i].text, strlen(cases[i].text)) != cases[i].good)
            fail_msg("%s", cases[i].text);
    }
}

/* What the encoder lets through must be read back as a line: a payload nested as deep as may be. */
static void the_deepest_payload_is_read_back(void **state)
{
    struct stream *s = *state;

    stream_events(s, 3);
    for (int depth = 990; depth <= 1001; depth++) {
        char sql[200];
        snprintf(
            sql, sizeof sql,
            "UPDATE change_log SET payload = replace(hex(zeroblob(%d)), '00', '[') || replace(hex(zeroblob(%d)), '00', ']')"
            " WHERE seq = 2",
            depth, depth);
        stream_sql(s, sql);
        stream_deliver(s);
        stream_kill(s);
        struct text text = read_text(s->path);
        stream_deliver(s);
        stream_kill(s);
        struct text again = read_text(s->path);
        assert_int_equal(s->disk.truncates, 0);
        assert_int_equal(again.size, text.size);
        assert_int_equal(s->acked_seq, 3);
        free(text.bytes);
        free(again.bytes);
        stream_clean(s->dir);
        s->acked_seq = 0;
        s->position[0] = '\0';
    }
}

static void the_last_line_of_a_file_is_found_from_its_end(void **state)
{
    struct stream *s = *state;
    char *text = malloc(20001);

    for (size_t before = 0; before <= 10000; before += before < 4 ? 1 : 1249)
        for (size_t size = 1; size <= 10000; size = size * 3 + 1) {
            memset(text, 'x', before + size);
            if (before)
                text[before - 1] = '\n';
            text[before + size - 1] = '\n';
            write_text(s->path, text, before + size);
            int fd = open(s->path, O_RDONLY);
            int64_t offset = -1;
            assert_int_equal(line_last_offset(fd, (int64_t)(before + size), &offset), LINE_WHOLE);
            assert_int_equal(offset, before);
            assert_int_equal(line_last_offset(fd, (int64_t)(before + size - 1), &offset),
                             size == 1 && before ? LINE_WHOLE : LINE_END);
            close(fd);
        }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(cut_at_every_byte_of_its_last_line_it_is_completed),
        stream_test(a_torn_line_of_another_format_is_cut),
        stream_test(half_a_character_is_cut),
        stream_test(a_line_without_its_line_break_is_given_one),
        stream_test(zeros_after_the_last_line_are_cut),
        stream_test(zeros_after_half_a_line_are_cut),
        stream_test(zeros_before_a_good_last_line_hide_nothing),
        stream_test(a_line_missing_in_the_middle_is_noticed),
        stream_test(an_empty_active_file_is_a_beginning),
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
        cmocka_unit_test(only_a_whole_event_is_a_line),
        stream_test(the_deepest_payload_is_read_back),
        stream_test(the_last_line_of_a_file_is_found_from_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

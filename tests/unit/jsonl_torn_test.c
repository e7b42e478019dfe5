/* jsonl_torn_test.c — the end of the file is torn, zeros or damage when a start finds it: what is good of it is kept, and
 * nothing is missing afterwards.
 */
#include "stream_found.h"

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
        stream_test(the_deepest_payload_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

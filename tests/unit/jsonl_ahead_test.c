/* jsonl_ahead_test.c — lines that are encoded ahead make the same stream as lines encoded when they are put, whatever
 * pages they came in and whatever became of those.
 *
 * That such lines live through crashes as others do is in the other tests of the stream: every second turn of stream.h
 * prepares its lines.
 */
#include "stream.h"

enum { TEXTS = 4, PAGE = 10 };

/* Payloads that are fine, missing, and no JSON; one row whose filter failed. */
static struct source_row row_of(int64_t seq)
{
    static const char *const payloads[TEXTS] = {"{\"a\":1}", NULL, "{\"a\":", "[\"\\u2028\"]"};
    const char *payload = payloads[seq % TEXTS];

    return (struct source_row){.event = {.seq = seq,
                                         .topic = "t",
                                         .topic_size = 1,
                                         .op = "emit",
                                         .payload = payload,
                                         .payload_size = payload ? strlen(payload) : 0,
                                         .time_us = 1700000000000000 + seq},
                               .error = seq % 11 == 0 ? "filter or transform: no" : NULL};
}

static void put(struct stream *s, int64_t seq)
{
    struct source_row row = row_of(seq);
    assert_int_equal(sink_jsonl.put(s->sink, &row), SINK_OK);
}

/* A page of events from `from` on, the seqs of which `step` divides what lies between. */
static void prepare_page(struct stream *s, int64_t from, int64_t step, void **items)
{
    sink_jsonl.prepare_more(s->sink);
    for (int i = 0; i < PAGE; i++) {
        struct source_row row = row_of(from + i * step);
        items[i] = sink_jsonl.prepare(s->sink, &row);
        assert_non_null(items[i]);
    }
}

static void put_page(struct stream *s, void **items)
{
    for (int i = 0; i < PAGE; i++)
        assert_int_equal(sink_jsonl.put_prepared(s->sink, items[i]), SINK_OK);
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
}

static void discard_page(struct stream *s, void **items)
{
    for (int i = 0; i < PAGE; i++)
        sink_jsonl.discard(s->sink, items[i]);
}

/* The whole file. The caller frees it. */
static char *contents(struct stream *s)
{
    struct stat status;
    assert_int_equal(sink_jsonl.finish(s->sink), SINK_OK);
    int fd = open(s->path, O_RDONLY);
    assert_int_equal(fstat(fd, &status), 0);
    char *text = calloc(1, (size_t)status.st_size + 1);
    assert_int_equal(read(fd, text, (size_t)status.st_size), status.st_size);
    close(fd);
    return text;
}

/* What the file has to be: `count` events from 1 on, every step-th, put one by one. Leaves an empty stream open. */
static char *expected(struct stream *s, int count, int64_t step)
{
    assert_int_equal(stream_open(s), SINK_OK);
    for (int i = 0; i < count; i++)
        put(s, 1 + i * step);
    char *text = contents(s);
    stream_reset(s);
    assert_int_equal(stream_open(s), SINK_OK);
    return text;
}

static void assert_contents(struct stream *s, char *wanted)
{
    char *found = contents(s);
    assert_string_equal(found, wanted);
    free(found);
    free(wanted);
}

static void pages_make_the_same_bytes_as_single_lines(void **state)
{
    struct stream *s = *state;
    void *items[PAGE];
    for (int format = 0; format < 2; format++) {
        s->settings.jsonl.format = format ? FORMAT_CLOUDEVENTS : FORMAT_NATIVE;
        char *wanted = expected(s, 2 * PAGE + 1, 3);
        prepare_page(s, 1, 3, items);
        put_page(s, items);
        put(s, 1 + PAGE * 3); /* no page was wanted meanwhile */
        prepare_page(s, 1 + (PAGE + 1) * 3, 3, items);
        put_page(s, items);
        assert_contents(s, wanted);
        stream_reset(s);
    }
}

static void a_page_made_while_another_waits_goes_on_behind_it(void **state)
{
    struct stream *s = *state;
    void *first[PAGE], *second[PAGE];
    char *wanted = expected(s, 4 * PAGE, 1);
    prepare_page(s, 1, 1, first);
    for (int i = 0; i < 3; i++) {
        prepare_page(s, 1 + (i + 1) * PAGE, 1, second);
        put_page(s, first);
        memcpy(first, second, sizeof first);
    }
    put_page(s, first);
    assert_contents(s, wanted);
}

static void a_page_that_is_let_go_leaves_nothing(void **state)
{
    struct stream *s = *state;
    void *first[PAGE], *second[PAGE];
    char *wanted = expected(s, 2 * PAGE, 1);
    prepare_page(s, 1, 1, first);
    prepare_page(s, 1 + PAGE, 1, second);
    discard_page(s, first);
    discard_page(s, second);
    prepare_page(s, 1, 1, first);
    put_page(s, first);
    prepare_page(s, 100, 1, second); /* the cursor was moved meanwhile, and then was not */
    discard_page(s, second);
    prepare_page(s, 1 + PAGE, 1, second);
    put_page(s, second);
    assert_contents(s, wanted);
}

static void a_line_made_for_another_place_is_not_written(void **state)
{
    struct stream *s = *state;
    void *items[PAGE];
    char *wanted = expected(s, 1, 1);
    prepare_page(s, 2, 1, items);
    put(s, 1);
    assert_int_equal(sink_jsonl.push(s->sink), SINK_OK);
    assert_int_equal(sink_jsonl.put_prepared(s->sink, items[0]), SINK_LATER);
    assert_int_equal(sink_jsonl.room(s->sink), 0);
    for (int i = 1; i < PAGE; i++)
        sink_jsonl.discard(s->sink, items[i]);
    assert_int_equal(stream_open(s), SINK_OK); /* what is on the disk stays */
    assert_contents(s, wanted);
}

static void a_page_holds_no_more_lines_than_can_be_put(void **state)
{
    struct stream *s = *state;
    int made = 0;
    assert_int_equal(stream_open(s), SINK_OK);
    int room = sink_jsonl.room(s->sink);
    sink_jsonl.prepare_more(s->sink);
    for (void *item; made <= room; made++) {
        struct source_row row = row_of(made + 1);
        if (!(item = sink_jsonl.prepare(s->sink, &row)))
            break;
        sink_jsonl.discard(s->sink, item);
    }
    assert_int_equal(made, room);
}

static void a_page_of_large_events_ends_early(void **state)
{
    enum { LARGE = 400 * 1024, MOST = 2 * 1024 * 1024 };
    struct stream *s = *state;
    char *payload = malloc(LARGE);
    void *items[PAGE];
    int made = 0;
    assert_int_equal(stream_open(s), SINK_OK);
    memset(payload, '7', LARGE);
    sink_jsonl.prepare_more(s->sink);
    for (void *item; made < PAGE; items[made++] = item) {
        struct source_row row = row_of(made + 1);
        row.event.payload = payload;
        row.event.payload_size = LARGE;
        if (!(item = sink_jsonl.prepare(s->sink, &row)))
            break;
    }
    assert_in_range(made, 1, MOST / LARGE);
    for (int i = 0; i < made; i++)
        assert_int_equal(sink_jsonl.put_prepared(s->sink, items[i]), SINK_OK);
    free(payload);
}

#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, setup, stream_teardown)

static int setup(void **state)
{
    int rc = stream_setup(state);
    stream_events(*state, 1000); /* recovery asks which seqs there are */
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(pages_make_the_same_bytes_as_single_lines),
        STREAM_TEST(a_page_made_while_another_waits_goes_on_behind_it),
        STREAM_TEST(a_page_that_is_let_go_leaves_nothing),
        STREAM_TEST(a_line_made_for_another_place_is_not_written),
        STREAM_TEST(a_page_holds_no_more_lines_than_can_be_put),
        STREAM_TEST(a_page_of_large_events_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

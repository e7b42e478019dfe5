/* jsonl_segments_test.c — thousands of rotations: each file keeps to the limit wherever a second has passed, and names
 * run on without a hole and are never used again.
 */
#include "stream.h"

enum { LIMIT_BYTES = 2000, BATCHES = 3000, BATCH = 5 };

/* Torture asks for more of it by the environment. */
static int wanted(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

/* What the names say must be one unbroken count, and no file larger than max_bytes. */
static void check_names_and_sizes(const struct stream *s, int64_t max_bytes, int64_t *last_seq, int *segments)
{
    struct stat status;
    struct dirent *entry;
    DIR *dir = opendir(s->dir);
    int64_t sum = 0, first, last;

    assert_non_null(dir);
    *last_seq = *segments = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, ".jsonl") == NULL || strstr(entry->d_name, ".lock") != NULL)
            continue;
        assert_int_equal(fstatat(dirfd(dir), entry->d_name, &status, 0), 0);
        assert_true(status.st_size <= max_bytes);
        if (sscanf(entry->d_name, "events.%20" SCNd64 "-%20" SCNd64 ".jsonl", &first, &last) != 2)
            continue;
        assert_true(first <= last);
        sum += last - first + 1;
        *last_seq = last > *last_seq ? last : *last_seq;
        ++*segments;
    }
    closedir(dir);
    assert_int_equal(sum,
                     *last_seq); /* ranges from 1 to the last that hold as many seqs as there are: none is shared */
}

static void thousands_of_segments_keep_to_the_limit(void **state)
{
    struct stream *s = *state;
    int64_t last_seq;
    int segments, batches = wanted("BATCHES", BATCHES), limit_bytes = wanted("LIMIT", LIMIT_BYTES);

    s->settings.jsonl.max_size_bytes = limit_bytes;
    s->step_us = 1000000;
    s->batch = wanted("BATCH", BATCH); /* of 300 bytes at the most: no batch passes the limit by itself */
    stream_events(s, batches * s->batch);
    stream_deliver(s);
    stream_complete(s);
    check_names_and_sizes(s, limit_bytes, &last_seq, &segments);
    print_message("# %d batches of %d events, %d segments of at most %d bytes\n", batches, s->batch, segments,
                  limit_bytes);
    assert_true(segments > batches / 3);
    assert_true(last_seq < s->context.last_seq); /* the rest is in the active file */
}

/* Killed and started again, with rotations under way: what is named has never been named before. */
static void restarts_use_no_name_again(void **state)
{
    struct stream *s = *state;
    int64_t last_seq, before = 0;
    int segments;

    s->settings.jsonl.max_size_bytes = LIMIT_BYTES;
    s->step_us = 1000000;
    for (int life = 0; life < 50; life++) {
        stream_events(s, 30);
        stream_deliver(s);
        stream_kill(s);
        s->disk.clock_us += 1000000;
        check_names_and_sizes(s, INT64_MAX, &last_seq, &segments); /* in the first second nothing is renamed */
        assert_true(last_seq >= before);
        before = last_seq;
    }
    assert_true(before > 1000);
    assert_int_equal(stream_check(s).last, 50 * 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thousands_of_segments_keep_to_the_limit, stream_setup, stream_teardown),
        cmocka_unit_test_setup_teardown(restarts_use_no_name_again, stream_setup, stream_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

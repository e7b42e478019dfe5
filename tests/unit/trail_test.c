/* trail_test.c — what is noted is found again by whoever opens the file next, however its writer ended. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "relay_fixture.h"
#include "trail.h"

static const char source[] = "9f86d081884c7d65";

struct bench {
    char dir[64], path[96];
    struct trail *trail;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    strcpy(b->dir, "/tmp/outbox-trail-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    snprintf(b->path, sizeof b->path, "%s/c.trail", b->dir);
    log_setup((enum log_level) - 1, LOG_FORMAT_TEXT);
    b->trail = trail_open(b->path, "c");
    trail_begin(b->trail, source, 7, 100);
    *state = b;
    return !b->trail;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    char command[128];
    trail_close(b->trail);
    snprintf(command, sizeof command, "rm -rf %s", b->dir);
    int rc = system(command);
    free(b);
    return rc;
}

/* As the next holder sees it; the first one is as if killed. */
static size_t found(struct bench *b, struct trail_entry **entries)
{
    size_t count = 0;
    struct trail *next = trail_open(b->path, "c");
    assert_non_null(next);
    assert_true(trail_read(next, entries, &count));
    trail_close(next);
    return count;
}

static void assert_found(struct bench *b, int64_t first, int64_t last)
{
    struct trail_entry *entries;
    size_t count = found(b, &entries);
    assert_int_equal(count, last - first + 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(entries[i].seq, first + (int64_t)i);
    free(entries);
}

static void what_is_flushed_is_found_in_order_and_sealed(void **state)
{
    struct bench *b = *state;
    struct trail_entry *entries;
    trail_add(b->trail, 103, 5000);
    trail_add(b->trail, 101, 4000);
    assert_found(b, 1, 0); /* not before it is flushed */
    trail_flush(b->trail);
    assert_int_equal(found(b, &entries), 2);
    assert_int_equal(entries[0].seq, 101);
    assert_int_equal(entries[1].seq, 103);
    assert_int_equal(entries[1].floor, 100);
    assert_true(entries[1].seal == trail_seal(source, 7, 103, 100, 5000));
    free(entries);
}

static void a_seal_is_of_all_that_it_covers(void **state)
{
    (void)state;
    uint64_t seal = trail_seal(source, 7, 103, 100, 5000);
    assert_true(seal != trail_seal("9f86d081884c7d66", 7, 103, 100, 5000));
    assert_true(seal != trail_seal(source, 8, 103, 100, 5000));
    assert_true(seal != trail_seal(source, 7, 104, 100, 5000));
    assert_true(seal != trail_seal(source, 7, 103, 101, 5000));
    assert_true(seal != trail_seal(source, 7, 103, 100, 5001));
}

static void beyond_its_size_the_newest_are_kept(void **state)
{
    struct bench *b = *state;
    for (int64_t seq = 1; seq <= TRAIL_ENTRIES + 700; seq++) { /* writes across the end, and flushes of itself */
        trail_add(b->trail, seq, seq);
        if (seq % 100 == 0)
            trail_flush(b->trail);
    }
    trail_flush(b->trail);
    assert_found(b, 701, TRAIL_ENTRIES + 700);
}

static void more_than_a_round_holds_is_written_before_it_ends(void **state)
{
    struct bench *b = *state;
    for (int64_t seq = 1; seq <= 2000; seq++)
        trail_add(b->trail, seq, seq);
    trail_flush(b->trail);
    assert_found(b, 1, 2000);
}

/* Whoever made it longer: no more of it is read than a trail has. */
static void a_trail_that_is_too_long_is_read_as_far_as_it_goes(void **state)
{
    struct bench *b = *state;
    struct trail_entry *entries;
    for (int64_t seq = 1; seq <= 3; seq++)
        trail_add(b->trail, seq, seq);
    trail_flush(b->trail);
    assert_int_equal(truncate(b->path, (off_t)sizeof *entries * (TRAIL_ENTRIES + 500)), 0);
    assert_int_equal(found(b, &entries), TRAIL_ENTRIES);
    assert_int_equal(entries[TRAIL_ENTRIES - 1].seq, 3);
    free(entries);
}

static void what_the_database_has_is_written_over(void **state)
{
    struct bench *b = *state;
    for (int64_t seq = 1; seq <= 5; seq++)
        trail_add(b->trail, seq, seq);
    trail_flush(b->trail);
    trail_recorded(b->trail, 105, false); /* not all of it */
    trail_add(b->trail, 6, 6);
    trail_flush(b->trail);
    assert_found(b, 1, 6);
    trail_recorded(b->trail, 106, true);
    for (int64_t seq = 7; seq <= 12; seq++)
        trail_add(b->trail, seq, seq);
    trail_flush(b->trail);
    assert_found(b, 7, 12);
    assert_true(trail_clear(b->trail));
    assert_found(b, 1, 0);
}

static void what_is_awaited_ends_with_the_record_of_all(void **state)
{
    struct bench *b = *state;
    assert_false(trail_awaits(b->trail));
    trail_await(b->trail);
    trail_recorded(b->trail, 101, false);
    assert_true(trail_awaits(b->trail));
    trail_recorded(b->trail, 103, true);
    assert_false(trail_awaits(b->trail));
    trail_await(b->trail);
    trail_begin(b->trail, "0123456789abcdef", 8, 103);
    assert_false(trail_awaits(b->trail));
}

static void a_full_disk_costs_only_the_trail(void **state)
{
    struct bench *b = *state;
    struct rlimit before, small = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN); /* as the relay does */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int64_t seq = 1; seq <= 10; seq++)
        trail_add(b->trail, seq, seq);
    trail_flush(b->trail);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_found(b, 1, 100 / (int64_t)sizeof(struct trail_entry)); /* whole ones */
    trail_add(b->trail, 11, 11);
    trail_flush(b->trail);
    assert_found(b, 1, 4); /* none after a hole */
    trail_begin(b->trail, source, 8, 100);
    trail_add(b->trail, 12, 12);
    trail_flush(b->trail);
    struct trail_entry *entries;
    assert_int_equal(found(b, &entries), 4);
    assert_int_equal(entries[3].seq, 12);
    free(entries);
}

static void what_is_no_file_of_ours_is_no_trail(void **state)
{
    struct bench *b = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/link", b->dir);
    assert_int_equal(symlink(b->path, path), 0);
    assert_null(trail_open(path, "c"));
    snprintf(path, sizeof path, "%s/fifo", b->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(trail_open(path, "c"));
    snprintf(path, sizeof path, "%s/another-name", b->dir);
    assert_int_equal(link(b->path, path), 0);
    assert_null(trail_open(path, "c"));
    /* And without one everything goes on. */
    struct trail_entry *entries;
    size_t count;
    trail_begin(NULL, source, 1, 0);
    trail_add(NULL, 1, 1);
    trail_flush(NULL);
    trail_await(NULL);
    assert_false(trail_awaits(NULL));
    trail_recorded(NULL, 1, true);
    assert_true(trail_clear(NULL));
    assert_true(trail_read(NULL, &entries, &count));
    assert_int_equal(count, 0);
    trail_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_flushed_is_found_in_order_and_sealed),
        TEST(a_seal_is_of_all_that_it_covers),
        TEST(more_than_a_round_holds_is_written_before_it_ends),
        TEST(a_trail_that_is_too_long_is_read_as_far_as_it_goes),
        TEST(beyond_its_size_the_newest_are_kept),
        TEST(what_the_database_has_is_written_over),
        TEST(what_is_awaited_ends_with_the_record_of_all),
        TEST(a_full_disk_costs_only_the_trail),
        TEST(what_is_no_file_of_ours_is_no_trail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* segment_test.c — names of segments, to the last digit. */
#include "stream.h"

#include "segment.h"

static void a_name_is_read_back(void **state)
{
    static const int64_t seqs[][2] = {{1, 1}, {1, 4096}, {42, 43}, {INT64_MAX - 1, INT64_MAX}, {INT64_MAX, INT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        char name[SEGMENT_NAME_SIZE];
        struct segment segment;
        assert_true(segment_name(name, "events", seqs[i][0], seqs[i][1]));
        assert_true(segment_parse(name, "events", &segment));
        assert_int_equal(segment.first, seqs[i][0]);
        assert_int_equal(segment.last, seqs[i][1]);
    }
    char name[SEGMENT_NAME_SIZE];
    assert_true(segment_name(name, "events", 1, 4096));
    assert_string_equal(name, "events.00000000000000000001-00000000000000004096.jsonl");
}

static void what_resembles_a_segment_is_none(void **state)
{
    static const char *const names[] = {
        "events.jsonl",
        "events.jsonl.lock",
        "events.00000000000000000001-00000000000000004096.jsonl.gz",
        "events.00000000000000000001-00000000000000004096.jsonl ",
        "events.00000000000000000001-00000000000000004096",
        "events.0000000000000000001-00000000000000004096.jsonl",
        "events.000000000000000000001-00000000000000004096.jsonl",
        "events.00000000000000000001-0000000000000004096.jsonl",
        "events.00000000000000000001-000000000000000004096.jsonl",
        "events.00000000000000000001_00000000000000004096.jsonl",
        "events.0000000000000000000a-00000000000000004096.jsonl",
        "events.0000000000000000000x-00000000000000004096.jsonl",
        "events.+0000000000000000001-00000000000000004096.jsonl",
        "events. 0000000000000000001-00000000000000004096.jsonl",
        "events.00000000000000000000-00000000000000004096.jsonl",
        "events.00000000000000000002-00000000000000000001.jsonl",
        "events.00000000000000000001-99999999999999999999.jsonl",
        "events.09223372036854775808-09223372036854775808.jsonl",
        "event.00000000000000000001-00000000000000004096.jsonl",
        "events2.00000000000000000001-00000000000000004096.jsonl",
        "events-00000000000000000001-00000000000000004096.jsonl",
        "Events.00000000000000000001-00000000000000004096.jsonl",
        "events.",
        "events",
        "",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct segment segment;
        if (segment_parse(names[i], "events", &segment))
            fail_msg("'%s'", names[i]);
    }
}

static void a_path_is_taken_apart(void **state)
{
    static const struct {
        const char *given, *directory, *file, *stem, *names_lock;
    } cases[] = {
        {"events.jsonl", ".", "events.jsonl", "events", NULL},
        {"./events.jsonl", ".", "events.jsonl", "events", NULL},
        {"/var/log/a.b.jsonl", "/var/log", "a.b.jsonl", "a.b", NULL},
        {"/events", "/", "events", "events", "/events.jsonl.lock"},
        {"x/.jsonl", "x", ".jsonl", ".jsonl", "x/.jsonl.jsonl.lock"},
        {"x/events.jsonl.jsonl", "x", "events.jsonl.jsonl", "events.jsonl", NULL},
        {"x/events.json", "x", "events.json", "events.json", "x/events.json.jsonl.lock"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stream_path path;
        assert_true(stream_path_init(&path, cases[i].given));
        assert_string_equal(path.directory, cases[i].directory);
        assert_string_equal(path.file, cases[i].file);
        assert_string_equal(path.stem, cases[i].stem);
        assert_int_equal(path.absolute[0], '/');
        assert_int_equal(strcmp(path.lock + strlen(cases[i].given), ".lock"), 0);
        if (cases[i].names_lock)
            assert_string_equal(path.names_lock, cases[i].names_lock);
        else
            assert_null(path.names_lock);
        stream_path_fini(&path);
    }
}

static void a_path_that_names_no_file_is_said(void **state)
{
    static const char *const paths[] = {"", "x/", "/", ".", "..", "x/..", "./."};
    char longest[400];
    struct stream_path path;
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_false(stream_path_init(&path, paths[i]));
        assert_int_equal(errno, EISDIR);
        stream_path_fini(&path);
    }
    memset(longest, 'x', sizeof longest);
    longest[208] = '\0'; /* and 20 + 20 digits, a dot, a dash, .jsonl: 256 */
    assert_false(stream_path_init(&path, longest));
    assert_int_equal(errno, ENAMETOOLONG);
    stream_path_fini(&path);
    longest[207] = '\0';
    assert_true(stream_path_init(&path, longest));
    assert_true(segment_name(longest, path.stem, 1, 2));
    stream_path_fini(&path);
}

static void two_spellings_of_a_path_are_one_stream(void **state)
{
    static const struct {
        const char *other;
        enum stream_same result;
    } cases[] = {
        {"events.jsonl", STREAM_SAME},
        {"./events.jsonl", STREAM_SAME},
        {"//events.jsonl", STREAM_SAME},
        {"sub/../events.jsonl", STREAM_SAME},
        {"link/events.jsonl", STREAM_SAME},
        {"link/sub/../events.jsonl", STREAM_SAME},
        {"sub/events.jsonl", STREAM_OTHER},
        {"Events.jsonl", STREAM_OTHER},
        {"../events.jsonl", STREAM_OTHER},
        {"alias.jsonl", STREAM_OTHER}, /* a link in the file's place is never followed */
        {"", STREAM_OTHER},
        {"link/", STREAM_OTHER},
        {"gone/other.jsonl", STREAM_OTHER},
        {"gone/events.jsonl", STREAM_UNKNOWN},
        {"dangling/events.jsonl", STREAM_UNKNOWN},
    };
    struct stream *s = *state;
    char path[400], other[400], *here = getcwd(NULL, 0);

    snprintf(path, sizeof path, "%s/sub", s->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/link", s->dir);
    assert_int_equal(symlink(s->dir, path), 0);
    snprintf(path, sizeof path, "%s/dangling", s->dir);
    assert_int_equal(symlink("nowhere", path), 0);
    snprintf(path, sizeof path, "%s/alias.jsonl", s->dir);
    assert_int_equal(symlink("events.jsonl", path), 0);
    snprintf(path, sizeof path, "%s/events.jsonl", s->dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(other, sizeof other, "%s/%s", s->dir, cases[i].other);
        if (stream_same(path, other) != cases[i].result || stream_same(other, path) != cases[i].result)
            fail_msg("%s", cases[i].other);
    }
    assert_int_equal(stream_same("/gone/events.jsonl", "/gone/events.jsonl"), STREAM_SAME); /* by words alone */
    snprintf(other, sizeof other, "%s/link/events", s->dir);
    assert_int_equal(stream_same(path, other), STREAM_OTHER);
    assert_int_equal(stream_same_names(path, other), STREAM_SAME);
    assert_int_equal(stream_same_names(other, path), STREAM_SAME);
    snprintf(other, sizeof other, "%s/sub/events", s->dir);
    assert_int_equal(stream_same_names(path, other), STREAM_OTHER);
    assert_int_equal(chdir(s->dir), 0);
    assert_int_equal(stream_same("events.jsonl", path), STREAM_SAME);
    assert_int_equal(chdir(here), 0);
    free(here);
}

static void a_directory_is_listed_in_order_of_seq(void **state)
{
    struct stream *s = *state;
    int dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY);
    struct segment_list list;
    char name[SEGMENT_NAME_SIZE];

    for (int i = 0; i < 100; i++) {
        int64_t first = 1 + 10 * (i * 37 % 100);
        assert_true(segment_name(name, "events", first, first + 9));
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, name, (size_t)(i % 7)), i % 7);
        close(fd);
    }
    assert_true(segment_name(name, "events", 1, 5)); /* a copy that somebody left there */
    close(openat(dir_fd, name, O_WRONLY | O_CREAT, 0600));
    assert_true(segment_name(name, "events", 5000, 5001));
    assert_int_equal(symlinkat("elsewhere", dir_fd, name), 0);
    assert_true(segment_name(name, "other", 1, 2));
    close(openat(dir_fd, name, O_WRONLY | O_CREAT, 0600));

    for (int twice = 0; twice < 2; twice++) { /* the offset of the descriptor plays no part */
        assert_true(segment_list_read(&list, dir_fd, "events"));
        assert_int_equal(list.count, 101);
        assert_int_equal(list.items[0].last, 5);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(list.items[i + 1].first, 1 + 10 * i);
            assert_int_equal(list.items[i + 1].last, 10 + 10 * i);
            assert_in_range(list.items[i + 1].size_bytes, 0, 6);
            assert_true(list.items[i + 1].written_at_us > 0);
        }
        segment_list_free(&list);
    }
    close(dir_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_read_back),
        cmocka_unit_test(what_resembles_a_segment_is_none),
        cmocka_unit_test(a_path_is_taken_apart),
        cmocka_unit_test(a_path_that_names_no_file_is_said),
        cmocka_unit_test_setup_teardown(two_spellings_of_a_path_are_one_stream, stream_setup, stream_teardown),
        cmocka_unit_test_setup_teardown(a_directory_is_listed_in_order_of_seq, stream_setup, stream_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

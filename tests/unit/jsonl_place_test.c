/* jsonl_place_test.c — others' hands on the place where the JSONL sink writes: what was there before it, and what is done
 * to its file in mid-stream.
 */
#include "lock.h"
#include "stream.h"

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

/* first holds the place; second, whose segments would have the same names, gets it only when first is gone. */
static void wait_for_names(struct stream *s, const char *first, const char *second)
{
    struct cursor cursor = {0};
    char path[96], lock_path[128], reason[SINK_REASON_SIZE] = "";
    struct sink_settings settings = s->settings;
    struct sink_context context = s->context;
    struct lock lock;

    snprintf(s->path, sizeof s->path, "%s/%s", s->dir, first);
    snprintf(path, sizeof path, "%s/%s", s->dir, second);
    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    settings.jsonl.path = path;
    context.settings = &settings;
    context.reason = reason;
    stream_events(s, 10);
    assert_int_equal(stream_open(s), SINK_OK);
    struct sink *other = jsonl_create(&context, &s->disk.ops);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sink_jsonl.open(other, &cursor), SINK_LATER);
        assert_non_null(strstr(reason, "being written by pid"));
        assert_int_equal(access(path, F_OK), -1);
    }
    if (strcmp(first, "events.jsonl") == 0) { /* who waits for the one holds the other up no longer */
        assert_int_equal(lock_try(&lock, lock_path), LOCK_HELD);
        lock_release(&lock);
    }
    stream_kill(s);
    assert_int_equal(sink_jsonl.open(other, &cursor), SINK_OK);
    assert_int_equal(stream_open(s), SINK_LATER);
    sink_jsonl.close(other);
}

static void a_path_without_jsonl_waits_for_the_stream_of_the_same_names(void **state)
{
    wait_for_names(*state, "events.jsonl", "events");
}

static void a_path_with_jsonl_waits_for_the_stream_of_the_same_names(void **state)
{
    wait_for_names(*state, "events", "events.jsonl");
}

/* ---- What can't work is refused at the start --------------------------------------------------------------------- */

static void refuse(struct stream *s, const char *words)
{
    stream_events(s, 3);
    stream_broken(s, words);
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
    assert_int_equal(stream_size(s), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stream_test(truncated_by_somebody_it_is_written_again),
        stream_test(emptied_by_somebody_it_is_written_again),
        stream_test(removed_by_somebody_it_is_written_again),
        stream_test(replaced_by_somebody_it_is_written_again),
        stream_test(appended_to_by_somebody_it_is_cut_back),
        stream_test(a_directory_that_is_gone_is_waited_for),
        stream_test(one_stream_has_one_writer),
        stream_test(a_path_without_jsonl_waits_for_the_stream_of_the_same_names),
        stream_test(a_path_with_jsonl_waits_for_the_stream_of_the_same_names),
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

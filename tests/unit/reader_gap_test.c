/* reader_gap_test.c — the reader over files that lost something, or that somebody else has laid hands on. */
#include "file_reader.h"

static void segments_deleted_before_they_were_read_are_a_gap(void **state)
{
    struct bench *b = *state;
    open_reader(b);
    for (int i = 0; i < 4; i++) {
        writer_write(&b->w, 5);
        writer_rotate(&b->w);
        if (i == 0)
            expect(b, 1, 3);
    }
    writer_write(&b->w, 1);
    ack(b, 3);
    writer_delete(&b->w, 6, 10);
    writer_delete(&b->w, 11, 15);
    expect(b, 4, 5); /* what comes before the gap comes first */
    expect_gap(b, 5, 16);
    reopen(b); /* nothing is forgotten by starting again */
    expect(b, 4, 5);
    expect_gap(b, 5, 16);
    assert_code(b, OUTBOX_OK, outbox_reader_restart(b->r, OUTBOX_FROM_START));
    expect(b, 1, 5);
    expect_gap(b, 5, 16);
    assert_code(b, OUTBOX_OK, outbox_reader_restart(b->r, OUTBOX_FROM_NOW));
    expect_nothing(b);
    assert_int_equal(outbox_reader_gap(b->r, NULL, NULL), OUTBOX_NOT_FOUND);
    writer_write(&b->w, 1);
    expect(b, 22, 22);
    ack(b, 22);
    reopen(b);
    expect_nothing(b);
}

static void a_stream_deleted_to_its_end_is_a_gap_with_its_next_line(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 2);
    open_reader(b);
    expect(b, 1, 2);
    writer_write(&b->w, 3);
    writer_rotate(&b->w);
    writer_delete(&b->w, 1, 5);
    expect(b, 3, 5); /* it is open, so it is not gone */
    writer_write(&b->w, 3);
    writer_rotate(&b->w);
    writer_delete(&b->w, 6, 8);
    expect_nothing(b); /* nothing proves a loss yet */
    writer_write(&b->w, 1);
    expect_gap(b, 5, 9);
}

static void a_segment_cut_short_is_a_gap(void **state)
{
    struct bench *b = *state;
    char name[192];
    writer_write(&b->w, 4);
    writer_rotate(&b->w);
    open_reader(b);
    expect(b, 1, 4);
    ack(b, 2);
    writer_segment(&b->w, name, 1, 4);
    assert_int_equal(truncate(name, 0), 0);
    reopen(b);
    expect_gap(b, 2, 0); /* its name says that there was more */
    reopen(b);
    writer_write(&b->w, 1);
    expect_gap(b, 2, 5);
}

static void a_removed_line_is_a_gap(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 3);
    b->w.last = 4; /* 4 was never written */
    writer_write(&b->w, 2);
    open_reader(b);
    expect(b, 1, 3);
    expect_gap(b, 3, 5);
}

static void a_line_that_denies_its_predecessor_is_a_gap(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 5);
    b->w.last = 4;
    writer_put(&b->w, 7); /* prev 4, behind 5 */
    open_reader(b);
    expect(b, 1, 5);
    expect_gap(b, 5, 7);
}

/* As a copytruncate does, or somebody who makes room. */
static void truncation_loses_nothing_that_was_read(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 5);
    open_reader(b);
    expect(b, 1, 5);
    assert_int_equal(ftruncate(b->w.fd, 0), 0);
    expect_nothing(b);
    writer_write(&b->w, 2); /* prev says: nothing lies between */
    expect(b, 6, 7);
    /* Cut, and grown beyond where we were, between two looks. */
    assert_int_equal(ftruncate(b->w.fd, 0), 0);
    writer_write(&b->w, 30);
    expect(b, 8, 37);
    expect_nothing(b);
}

static void truncation_of_what_was_not_read_is_a_gap(void **state)
{
    struct bench *b = *state;
    b->w.padding = 1000;
    writer_write(&b->w, 500);
    open_reader(b);
    expect(b, 1, 101); /* more than one batch; some lines are in memory already */
    assert_int_equal(ftruncate(b->w.fd, 0), 0);
    const outbox_event *e;
    int64_t last = 101;
    while (outbox_reader_next(b->r, 0, &e) == OUTBOX_OK)
        assert_int_equal(e->seq, ++last);
    assert_true(last < 500);
    expect_nothing(b); /* nothing proves yet that there was more */
    writer_write(&b->w, 100);
    expect_gap(b, last, 501);
}

/* What its writer does after a failed sync: cut, sealed under its true name, and the rest written again. */
static void a_file_cut_and_sealed_by_its_writer_goes_on(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 3);
    struct stat status;
    assert_int_equal(fstat(b->w.fd, &status), 0);
    writer_write(&b->w, 3);
    open_reader(b);
    expect(b, 1, 6);
    assert_int_equal(ftruncate(b->w.fd, status.st_size), 0);
    b->w.last = 3;
    expect_nothing(b);
    writer_rotate(&b->w);
    expect_nothing(b);
    writer_write(&b->w, 2); /* 4 and 5 again */
    expect_nothing(b);
    writer_write(&b->w, 2);
    expect(b, 7, 7);
    ack(b, 7);
}

static void garbage_in_a_segment_is_a_gap(void **state)
{
    struct bench *b = *state;
    char name[192];
    writer_write(&b->w, 3);
    struct stat status;
    assert_int_equal(fstat(b->w.fd, &status), 0);
    writer_write(&b->w, 3);
    writer_rotate(&b->w);
    open_reader(b);
    writer_segment(&b->w, name, 1, 6);
    int fd = open(name, O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, status.st_size), 1); /* the first byte of line 4 */
    close(fd);
    expect(b, 1, 3);
    expect_gap(b, 3, 5);
}

/* Zeros before a good last line, as a power cut leaves them, until the relay mends it. */
static void damage_in_the_active_file_is_told_until_it_is_mended(void **state)
{
    struct bench *b = *state;
    static const char zeros[300];
    writer_write(&b->w, 2);
    struct stat status;
    assert_int_equal(fstat(b->w.fd, &status), 0);
    open_reader(b);
    expect(b, 1, 2);
    writer_bytes(&b->w, zeros, sizeof zeros);
    expect_nothing(b); /* not a line yet */
    b->w.last = 3;
    writer_write(&b->w, 1);
    expect_corrupt(b);
    ack(b, 2);
    reopen(b);
    expect_corrupt(b);
    assert_int_equal(ftruncate(b->w.fd, status.st_size), 0);
    b->w.last = 2;
    writer_write(&b->w, 3);
    expect(b, 3, 5);
}

static void an_edit_behind_the_reader_does_not_matter(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 6);
    open_reader(b);
    expect(b, 1, 4);
    ack(b, 4);
    int fd = open(b->w.path, O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    close(fd);
    reopen(b);
    expect(b, 5, 6);
}

static void repeated_lines_are_handed_out_once(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 4);
    b->w.last = 2;
    writer_write(&b->w, 4); /* 3 and 4 again, then 5 and 6 */
    open_reader(b);
    expect(b, 1, 6);
    expect_nothing(b);
}

/* A new file with the old one's inode (ext4 gives it at once; where the file system doesn't, it is a new file). */
/* A new, empty file at path that has got the inode of one that was deleted. False: this file system gives out new ones. */
static bool make_with_inode(const char *path, ino_t wanted)
{
    char aside[200];
    struct stat status;

    for (int i = 0; i < 200; i++) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &status), 0);
        close(fd);
        if (status.st_ino == wanted)
            return true;
        snprintf(aside, sizeof aside, "%.150s.%d", path, i); /* kept, so that the next one gets another */
        assert_int_equal(rename(path, aside), 0);
    }
    return false;
}

static void a_new_file_in_an_old_inode_is_read_from_its_start(void **state)
{
    struct bench *b = *state;
    struct stat old;
    writer_write(&b->w, 5);
    open_reader(b);
    expect(b, 1, 5);
    ack(b, 5);
    detach(b);
    close(b->w.fd);
    b->w.fd = -1;
    assert_int_equal(stat(b->w.path, &old), 0);
    assert_int_equal(unlink(b->w.path), 0);
    if (!make_with_inode(b->w.path, old.st_ino))
        print_message("# %s: inodes are not used again here; only the rest is tested\n", b->w.path);
    writer_write(&b->w, 8);
    attach(b);
    open_reader(b);
    expect(b, 6, 13);
    /* And while it is open: replaced by a longer file whose lines are elsewhere. */
    struct stream_writer w = b->w;
    w.fd = -1;
    snprintf(w.path, sizeof w.path, "%.150s.new", b->w.path);
    w.padding = 100;
    writer_write(&w, 9);
    assert_int_equal(rename(w.path, b->w.path), 0);
    expect(b, 14, 22);
    writer_fini(&w);
}

/* The database was thrown away, and the files with it: seqs begin anew, and ours means nothing. */
static void another_source_is_rewound_and_not_skipped(void **state)
{
    struct bench *b = *state;
    const outbox_event *e;
    writer_write(&b->w, 5);
    open_reader(b);
    expect(b, 1, 5);
    ack(b, 5);
    writer_fini(&b->w);
    assert_int_equal(unlink(b->w.path), 0);
    b->w.source = "0123456789abcdef";
    b->w.last = 0;
    writer_write(&b->w, 3);
    assert_code(b, OUTBOX_REWOUND, outbox_reader_next(b->r, 0, &e));
    reopen(b);
    assert_code(b, OUTBOX_REWOUND, outbox_reader_next(b->r, 0, &e));
    writer_write(&b->w, 7);
    assert_code(b, OUTBOX_REWOUND, outbox_reader_next(b->r, 0, &e));
    assert_code(b, OUTBOX_OK, outbox_reader_restart(b->r, OUTBOX_FROM_START));
    expect(b, 1, 10);
    ack(b, 10);
    reopen(b);
    expect_nothing(b);
}

/* outboxctl new-source: seqs go on behind a lifted sequence, and prev says that nothing lies between. */
static void a_new_source_that_goes_on_is_no_gap(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 3);
    open_reader(b);
    expect(b, 1, 3);
    b->w.source = "0123456789abcdef";
    writer_put(&b->w, 1000);
    assert_int_equal(next(b)->seq, 1000);
    ack(b, 3); /* the cursor is still with the former source's */
    reopen(b);
    assert_int_equal(next(b)->seq, 1000);
    ack(b, 1000);
    reopen(b);
    expect_nothing(b);
}

static void a_directory_out_of_reach_is_named_and_goes_on_when_back(void **state)
{
    struct bench *b = *state;
    const outbox_event *e;
    char away[128];
    writer_write(&b->w, 2);
    char dir[128];
    snprintf(dir, sizeof dir, "%s/logs", b->f->dir);
    snprintf(away, sizeof away, "%s/away", b->f->dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    struct stream_writer w;
    writer_init(&w, dir);
    writer_write(&w, 2);
    outbox_reader_options o = {.size = sizeof o, .jsonl = w.path};
    assert_code(b, OUTBOX_OK, outbox_reader_open(b->ob, "c", &o, &b->r));
    expect(b, 1, 2);
    assert_int_equal(rename(dir, away), 0);
    assert_code(b, OUTBOX_IO, outbox_reader_next(b->r, 0, &e));
    assert_non_null(strstr(outbox_errmsg(b->ob), "logs/events.jsonl"));
    writer_write(&w, 1);
    assert_int_equal(rename(away, dir), 0);
    expect(b, 3, 3);
    writer_fini(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, file_reader_setup, file_reader_teardown)
    const struct CMUnitTest tests[] = {
        TEST(segments_deleted_before_they_were_read_are_a_gap),
        TEST(a_stream_deleted_to_its_end_is_a_gap_with_its_next_line),
        TEST(a_segment_cut_short_is_a_gap),
        TEST(a_removed_line_is_a_gap),
        TEST(a_line_that_denies_its_predecessor_is_a_gap),
        TEST(truncation_loses_nothing_that_was_read),
        TEST(truncation_of_what_was_not_read_is_a_gap),
        TEST(a_file_cut_and_sealed_by_its_writer_goes_on),
        TEST(garbage_in_a_segment_is_a_gap),
        TEST(damage_in_the_active_file_is_told_until_it_is_mended),
        TEST(an_edit_behind_the_reader_does_not_matter),
        TEST(repeated_lines_are_handed_out_once),
        TEST(a_new_file_in_an_old_inode_is_read_from_its_start),
        TEST(another_source_is_rewound_and_not_skipped),
        TEST(a_new_source_that_goes_on_is_no_gap),
        TEST(a_directory_out_of_reach_is_named_and_goes_on_when_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* reader_files_test.c — the reader over the files of a stream, in the ordinary course: rotation, restarts, waiting. */
#include <poll.h>
#include <pthread.h>

#include "file_reader.h"

enum { PATIENCE_MS = 10000 };

static void an_event_is_what_its_line_says(void **state)
{
    struct bench *b = *state;
    writer_text(&b->w, "{\"seq\":5,\"prev\":3,\"id\":\"" WRITER_SOURCE "-5\",\"topic\":\"sales\",\"table\":\"orders\","
                       "\"key\":\"o\\\"1\",\"op\":\"update\",\"revision\":2,\"time\":\"2026-11-21T05:21:00.123456Z\","
                       "\"payload\":{\"total\":1.10},\"before\":{\"total\":1.0}}\n"
                       "{\"seq\":6,\"prev\":5,\"id\":\"" WRITER_SOURCE "-6\",\"op\":\"emit\","
                       "\"time\":\"2026-11-21T05:21:00.123456Z\",\"payload_base64\":\"AAE=\"}\n");
    open_reader(b);
    const outbox_event *e = next(b);
    assert_int_equal(e->seq, 5);
    assert_int_equal(e->prev, 3);
    assert_int_equal(e->revision, 2);
    assert_int_equal(e->time_us, 1795238460123456);
    assert_string_equal(e->id, WRITER_SOURCE "-5");
    assert_string_equal(e->topic, "sales");
    assert_string_equal(e->table, "orders");
    assert_string_equal(e->key, "o\"1");
    assert_string_equal(e->op, "update");
    assert_string_equal(e->payload, "{\"total\":1.10}");
    assert_int_equal(e->payload_size, 14);
    assert_string_equal(e->before, "{\"total\":1.0}");
    assert_null(e->ordering_key);
    assert_null(e->error);
    e = next(b);
    assert_true(e->payload_is_blob);
    assert_int_equal(e->payload_size, 2);
    assert_memory_equal(e->payload, "\0\1", 2);
    expect_nothing(b);
}

static void the_cursor_is_kept_in_the_readers_own_database(void **state)
{
    struct bench *b = *state;
    open_reader(b);
    assert_int_equal(sql_int(b->db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 1);
    writer_write(&b->w, 5);
    expect(b, 1, 4);
    ack(b, 2);
    assert_code(b, OUTBOX_MISUSE, outbox_reader_ack(b->r, 5));
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT acked_seq = 2 AND reads = '%s' FROM consumer_offsets WHERE consumer = 'c'",
             b->w.path);
    assert_int_equal(sql_int(b->db, sql), 1);
    reopen(b);
    assert_int_equal(sql_int(b->db, sql), 1);
    expect(b, 3, 5);
    expect_nothing(b);
    ack(b, 5);
    reopen(b);
    expect_nothing(b);
    /* Our tables come to the same database later, and take it over. */
    outbox *ob;
    char path[128];
    snprintf(path, sizeof path, "%s/own.db", b->f->dir);
    assert_int_equal(outbox_open(path, NULL, &ob), OUTBOX_OK);
    assert_int_equal(sql_int(outbox_db(ob), "SELECT acked_seq FROM consumer_offsets"), 5);
    outbox_close(ob);
    writer_write(&b->w, 1);
    expect(b, 6, 6);
    ack(b, 6);
}

static void a_consumer_table_of_somebody_elses_is_left_alone(void **state)
{
    struct bench *b = *state;
    sql_on(b->db, "CREATE TABLE consumer_offsets(mine)");
    assert_code(b, OUTBOX_SCHEMA, open_as(b, "c", OUTBOX_FROM_START));
    assert_non_null(strstr(outbox_errmsg(b->ob), "RENAME"));
    assert_int_equal(sql_int(b->db, "SELECT count(*) FROM pragma_table_info('consumer_offsets')"), 1);
}

static void a_consumer_follows_one_stream(void **state)
{
    struct bench *b = *state;
    open_reader(b);
    outbox_reader_close(b->r);
    b->r = NULL;
    outbox_reader *r = NULL;
    assert_code(b, OUTBOX_SCHEMA, outbox_reader_open(b->ob, "c", NULL, &r)); /* no database to read here */
    outbox_reader_options o = {.size = sizeof o, .jsonl = "/elsewhere/events.jsonl"};
    assert_code(b, OUTBOX_INVALID, outbox_reader_open(b->ob, "c", &o, &r));
    assert_non_null(strstr(outbox_errmsg(b->ob), b->w.path));
    assert_code(b, OUTBOX_IO, outbox_reader_open(b->ob, "d", &o, &r)); /* named, not waited for */
    assert_non_null(strstr(outbox_errmsg(b->ob), "/elsewhere"));
    assert_int_equal(outbox_reader_open(b->f->ob, "db", NULL, &r), OUTBOX_OK);
    outbox_reader_close(r);
    o.jsonl = b->w.path;
    assert_int_equal(outbox_reader_open(b->f->ob, "db", &o, &r), OUTBOX_INVALID);
    o.jsonl = "";
    assert_code(b, OUTBOX_INVALID, outbox_reader_open(b->ob, "e", &o, &r));
}

static void a_consumer_may_spell_its_stream_another_way(void **state)
{
    struct bench *b = *state;
    char link[200], path[300], sql[500];
    outbox_reader_options o = {.size = sizeof o, .jsonl = path};
    writer_write(&b->w, 4);
    open_reader(b);
    expect(b, 1, 2);
    ack(b, 2);
    outbox_reader_close(b->r);
    b->r = NULL;
    snprintf(link, sizeof link, "%s/link", b->f->dir);
    assert_int_equal(symlink(b->f->dir, link), 0);
    snprintf(path, sizeof path, "%s/%s", link, strrchr(b->w.path, '/') + 1);
    assert_code(b, OUTBOX_OK, outbox_reader_open(b->ob, "c", &o, &b->r));
    expect(b, 3, 4);
    /* As it opened it last: a link that goes away later is no longer asked for. */
    snprintf(sql, sizeof sql, "SELECT acked_seq = 2 AND reads = '%s' FROM consumer_offsets", path);
    assert_int_equal(sql_int(b->db, sql), 1);
    reopen(b);
    expect(b, 3, 4);
}

/* Three segments between two looks, and again while the reader is down. */
static void rotation_is_not_noticed(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 3);
    open_reader(b);
    expect(b, 1, 2);
    for (int i = 0; i < 3; i++) {
        writer_write(&b->w, 2);
        writer_rotate(&b->w);
    }
    expect(b, 3, 9);
    expect_nothing(b); /* the active file isn't there */
    writer_write(&b->w, 1);
    expect(b, 10, 10);
    ack(b, 8);
    detach(b);
    for (int i = 0; i < 3; i++) {
        writer_write(&b->w, 2);
        writer_rotate(&b->w);
    }
    writer_write(&b->w, 1);
    attach(b);
    open_reader(b);
    expect(b, 9, 17);
    expect_nothing(b);
}

/* The last lines come between the reader's last look at the file and its rename. */
static void lines_added_just_before_the_rename_are_read(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 2);
    open_reader(b);
    expect(b, 1, 2);
    expect_nothing(b);
    writer_write(&b->w, 2);
    writer_rotate(&b->w);
    writer_write(&b->w, 1);
    expect(b, 3, 5);
}

static void holes_of_a_filter_are_no_gap(void **state)
{
    struct bench *b = *state;
    b->w.last = 500; /* the stream began after it */
    static const int64_t seqs[] = {507, 508, 600, 1000};
    for (int i = 0; i < 4; i++) {
        writer_put(&b->w, seqs[i]);
        if (i == 1)
            writer_rotate(&b->w);
    }
    open_reader(b);
    for (int i = 0; i < 4; i++)
        assert_int_equal(next(b)->seq, seqs[i]);
    ack(b, 600);
    reopen(b);
    expect(b, 1000, 1000);
    /* A cursor that an operator put between two lines. */
    outbox_reader_close(b->r);
    sql_on(b->db, "UPDATE consumer_offsets SET acked_seq = 550");
    open_reader(b);
    expect(b, 600, 600);
}

static void a_reader_may_come_before_its_stream(void **state)
{
    struct bench *b = *state;
    open_reader(b);
    expect_nothing(b);
    assert_int_equal(sql_int(b->db, "SELECT acked_seq IS NULL FROM consumer_offsets"), 1);
    reopen(b);
    b->w.last = 41; /* the stream begins later than the sequence */
    writer_write(&b->w, 2);
    expect(b, 42, 43);
}

static void from_counts_for_a_new_consumer_only(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 4);
    writer_rotate(&b->w);
    assert_code(b, OUTBOX_OK, open_as(b, "c", OUTBOX_FROM_NOW)); /* behind a segment: there is no active file */
    expect_nothing(b);
    writer_write(&b->w, 2);
    expect(b, 5, 5);
    ack(b, 5);
    outbox_reader_close(b->r);
    assert_code(b, OUTBOX_OK, open_as(b, "c", OUTBOX_FROM_NOW));
    expect(b, 6, 6);
    outbox_reader_close(b->r);
    writer_text(&b->w, "{\"seq\":7,\"pr"); /* torn */
    assert_code(b, OUTBOX_OK, open_as(b, "now", OUTBOX_FROM_NOW));
    assert_int_equal(sql_int(b->db, "SELECT acked_seq FROM consumer_offsets WHERE consumer = 'now'"), 6);
    outbox_reader_close(b->r);
    assert_code(b, OUTBOX_OK, open_as(b, "start", OUTBOX_FROM_START));
    expect(b, 1, 6);
}

/* Many lines: the place in a long file is found by bisection. */
static void a_place_in_a_long_file_is_found(void **state)
{
    struct bench *b = *state;
    b->w.padding = 200;
    writer_write(&b->w, 7000);
    open_reader(b);
    static const int64_t places[] = {1, 2, 17, 3499, 3500, 6998, 6999};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        outbox_reader_close(b->r);
        char sql[128];
        snprintf(sql, sizeof sql, "UPDATE consumer_offsets SET acked_seq = %d", (int)places[i]);
        sql_on(b->db, sql);
        open_reader(b);
        expect(b, places[i] + 1, places[i] + 1);
    }
    outbox_reader_close(b->r);
    sql_on(b->db, "DELETE FROM consumer_offsets");
    assert_code(b, OUTBOX_OK, open_as(b, "c", OUTBOX_FROM_NOW));
    assert_int_equal(sql_int(b->db, "SELECT acked_seq FROM consumer_offsets"), 7000);
}

static void lines_of_megabytes_are_whole(void **state)
{
    struct bench *b = *state;
    open_reader(b);
    b->w.padding = 3 << 20;
    writer_write(&b->w, 3);
    for (int i = 1; i <= 3; i++) {
        const outbox_event *e = next(b);
        assert_int_equal(e->seq, i);
        assert_true(e->payload_size > 3 << 20);
        assert_int_equal(strlen(e->payload), e->payload_size);
    }
    expect_nothing(b);
}

static void both_formats_may_follow_each_other(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 2);
    writer_text(
        &b->w,
        "{\"specversion\":\"1.0\",\"id\":\"" WRITER_SOURCE "-3\",\"source\":\"urn:outbox:" WRITER_SOURCE
        "\",\"type\":\"orders.insert\",\"subject\":\"o-1\",\"time\":\"2026-11-21T05:21:00.123456Z\","
        "\"datacontenttype\":\"application/json\",\"data\":{\"id\":\"o-1\"},\"sequence\":\"00000000000000000003\","
        "\"prev\":\"00000000000000000002\",\"partitionkey\":\"orders/o-1\",\"op\":\"insert\",\"revision\":\"1\"}\n");
    b->w.last = 3;
    writer_write(&b->w, 1);
    open_reader(b);
    expect(b, 1, 2);
    const outbox_event *e = next(b);
    assert_int_equal(e->seq, 3);
    assert_string_equal(e->topic, "orders");
    assert_string_equal(e->key, "o-1");
    assert_string_equal(e->op, "insert");
    assert_string_equal(e->payload, "{\"id\":\"o-1\"}");
    assert_string_equal(e->ordering_key, "orders/o-1");
    expect(b, 4, 4);
}

static void an_acknowledgement_shares_the_readers_transaction(void **state)
{
    struct bench *b = *state;
    sql_on(b->db, "CREATE TABLE done(seq INTEGER PRIMARY KEY)");
    writer_write(&b->w, 6);
    for (int round = 0; round < 12; round++) {
        open_reader(b);
        const outbox_event *e;
        char sql[64];
        assert_code(b, OUTBOX_OK, outbox_begin(b->ob));
        int code = outbox_reader_next(b->r, 0, &e);
        if (code == OUTBOX_OK) {
            snprintf(sql, sizeof sql, "INSERT INTO done VALUES (%d)", (int)e->seq); /* fails where it is there */
            sql_on(b->db, sql);
            ack(b, e->seq);
        }
        assert_code(b, OUTBOX_OK, round % 2 ? outbox_commit(b->ob) : outbox_rollback(b->ob));
        detach(b);
        attach(b);
    }
    assert_int_equal(sql_int(b->db, "SELECT count(*) = 6 AND max(seq) = 6 FROM done"), 1);
}

static void a_moved_cursor_is_stale(void **state)
{
    struct bench *b = *state;
    const outbox_event *e;
    writer_write(&b->w, 2);
    open_reader(b);
    expect(b, 1, 2);
    sql_on(b->db, "UPDATE consumer_offsets SET acked_seq = 0, lease_token = lease_token + 1");
    assert_code(b, OUTBOX_STALE, outbox_reader_ack(b->r, 1));
    assert_code(b, OUTBOX_STALE, outbox_reader_next(b->r, 0, &e));
}

static void a_held_consumer_of_files_is_busy(void **state)
{
    struct bench *b = *state;
    open_reader(b);
    outbox_reader_options o = {.size = sizeof o, .jsonl = b->w.path};
    outbox_reader *r = NULL;
    assert_code(b, OUTBOX_BUSY, outbox_reader_open(b->ob, "c", &o, &r));
    assert_code(b, OUTBOX_OK, outbox_reader_open(b->ob, "d", &o, &r)); /* another one beside it */
    writer_write(&b->w, 2);
    expect(b, 1, 2);
    const outbox_event *e;
    assert_code(b, OUTBOX_OK, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 1);
    assert_code(b, OUTBOX_OK, outbox_reader_ack(r, 1));
    ack(b, 2);
    assert_int_equal(sql_int(b->db, "SELECT sum(acked_seq) FROM consumer_offsets"), 3);
    outbox_reader_close(r);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------------ */

static void *write_later(void *arg)
{
    struct stream_writer *w = arg;
    writer_write(w, 1);
    if (w->last % 3 == 0)
        writer_rotate(w);
    return NULL;
}

static void next_waits_for_a_line_over_rotations(void **state)
{
    struct bench *b = *state;
    const outbox_event *e;
    open_reader(b);
    for (int i = 1; i <= 20; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_later, &b->w), 0);
        int code = outbox_reader_next(b->r, PATIENCE_MS, &e);
        pthread_join(thread, NULL);
        assert_code(b, OUTBOX_OK, code);
        assert_int_equal(e->seq, i);
    }
    assert_code(b, OUTBOX_DONE, outbox_reader_next(b->r, 1, &e));
}

enum { HURRIED = 3000 };

static void *write_in_a_hurry(void *arg)
{
    struct stream_writer *w = arg;
    while (w->last < HURRIED) {
        writer_write(w, 1);
        if (w->last % 3 != 1)
            writer_rotate(w);
    }
    return NULL;
}

/* Whatever step of a rotation falls between two of the reader's, it is no gap. */
static void rotation_under_way_is_no_gap(void **state)
{
    struct bench *b = *state;
    pthread_t thread;
    open_reader(b);
    assert_int_equal(pthread_create(&thread, NULL, write_in_a_hurry, &b->w), 0);
    for (int i = 1; i <= HURRIED; i++) {
        const outbox_event *e;
        assert_code(b, OUTBOX_OK, outbox_reader_next(b->r, PATIENCE_MS, &e));
        assert_int_equal(e->seq, i);
    }
    pthread_join(thread, NULL);
}

static void fd_becomes_readable_for_a_line(void **state)
{
    struct bench *b = *state;
    const outbox_event *e;
    open_reader(b);
    for (int i = 1; i <= 6; i++) {
        expect_nothing(b);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_later, &b->w), 0);
        int code;
        do {
            struct pollfd p = {outbox_reader_fd(b->r), POLLIN, 0};
            assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
            code = outbox_reader_next(b->r, 0, &e);
        } while (code == OUTBOX_DONE);
        pthread_join(thread, NULL);
        assert_code(b, OUTBOX_OK, code);
        assert_int_equal(e->seq, i);
    }
}

static void half_a_line_is_nobodys_business(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 1);
    open_reader(b);
    expect(b, 1, 1);
    char *line = writer_line(&b->w, 2, 1);
    size_t size = strlen(line);
    for (size_t cut = 0; cut < size; cut++) {
        writer_bytes(&b->w, line + cut, 1);
        if (cut < size - 1)
            expect_nothing(b);
    }
    free(line);
    b->w.last = 2;
    expect(b, 2, 2);
    /* Torn, cut by its writer's next start, and something else in its place. */
    writer_text(&b->w, "{\"seq\":3,\"prev\":2,\"id\":\"" WRITER_SOURCE "-3\",\"payload\":\"xxxxxxxxxxxxxxxxxxx");
    expect_nothing(b);
    struct stat status;
    assert_int_equal(fstat(b->w.fd, &status), 0);
    assert_int_equal(ftruncate(b->w.fd, status.st_size - 10), 0);
    writer_text(&b->w, "short\"}\n");
    const outbox_event *e = next(b);
    assert_non_null(strstr(e->payload, "short"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, file_reader_setup, file_reader_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_what_its_line_says),
        TEST(the_cursor_is_kept_in_the_readers_own_database),
        TEST(a_consumer_table_of_somebody_elses_is_left_alone),
        TEST(a_consumer_follows_one_stream),
        TEST(a_consumer_may_spell_its_stream_another_way),
        TEST(rotation_is_not_noticed),
        TEST(lines_added_just_before_the_rename_are_read),
        TEST(holes_of_a_filter_are_no_gap),
        TEST(a_reader_may_come_before_its_stream),
        TEST(from_counts_for_a_new_consumer_only),
        TEST(a_place_in_a_long_file_is_found),
        TEST(lines_of_megabytes_are_whole),
        TEST(both_formats_may_follow_each_other),
        TEST(an_acknowledgement_shares_the_readers_transaction),
        TEST(a_moved_cursor_is_stale),
        TEST(a_held_consumer_of_files_is_busy),
        TEST(next_waits_for_a_line_over_rotations),
        TEST(rotation_under_way_is_no_gap),
        TEST(fd_becomes_readable_for_a_line),
        TEST(half_a_line_is_nobodys_business),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

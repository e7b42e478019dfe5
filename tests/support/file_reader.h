/* file_reader.h — a reader of a stream under test: its own database, the stream beside it, and what it is expected to say
 * next.
 */
#ifndef TESTS_FILE_READER_H
#define TESTS_FILE_READER_H

#include "fixture.h"
#include "stream_writer.h"

/* The reader's own database, with none of our tables, and a stream beside it. */
struct bench {
    struct fixture *f; /* a directory, and a database of the application's */
    sqlite3 *db;
    outbox *ob;
    outbox_reader *r;
    struct stream_writer w;
};

static inline void attach(struct bench *b)
{
    char path[128];
    snprintf(path, sizeof path, "%s/own.db", b->f->dir);
    assert_int_equal(sqlite3_open(path, &b->db), SQLITE_OK);
    sql_on(b->db, "PRAGMA synchronous = OFF"); /* nobody pulls the plug here */
    assert_int_equal(outbox_attach(b->db, NULL, &b->ob), OUTBOX_OK);
}

static inline void detach(struct bench *b)
{
    outbox_reader_close(b->r);
    outbox_close(b->ob);
    sqlite3_close(b->db);
    b->r = NULL;
}

static inline int file_reader_setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    void *fixture = NULL;
    int code = fixture_setup(&fixture);
    b->f = fixture;
    attach(b);
    writer_init(&b->w, b->f->dir);
    *state = b;
    return code;
}

static inline int file_reader_teardown(void **state)
{
    struct bench *b = *state;
    void *fixture = b->f;
    detach(b);
    writer_fini(&b->w);
    free(b);
    return fixture_teardown(&fixture);
}

static inline int open_as(struct bench *b, const char *consumer, int from)
{
    outbox_reader_options o = {.size = sizeof o, .jsonl = b->w.path, .from = from};
    return outbox_reader_open(b->ob, consumer, &o, &b->r);
}

static inline void open_reader(struct bench *b)
{
    assert_code(b, OUTBOX_OK, open_as(b, "c", OUTBOX_FROM_START));
}

/* Closed and opened again, as after a restart of the program. */
static inline void reopen(struct bench *b)
{
    detach(b);
    attach(b);
    open_reader(b);
}

static inline const outbox_event *next(struct bench *b)
{
    const outbox_event *e = NULL;
    assert_code(b, OUTBOX_OK, outbox_reader_next(b->r, 0, &e));
    return e;
}

static inline void expect(struct bench *b, int64_t first, int64_t last)
{
    for (int64_t seq = first; seq <= last; seq++)
        assert_int_equal(next(b)->seq, seq);
}

static inline void expect_nothing(struct bench *b)
{
    const outbox_event *e;
    assert_code(b, OUTBOX_DONE, outbox_reader_next(b->r, 0, &e));
}

static inline void expect_gap(struct bench *b, int64_t last_read, int64_t first_available)
{
    const outbox_event *e;
    int64_t last = -2, first = -2;
    assert_code(b, OUTBOX_GAP, outbox_reader_next(b->r, 0, &e));
    assert_code(b, OUTBOX_GAP, outbox_reader_next(b->r, 0, &e));
    assert_int_equal(outbox_reader_gap(b->r, &last, &first), OUTBOX_OK);
    assert_int_equal(last, last_read);
    assert_int_equal(first, first_available);
}

static inline void expect_corrupt(struct bench *b)
{
    const outbox_event *e;
    assert_code(b, OUTBOX_CORRUPT, outbox_reader_next(b->r, 0, &e));
    assert_code(b, OUTBOX_CORRUPT, outbox_reader_next(b->r, 0, &e));
}

static inline void ack(struct bench *b, int64_t seq)
{
    assert_code(b, OUTBOX_OK, outbox_reader_ack(b->r, seq));
}

#endif

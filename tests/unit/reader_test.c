/* reader_test.c — the durable consumer of the database. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "fixture.h"
#include "wal_syncs.h"

enum { PATIENCE_MS = 10000 };

static outbox_reader *open_reader(struct fixture *f, const char *name)
{
    outbox_reader *r = NULL;
    assert_ok(f, outbox_reader_open(f->ob, name, NULL, &r));
    return r;
}

static void emit(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        assert_ok(f, outbox_emit(f->ob, "t", "k", "{\"a\":1}", -1, NULL, NULL));
}

static int64_t next_seq(struct fixture *f, outbox_reader *r)
{
    const outbox_event *e = NULL;
    assert_ok(f, outbox_reader_next(r, 0, &e));
    return e->seq;
}

static int64_t acked(struct fixture *f)
{
    return fixture_int(f, "SELECT acked_seq FROM consumer_offsets WHERE consumer = 'c'");
}

static void an_event_is_whole(void **state)
{
    struct fixture *f = *state;
    fixture_sql(f, "CREATE TABLE orders(id TEXT PRIMARY KEY, total REAL, revision INTEGER NOT NULL DEFAULT 1)");
    outbox_write_options o = {.size = sizeof o, .ordering_key = "cust-9", .headers = "{\"h\":\"v\"}", .topic = "sales"};
    outbox_reader *r = open_reader(f, "c");
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"o-1\",\"total\":1}", -1, 0, &o, NULL));
    assert_ok(f, outbox_upsert_json(f->ob, "orders", "{\"id\":\"o-1\",\"total\":2}", -1, 1, &o, NULL));
    outbox_write_options blob = {.size = sizeof blob, .flags = OUTBOX_BLOB};
    assert_ok(f, outbox_emit(f->ob, "raw", NULL, "\0\1", 2, &blob, NULL));

    const outbox_event *e;
    next_seq(f, r);
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 2);
    assert_int_equal(e->prev, 1);
    assert_int_equal(e->revision, 2);
    assert_string_equal(e->op, "update");
    assert_string_equal(e->topic, "sales");
    assert_string_equal(e->table, "orders");
    assert_string_equal(e->key, "o-1");
    assert_string_equal(e->ordering_key, "cust-9");
    assert_string_equal(e->payload, "{\"id\":\"o-1\",\"total\":2.0,\"revision\":2}");
    assert_int_equal(e->payload_size, strlen(e->payload));
    assert_string_equal(e->before, "{\"id\":\"o-1\",\"total\":1.0,\"revision\":1}");
    assert_string_equal(e->headers, "{\"h\":\"v\"}");
    char id[64];
    snprintf(id, sizeof id, "%.16s-2", fixture_text(f, "SELECT value FROM outbox_meta WHERE name = 'source'"));
    assert_string_equal(e->id, id);
    assert_int_equal(e->time_us, fixture_int(f, "SELECT created_at FROM change_log WHERE seq = 2"));
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_true(e->payload_is_blob);
    assert_int_equal(e->payload_size, 2);
    assert_memory_equal(e->payload, "\0\1", 2);
    assert_null(e->table);
    assert_null(e->key);
    assert_null(e->before);
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    outbox_reader_close(r);
}

static void what_is_not_acknowledged_is_handed_out_again(void **state)
{
    struct fixture *f = *state;
    emit(f, 5);
    outbox_reader *r = open_reader(f, "c");
    for (int i = 1; i <= 4; i++)
        assert_int_equal(next_seq(f, r), i);
    assert_ok(f, outbox_reader_ack(r, 2));
    assert_int_equal(acked(f), 2);
    outbox_reader_close(r);
    r = open_reader(f, "c");
    const outbox_event *e;
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 3);
    assert_int_equal(e->prev, 2);
    assert_code(f, OUTBOX_MISUSE, outbox_reader_ack(r, 4)); /* not handed out to this one */
    assert_ok(f, outbox_reader_ack(r, 3));
    assert_ok(f, outbox_reader_ack(r, 1)); /* behind: done already */
    assert_int_equal(acked(f), 3);
    outbox_reader_close(r);
}

static void ack_joins_the_handles_transaction(void **state)
{
    struct fixture *f = *state;
    emit(f, 2);
    outbox_reader *r = open_reader(f, "c");
    const outbox_event *e;
    next_seq(f, r);
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, outbox_reader_ack(r, 1));
    assert_code(f, OUTBOX_MISUSE, outbox_reader_next(r, 100, &e));
    assert_ok(f, outbox_rollback(f->ob));
    assert_int_equal(acked(f), 0);
    assert_ok(f, outbox_begin(f->ob));
    assert_ok(f, outbox_reader_ack(r, 1));
    assert_ok(f, outbox_commit(f->ob));
    assert_int_equal(acked(f), 1);
    outbox_reader_close(r);
}

/* Events of a transaction still open may yet be rolled back: they are nobody's business. */
static void uncommitted_events_are_not_handed_out(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    outbox_reader *r = open_reader(f, "c");
    assert_ok(f, outbox_begin(f->ob));
    emit(f, 1);
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_rollback(f->ob));
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    emit(f, 1);
    assert_int_equal(next_seq(f, r), 1);
    outbox_reader_close(r);
}

/* At NORMAL a commit syncs nothing: a power cut could take back what somebody has acted upon. */
static void events_are_synced_before_they_are_handed_out(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e = NULL;
    outbox_reader *r = open_reader(f, "c");
    fixture_sql(f, "PRAGMA synchronous = NORMAL");
    emit(f, 2);
    sync_count = 0;
    assert_int_equal(next_seq(f, r), 1);
    assert_int_equal(sync_count, 1);
    assert_int_equal(next_seq(f, r), 2); /* of the same batch */
    assert_int_equal(sync_count, 1);
    emit(f, 1);
    sync_error = EIO;
    assert_code(f, OUTBOX_IO, outbox_reader_next(r, 0, &e));
    sync_error = 0;
    assert_null(e);
    outbox_reader_close(r);
}

static void a_new_consumer_begins_at_the_oldest_owed_or_now(void **state)
{
    struct fixture *f = *state;
    emit(f, 4);
    fixture_sql(f, "DELETE FROM outbox WHERE seq < 3");
    outbox_reader *r = open_reader(f, "old");
    assert_int_equal(next_seq(f, r), 3);
    outbox_reader_close(r);
    outbox_reader_options now = {.size = sizeof now, .from = OUTBOX_FROM_NOW};
    const outbox_event *e;
    assert_ok(f, outbox_reader_open(f->ob, "new", &now, &r));
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    emit(f, 1);
    assert_int_equal(next_seq(f, r), 5);
    outbox_reader_close(r);
}

static void a_held_consumer_is_busy_and_names_its_holder(void **state)
{
    struct fixture *f = *state;
    int ready[2], done[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        outbox *ob;
        outbox_reader *r;
        close(done[1]);
        if (outbox_open(f->path, NULL, &ob) != OUTBOX_OK || outbox_reader_open(ob, "c", NULL, &r) != OUTBOX_OK)
            _exit(1);
        if (write(ready[1], "x", 1) != 1 || read(done[0], &byte, 1) < 0)
            _exit(2);
        pause();
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    outbox_reader *r = NULL;
    assert_code(f, OUTBOX_BUSY, outbox_reader_open(f->ob, "c", NULL, &r));
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)child);
    assert_non_null(strstr(outbox_errmsg(f->ob), pid));
    int64_t token = fixture_int(f, "SELECT lease_token FROM consumer_offsets");
    /* The lock dies with its holder. */
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    assert_int_equal(fixture_int(f, "SELECT lease_token FROM consumer_offsets"), token + 1);
    outbox_reader_close(r);
    close(done[1]);
    close(ready[0]);
    close(ready[1]);
}

static void a_moved_cursor_is_stale(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    emit(f, 2);
    outbox_reader *r = open_reader(f, "c");
    next_seq(f, r);
    fixture_sql(f, "UPDATE consumer_offsets SET acked_seq = 0, lease_token = lease_token + 1");
    assert_code(f, OUTBOX_STALE, outbox_reader_ack(r, 1));
    assert_int_equal(acked(f), 0);
    next_seq(f, r); /* read ahead already */
    assert_code(f, OUTBOX_STALE, outbox_reader_next(r, 0, &e));
    outbox_reader_close(r);
}

static void missing_events_are_a_gap_and_told_before_any_later_one(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    int64_t last = -1, first = -1;
    emit(f, 1);
    outbox_reader *r = open_reader(f, "c");
    assert_code(f, OUTBOX_NOT_FOUND, outbox_reader_gap(r, &last, &first));
    next_seq(f, r);
    emit(f, 6);
    fixture_sql(f, "DELETE FROM outbox WHERE seq IN (4, 5)");
    assert_int_equal(next_seq(f, r), 2);
    assert_int_equal(next_seq(f, r), 3);
    assert_code(f, OUTBOX_GAP, outbox_reader_next(r, 0, &e));
    assert_code(f, OUTBOX_GAP, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_gap(r, &last, &first));
    assert_int_equal(last, 3);
    assert_int_equal(first, 6);
    outbox_reader_close(r);
}

static void an_outbox_emptied_behind_us_is_a_gap(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    int64_t last = -1, first = -1;
    outbox_reader *r = open_reader(f, "c");
    emit(f, 2);
    fixture_sql(f, "DELETE FROM outbox");
    assert_code(f, OUTBOX_GAP, outbox_reader_next(r, 0, &e));
    assert_ok(f, outbox_reader_gap(r, &last, &first));
    assert_int_equal(last, 0);
    assert_int_equal(first, 0);
    outbox_reader_close(r);
}

static void a_lifted_sequence_is_no_gap(void **state)
{
    struct fixture *f = *state;
    outbox_reader *r = open_reader(f, "c");
    const outbox_event *e;
    emit(f, 2);
    fixture_sql(f, "UPDATE sqlite_sequence SET seq = 99 WHERE name = 'change_log'");
    fixture_sql(
        f,
        "UPDATE outbox_meta SET value = '[{\"source\":\"0123456789abcdef\",\"last_seq\":2,\"next_seq\":100}]' WHERE name = 'former_sources'");
    next_seq(f, r);
    next_seq(f, r);
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    emit(f, 1);
    assert_ok(f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 100);
    assert_int_equal(e->prev, 2);
    outbox_reader_close(r);
}

static void a_database_behind_the_cursor_is_rewound(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    outbox_reader *r = open_reader(f, "c");
    emit(f, 3);
    for (int i = 0; i < 3; i++)
        next_seq(f, r);
    assert_ok(f, outbox_reader_ack(r, 3));
    fixture_sql(f, "DELETE FROM outbox; DELETE FROM change_log; UPDATE sqlite_sequence SET seq = 1");
    assert_code(f, OUTBOX_REWOUND, outbox_reader_next(r, 0, &e));
    outbox_reader_close(r);
    assert_code(f, OUTBOX_REWOUND, outbox_reader_open(f->ob, "c", NULL, &r));
}

struct writer {
    const char *path;
    int code;
};

static void *write_one(void *arg)
{
    struct writer *w = arg;
    outbox *ob;
    w->code = outbox_open(w->path, NULL, &ob);
    if (w->code == OUTBOX_OK)
        w->code = outbox_emit(ob, "t", NULL, "1", -1, NULL, NULL);
    outbox_close(ob);
    return NULL;
}

static void next_waits_for_another_connections_commit(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    outbox_reader *r = open_reader(f, "c");
    for (int round = 0; round < 20; round++) {
        struct writer w = {f->path, -1};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_one, &w), 0);
        assert_ok(f, outbox_reader_next(r, PATIENCE_MS, &e));
        pthread_join(thread, NULL);
        assert_int_equal(w.code, OUTBOX_OK);
        assert_int_equal(e->seq, round + 1);
    }
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 1, &e));
    outbox_reader_close(r);
}

static void fd_becomes_readable_for_an_event(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    outbox_reader *r = open_reader(f, "c");
    assert_code(f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    struct writer w = {f->path, -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_one, &w), 0);
    int code;
    do {
        struct pollfd p = {outbox_reader_fd(r), POLLIN, 0};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        code = outbox_reader_next(r, 0, &e);
    } while (code == OUTBOX_DONE);
    assert_int_equal(code, OUTBOX_OK);
    pthread_join(thread, NULL);
    outbox_reader_close(r);
}

static void *interrupt(void *arg)
{
    outbox_reader_interrupt(arg);
    return NULL;
}

static void interrupt_ends_a_wait(void **state)
{
    struct fixture *f = *state;
    const outbox_event *e;
    pthread_t thread;
    outbox_reader *r = open_reader(f, "c");
    assert_int_equal(pthread_create(&thread, NULL, interrupt, r), 0);
    assert_code(f, OUTBOX_INTERRUPTED, outbox_reader_next(r, -1, &e));
    pthread_join(thread, NULL);
    emit(f, 1);
    assert_int_equal(next_seq(f, r), 1);
    outbox_reader_close(r);
}

static void no_read_transaction_is_held_between_calls(void **state)
{
    struct fixture *f = *state;
    emit(f, 50);
    outbox_reader *r = open_reader(f, "c");
    next_seq(f, r);
    sqlite3 *other;
    int busy = -1;
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(other, "PRAGMA wal_checkpoint(TRUNCATE)", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    busy = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(other);
    assert_int_equal(busy, 0);
    outbox_reader_close(r);
}

static void bad_arguments_are_refused(void **state)
{
    struct fixture *f = *state;
    outbox_reader *r = NULL;
    const outbox_event *e;
    static const char *const names[] = {
        "", ".hidden", "a/b", "with space", "ü", "12345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_code(f, OUTBOX_INVALID, outbox_reader_open(f->ob, names[i], NULL, &r));
    assert_code(f, OUTBOX_MISUSE, outbox_reader_open(f->ob, "c", NULL, NULL));
    assert_int_equal(outbox_reader_next(NULL, 0, &e), OUTBOX_MISUSE);
    assert_int_equal(outbox_reader_ack(NULL, 1), OUTBOX_MISUSE);
    outbox_reader_options o = {.size = sizeof o, .from = 17};
    assert_code(f, OUTBOX_INVALID, outbox_reader_open(f->ob, "c", &o, &r));
    assert_ok(f, outbox_begin(f->ob));
    assert_code(f, OUTBOX_MISUSE, outbox_reader_open(f->ob, "c", NULL, &r));
    assert_ok(f, outbox_rollback(f->ob));
    fixture_sql(f, "INSERT INTO consumer_offsets(consumer, reads, acked_seq) VALUES ('file', '/x.jsonl', 0)");
    assert_code(f, OUTBOX_INVALID, outbox_reader_open(f->ob, "file", NULL, &r));
    assert_null(r);
}

static void a_relays_consumer_is_no_readers(void **state)
{
    struct fixture *f = *state;
    outbox_reader *r = NULL;
    fixture_sql(f,
                "INSERT INTO consumer_offsets(consumer, acked_seq, kind) VALUES ('c', 0, 'webhook'), ('old', 0, NULL)");
    assert_code(f, OUTBOX_INVALID, outbox_reader_open(f->ob, "c", NULL, &r));
    assert_non_null(strstr(outbox_errmsg(f->ob), "outbox-relay's, of kind webhook"));
    assert_ok(f, outbox_reader_open(f->ob, "old", NULL, &r));
    outbox_reader_close(r);
    assert_ok(f, outbox_reader_open(f->ob, "new", NULL, &r));
    outbox_reader_close(r);
    assert_string_equal(fixture_text(f, "SELECT group_concat(consumer || ' ' || kind) FROM consumer_offsets"),
                        "c webhook,old reader,new reader");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_whole),
        TEST(what_is_not_acknowledged_is_handed_out_again),
        TEST(ack_joins_the_handles_transaction),
        TEST(uncommitted_events_are_not_handed_out),
        TEST(events_are_synced_before_they_are_handed_out),
        TEST(a_new_consumer_begins_at_the_oldest_owed_or_now),
        TEST(a_held_consumer_is_busy_and_names_its_holder),
        TEST(a_moved_cursor_is_stale),
        TEST(missing_events_are_a_gap_and_told_before_any_later_one),
        TEST(an_outbox_emptied_behind_us_is_a_gap),
        TEST(a_lifted_sequence_is_no_gap),
        TEST(a_database_behind_the_cursor_is_rewound),
        TEST(next_waits_for_another_connections_commit),
        TEST(fd_becomes_readable_for_an_event),
        TEST(interrupt_ends_a_wait),
        TEST(no_read_transaction_is_held_between_calls),
        TEST(a_relays_consumer_is_no_readers),
        TEST(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

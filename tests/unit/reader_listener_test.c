/* reader_listener_test.c — readers without a cursor, and many of them in one process. */
#include <dirent.h>
#include <pthread.h>
#include <sys/wait.h>

#include "file_reader.h"

enum { PATIENCE_MS = 10000 };

static void a_listener_keeps_nothing(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 3);
    assert_code(b, OUTBOX_OK, open_as(b, NULL, OUTBOX_FROM_NOW));
    expect_nothing(b);
    writer_write(&b->w, 2);
    expect(b, 4, 5);
    assert_code(b, OUTBOX_MISUSE, outbox_reader_ack(b->r, 4));
    outbox_reader_close(b->r);
    assert_code(b, OUTBOX_OK, open_as(b, NULL, OUTBOX_FROM_START));
    expect(b, 1, 5);
    assert_int_equal(sql_int(b->db, "SELECT count(*) FROM sqlite_schema"), 0);
}

static void a_listener_of_the_database_keeps_nothing(void **state)
{
    struct bench *b = *state;
    outbox *ob = b->f->ob;
    outbox_reader *r;
    const outbox_event *e;
    outbox_reader_options now = {.size = sizeof now, .from = OUTBOX_FROM_NOW};
    assert_ok(b->f, outbox_emit(ob, "t", "k", "1", -1, NULL, NULL));
    assert_ok(b->f, outbox_reader_open(ob, NULL, &now, &r));
    assert_code(b->f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    assert_ok(b->f, outbox_emit(ob, "t", "k", "2", -1, NULL, NULL));
    assert_ok(b->f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 2);
    assert_int_equal(e->prev, 1);
    outbox_reader_close(r);
    assert_int_equal(fixture_int(b->f, "SELECT count(*) FROM consumer_offsets"), 0);
}

static void a_listener_of_the_database_is_told_what_it_missed_and_begins_anew(void **state)
{
    struct bench *b = *state;
    outbox *ob = b->f->ob;
    outbox_reader *r;
    const outbox_event *e;
    int64_t last = -7, first = -7;
    assert_ok(b->f, outbox_reader_open(ob, NULL, NULL, &r));
    for (int i = 0; i < 4; i++)
        assert_ok(b->f, outbox_emit(ob, "t", "k", "1", -1, NULL, NULL));
    fixture_sql(b->f, "DELETE FROM outbox WHERE seq < 3; DELETE FROM change_log WHERE seq < 3");
    assert_code(b->f, OUTBOX_GAP, outbox_reader_next(r, 0, &e));
    assert_non_null(strstr(outbox_errmsg(ob), "a listener"));
    assert_int_equal(outbox_reader_gap(r, NULL, &first), OUTBOX_OK);
    assert_int_equal(first, 3);
    assert_int_equal(outbox_reader_gap(r, &last, NULL), OUTBOX_OK);
    assert_int_equal(last, 0);
    assert_ok(b->f, outbox_reader_restart(r, OUTBOX_FROM_START));
    assert_int_equal(outbox_reader_gap(r, &last, &first), OUTBOX_NOT_FOUND);
    assert_ok(b->f, outbox_reader_next(r, 0, &e));
    assert_int_equal(e->seq, 3);
    assert_ok(b->f, outbox_reader_restart(r, OUTBOX_FROM_NOW));
    assert_code(b->f, OUTBOX_DONE, outbox_reader_next(r, 0, &e));
    outbox_reader_close(r);
}

static int descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* What a child closes is its own: the parent reads on. before: the descriptors without the reader. */
static void close_in_a_child(outbox_reader *r, int before)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        const outbox_event *e;
        int code = outbox_reader_next(r, 0, &e);
        outbox_reader_close(r);
        _exit(code != OUTBOX_MISUSE ? 1 : descriptors() > before ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_listener_of_files_may_be_closed_in_a_child(void **state)
{
    struct bench *b = *state;
    writer_write(&b->w, 3);
    int before = descriptors();
    assert_code(b, OUTBOX_OK, open_as(b, NULL, OUTBOX_FROM_START));
    expect(b, 1, 1);
    close_in_a_child(b->r, before);
    expect(b, 2, 3);
}

static void a_listener_of_the_database_may_be_closed_in_a_child(void **state)
{
    struct bench *b = *state;
    outbox_reader *r;
    const outbox_event *e;
    int before = descriptors();
    assert_ok(b->f, outbox_reader_open(b->f->ob, NULL, NULL, &r));
    close_in_a_child(r, before);
    assert_ok(b->f, outbox_emit(b->f->ob, "t", "k", "1", -1, NULL, NULL));
    assert_ok(b->f, outbox_reader_next(r, 5000, &e)); /* woken as ever */
    outbox_reader_close(r);
}

enum { LISTENERS = 20, LISTENED = 300 };

struct listener {
    pthread_t thread;
    const char *path;
    bool slow;
    pthread_barrier_t *listening, *others_done;
    int64_t last;
    int code;
};

static void *follow(void *arg)
{
    struct listener *l = arg;
    sqlite3 *db;
    outbox *ob;
    outbox_reader *r;
    const outbox_event *e;
    outbox_reader_options o = {.size = sizeof o, .jsonl = l->path, .from = OUTBOX_FROM_NOW};
    l->code = sqlite3_open(":memory:", &db) == SQLITE_OK ? outbox_attach(db, NULL, &ob) : OUTBOX_ERROR;
    if (l->code == OUTBOX_OK)
        l->code = outbox_reader_open(ob, NULL, &o, &r);
    pthread_barrier_wait(l->listening);
    if (l->slow) /* until all others have read everything */
        pthread_barrier_wait(l->others_done);
    while (l->code == OUTBOX_OK && l->last < LISTENED) {
        l->code = outbox_reader_next(r, PATIENCE_MS, &e);
        if (l->code == OUTBOX_OK)
            l->code = e->seq == l->last + 1 ? OUTBOX_OK : OUTBOX_ERROR;
        l->last++;
    }
    if (!l->slow)
        pthread_barrier_wait(l->others_done);
    outbox_reader_close(r);
    outbox_close(ob);
    sqlite3_close(db);
    return NULL;
}

static void a_slow_listener_hurts_nobody_but_itself(void **state)
{
    struct bench *b = *state;
    struct listener listeners[LISTENERS];
    pthread_barrier_t listening, others_done;
    pthread_barrier_init(&listening, NULL, LISTENERS + 1);
    pthread_barrier_init(&others_done, NULL, LISTENERS);
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i] = (struct listener){
            .path = b->w.path, .slow = i == 7, .listening = &listening, .others_done = &others_done};
        assert_int_equal(pthread_create(&listeners[i].thread, NULL, follow, &listeners[i]), 0);
    }
    pthread_barrier_wait(&listening);
    for (int i = 0; i < LISTENED; i++) {
        writer_write(&b->w, 1);
        if (i % 50 == 49)
            writer_rotate(&b->w);
    }
    for (int i = 0; i < LISTENERS; i++) {
        pthread_join(listeners[i].thread, NULL);
        assert_int_equal(listeners[i].code, OUTBOX_OK);
        assert_int_equal(listeners[i].last, LISTENED);
    }
    pthread_barrier_destroy(&listening);
    pthread_barrier_destroy(&others_done);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, file_reader_setup, file_reader_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_listener_keeps_nothing),
        TEST(a_listener_of_the_database_keeps_nothing),
        TEST(a_listener_of_the_database_is_told_what_it_missed_and_begins_anew),
        TEST(a_listener_of_files_may_be_closed_in_a_child),
        TEST(a_listener_of_the_database_may_be_closed_in_a_child),
        TEST(a_slow_listener_hurts_nobody_but_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

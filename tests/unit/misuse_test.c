/* misuse_test.c — what no call may be given: a handle carried over fork(), nothing where something is needed, options whose
 * size is not set. Each answers OUTBOX_MISUSE or OUTBOX_INVALID with words, and nothing has happened.
 */
#include <sys/wait.h>

#include "fixture.h"

static const char things[] = "CREATE TABLE things(id TEXT PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1)";

static int setup(void **state)
{
    int rc = fixture_setup(state);
    if (rc == 0)
        fixture_sql(*state, things);
    return rc;
}

typedef int call(outbox *, outbox_reader *);

static int call_begin(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_begin(ob);
}

static int call_commit(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_commit(ob);
}

static int call_rollback(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_rollback(ob);
}

static int call_upsert(outbox *ob, outbox_reader *r)
{
    outbox_value row[] = {outbox_text("id", "a")};
    (void)r;
    return outbox_upsert(ob, "things", row, 1, 0, NULL, NULL);
}

static int call_upsert_json(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_upsert_json(ob, "things", "{\"id\":\"a\"}", -1, 0, NULL, NULL);
}

static int call_delete(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_delete(ob, "things", "a", 1, NULL);
}

static int call_emit(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_emit(ob, "t", "k", "1", -1, NULL, NULL);
}

static int call_get(outbox *ob, outbox_reader *r)
{
    const char *json;
    (void)r;
    return outbox_get(ob, "things", "a", &json, NULL);
}

static int call_migrate(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_migrate(ob);
}

static int call_capture(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_capture(ob, "things", NULL);
}

static int call_release(outbox *ob, outbox_reader *r)
{
    (void)r;
    return outbox_release(ob, "things");
}

static int call_reader_open(outbox *ob, outbox_reader *r)
{
    return outbox_reader_open(ob, "other", NULL, &r);
}

static int call_next(outbox *ob, outbox_reader *r)
{
    const outbox_event *e;
    (void)ob;
    return outbox_reader_next(r, 0, &e);
}

static int call_ack(outbox *ob, outbox_reader *r)
{
    (void)ob;
    return outbox_reader_ack(r, 1);
}

static int call_restart(outbox *ob, outbox_reader *r)
{
    (void)ob;
    return outbox_reader_restart(r, OUTBOX_FROM_START);
}

static int call_snapshot(outbox *ob, outbox_reader *r)
{
    (void)ob;
    return outbox_reader_restart(r, OUTBOX_FROM_SNAPSHOT);
}

static call *const calls[] = {call_begin, call_commit, call_rollback, call_upsert,  call_upsert_json, call_delete,
                              call_emit,  call_get,    call_migrate,  call_capture, call_release,     call_reader_open,
                              call_next,  call_ack,    call_restart,  call_snapshot};

/* A child may not close its parent's connection, so outbox_close() leaves it be: known here, it is no leak. */
static sqlite3 *volatile left_open;

/* The exit code is the number of the first call that was not refused, from 1. */
static void a_handle_carried_over_fork_is_refused_by_every_call(void **state)
{
    struct fixture *f = *state;
    outbox_reader *r = NULL;
    int status = -1;
    assert_ok(f, outbox_reader_open(f->ob, "c", NULL, &r));
    pid_t pid = fork();
    if (pid == 0) {
        left_open = outbox_db(f->ob);
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            if (calls[i](f->ob, r) != OUTBOX_MISUSE)
                _exit((int)i + 1);
        outbox_reader_close(r);
        outbox_close(f->ob);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_ok(f, outbox_emit(f->ob, "t", "k", "1", -1, NULL, NULL)); /* and the parent's is as good as ever */
    assert_ok(f, outbox_reader_ack(r, 0));
    outbox_reader_close(r);
}

static void nothing_where_something_is_needed_is_refused_in_words(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_text("id", "a")};
    outbox_value nameless[] = {outbox_text(NULL, "a")}, typeless[] = {outbox_text("id", "a")};
    outbox_value reserved[] = {outbox_text("id", "a")}, negative[] = {outbox_text("id", "a")};
    outbox_reader *r = NULL;
    const outbox_event *e;
    const char *json = "untouched";
    typeless[0].type = 77;
    reserved[0].reserved = 1;
    negative[0].size = -1;
    assert_ok(f, outbox_reader_open(f->ob, NULL, NULL, &r));
    const struct {
        const char *what;
        int code, got;
    } refused[] = {
        {"upsert without a table", OUTBOX_MISUSE, outbox_upsert(f->ob, NULL, row, 1, 0, NULL, NULL)},
        {"upsert without a row", OUTBOX_MISUSE, outbox_upsert(f->ob, "things", NULL, 1, 0, NULL, NULL)},
        {"upsert of an empty row", OUTBOX_INVALID, outbox_upsert(f->ob, "things", row, 0, 0, NULL, NULL)},
        {"a value without a column", OUTBOX_INVALID, outbox_upsert(f->ob, "things", nameless, 1, 0, NULL, NULL)},
        {"a value of no type", OUTBOX_INVALID, outbox_upsert(f->ob, "things", typeless, 1, 0, NULL, NULL)},
        {"a value with something reserved", OUTBOX_INVALID, outbox_upsert(f->ob, "things", reserved, 1, 0, NULL, NULL)},
        {"a value of less than nothing", OUTBOX_INVALID, outbox_upsert(f->ob, "things", negative, 1, 0, NULL, NULL)},
        {"upsert_json without JSON", OUTBOX_MISUSE, outbox_upsert_json(f->ob, "things", NULL, -1, 0, NULL, NULL)},
        {"upsert_json without a table", OUTBOX_MISUSE, outbox_upsert_json(f->ob, NULL, "{}", -1, 0, NULL, NULL)},
        {"JSON of less than nothing", OUTBOX_MISUSE, outbox_upsert_json(f->ob, "things", "{}", -2, 0, NULL, NULL)},
        {"capture without a table", OUTBOX_MISUSE, outbox_capture(f->ob, NULL, NULL)},
        {"release without a table", OUTBOX_MISUSE, outbox_release(f->ob, NULL)},
        {"next without a place for the event", OUTBOX_MISUSE, outbox_reader_next(r, 0, NULL)},
        {"get without a key", OUTBOX_MISUSE, outbox_get(f->ob, "things", NULL, &json, NULL)},
        {"emit of less than nothing", OUTBOX_MISUSE, outbox_emit(f->ob, "t", "k", "1", -2, NULL, NULL)},
        {"emit of some bytes of nothing", OUTBOX_MISUSE, outbox_emit(f->ob, "t", "k", NULL, 5, NULL, NULL)},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].got != refused[i].code)
            fail_msg("%s: %s", refused[i].what, outbox_strerror(refused[i].got));
    assert_string_equal(json, "untouched");
    assert_int_equal(outbox_reader_next(r, 0, &e), OUTBOX_DONE);
    assert_int_equal(fixture_int(f, "SELECT (SELECT count(*) FROM change_log) + (SELECT count(*) FROM things)"), 0);
    outbox_reader_close(r);
    assert_null(outbox_db(NULL));
    assert_int_equal(outbox_found_revision(NULL), 0);
    assert_int_equal(outbox_last_seq(NULL), 0);
    assert_string_equal(outbox_last_key(NULL), "");
    assert_int_equal(outbox_reader_fd(NULL), -1);
    outbox_reader_interrupt(NULL);
}

static void options_whose_size_is_not_set_are_refused(void **state)
{
    struct fixture *f = *state;
    outbox_value row[] = {outbox_text("id", "a")};
    const outbox_open_options open = {0};
    const outbox_write_options write = {0};
    const outbox_reader_options reader = {0};
    const outbox_capture_options capture = {0};
    outbox *ob = NULL;
    outbox_reader *r = NULL;
    assert_int_equal(outbox_open(f->path, &open, &ob), OUTBOX_INVALID);
    assert_int_equal(outbox_attach(outbox_db(f->ob), &open, &ob), OUTBOX_INVALID);
    assert_code(f, OUTBOX_INVALID, outbox_upsert(f->ob, "things", row, 1, 0, &write, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_delete(f->ob, "things", "a", 1, &write));
    assert_code(f, OUTBOX_INVALID, outbox_emit(f->ob, "t", "k", NULL, 0, &write, NULL));
    assert_code(f, OUTBOX_INVALID, outbox_reader_open(f->ob, "c", &reader, &r));
    assert_code(f, OUTBOX_INVALID, outbox_capture(f->ob, "things", &capture));
    assert_null(ob);
    assert_null(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_handle_carried_over_fork_is_refused_by_every_call, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nothing_where_something_is_needed_is_refused_in_words, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(options_whose_size_is_not_set_are_refused, setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}

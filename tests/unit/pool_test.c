/* pool_test.c — group commit: everybody's own answer, out of one transaction.
 *
 * A group is made on purpose: one piece of work keeps the writer thread busy (the gate) until all the others wait in
 * line, which their threads' states in /proc tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "fixture.h"

enum { CALLERS_MAX = 300, DEADLINE_S = 20 };

struct rig {
    struct fixture *f; /* its handle looks from outside */
    outbox_pool *pool;
    sem_t gate;
};

/* One thread that calls outbox_pool_run() once. */
struct caller {
    struct rig *rig;
    outbox_pool *pool;
    int (*work)(outbox *, void *);
    int number;
    pthread_t thread;
    _Atomic int tid;
    int code;
    char message[256];
    _Atomic int runs;           /* of work */
    int64_t seen, seen_outside; /* rows, after work's own */
    int turn;                   /* when work ran, of all */
};

static _Atomic int turns;

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    void *f;
    if (!rig || fixture_setup(&f) != 0)
        return -1;
    rig->f = f;
    sem_init(&rig->gate, 0, 0);
    fixture_sql(rig->f, "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, revision INTEGER NOT NULL DEFAULT 1);"
                        "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER"
                        " REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED);");
    outbox_open_options o = {.size = sizeof o, .synchronous = OUTBOX_SYNC_NORMAL, .busy_timeout_ms = 100};
    *state = rig;
    return outbox_pool_open(rig->f->path, &o, &rig->pool);
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    void *f = rig->f;
    outbox_pool_close(rig->pool);
    sem_destroy(&rig->gate);
    free(rig);
    return fixture_teardown(&f);
}

/* ---- Pieces of work ---- */

static int64_t rows(outbox *ob)
{
    return sql_int(outbox_db(ob), "SELECT count(*) FROM t");
}

static int insert(outbox *ob, void *arg)
{
    struct caller *c = arg;
    outbox_value row[] = {outbox_int("id", c->number)};
    int code = outbox_upsert(ob, "t", row, 1, 0, NULL, NULL);
    c->runs++;
    c->turn = turns++;
    c->seen = rows(ob);
    c->seen_outside = rows(c->rig->f->ob);
    return code;
}

static int insert_then_refuse(outbox *ob, void *arg)
{
    insert(ob, arg);
    return 4711;
}

static int refuse_at_once(outbox *ob, void *arg)
{
    (void)ob;
    (void)arg;
    return 4712;
}

static int insert_twice(outbox *ob, void *arg) /* the second conflicts */
{
    int code = insert(ob, arg);
    return code == OUTBOX_OK ? insert(ob, arg) : code;
}

static int run_sql(outbox *ob, const char *sql)
{
    return sqlite3_exec(outbox_db(ob), sql, NULL, NULL, NULL) == SQLITE_OK ? OUTBOX_OK : OUTBOX_CONSTRAINT;
}

static int insert_or_rollback(outbox *ob, void *arg)
{
    insert(ob, arg);
    return run_sql(ob, "INSERT INTO t(name) VALUES ('one'); INSERT OR ROLLBACK INTO t(name) VALUES ('one')");
}

static int break_deferred_key(outbox *ob, void *arg)
{
    int code = insert(ob, arg);
    return code == OUTBOX_OK ? run_sql(ob, "INSERT INTO child(parent) VALUES (999999)") : code;
}

static int commit_and_begin(outbox *ob, void *arg)
{
    insert(ob, arg);
    run_sql(ob, "COMMIT");
    run_sql(ob, "BEGIN IMMEDIATE");
    return OUTBOX_OK;
}

static int roll_back(outbox *ob, void *arg)
{
    insert(ob, arg);
    outbox_rollback(ob);
    return OUTBOX_OK;
}

static int run_in_run(outbox *ob, void *arg)
{
    struct caller *c = arg;
    (void)ob;
    c->runs++;
    int code = outbox_pool_run(c->rig->pool, insert, arg);
    snprintf(c->message, sizeof c->message, "%s", outbox_errmsg(NULL));
    return code;
}

/* Grows past what the database may hold. */
static int fill(outbox *ob, void *arg)
{
    insert(ob, arg);
    char sql[96];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", (int)sql_int(outbox_db(ob), "PRAGMA page_count") + 2);
    sql_int(outbox_db(ob), sql);
    outbox_value row[] = {outbox_int("id", 100000), outbox_null("name")};
    static char big[200000];
    memset(big, 'x', sizeof big - 1);
    row[1] = outbox_text("name", big);
    int code = outbox_upsert(ob, "t", row, 2, 0, NULL, NULL);
    sql_int(outbox_db(ob), "PRAGMA max_page_count = 1000000");
    return code;
}

static int wait_at_gate(outbox *ob, void *arg)
{
    struct caller *c = arg;
    c->runs++;
    c->turn = turns++;
    while (sem_wait(&c->rig->gate) != 0)
        ;
    return rows(ob) >= 0 ? OUTBOX_OK : -1;
}

/* Gives its own transaction up and has another connection hold the write lock from then on. */
static int lock_elsewhere_at_gate(outbox *ob, void *arg)
{
    struct caller *c = arg;
    wait_at_gate(ob, arg);
    outbox_rollback(ob);
    fixture_sql(c->rig->f, "BEGIN IMMEDIATE");
    return OUTBOX_OK;
}

/* ---- Threads in line ---- */

static void *call(void *arg)
{
    struct caller *c = arg;
    c->tid = (int)syscall(SYS_gettid);
    c->code = outbox_pool_run(c->pool, c->work, c);
    if (c->code != OUTBOX_OK && !c->message[0])
        snprintf(c->message, sizeof c->message, "%s", outbox_errmsg(NULL));
    return NULL;
}

/* The thread sleeps in a futex: it waits in line, or at the gate. */
static bool asleep(const struct caller *c)
{
    char path[64], line[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)c->tid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    bool got = fgets(line, sizeof line, file);
    fclose(file);
    return c->tid && got && atoi(line) == SYS_futex;
}

static bool running(const struct caller *c)
{
    return c->runs > 0;
}

static void wait_until(bool (*holds)(const struct caller *), const struct caller *c)
{
    struct timespec now, nap = {0, 200000};
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (time_t end = now.tv_sec + DEADLINE_S; !holds(c);) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_true(now.tv_sec < end);
        nanosleep(&nap, NULL);
    }
}

static void launch(struct rig *rig, struct caller *c, int number, int (*work)(outbox *, void *))
{
    pthread_attr_t small;
    *c = (struct caller){.rig = rig, .pool = rig->pool, .work = work, .number = number};
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    assert_int_equal(pthread_create(&c->thread, &small, call, c), 0);
    pthread_attr_destroy(&small);
}

static void shut_gate(struct rig *rig, struct caller *c, int (*work)(outbox *, void *))
{
    launch(rig, c, 0, work);
    wait_until(running, c);
}

static void start(struct rig *rig, struct caller *c, int number, int (*work)(outbox *, void *))
{
    launch(rig, c, number, work);
    wait_until(asleep, c);
}

/* Behind a gate, the works given, one caller each, all of them waiting before the gate opens. callers[0] is the gate. */
static void run_as_group(struct rig *rig, struct caller *callers, int n, int (*const *works)(outbox *, void *))
{
    shut_gate(rig, &callers[0], wait_at_gate);
    for (int i = 1; i <= n; i++)
        start(rig, &callers[i], i, works[i - 1]);
    sem_post(&rig->gate);
    for (int i = 0; i <= n; i++)
        pthread_join(callers[i].thread, NULL);
}

#define GROUP(rig, callers, ...)                                                                                       \
    do {                                                                                                               \
        int (*const works[])(outbox *, void *) = {__VA_ARGS__};                                                        \
        run_as_group(rig, callers, (int)(sizeof works / sizeof *works), works);                                        \
    } while (0)

/* ---- Tests ---- */

static void a_write_can_be_seen_by_others_when_run_returns(void **state)
{
    struct rig *rig = *state;
    struct caller c = {.rig = rig, .number = 7};
    assert_int_equal(outbox_pool_run(rig->pool, insert, &c), OUTBOX_OK);
    assert_int_equal(fixture_int(rig->f, "SELECT id FROM t"), 7);
    assert_int_equal(fixture_int(rig->f, "SELECT count(*) FROM outbox_events WHERE key = '7'"), 1);
    assert_int_equal(c.runs, 1);
}

static void those_who_wait_share_one_transaction_in_order_of_arrival(void **state)
{
    struct rig *rig = *state;
    struct caller c[5];
    GROUP(rig, c, insert, insert, insert, insert);
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(c[i].code, OUTBOX_OK);
        assert_int_equal(c[i].seen, i);
        assert_int_equal(c[i].seen_outside, 0); /* nothing was committed between them */
        assert_int_equal(c[i].turn, c[0].turn + i);
    }
    assert_int_equal(rows(rig->f->ob), 4);
}

static void a_conflict_is_its_callers_alone(void **state)
{
    struct rig *rig = *state;
    struct caller c[5];
    GROUP(rig, c, insert, insert_twice, refuse_at_once, insert);
    assert_int_equal(c[1].code, OUTBOX_OK);
    assert_int_equal(c[2].code, OUTBOX_CONFLICT);
    assert_non_null(strstr(c[2].message, "t"));
    assert_int_equal(c[2].runs, 2); /* both of its writes, once */
    assert_int_equal(c[4].code, OUTBOX_OK);
    assert_string_equal(c[3].message, "the work returned 4712"); /* not the words of another */
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(id) FROM t"), "1,4");
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(key) FROM change_log"), "1,4");
    assert_int_equal(fixture_int(rig->f, "SELECT max(seq) FROM change_log"), 2); /* and no hole */
}

static void a_number_of_the_works_own_undoes_it_and_comes_back(void **state)
{
    struct rig *rig = *state;
    struct caller c[4], alone = {.rig = rig, .number = 50};
    GROUP(rig, c, insert_then_refuse, refuse_at_once, insert);
    assert_int_equal(c[1].code, 4711);
    assert_int_equal(c[2].code, 4712);
    assert_string_equal(c[2].message, "the work returned 4712");
    assert_int_equal(c[3].code, OUTBOX_OK);
    assert_int_equal(outbox_pool_run(rig->pool, insert_then_refuse, &alone), 4711);
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(key) FROM change_log"), "3");
}

static void a_member_that_rolls_all_back_costs_the_others_a_second_run_only(void **state)
{
    struct rig *rig = *state;
    struct caller c[4];
    GROUP(rig, c, insert, insert_or_rollback, insert);
    assert_int_equal(c[1].code, OUTBOX_OK);
    assert_int_equal(c[1].runs, 2);
    assert_int_equal(c[2].code, OUTBOX_CONSTRAINT);
    assert_int_equal(c[3].code, OUTBOX_OK);
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(id) FROM t"), "1,3");
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(key) FROM change_log"), "1,3");
}

static void a_deferred_key_that_fails_the_commit_is_its_callers_alone(void **state)
{
    struct rig *rig = *state;
    struct caller c[4];
    GROUP(rig, c, insert, break_deferred_key, insert);
    assert_int_equal(c[1].code, OUTBOX_OK);
    assert_int_equal(c[2].code, OUTBOX_CONSTRAINT);
    assert_non_null(strstr(c[2].message, "FOREIGN KEY"));
    assert_int_equal(c[3].code, OUTBOX_OK);
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(key) FROM change_log"), "1,3");
}

static void a_full_disk_is_told_to_the_one_who_met_it(void **state)
{
    struct rig *rig = *state;
    struct caller c[4];
    GROUP(rig, c, insert, fill, insert);
    assert_int_equal(c[1].code, OUTBOX_OK);
    assert_int_equal(c[2].code, OUTBOX_FULL);
    assert_int_equal(c[3].code, OUTBOX_OK);
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(key) FROM change_log"), "1,3");
}

static void work_that_commits_or_rolls_back_is_undone_and_refused(void **state)
{
    struct rig *rig = *state;
    struct caller c[4], alone = {.rig = rig, .number = 50};
    GROUP(rig, c, insert, commit_and_begin, roll_back);
    assert_int_equal(c[1].code, OUTBOX_OK);
    assert_int_equal(c[2].code, OUTBOX_MISUSE);
    assert_int_equal(c[3].code, OUTBOX_MISUSE);
    assert_non_null(strstr(c[3].message, "neither commit nor roll back"));
    assert_int_equal(outbox_pool_run(rig->pool, commit_and_begin, &alone), OUTBOX_MISUSE);
    assert_int_equal(outbox_pool_run(rig->pool, roll_back, &alone), OUTBOX_MISUSE);
    assert_string_equal(fixture_text(rig->f, "SELECT group_concat(key) FROM change_log"), "1");
}

static void work_that_runs_work_of_the_same_pool_is_refused(void **state)
{
    struct rig *rig = *state;
    struct caller c = {.rig = rig};
    assert_int_equal(outbox_pool_run(rig->pool, run_in_run, &c), OUTBOX_MISUSE);
    assert_non_null(strstr(c.message, "wait for itself"));
}

static void a_writer_elsewhere_makes_the_whole_group_busy_without_running_it(void **state)
{
    struct rig *rig = *state;
    struct caller c[3];
    shut_gate(rig, &c[0], lock_elsewhere_at_gate);
    start(rig, &c[1], 1, insert);
    start(rig, &c[2], 2, insert);
    sem_post(&rig->gate);
    for (int i = 0; i <= 2; i++)
        pthread_join(c[i].thread, NULL);
    fixture_sql(rig->f, "ROLLBACK");
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(c[i].code, OUTBOX_BUSY);
        assert_int_equal(c[i].runs, 0);
        assert_non_null(strstr(c[i].message, "begin"));
    }

    struct caller again = {.rig = rig, .number = 3};
    fixture_sql(rig->f, "BEGIN IMMEDIATE");
    assert_int_equal(outbox_pool_run(rig->pool, insert, &again), OUTBOX_BUSY);
    assert_int_equal(again.runs, 0);
    fixture_sql(rig->f, "ROLLBACK");
    assert_int_equal(outbox_pool_run(rig->pool, insert, &again), OUTBOX_OK);
}

static void *close_pool(void *arg)
{
    struct caller *c = arg;
    c->tid = (int)syscall(SYS_gettid);
    outbox_pool_close(c->pool);
    return NULL;
}

/* A thread closes the pool behind the one at the gate, and waits for it; then the gate opens. */
static void close_behind_gate(struct rig *rig, struct caller *closer)
{
    *closer = (struct caller){.rig = rig, .pool = rig->pool};
    rig->pool = NULL;
    assert_int_equal(pthread_create(&closer->thread, NULL, close_pool, closer), 0);
    wait_until(asleep, closer);
    sem_post(&rig->gate);
}

static void close_serves_those_who_wait(void **state)
{
    struct rig *rig = *state;
    struct caller c[4], closer;
    shut_gate(rig, &c[0], wait_at_gate);
    for (int i = 1; i <= 3; i++)
        start(rig, &c[i], i, insert);
    close_behind_gate(rig, &closer);
    for (int i = 0; i <= 3; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].code, OUTBOX_OK);
    }
    pthread_join(closer.thread, NULL);
    assert_int_equal(rows(rig->f->ob), 3);
}

static void close_waits_for_a_lone_writer(void **state)
{
    struct rig *rig = *state;
    struct caller c, closer;
    shut_gate(rig, &c, wait_at_gate);
    close_behind_gate(rig, &closer);
    pthread_join(c.thread, NULL);
    pthread_join(closer.thread, NULL);
    assert_int_equal(c.code, OUTBOX_OK);
}

static void a_crowd_is_served_in_several_transactions(void **state)
{
    struct rig *rig = *state;
    static struct caller c[CALLERS_MAX + 1];
    shut_gate(rig, &c[0], wait_at_gate);
    for (int i = 1; i <= CALLERS_MAX; i++)
        start(rig, &c[i], i, insert);
    sem_post(&rig->gate);
    int64_t most_outside = 0;
    for (int i = 0; i <= CALLERS_MAX; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].code, OUTBOX_OK);
        most_outside = c[i].seen_outside > most_outside ? c[i].seen_outside : most_outside;
    }
    assert_int_equal(rows(rig->f->ob), CALLERS_MAX);
    assert_int_equal(most_outside, 256);
}

static sqlite3
    *volatile parents; /* a child must leave it alone: this keeps it in sight of valgrind's search for leaks */

static int note_connection(outbox *ob, void *arg)
{
    (void)arg;
    parents = outbox_db(ob);
    return OUTBOX_OK;
}

static void a_forked_child_is_refused_and_may_close(void **state)
{
    struct rig *rig = *state;
    struct caller c = {.rig = rig, .number = 1};
    assert_int_equal(outbox_pool_run(rig->pool, note_connection, NULL), OUTBOX_OK);
    pid_t child = fork();
    if (child == 0) {
        bool refused = outbox_pool_run(rig->pool, insert, &c) == OUTBOX_MISUSE &&
                       strstr(outbox_errmsg(NULL), "another process");
        outbox_pool_close(rig->pool);
        _exit(refused ? 0 : 1);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    assert_int_equal(status, 0);
    assert_int_equal(outbox_pool_run(rig->pool, insert, &c), OUTBOX_OK);
}

static void nulls_and_a_bad_path_are_refused_in_words(void **state)
{
    struct rig *rig = *state;
    outbox_pool *pool = NULL;
    assert_int_equal(outbox_pool_open("/nonexistent/x.db", NULL, &pool), OUTBOX_IO);
    assert_null(pool);
    assert_non_null(strstr(outbox_errmsg(NULL), "/nonexistent/x.db"));
    assert_int_equal(outbox_pool_open(rig->f->path, NULL, NULL), OUTBOX_MISUSE);
    assert_int_equal(outbox_pool_run(NULL, insert, NULL), OUTBOX_MISUSE);
    assert_int_equal(outbox_pool_run(rig->pool, NULL, NULL), OUTBOX_MISUSE);
    outbox_pool_close(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_write_can_be_seen_by_others_when_run_returns),
        T(those_who_wait_share_one_transaction_in_order_of_arrival),
        T(a_conflict_is_its_callers_alone),
        T(a_number_of_the_works_own_undoes_it_and_comes_back),
        T(a_member_that_rolls_all_back_costs_the_others_a_second_run_only),
        T(a_deferred_key_that_fails_the_commit_is_its_callers_alone),
        T(a_full_disk_is_told_to_the_one_who_met_it),
        T(work_that_commits_or_rolls_back_is_undone_and_refused),
        T(work_that_runs_work_of_the_same_pool_is_refused),
        T(a_writer_elsewhere_makes_the_whole_group_busy_without_running_it),
        T(close_serves_those_who_wait),
        T(close_waits_for_a_lone_writer),
        T(a_crowd_is_served_in_several_transactions),
        T(a_forked_child_is_refused_and_may_close),
        T(nulls_and_a_bad_path_are_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

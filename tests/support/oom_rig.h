/* oom_rig.h — one call after the other with its k-th allocation refused, for every k, once and from there on for good; and
 * with its k-th step in SQLite interrupted, and its k-th request refused by an authorizer.
 *
 * What must hold: the call answers OUTBOX_NOMEM (OUTBOX_INTERRUPTED, OUTBOX_ERROR), or does without and is OK; nothing of
 * a failed call is in the database, the same call on the same objects then works, and all memory comes back. OOM_EVERY=n
 * takes every n-th k only: `make test` a sample, tests/torture/memory all.
 */
#ifndef TESTS_OOM_RIG_H
#define TESTS_OOM_RIG_H

#include "fail_alloc.h"
#include "fixture.h"
#include "stream_writer.h"

struct world {
    char dir[64], path[96];
    sqlite3 *eye; /* looks at the database from outside */
    sqlite3 *db;  /* the application's own connection, where a case has one */
    outbox *ob;
    outbox_reader *r;
    outbox_pool *pool;
    struct stream_writer w;
    char committed[512], before[512], after[512]; /* states: when ready was done, and around the call */
    int64_t seq, last;                            /* what a reader was handed, and what there is */
    int n;                                        /* counts the runs of a case */
    const struct oom_case *c;
    enum fault fault;
    int refused; /* the code that follows from it */
};

static const char *const fault_words[] = {"allocation", "step", "request"};

enum {
    WRITES = 1,      /* a call that is OK changes the database */
    FRESH = 2,       /* over and ready come before the call can be made again */
    OF_ANOTHER = 16, /* the call is about another database, and its case looks there itself */
    NEEDS_NONE = 8,  /* a call that must not allocate at all */
    LONG = 32,       /* a call of thousands of allocations: a smaller part of them is taken */
    UTF16 = 4        /* in a database of that encoding each text is converted, into memory */
};

struct oom_case {
    const char *name;
    void (*ready)(struct world *); /* what the call needs */
    int (*call)(struct world *);   /* the call; what it hands out it checks */
    void (*over)(struct world *);  /* closes what the two have opened */
    int is;                        /* of the flags above */
};

/* What there is, and behind the last slash how much of it is wrong. */
static const char sql_state[] =
    "SELECT (SELECT count(*) || '/' || coalesce(sum(revision), 0) FROM things) || ' ' ||"
    " (SELECT count(*) || '/' || coalesce(max(seq), 0) FROM change_log) || ' ' || (SELECT count(*) FROM outbox) || ' ' ||"
    " (SELECT count(*) || '/' || coalesce(sum(acked_seq), 0) || '/' || coalesce(sum(lease_token), 0) || '/' ||"
    "    count(reads) || '/' || count(nullif(consumer, '')) FROM consumer_offsets) || ' wrong:' ||"
    " ((SELECT count(*) FROM change_log AS c WHERE topic IS NULL OR key IS NULL OR created_at IS NULL OR op IS NULL"
    "       OR (op <> 'delete' AND payload IS NULL) OR (op <> 'emit' AND table_name IS NULL)"
    "       OR NOT EXISTS (SELECT 1 FROM outbox WHERE seq = c.seq)) +"
    "  (SELECT count(*) FROM things AS t WHERE revision IS NOT (SELECT revision FROM change_log"
    "     WHERE table_name = 'things' AND key = t.id ORDER BY seq DESC LIMIT 1)))";

static void state_of(sqlite3 *db, char text[512])
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db, sql_state, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        fail_msg("%s", sqlite3_errmsg(db));
    snprintf(text, 512, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    if (!strstr(text, " wrong:0"))
        fail_msg("half a write: %s", text);
}

/* As a call's transaction sees it, if it is in one; else as it is committed. */
static void look(struct world *w, char text[512])
{
    if (w->c->is & OF_ANOTHER) {
        strcpy(text, "");
        return;
    }
    state_of(w->ob && !sqlite3_get_autocommit(outbox_db(w->ob)) ? outbox_db(w->ob) : w->eye, text);
}

static void ready_now(const struct oom_case *c, struct world *w)
{
    if (w->n++ % 32 == 0)
        sql_on(w->eye, "DELETE FROM things; DELETE FROM outbox; DELETE FROM change_log;"
                       "DELETE FROM consumer_offsets; PRAGMA wal_checkpoint");
    if (c->ready)
        c->ready(w);
    state_of(w->eye, w->committed);
    look(w, w->before);
}

static void again(const struct oom_case *c, struct world *w, long k)
{
    if (c->is & FRESH) {
        c->over(w);
        ready_now(c, w);
    }
    int code = c->call(w);
    if (code != OUTBOX_OK)
        fail_msg("%s: after %s %ld had failed: %s (%s)", c->name, fault_words[w->fault], k, outbox_strerror(code),
                 outbox_errmsg(w->ob));
}

/* False: the call has fewer than k allocations. */
static bool fail_kth(const struct oom_case *c, struct world *w, long k, bool for_good)
{
    long ours = alloc_ours;
    ready_now(c, w);
    alloc_arm(k, for_good);
    int code = c->call(w);
    bool failed = alloc_disarm();
    if (code != OUTBOX_OK && (code != w->refused || !failed))
        fail_msg("%s: %s %ld%s: %s (%s)", c->name, fault_words[w->fault], k, for_good ? " and all after it" : "",
                 outbox_strerror(code), outbox_errmsg(w->ob));
    look(w, w->after);
    if ((strcmp(w->before, w->after) == 0) != (code != OUTBOX_OK || !(c->is & WRITES)))
        fail_msg("%s: %s %ld: %s, but was %s, is %s", c->name, fault_words[w->fault], k, outbox_strerror(code),
                 w->before, w->after);
    if (code != OUTBOX_OK)
        again(c, w, k);
    c->over(w);
    look(w, w->after);
    if (alloc_ours != ours)
        fail_msg("%s: %s %ld: %ld blocks leak", c->name, fault_words[w->fault], k, alloc_ours - ours);
    return failed;
}

/* The first ones are of our making; each is worth its while. */
static void every_kth_fails(struct world *w, int step)
{
    const struct oom_case *c = w->c;
    const char *every = getenv("OOM_EVERY");
    if (every)
        step = atoi(every);
    for (int for_good = 0; for_good < (c->is & LONG && !every ? 1 : 2); for_good++) {
        long k = 1, met = 0;
        while (fail_kth(c, w, k, for_good)) {
            met++;
            k += k < 8 ? 1 : c->is & LONG && !every && k > 2 * step ? k / 2 : step;
        }
        if ((met == 0) != !!(c->is & NEEDS_NONE) && w->fault == FAULT_MEMORY)
            fail_msg("%s: %ld allocations were refused", c->name, met);
        print_message("# %s: %ld %ss, %ld refused%s\n", c->name, k, fault_words[w->fault], met,
                      for_good ? ", with all after" : "");
    }
}

static void every_allocation_fails(void **state)
{
    every_kth_fails(*state, 41);
}

static void every_step_is_interrupted(void **state)
{
    every_kth_fails(*state, 29);
}

static void every_request_is_denied(void **state)
{
    every_kth_fails(*state, 7);
}

/* ---- The world ---- */

static const char sql_world[] =
    "CREATE TABLE things(id TEXT PRIMARY KEY, note TEXT, data BLOB, n INTEGER, revision INTEGER NOT NULL DEFAULT 1)";

/* *state comes as the case and goes as a world. */
static inline int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->c = *state;
    w->refused = OUTBOX_NOMEM;
    /* In memory where that can be had: nothing here asks for a disk. */
    snprintf(w->dir, sizeof w->dir, "%s/outbox-test-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/test.db", w->dir);
    assert_int_equal(sqlite3_open(w->path, &w->eye), SQLITE_OK);
    sql_on(w->eye, w->c->is & UTF16 ? "PRAGMA encoding = 'UTF-16'" : "PRAGMA encoding = 'UTF-8'");
    sql_on(w->eye, "PRAGMA journal_mode = WAL");
    sql_on(w->eye, outbox_schema_sql());
    sql_on(w->eye, sql_world);
    writer_init(&w->w, w->dir);
    *state = w;
    return 0;
}

/* Its connections are watched from the first on; the eye's too, while nothing is armed. */
static inline int interrupted_setup(void **state)
{
    fault_choose(FAULT_INTERRUPT);
    int rc = world_setup(state);
    struct world *w = *state;
    w->fault = FAULT_INTERRUPT;
    w->refused = OUTBOX_INTERRUPTED;
    return rc;
}

static inline int denied_setup(void **state)
{
    fault_choose(FAULT_DENIED);
    int rc = world_setup(state);
    struct world *w = *state;
    w->fault = FAULT_DENIED;
    w->refused = OUTBOX_ERROR;
    return rc;
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    char command[128];
    alloc_disarm();
    outbox_reader_close(w->r);
    outbox_pool_close(w->pool);
    outbox_close(w->ob);
    sqlite3_close(w->db);
    sqlite3_close(w->eye);
    writer_fini(&w->w);
    snprintf(command, sizeof command, "rm -rf %s", w->dir);
    int rc = system(command);
    free(w);
    sqlite3_shutdown(); /* nothing is watched any more */
    fault_choose(FAULT_MEMORY);
    if (sqlite3_memory_used() != 0) {
        print_error("SQLite: %lld bytes leak\n", (long long)sqlite3_memory_used());
        rc = -1;
    }
    return rc;
}

/* synchronous NORMAL: nobody pulls the plug here. */
static inline void open_handle(struct world *w)
{
    outbox_open_options o = {.size = sizeof o, .flags = OUTBOX_OPEN_NO_MIGRATE, .synchronous = OUTBOX_SYNC_NORMAL};
    int code = outbox_open(w->path, &o, &w->ob);
    if (code != OUTBOX_OK)
        fail_msg("open: %s", outbox_errmsg(NULL));
}

static inline void close_handle(struct world *w)
{
    outbox_close(w->ob);
    w->ob = NULL;
}

/* One test a case and fault. A fault that ends a call needs a case only once, not in each encoding. */
static inline int run_cases(const char *name, struct oom_case *cases, size_t count)
{
    struct CMUnitTest tests[128];
    size_t n = 0;
    assert_true(count * 3 <= sizeof tests / sizeof *tests);
    for (size_t i = 0; i < count; i++) {
        struct oom_case *c = &cases[i];
        tests[n++] = (struct CMUnitTest){c->name, every_allocation_fails, world_setup, world_teardown, c};
        if (c->is & (UTF16 | NEEDS_NONE))
            continue;
        tests[n++] = (struct CMUnitTest){c->name, every_step_is_interrupted, interrupted_setup, world_teardown, c};
        tests[n++] = (struct CMUnitTest){c->name, every_request_is_denied, denied_setup, world_teardown, c};
    }
    if (!alloc_take_sqlite())
        return 1;
    return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

#endif

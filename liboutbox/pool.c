/* pool.c — group commit: the threads of one process share transactions, and with them the syncs.
 *
 * Callers queue up, each with an entry on its own stack, and sleep. The writer thread takes all that wait, runs them in
 * one transaction, each in a savepoint of its own, commits, and wakes them. While it syncs the next group gathers: the
 * slower the disk, the larger the groups, with nothing to tune and no timer. A caller that finds nobody writing does not
 * wait for the thread to wake: it is a group of one and writes itself.
 *
 * The invariant: a caller is woken with OUTBOX_OK only after the COMMIT that holds its work has succeeded. Where a group
 * comes to nothing, every member runs again alone, those too that had failed: what they saw is undone.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"

/* A transaction keeps other processes waiting, so a group ends somewhere. */
enum { GROUP_MAX = 256 };

/* One outbox_pool_run() under way. */
struct member {
    int (*work)(outbox *, void *);
    void *arg;
    int code;
    char *message; /* the calling thread's: MESSAGE_SIZE bytes */
    sem_t answered;
    struct member *next;
};

struct outbox_pool {
    outbox *ob; /* whoever has set `writing` owns it, and the fields up to the lock */
    pid_t pid;
    pthread_t writer;
    bool may_commit;  /* the commit under way is the pool's own */
    bool rolled_back; /* the transaction has come to nothing since it began */
    sqlite3_stmt *savepoint, *release, *rollback_to;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t to_do; /* for the writer thread: somebody waits and nobody writes, or the pool closes */
    bool writing;
    bool crowded;                /* the last group had several members, who are on their way back */
    pthread_t by;                /* who writes */
    struct member *first, **end; /* in order of arrival */
    bool closing;
};

/* ---- One piece of work ---- */

/* Runs in SQLite's commit, and turns one that is not ours into a rollback. */
static int refuse_foreign_commit(void *arg)
{
    const outbox_pool *pool = arg;
    return !pool->may_commit;
}

static void note_rollback(void *arg)
{
    outbox_pool *pool = arg;
    pool->rolled_back = true;
}

static int pool_begin(outbox_pool *pool)
{
    pool->rolled_back = false;
    return outbox_begin(pool->ob);
}

/* The work has ended the transaction, or SQLite has; whether the work has begun another since makes no difference. */
static bool ended(const outbox_pool *pool)
{
    return pool->rolled_back || sqlite3_get_autocommit(pool->ob->db);
}

static int pool_commit(outbox_pool *pool)
{
    pool->may_commit = true;
    int code = outbox_commit(pool->ob);
    pool->may_commit = false;
    return code;
}

static void answer(outbox *ob, struct member *m, int code)
{
    m->code = code;
    if (code != OUTBOX_OK && ob->message[0])
        sqlite3_snprintf(MESSAGE_SIZE, m->message, "%s", ob->message);
    else if (code != OUTBOX_OK)
        sqlite3_snprintf(MESSAGE_SIZE, m->message, "the work returned %d", code);
}

/* The transaction has ended under the work: by SQLite's hand (a write has noted why), or by its own. */
static int why_ended(outbox *ob, int code)
{
    if (ob->aborted)
        return ob->cause;
    if (code != OUTBOX_OK)
        return code;
    return fail(ob, OUTBOX_MISUSE, "the work ended the pool's transaction; it must neither commit nor roll back");
}

/* In a transaction of its own: the answer is its own, whatever happens. */
static void run_alone(outbox_pool *pool, struct member *m)
{
    outbox *ob = pool->ob;
    int code = pool_begin(pool);
    if (code == OUTBOX_OK) {
        code = m->work(ob, m->arg);
        if (ended(pool))
            code = why_ended(ob, code);
        else if (code == OUTBOX_OK)
            code = pool_commit(pool);
    }
    answer(ob, m, code);
    outbox_rollback(ob); /* of what is still open */
}

/* Inside the group's transaction. False: the transaction has come to nothing. */
static bool run_as_member(outbox_pool *pool, struct member *m)
{
    outbox *ob = pool->ob;
    if (statement_run(pool->savepoint) != SQLITE_OK)
        return false;
    ob->message[0] = '\0';
    int code = m->work(ob, m->arg);
    answer(ob, m, code);
    if (ended(pool))
        return false;
    if (code != OUTBOX_OK && statement_run(pool->rollback_to) != SQLITE_OK)
        return false;
    return statement_run(pool->release) == SQLITE_OK;
}

/* ---- A group ---- */

static bool run_together(outbox_pool *pool, struct member *group)
{
    for (struct member *m = group; m; m = m->next)
        if (!run_as_member(pool, m))
            return false;
    return pool_commit(pool) == OUTBOX_OK;
}

static void run_group(outbox_pool *pool, struct member *group)
{
    if (!group->next) {
        run_alone(pool, group);
        return;
    }
    int code = pool_begin(pool);
    if (code != OUTBOX_OK) { /* none has run: one answer for all, not one wait for the lock each */
        for (struct member *m = group; m; m = m->next)
            answer(pool->ob, m, code);
        return;
    }
    if (run_together(pool, group))
        return;
    outbox_rollback(pool->ob);
    for (struct member *m = group; m; m = m->next)
        run_alone(pool, m);
}

/* ---- Who writes ---- */

static void take_over(outbox_pool *pool)
{
    pool->writing = true;
    pool->by = pthread_self();
}

static void hand_over(outbox_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->writing = false;
    if (pool->first || pool->closing)
        pthread_cond_signal(&pool->to_do);
    pthread_mutex_unlock(&pool->lock);
}

/* All that wait, GROUP_MAX at the most, the oldest first. */
static struct member *take_group(outbox_pool *pool)
{
    struct member *group = pool->first, *last = group;
    for (int n = 1; last && last->next && n < GROUP_MAX; n++)
        last = last->next;
    if (!last)
        return NULL;
    pool->first = last->next;
    last->next = NULL;
    if (!pool->first)
        pool->end = &pool->first;
    return group;
}

/* The next group, and the right to write it. NULL: the pool is closed and nobody waits. */
static struct member *next_group(outbox_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->writing || (!pool->first && !pool->closing))
        pthread_cond_wait(&pool->to_do, &pool->lock);
    struct member *group = take_group(pool);
    if (group) {
        take_over(pool);
        pool->crowded = group->next != NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    return group;
}

static void *write_groups(void *arg)
{
    outbox_pool *pool = arg;
    struct member *group;
    while ((group = next_group(pool))) {
        run_group(pool, group);
        hand_over(pool);
        while (group) {
            struct member *next = group->next; /* once answered, the entry is its caller's again, and gone */
            sem_post(&group->answered);
            group = next;
        }
    }
    return NULL;
}

/* ---- Open, run, close ---- */

static int prepare(outbox *ob, const char *sql, sqlite3_stmt **st)
{
    int rc = sqlite3_prepare_v3(ob->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, sql);
}

static int prepare_savepoints(outbox_pool *pool)
{
    int code = prepare(pool->ob, "SAVEPOINT outbox_member", &pool->savepoint);
    if (code == OUTBOX_OK)
        code = prepare(pool->ob, "RELEASE outbox_member", &pool->release);
    if (code == OUTBOX_OK)
        code = prepare(pool->ob, "ROLLBACK TO outbox_member", &pool->rollback_to);
    return code;
}

/* The application's signal handlers belong to its own threads. */
static int start_writer(outbox_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&pool->writer, NULL, write_groups, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? fail(pool->ob, OUTBOX_NOMEM, "the pool's thread: %s", strerror(error)) : OUTBOX_OK;
}

static void pool_free(outbox_pool *pool)
{
    if (pool->pid == getpid()) { /* in a forked child the connection is the parent's */
        sqlite3_finalize(pool->savepoint);
        sqlite3_finalize(pool->release);
        sqlite3_finalize(pool->rollback_to);
        pthread_cond_destroy(&pool->to_do);
        pthread_mutex_destroy(&pool->lock);
    }
    outbox_close(pool->ob);
    free(pool);
}

int outbox_pool_open(const char *path, const outbox_open_options *options, outbox_pool **out)
{
    outbox *ob;
    if (!out) {
        sqlite3_snprintf(MESSAGE_SIZE, thread_message(), "outbox_pool_open: out is NULL");
        return OUTBOX_MISUSE;
    }
    int code = outbox_open(path, options, &ob);
    if (code != OUTBOX_OK)
        return code;
    outbox_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        outbox_close(ob);
        sqlite3_snprintf(MESSAGE_SIZE, thread_message(), "%s", outbox_strerror(OUTBOX_NOMEM));
        return OUTBOX_NOMEM;
    }
    *pool = (outbox_pool){.ob = ob, .pid = getpid(), .end = &pool->first};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->to_do, NULL);
    sqlite3_commit_hook(ob->db, refuse_foreign_commit, pool);
    sqlite3_rollback_hook(ob->db, note_rollback, pool);
    code = prepare_savepoints(pool);
    if (code == OUTBOX_OK)
        code = start_writer(pool);
    if (code != OUTBOX_OK) {
        sqlite3_snprintf(MESSAGE_SIZE, thread_message(), "%s", ob->message);
        pool_free(pool);
        return code;
    }
    *out = pool;
    return OUTBOX_OK;
}

static int refuse_run(const char *why)
{
    sqlite3_snprintf(MESSAGE_SIZE, thread_message(), "outbox_pool_run: %s", why);
    return OUTBOX_MISUSE;
}

enum turn { WRITES_ITSELF, WAITS_IN_LINE, IS_NESTED, IS_TOO_LATE };

static enum turn line_up(outbox_pool *pool, struct member *m)
{
    enum turn turn = WAITS_IN_LINE;
    pthread_mutex_lock(&pool->lock);
    if (pool->writing && pthread_equal(pool->by, pthread_self())) {
        turn = IS_NESTED;
    } else if (pool->closing) {
        turn = IS_TOO_LATE;
    } else if (!pool->writing && !pool->first && !pool->crowded) {
        turn = WRITES_ITSELF;
        take_over(pool);
    } else {
        *pool->end = m;
        pool->end = &m->next;
        if (!pool->writing)
            pthread_cond_signal(&pool->to_do);
    }
    pthread_mutex_unlock(&pool->lock);
    return turn;
}

int outbox_pool_run(outbox_pool *pool, int (*work)(outbox *, void *), void *arg)
{
    if (!pool || !work)
        return refuse_run("pool or work is NULL");
    if (pool->pid != getpid())
        return refuse_run("the pool was opened by another process; open one of your own after fork");
    struct member m = {.work = work, .arg = arg, .message = thread_message()};
    sem_init(&m.answered, 0, 0);
    switch (line_up(pool, &m)) {
    case WRITES_ITSELF:
        run_alone(pool, &m);
        hand_over(pool);
        break;
    case WAITS_IN_LINE:
        while (sem_wait(&m.answered) != 0)
            ; /* EINTR: a signal of the caller's; the work is in line and its answer is due */
        break;
    case IS_NESTED:
        m.code = refuse_run("called by a piece of work of the same pool, which would wait for itself");
        break;
    case IS_TOO_LATE: m.code = refuse_run("the pool is being closed"); break;
    }
    sem_destroy(&m.answered);
    return m.code;
}

void outbox_pool_close(outbox_pool *pool)
{
    if (!pool)
        return;
    if (pool->pid == getpid()) {
        pthread_mutex_lock(&pool->lock);
        pool->closing = true;
        pthread_cond_signal(&pool->to_do);
        pthread_mutex_unlock(&pool->lock);
        pthread_join(pool->writer, NULL);
    }
    pool_free(pool);
}

/* transaction.c — begin, commit, rollback, and the scope of a single write.
 *
 * The invariant: after a failed call nothing of it is in the database, and nobody goes on writing into a transaction
 * that SQLite has ended on its own (full disk, I/O error, ON CONFLICT ROLLBACK). sqlite3_get_autocommit() is looked at
 * whenever a statement has failed.
 */
#include "handle.h"
#include "transaction.h"

static int run(outbox *ob, enum statement which, const char *what)
{
    int code;
    sqlite3_stmt *st = handle_statement(ob, which, &code);
    if (!st)
        return code;
    int rc = statement_run(st);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, what);
}

/* Rolls back and keeps the message of the failure that led here. */
static void rollback_quietly(outbox *ob)
{
    statement_run(ob->statements[ST_ROLLBACK]);
    ob->owes_rollback = !sqlite3_get_autocommit(ob->db); /* a schema change may have cost us the statement */
}

static int refuse_aborted(outbox *ob)
{
    return fail(ob, OUTBOX_ABORTED,
                "SQLite has rolled back the transaction that was open; call outbox_rollback and start it again");
}

/* The transaction that ended with code is gone. A disk that was full has the WAL's room again after a checkpoint. */
static int relieve(outbox *ob, int code)
{
    if (code == OUTBOX_FULL && ob->keeps_wal)
        wal_keeper_relieve(&ob->keeper);
    return code;
}

/* COMMIT, and whatever it says no transaction is open afterwards. */
static int commit(outbox *ob)
{
    int code = run(ob, ST_COMMIT, "commit");
    if (!sqlite3_get_autocommit(ob->db))
        rollback_quietly(ob);
    else if (code == OUTBOX_INTERRUPTED)
        code = OUTBOX_OK; /* too late: an interrupt rolls nothing back here, so the transaction ended by its commit */
    /* The commit stands; a checkpoint that could not be made now is made after a later one. */
    if (code == OUTBOX_OK && ob->keeps_wal)
        wal_keeper_tend(&ob->keeper);
    return relieve(ob, code);
}

/* A progress handler can interrupt BEGIN when it is done: a transaction that nobody knows of must not stay open. */
static int begin(outbox *ob)
{
    int code = run(ob, ST_BEGIN, "begin");
    if (code != OUTBOX_OK && !sqlite3_get_autocommit(ob->db))
        rollback_quietly(ob);
    return code;
}

int outbox_begin(outbox *ob)
{
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!sqlite3_get_autocommit(ob->db))
        return fail(ob, OUTBOX_MISUSE, "a transaction is already open; commit it or roll it back first");
    ob->began = ob->aborted = false;
    code = begin(ob);
    ob->began = code == OUTBOX_OK;
    return code;
}

int outbox_commit(outbox *ob)
{
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    bool open = !sqlite3_get_autocommit(ob->db), lost = ob->began || ob->aborted;
    ob->began = ob->aborted = false;
    if (!open && lost)
        return fail(ob, OUTBOX_ABORTED, "nothing was committed: SQLite had rolled the transaction back");
    if (!open)
        return fail(ob, OUTBOX_MISUSE, "there is no transaction to commit");
    return commit(ob);
}

int outbox_rollback(outbox *ob)
{
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    ob->began = ob->aborted = false;
    if (sqlite3_get_autocommit(ob->db))
        return OUTBOX_OK;
    code = run(ob, ST_ROLLBACK, "rollback");
    return sqlite3_get_autocommit(ob->db) ? OUTBOX_OK : code;
}

/* A deferred transaction that only reads so far takes the write lock now: were we to read the row first, another
 * connection's commit in between would make our write fail at once, whatever the busy timeout. */
static int take_write_lock(outbox *ob)
{
    if (sqlite3_txn_state(ob->db, "main") == SQLITE_TXN_WRITE)
        return OUTBOX_OK;
    return run(ob, ST_TAKE_WRITE_LOCK, "write lock");
}

int scope_join(outbox *ob, struct scope *scope)
{
    *scope = (struct scope){0};
    int code;
    if (sqlite3_get_autocommit(ob->db)) {
        if (ob->began || ob->aborted)
            return refuse_aborted(ob);
        /* Outside a transaction only a statement in progress can be writing: a COMMIT of ours would fail. */
        scope->statement = sqlite3_txn_state(ob->db, NULL) == SQLITE_TXN_WRITE;
        if (scope->statement)
            return take_write_lock(ob);
        code = begin(ob);
        scope->own = code == OUTBOX_OK;
    } else {
        ob->aborted = false; /* a BEGIN since: the application has understood */
        code = take_write_lock(ob);
    }
    return code;
}

int scope_enter(outbox *ob, struct scope *scope)
{
    *scope = (struct scope){0};
    /* Attached to a database without our tables: say so before a statement trips over the first one missing. */
    int code = ob->data_version < 0 ? handle_refresh(ob) : OUTBOX_OK;
    if (code == OUTBOX_OK)
        code = scope_join(ob, scope);
    if (code == OUTBOX_ERROR) {
        int why = handle_refresh(ob); /* the lock is taken on a table of ours: not there any more? */
        return why == OUTBOX_OK ? code : why;
    }
    if (code != OUTBOX_OK)
        return code;
    code = handle_refresh(ob);
    return code == OUTBOX_OK ? OUTBOX_OK : scope_leave(ob, scope, code);
}

int scope_protect(outbox *ob, struct scope *scope)
{
    if (scope->own || scope->protected)
        return OUTBOX_OK; /* our own transaction is rolled back as a whole */
    int code = run(ob, ST_SAVEPOINT, "savepoint");
    scope->protected = code == OUTBOX_OK;
    if (code != OUTBOX_BUSY)
        return code;
    /* A savepoint waits for no lock: a statement that writes is in progress. */
    scope->bare = true;
    scope->changes = sqlite3_total_changes(ob->db);
    return OUTBOX_OK;
}

static int leave_own(outbox *ob, int code)
{
    if (code == OUTBOX_OK)
        return commit(ob);
    if (!sqlite3_get_autocommit(ob->db))
        rollback_quietly(ob);
    return relieve(ob, code);
}

/* SQLite has ended the application's transaction under us: all of it is gone, not only our part. */
static int leave_aborted(outbox *ob, int cause_code)
{
    char cause[MESSAGE_SIZE];
    sqlite3_snprintf(sizeof cause, cause, "%s", ob->message);
    ob->aborted = true;
    ob->cause = relieve(ob, cause_code);
    return fail(ob, OUTBOX_ABORTED, "SQLite has rolled the whole transaction back: %s", cause);
}

/* The transaction that was joined is gone. */
static bool ended(outbox *ob, const struct scope *scope)
{
    return scope->statement ? sqlite3_txn_state(ob->db, "main") != SQLITE_TXN_WRITE : sqlite3_get_autocommit(ob->db);
}

/* Half a write with no savepoint to go back to: a row without its event must not be committed. */
static void undo_everything(outbox *ob)
{
    if (sqlite3_get_autocommit(ob->db)) /* there is no ROLLBACK outside a transaction, and BEGIN may join it */
        statement_run(ob->statements[ST_BEGIN_AROUND]);
    rollback_quietly(ob);
}

/* Back to the savepoint; where that can't be had, back to where the transaction began. False: to there. */
static bool undo(outbox *ob)
{
    if (statement_run(ob->statements[ST_ROLLBACK_TO]) != SQLITE_OK ||
        statement_run(ob->statements[ST_RELEASE]) != SQLITE_OK)
        rollback_quietly(ob);
    return !sqlite3_get_autocommit(ob->db);
}

int scope_leave(outbox *ob, struct scope *scope, int code)
{
    if (scope->own)
        return leave_own(ob, code);
    if (scope->bare && code != OUTBOX_OK && sqlite3_total_changes(ob->db) != scope->changes)
        undo_everything(ob);
    if (ended(ob, scope))
        return leave_aborted(ob, code);
    if (!scope->protected)
        return code;
    scope->protected = false;
    if (code == OUTBOX_OK)
        code = run(ob, ST_RELEASE, "release savepoint");
    if (code == OUTBOX_OK)
        return OUTBOX_OK;
    return undo(ob) ? code : leave_aborted(ob, code);
}

int scope_discard(outbox *ob, struct scope *scope)
{
    /* Any code but OUTBOX_OK undoes; its own failure to do so is the only one worth telling. */
    int code = scope_leave(ob, scope, OUTBOX_CONFLICT);
    return code == OUTBOX_CONFLICT ? OUTBOX_OK : code;
}

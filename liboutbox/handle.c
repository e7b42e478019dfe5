/* handle.c — opening, attaching and closing; the handle's own statements; checks that every call begins with.
 *
 * What the connection is told: WAL, synchronous FULL, a busy timeout, foreign keys on. An attached connection is told
 * nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"
#include "json_scan.h"
#include "schema.h"
#include "table.h"
#include "utf8.h"

static const char *const statement_sql[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_BEGIN_AROUND] = "BEGIN",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_SAVEPOINT] = "SAVEPOINT outbox_write",
    [ST_RELEASE] = "RELEASE outbox_write",
    [ST_ROLLBACK_TO] = "ROLLBACK TO outbox_write",
    [ST_TAKE_WRITE_LOCK] = "DELETE FROM main.consumer_offsets WHERE 0",
    [ST_DATA_VERSION] = "PRAGMA main.data_version",
    [ST_SCHEMA_COOKIE] = "PRAGMA main.schema_version",
    [ST_LOG] =
        "INSERT INTO main.change_log(topic, table_name, key, ordering_key, op, revision, before, payload, headers,"
        " created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [ST_OWE] = "INSERT INTO main.outbox(seq) VALUES (?1)",
    [ST_LAST_DELETE] = "SELECT revision FROM main.change_log WHERE op = 'delete' AND table_name = ?1 AND key = ?2"
                       " ORDER BY seq DESC LIMIT 1",
    [ST_LAST_SEQ] = "SELECT coalesce(max(seq), 0) FROM main.change_log",
    [ST_LOGGED] = "SELECT coalesce(max(seq), 0) FROM main.change_log WHERE seq > ?1 AND table_name = ?2 AND key = ?3",
    [ST_RELABEL] = "UPDATE main.change_log SET topic = coalesce(?4, topic),"
                   " ordering_key = coalesce(?5, ordering_key), headers = coalesce(?6, headers)"
                   " WHERE seq > ?1 AND table_name = ?2 AND key = ?3",
};

enum { BUSY_TIMEOUT_MS = 5000, JOURNAL_RETRY_MS = 5 };

char *thread_message(void)
{
    static _Thread_local char message[MESSAGE_SIZE];
    return message;
}

int options_check(const void *options, size_t known_size)
{
    size_t size;
    if (!options)
        return OUTBOX_OK;
    memcpy(&size, options, sizeof size);
    if (size < sizeof size)
        return OUTBOX_INVALID;
    const unsigned char *bytes = options;
    for (size_t i = known_size; i < size; i++)
        if (bytes[i])
            return OUTBOX_INVALID;
    return OUTBOX_OK;
}

/* Nobody may go on in a transaction that should have been rolled back. */
static int make_good(outbox *ob)
{
    if (!sqlite3_get_autocommit(ob->db)) {
        int rc = sqlite3_exec(ob->db, "ROLLBACK", NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return fail_sqlite(ob, rc, "undoing what failed before");
    }
    ob->owes_rollback = false;
    return OUTBOX_OK;
}

int handle_enter(outbox *ob)
{
    if (!ob)
        return OUTBOX_MISUSE;
    if (ob->pid != getpid())
        return fail(ob, OUTBOX_MISUSE,
                    "the handle was opened by another process (pid %d); open one of your own after fork", (int)ob->pid);
    ob->message[0] = '\0';
    return ob->owes_rollback ? make_good(ob) : OUTBOX_OK;
}

sqlite3_stmt *handle_statement(outbox *ob, enum statement which, int *code)
{
    sqlite3_stmt **st = &ob->statements[which];
    *code = OUTBOX_OK;
    if (!*st) {
        int rc = sqlite3_prepare_v3(ob->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
        if (rc != SQLITE_OK)
            *code = fail_sqlite(ob, rc, "outbox tables");
    }
    return *st;
}

/* What undoes a write must be at hand when memory is short: prepared before there is anything to undo. */
static int prepare_undo(outbox *ob)
{
    static const enum statement undoes[] = {ST_ROLLBACK, ST_BEGIN_AROUND, ST_ROLLBACK_TO, ST_RELEASE};
    int code = OUTBOX_OK;
    for (size_t i = 0; code == OUTBOX_OK && i < sizeof undoes / sizeof *undoes; i++)
        handle_statement(ob, undoes[i], &code);
    return code;
}

int statement_run(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int handle_refresh(outbox *ob)
{
    int code;
    sqlite3_stmt *st = handle_statement(ob, ST_DATA_VERSION, &code);
    if (!st)
        return code;
    int rc = sqlite3_step(st);
    int64_t version = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    /* Of the connection's own changes data_version does not tell. Our tables, made and rolled back again, are another
     * source when next made; but then SQLite has expired the connection's statements, this one too. */
    int expiries = sqlite3_stmt_status(st, SQLITE_STMTSTATUS_REPREPARE, 0);
    sqlite3_reset(st);
    if (rc != SQLITE_ROW)
        return fail_sqlite(ob, rc, "data_version");
    if (version == ob->data_version && expiries == ob->expiries)
        return OUTBOX_OK;
    struct schema_info info;
    ob->data_version = -1;
    code = schema_check(ob->db, &info, ob->message, sizeof ob->message);
    message_tidy(ob->message);
    if (code != OUTBOX_OK)
        return code;
    ob->data_version = version;
    ob->expiries = expiries;
    ob->max_payload_bytes = info.max_payload_bytes;
    memcpy(ob->source, info.source, sizeof ob->source);
    return OUTBOX_OK;
}

/* ---- Options of a write ---- */

static int check_headers(outbox *ob, const char *headers)
{
    struct json_error error;
    struct json_walk walk;
    struct json_value name, value;
    size_t size = strlen(headers);
    if (!json_check(headers, size, &error))
        return fail(ob, OUTBOX_INVALID, "headers: %s at byte %zu", error.reason, error.offset);
    struct json_value whole;
    if (!json_value_of(headers, size, &whole) || whole.type != JSON_OBJECT || !json_walk_begin(&walk, headers, size))
        return fail(ob, OUTBOX_INVALID, "headers: not a JSON object");
    while (json_walk_member(&walk, &name, &value))
        if (value.type != JSON_STRING)
            return fail(ob, OUTBOX_INVALID, "headers: the value of \"%.*s\" is not a string", (int)name.size,
                        name.text);
    return OUTBOX_OK;
}

static int check_text(outbox *ob, const char *what, const char *text)
{
    size_t offset;
    if (text && !utf8_valid(text, strlen(text), &offset))
        return fail(ob, OUTBOX_INVALID, "%s: malformed UTF-8 at byte %zu", what, offset);
    return OUTBOX_OK;
}

int write_options_read(outbox *ob, const outbox_write_options *options, outbox_write_options *out)
{
    *out = (outbox_write_options){.size = sizeof *out};
    if (!options)
        return OUTBOX_OK;
    if (options_check(options, sizeof *out) != OUTBOX_OK)
        return fail(ob, OUTBOX_INVALID, "write options: size is not set, or an option this library does not know is");
    memcpy(out, options, options->size < sizeof *out ? options->size : sizeof *out);
    if (out->flags & ~(OUTBOX_SKIP_UNCHANGED | OUTBOX_BLOB))
        return fail(ob, OUTBOX_INVALID, "write options: unknown flag in 0x%x", (unsigned)out->flags);
    if (out->topic && !*out->topic)
        return fail(ob, OUTBOX_INVALID, "topic: empty; leave it NULL for the default");
    int code = check_text(ob, "topic", out->topic);
    if (code == OUTBOX_OK)
        code = check_text(ob, "ordering_key", out->ordering_key);
    if (code == OUTBOX_OK && out->headers)
        code = check_headers(ob, out->headers);
    return code;
}

/* ---- Open, attach, close ---- */

static int no_handle(outbox *ob, int code)
{
    sqlite3_snprintf(MESSAGE_SIZE, thread_message(), "%s", ob ? ob->message : outbox_strerror(code));
    message_tidy(thread_message());
    outbox_close(ob);
    return code;
}

static outbox *new_handle(void)
{
    outbox *ob = calloc(1, sizeof *ob);
    if (ob) {
        ob->pid = getpid();
        ob->data_version = -1;
    }
    return ob;
}

static int exec(outbox *ob, const char *sql)
{
    int rc = sqlite3_exec(ob->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, sql);
}

/* Two processes that create the file together: one gets BUSY at once, without the busy handler being asked. */
static int set_wal(outbox *ob, int timeout_ms)
{
    int rc, waited_ms = 0;
    while ((rc = sqlite3_exec(ob->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) == SQLITE_BUSY &&
           waited_ms < timeout_ms)
        waited_ms += sqlite3_sleep(JOURNAL_RETRY_MS);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, "journal_mode = WAL");
}

static int configure(outbox *ob, const outbox_open_options *o)
{
    int timeout_ms = o->busy_timeout_ms ? o->busy_timeout_ms : BUSY_TIMEOUT_MS;
    sqlite3_busy_timeout(ob->db, timeout_ms < 0 ? 0 : timeout_ms);
    int code = set_wal(ob, timeout_ms);
    if (code == OUTBOX_OK)
        code = exec(ob,
                    o->synchronous == OUTBOX_SYNC_NORMAL ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
    if (code == OUTBOX_OK)
        code = exec(ob, "PRAGMA foreign_keys = ON");
    if (code == OUTBOX_OK && !(o->flags & OUTBOX_OPEN_NO_MIGRATE))
        code = schema_migrate(ob->db, schema_migrations, SCHEMA_VERSION, ob->message, sizeof ob->message);
    if (code == OUTBOX_OK)
        code = prepare_undo(ob);
    if (code == OUTBOX_OK)
        code = handle_refresh(ob);
    return code;
}

static int open_database(outbox *ob, const char *path, const outbox_open_options *o)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOMUTEX;
    if (!(o->flags & OUTBOX_OPEN_EXISTING))
        flags |= SQLITE_OPEN_CREATE;
    else if (access(path, F_OK) != 0)
        return fail(ob, OUTBOX_NOT_FOUND, "%s: no such file", path);
    int rc = sqlite3_open_v2(path, &ob->db, flags, NULL);
    if (rc == SQLITE_OK)
        return OUTBOX_OK;
    return ob->db ? fail_sqlite(ob, rc, path) : fail(ob, OUTBOX_NOMEM, "%s: out of memory", path);
}

int outbox_open(const char *path, const outbox_open_options *options, outbox **out)
{
    outbox_open_options o = {.size = sizeof o};
    outbox *ob = new_handle();
    if (!ob)
        return no_handle(NULL, OUTBOX_NOMEM);
    if (!path || !out)
        return no_handle(ob, fail(ob, OUTBOX_MISUSE, "outbox_open: path or out is NULL"));
    if (options_check(options, sizeof o) != OUTBOX_OK)
        return no_handle(
            ob, fail(ob, OUTBOX_INVALID, "open options: size is not set, or an option this library does not know is"));
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if ((o.flags & ~(OUTBOX_OPEN_EXISTING | OUTBOX_OPEN_NO_MIGRATE)) ||
        (o.synchronous != OUTBOX_SYNC_FULL && o.synchronous != OUTBOX_SYNC_NORMAL))
        return no_handle(ob, fail(ob, OUTBOX_INVALID, "open options: unknown flag or synchronous value"));
    int code = open_database(ob, path, &o);
    if (code == OUTBOX_OK)
        code = configure(ob, &o);
    if (code != OUTBOX_OK)
        return no_handle(ob, code);
    wal_keeper_init(&ob->keeper, ob->db);
    ob->keeps_wal = true;
    *out = ob;
    return OUTBOX_OK;
}

#undef outbox_attach
int outbox_attach(sqlite3 *db, const outbox_open_options *options, outbox **out)
{
    return outbox_attach_checked(db, options, out, sqlite3_libversion_number);
}

int outbox_attach_checked(sqlite3 *db, const outbox_open_options *options, outbox **out, int (*callers_sqlite)(void))
{
    outbox *ob = new_handle();
    if (!ob)
        return no_handle(NULL, OUTBOX_NOMEM);
    ob->attached = true;
    if (!db || !out)
        return no_handle(ob, fail(ob, OUTBOX_MISUSE, "outbox_attach: db or out is NULL"));
    /* Two copies of SQLite in a process close each other's descriptors, and with them each other's locks. */
    if (callers_sqlite && callers_sqlite != sqlite3_libversion_number)
        return no_handle(
            ob, fail(ob, OUTBOX_MISUSE,
                     "the connection belongs to another copy of SQLite in this process; link both with the same one"));
    if (options_check(options, sizeof *options) != OUTBOX_OK)
        return no_handle(
            ob, fail(ob, OUTBOX_INVALID, "open options: size is not set, or an option this library does not know is"));
    ob->db = db;
    bool present = true;
    int code = prepare_undo(ob);
    if (code != OUTBOX_OK)
        return no_handle(ob, code);
    code = handle_refresh(ob);
    /* Without our tables it may be a reader's own, for its cursor in a stream of files; who needs them says so. */
    if (code == OUTBOX_SCHEMA && schema_present(db, &present) == OUTBOX_OK && !present)
        code = OUTBOX_OK;
    if (code != OUTBOX_OK)
        return no_handle(ob, code);
    *out = ob;
    return OUTBOX_OK;
}

void outbox_close(outbox *ob)
{
    if (!ob)
        return;
    /* In a forked child the connection is the parent's: to finalise or close anything would drop the parent's locks. */
    bool mine = ob->pid == getpid();
    tables_free(ob->tables, mine);
    if (mine) {
        for (int i = 0; i < ST_COUNT; i++)
            sqlite3_finalize(ob->statements[i]);
        if (ob->keeps_wal)
            wal_keeper_fini(&ob->keeper);
        if (!ob->attached)
            sqlite3_close_v2(ob->db);
    }
    buffer_free(&ob->before);
    buffer_free(&ob->after);
    buffer_free(&ob->key);
    buffer_free(&ob->last_key);
    buffer_free(&ob->row_text);
    free(ob->row_values);
    free(ob);
}

int outbox_migrate(outbox *ob)
{
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!sqlite3_get_autocommit(ob->db))
        return fail(ob, OUTBOX_MISUSE, "outbox_migrate inside a transaction; commit it first");
    code = schema_migrate(ob->db, schema_migrations, SCHEMA_VERSION, ob->message, sizeof ob->message);
    message_tidy(ob->message);
    ob->owes_rollback = !sqlite3_get_autocommit(ob->db);
    ob->data_version = -1; /* which tells of others' changes only */
    return code;
}

const char *outbox_schema_sql(void)
{
    return schema_text;
}

sqlite3 *outbox_db(outbox *ob)
{
    return ob ? ob->db : NULL;
}

const char *outbox_errmsg(const outbox *ob)
{
    return ob ? ob->message : thread_message();
}

int64_t outbox_found_revision(const outbox *ob)
{
    return ob ? ob->found_revision : 0;
}

int64_t outbox_last_seq(const outbox *ob)
{
    return ob ? ob->last_seq : 0;
}

const char *outbox_last_key(const outbox *ob)
{
    return ob && ob->last_key.data ? ob->last_key.data : "";
}

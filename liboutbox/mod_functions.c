/* mod_functions.c — the SQL functions: arguments in, the library called, the result or the error out.
 *
 * All are DIRECTONLY: no view, trigger or CHECK of a stranger's file can call them. In a transaction they join it, outside
 * each call is its own, inside a statement that writes they join that (transaction.h).
 */
#include <string.h>

#include "capture.h"
#include "mod_functions.h"
#include "schema.h"

/* ---- Setting up ---- */

static int refuse_transaction(struct module *m)
{
    if (sqlite3_get_autocommit(m->db) && sqlite3_txn_state(m->db, NULL) != SQLITE_TXN_WRITE)
        return OUTBOX_OK;
    sqlite3_snprintf(sizeof m->words, m->words, "outbox_init inside a transaction; commit it first");
    return OUTBOX_MISUSE;
}

/* As `outboxctl init`: WAL, and the tables brought up to date. Needs no handle: there may be nothing to attach to. */
static int function_init(struct call *c)
{
    struct module *m = c->m;
    m->words[0] = '\0';
    int code = refuse_transaction(m);
    if (code != OUTBOX_OK)
        return code;
    int rc = sqlite3_exec(m->db, "PRAGMA main.journal_mode = WAL", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        sqlite3_snprintf(sizeof m->words, m->words, "journal_mode = WAL: %s", sqlite3_errmsg(m->db));
        return code_of_sqlite(rc);
    }
    code = schema_migrate(m->db, schema_migrations, SCHEMA_VERSION, m->words, sizeof m->words);
    if (code == OUTBOX_OK)
        sqlite3_result_int(c->context, SCHEMA_VERSION);
    return code;
}

static int function_version(struct call *c)
{
    sqlite3_result_text(c->context, OUTBOX_VERSION, -1, SQLITE_STATIC);
    return OUTBOX_OK;
}

/* ---- Writing and reading rows ---- */

static int function_upsert(struct call *c)
{
    const char *table, *row;
    int64_t expected = OUTBOX_ANY_REVISION, revision = 0;
    int code = argument_text(c, 0, "table", true, &table);
    if (code == OUTBOX_OK)
        code = argument_text(c, 1, "row", true, &row);
    if (code == OUTBOX_OK)
        code = argument_int(c, 2, "expected_revision", &expected);
    if (code == OUTBOX_OK)
        code = outbox_upsert_json(c->ob, table, row, -1, expected, NULL, &revision);
    if (code == OUTBOX_OK)
        sqlite3_result_int64(c->context, revision);
    return code;
}

static int function_delete(struct call *c)
{
    const char *table, *key;
    int64_t expected = OUTBOX_ANY_REVISION;
    int code = argument_text(c, 0, "table", true, &table);
    if (code == OUTBOX_OK)
        code = argument_key(c, 1, true, &key);
    if (code == OUTBOX_OK)
        code = argument_int(c, 2, "expected_revision", &expected);
    if (code == OUTBOX_OK)
        code = outbox_delete(c->ob, table, key, expected, NULL);
    if (code == OUTBOX_OK)
        sqlite3_result_int64(c->context, outbox_last_seq(c->ob));
    return code;
}

static int function_get(struct call *c)
{
    const char *table, *key, *row;
    int code = argument_text(c, 0, "table", true, &table);
    if (code == OUTBOX_OK)
        code = argument_key(c, 1, true, &key);
    if (code == OUTBOX_OK)
        code = outbox_get(c->ob, table, key, &row, NULL);
    if (code == OUTBOX_NOT_FOUND)
        return OUTBOX_OK; /* NULL */
    if (code == OUTBOX_OK)
        sqlite3_result_text(c->context, row, -1, SQLITE_TRANSIENT);
    return code;
}

/* ---- Capture ---- */

/* NULL; or words, where the table has triggers of its own that may write it again. */
static int function_capture(struct call *c)
{
    const char *table, *options;
    int code = argument_text(c, 0, "table", true, &table);
    if (code == OUTBOX_OK)
        code = argument_text(c, 1, "options", false, &options);
    if (code == OUTBOX_OK)
        code = capture_json(c->ob, table, options, -1);
    if (code == OUTBOX_OK && *outbox_errmsg(c->ob))
        sqlite3_result_text(c->context, outbox_errmsg(c->ob), -1, SQLITE_TRANSIENT);
    return code;
}

static int function_release(struct call *c)
{
    const char *table;
    int code = argument_text(c, 0, "table", true, &table);
    return code == OUTBOX_OK ? outbox_release(c->ob, table) : code;
}

/* ---- Messages ---- */

static int read_payload(struct call *c, const char **payload, ptrdiff_t *size, int *flags)
{
    static const char empty[] = "";
    switch (sqlite3_value_type(c->args[2])) {
    case SQLITE_BLOB:
        *payload = sqlite3_value_blob(c->args[2]);
        *size = sqlite3_value_bytes(c->args[2]);
        *payload = *payload ? *payload : empty; /* no bytes are bytes too */
        *flags = OUTBOX_BLOB;
        return OUTBOX_OK;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT: return fail(c->ob, OUTBOX_INVALID, "payload: give it as JSON text, a BLOB, or NULL");
    default: return argument_text(c, 2, "payload", false, payload);
    }
}

static int function_emit(struct call *c)
{
    outbox_write_options options = {.size = sizeof options};
    const char *topic, *key, *payload = NULL;
    ptrdiff_t size = -1;
    int64_t seq = 0;
    int code = argument_text(c, 0, "topic", true, &topic);
    if (code == OUTBOX_OK)
        code = argument_key(c, 1, false, &key);
    if (code == OUTBOX_OK)
        code = read_payload(c, &payload, &size, &options.flags);
    if (code == OUTBOX_OK)
        code = argument_text(c, 3, "headers", false, &options.headers);
    if (code == OUTBOX_OK)
        code = outbox_emit(c->ob, topic, key, payload, size, &options, &seq);
    if (code == OUTBOX_OK)
        sqlite3_result_int64(c->context, seq);
    return code;
}

/* ---- The table of them ---- */

struct function {
    const char *name, *usage;
    int least, most; /* arguments */
    bool alone;      /* needs no handle */
    int (*run)(struct call *);
};

static const struct function functions[] = {
    {"outbox_version", "", 0, 0, true, function_version},
    {"outbox_init", "", 0, 0, true, function_init},
    {"outbox_upsert", "table, row_json [, expected_revision]", 2, 3, false, function_upsert},
    {"outbox_delete", "table, key [, expected_revision]", 2, 3, false, function_delete},
    {"outbox_get", "table, key", 2, 2, false, function_get},
    {"outbox_emit", "topic, key, payload [, headers]", 3, 4, false, function_emit},
    {"outbox_capture", "table [, options_json]", 1, 2, false, function_capture},
    {"outbox_release", "table", 1, 1, false, function_release},
    {"outbox_take", "consumer [, 'start' or 'now']", 1, 2, false, function_take},
    {"outbox_ack", "consumer, seq", 2, 2, false, function_ack},
    {"outbox_wait", "consumer, milliseconds", 2, 2, false, function_wait},
    {"outbox_leave", "consumer", 1, 1, false, function_leave},
};

struct registration {
    struct module *m;
    const struct function *function;
};

static void tell(struct call *c, int code)
{
    char *message = module_message(c->m, code);
    if (message)
        sqlite3_result_error(c->context, message, -1);
    sqlite3_result_error_code(c->context, message ? sqlite_code(code) : SQLITE_NOMEM);
    sqlite3_free(message);
}

static void run(sqlite3_context *context, int n, sqlite3_value **args)
{
    const struct registration *r = sqlite3_user_data(context);
    const struct function *f = r->function;
    struct call c = {.m = r->m, .context = context, .args = args, .n = n};
    if (n < f->least || n > f->most) {
        sqlite3_snprintf(sizeof c.m->words, c.m->words, "wrong number of arguments: %s(%s)", f->name, f->usage);
        tell(&c, OUTBOX_MISUSE);
        return;
    }
    int code = f->alone ? OUTBOX_OK : module_enter(c.m);
    if (code == OUTBOX_OK) {
        c.ob = c.m->ob;
        code = f->run(&c);
        if (!f->alone)
            module_leave(c.m);
    }
    if (code != OUTBOX_OK)
        tell(&c, code);
    /* Told as an error of the statement, like SQLite's own; there is no outbox_rollback() in SQL to wait for. */
    if (code == OUTBOX_ABORTED)
        outbox_rollback(c.m->ob);
    buffer_free(&c.text);
}

static void free_registration(void *arg)
{
    struct registration *r = arg;
    module_free(r->m);
    sqlite3_free(r);
}

static int register_function(struct module *m, const struct function *f)
{
    struct registration *r = sqlite3_malloc(sizeof *r);
    if (!r)
        return SQLITE_NOMEM;
    *r = (struct registration){m, f};
    m->references++;
    return sqlite3_create_function_v2(m->db, f->name, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY, r, run, NULL, NULL,
                                      free_registration); /* which is called where it fails, too */
}

int functions_register(struct module *m)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof functions / sizeof *functions && rc == SQLITE_OK; i++)
        rc = register_function(m, &functions[i]);
    return rc;
}

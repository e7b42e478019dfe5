/* capture.c — outbox_capture and outbox_release, and whether a table's triggers are what they should be. */
#include <string.h>

#include "capture.h"
#include "handle.h"
#include "transaction.h"

#define OURS "name GLOB 'outbox_capture_*'"

static const char sql_ours[] =
    "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND " OURS;

/* Those made after ours would fire before them. */
static const char sql_made_later[] =
    "SELECT group_concat(name, ', ') FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE"
    " AND NOT " OURS " AND rowid > (SELECT min(rowid) FROM main.sqlite_schema"
    "                               WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND " OURS ")";

/* The table's own that may write it: they name it. */
static const char sql_own[] =
    "SELECT group_concat(name, ', ') FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE"
    " AND NOT " OURS " AND sql LIKE '%BEGIN%' || ?1 || '%'";

static const char sql_whose[] =
    "SELECT tbl_name FROM main.sqlite_schema WHERE type = 'trigger' AND name = ?1 COLLATE NOCASE";

static const char sql_encoding[] = "SELECT encoding FROM pragma_encoding";

static const char OPTIONS_MARK[] = "/* outbox capture: ";

/* The first column of the first row, sqlite3_malloc'd; NULL: there is none. */
static int query_text(outbox *ob, const char *sql, const char *table, char **text)
{
    sqlite3_stmt *st = NULL;
    *text = NULL;
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK && table)
        rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
        rc = (*text = sqlite3_mprintf("%s", (const char *)sqlite3_column_text(st, 0))) ? SQLITE_ROW : SQLITE_NOMEM;
    int code = rc == SQLITE_ROW || rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(ob, rc, table ? table : "capture");
    sqlite3_finalize(st);
    return code;
}

/* A name under which the rowid can be read in a trigger. */
static const char *rowid_name(const struct table *t)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    for (size_t n = 0; !t->without_rowid && n < sizeof names / sizeof *names; n++) {
        bool hidden = false;
        for (int i = 0; i < t->column_count; i++)
            hidden = hidden || !sqlite3_stricmp(t->columns[i].name, names[n]);
        if (!hidden)
            return names[n];
    }
    return NULL;
}

/* ---- What is there ---- */

struct found {
    char *options; /* sqlite3_malloc'd, NULL: none */
    int count;
    char *names[CAPTURE_TRIGGERS_MAX * 2], *sql[CAPTURE_TRIGGERS_MAX * 2]; /* sqlite3_malloc'd */
};

static void found_free(struct found *f)
{
    for (int i = 0; i < f->count; i++) {
        sqlite3_free(f->names[i]);
        sqlite3_free(f->sql[i]);
    }
    sqlite3_free(f->options);
}

static int find_ours(outbox *ob, const char *table, struct found *f)
{
    sqlite3_stmt *st = NULL;
    *f = (struct found){0};
    int rc = sqlite3_prepare_v2(ob->db, sql_ours, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && f->count < CAPTURE_TRIGGERS_MAX * 2 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        f->names[f->count] = sqlite3_mprintf("%s", (const char *)sqlite3_column_text(st, 0));
        char *sql = sqlite3_mprintf("%s", (const char *)sqlite3_column_text(st, 1));
        f->sql[f->count++] = sql;
        const char *from = sql ? strstr(sql, OPTIONS_MARK) : NULL;
        const char *to = from ? strstr(from, " */") : NULL;
        if (to && !f->options) {
            from += sizeof OPTIONS_MARK - 1;
            f->options = sqlite3_mprintf("%.*s", (int)(to - from), from);
        }
        /* Without its options it would be captured anew with the defaults, and show what it was to leave out. */
        rc = f->names[f->count - 1] && sql && (!to || f->options) ? SQLITE_OK : SQLITE_NOMEM;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_OK || rc == SQLITE_DONE ? OUTBOX_OK : fail_sqlite(ob, rc, table);
}

static int complete(outbox *ob, struct capture *c)
{
    c->rowid = rowid_name(c->table);
    return capture_find_conflicts(ob, c);
}

static int no_memory(outbox *ob)
{
    return fail(ob, OUTBOX_NOMEM, "out of memory");
}

/* ---- Stale or not ---- */

static bool is_there(const struct found *f, const struct capture_trigger *t)
{
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->names[i], t->name))
            return !strcmp(f->sql[i], t->sql);
    return false;
}

static int compare(outbox *ob, struct table *t, const struct found *f, char **why)
{
    struct capture c = {0};
    struct capture_trigger triggers[CAPTURE_TRIGGERS_MAX];
    int count = 0;
    const char *options = f->options ? f->options : "{}";
    int code = capture_from_json(ob, t, options, strlen(options), &c);
    if (code == OUTBOX_INVALID) {
        *why = sqlite3_mprintf("%s", ob->message);
        capture_fini(&c);
        return *why ? OUTBOX_OK : no_memory(ob);
    }
    if (code == OUTBOX_OK)
        code = complete(ob, &c);
    if (code == OUTBOX_OK)
        code = capture_triggers(ob, &c, triggers, &count);
    bool same = f->count == count;
    for (int i = 0; code == OUTBOX_OK && i < count; i++)
        same = same && is_there(f, &triggers[i]);
    if (code == OUTBOX_OK && !same) {
        *why = sqlite3_mprintf("the table, or the library, is another than when it was captured");
        code = *why ? OUTBOX_OK : no_memory(ob);
    }
    capture_triggers_free(triggers, count);
    capture_fini(&c);
    return code;
}

int capture_look(outbox *ob, struct table *t, bool *captured, char **why)
{
    struct found f;
    char *later = NULL;
    *captured = false;
    *why = NULL;
    int code = find_ours(ob, t->name, &f);
    if (code == OUTBOX_OK && f.count) {
        *captured = true;
        code = compare(ob, t, &f, why);
        if (code == OUTBOX_OK && !*why)
            code = query_text(ob, sql_made_later, t->name, &later);
        if (later && !(*why = sqlite3_mprintf("its own trigger %s was made later and fires before", later)))
            code = no_memory(ob);
        sqlite3_free(later);
    }
    found_free(&f);
    if (code == OUTBOX_OK)
        ob->message[0] = '\0';
    return code;
}

int capture_read(outbox *ob, struct table *t, struct capture *c)
{
    struct found f;
    *c = (struct capture){0};
    int code = find_ours(ob, t->name, &f);
    if (code == OUTBOX_OK && f.options)
        code = capture_from_json(ob, t, f.options, strlen(f.options), c);
    else if (code == OUTBOX_OK)
        code = capture_from_options(ob, t, NULL, c);
    found_free(&f);
    return code;
}

/* ---- Capture and release ---- */

static int exec(outbox *ob, const char *sql, const char *what)
{
    int rc = sql ? sqlite3_exec(ob->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, what);
}

static int drop(outbox *ob, const struct found *f, const char *table)
{
    int code = OUTBOX_OK;
    for (int i = 0; i < f->count && code == OUTBOX_OK; i++) {
        char *sql = sqlite3_mprintf("DROP TRIGGER main.\"%w\"", f->names[i]);
        code = exec(ob, sql, table);
        sqlite3_free(sql);
    }
    return code;
}

/* Another table, once of this name, still has the trigger. */
static int check_name(outbox *ob, const char *table, const char *trigger)
{
    char *other = NULL;
    int code = query_text(ob, sql_whose, trigger, &other);
    if (code == OUTBOX_OK && other)
        code = fail(ob, OUTBOX_INVALID, "table %s: table %s has its trigger %s; capture or release %s first", table,
                    other, trigger, other);
    sqlite3_free(other);
    return code;
}

/* In main, whatever table of the same name temp has. SQLite keeps the text without the main. */
static int create_one(outbox *ob, const struct capture_trigger *t)
{
    char *sql = sqlite3_mprintf("CREATE TRIGGER main.%s", t->sql + sizeof "CREATE TRIGGER " - 1);
    int code = exec(ob, sql, t->name);
    sqlite3_free(sql);
    return code;
}

static int create(outbox *ob, const struct capture *c)
{
    struct capture_trigger triggers[CAPTURE_TRIGGERS_MAX];
    int count = 0, code = capture_triggers(ob, c, triggers, &count);
    for (int i = 0; i < count && code == OUTBOX_OK; i++) {
        code = check_name(ob, c->table->name, triggers[i].name);
        if (code == OUTBOX_OK)
            code = create_one(ob, &triggers[i]);
    }
    capture_triggers_free(triggers, count);
    return code;
}

/* What was made is what the library will look for. */
static int check_made(outbox *ob, struct table *t)
{
    bool captured;
    char *why;
    int code = capture_look(ob, t, &captured, &why);
    if (code == OUTBOX_OK && (!captured || why))
        code = fail(ob, OUTBOX_ERROR, "table %s: not captured: %s", t->name, why ? why : "its triggers are not there");
    sqlite3_free(why);
    return code;
}

static int check_encoding(outbox *ob)
{
    char *encoding = NULL;
    int code = query_text(ob, sql_encoding, NULL, &encoding);
    if (code == OUTBOX_OK && encoding && strcmp(encoding, "UTF-8") != 0)
        code = fail(ob, OUTBOX_INVALID, "the database's encoding is %s; only UTF-8 can be captured", encoding);
    sqlite3_free(encoding);
    return code;
}

/* What the caller asked for, in one of two forms; neither: what the triggers there say, or the defaults. */
struct request {
    const outbox_capture_options *options;
    const char *json;
    size_t size;
};

static int read_request(outbox *ob, struct table *t, const struct request *r, const struct found *f, struct capture *c)
{
    if (r->json)
        return capture_from_json(ob, t, r->json, r->size, c);
    if (r->options || !f->options)
        return capture_from_options(ob, t, r->options, c);
    int code = capture_from_json(ob, t, f->options, strlen(f->options), c);
    if (code == OUTBOX_INVALID) {
        char why[MESSAGE_SIZE / 2];
        sqlite3_snprintf(sizeof why, why, "%s", ob->message);
        fail(ob, code, "%s; that was asked for when it was captured: give the options anew", why);
    }
    return code;
}

/* Inside the scope. *note: what errmsg says in the end, sqlite3_malloc'd. */
static int capture_table(outbox *ob, struct scope *scope, const char *name, const struct request *r, char **note)
{
    struct table *t;
    struct found f = {0};
    struct capture c = {0};
    bool changed = false;
    char *own = NULL;
    int code = table_find(ob, name, &t);
    if (code == OUTBOX_OK)
        code = table_refresh(ob, &t, &changed);
    if (code == OUTBOX_OK)
        code = check_encoding(ob);
    if (code == OUTBOX_OK)
        code = find_ours(ob, t->name, &f);
    if (code == OUTBOX_OK)
        code = read_request(ob, t, r, &f, &c);
    if (code == OUTBOX_OK)
        code = complete(ob, &c);
    if (code == OUTBOX_OK)
        code = scope_protect(ob, scope);
    if (code == OUTBOX_OK)
        code = drop(ob, &f, t->name);
    if (code == OUTBOX_OK)
        code = create(ob, &c);
    if (code == OUTBOX_OK)
        code = check_made(ob, t);
    if (code == OUTBOX_OK)
        code = query_text(ob, sql_own, t->name, &own);
    if (code == OUTBOX_OK && own)
        *note = sqlite3_mprintf("table %s: captured; its own trigger %s may write it again: an event more each time",
                                t->name, own);
    else if (code == OUTBOX_OK && c.unseen_index)
        *note = sqlite3_mprintf("table %s: captured; what a REPLACE displaces by a partial unique index, or one on an "
                                "expression, is logged only under recursive_triggers",
                                t->name);
    if (code == OUTBOX_OK && (own || c.unseen_index) && !*note)
        code = no_memory(ob);
    sqlite3_free(own);
    capture_fini(&c);
    found_free(&f);
    return code;
}

static int capture(outbox *ob, const char *table, const struct request *r)
{
    struct scope scope;
    char *note = NULL;
    if (!table)
        return fail(ob, OUTBOX_MISUSE, "table is NULL");
    int code = scope_enter(ob, &scope);
    if (code != OUTBOX_OK)
        return code;
    code = scope_leave(ob, &scope, capture_table(ob, &scope, table, r, &note));
    if (code == OUTBOX_OK && note)
        fail(ob, OUTBOX_OK, "%s", note);
    sqlite3_free(note);
    return code;
}

int outbox_capture(outbox *ob, const char *table, const outbox_capture_options *options)
{
    struct request r = {.options = options};
    int code = handle_enter(ob);
    return code == OUTBOX_OK ? capture(ob, table, &r) : code;
}

int capture_json(outbox *ob, const char *table, const char *json, ptrdiff_t size)
{
    struct request r = {.json = json, .size = json ? size < 0 ? strlen(json) : (size_t)size : 0};
    int code = handle_enter(ob);
    return code == OUTBOX_OK ? capture(ob, table, &r) : code;
}

static int release_table(outbox *ob, struct scope *scope, const char *name)
{
    struct table *t;
    struct found f = {0};
    int code = table_find(ob, name, &t);
    if (code == OUTBOX_OK)
        code = find_ours(ob, t->name, &f);
    if (code == OUTBOX_OK && f.count)
        code = scope_protect(ob, scope);
    if (code == OUTBOX_OK)
        code = drop(ob, &f, t->name);
    found_free(&f);
    return code;
}

int outbox_release(outbox *ob, const char *table)
{
    struct scope scope;
    int code = handle_enter(ob);
    if (code != OUTBOX_OK)
        return code;
    if (!table)
        return fail(ob, OUTBOX_MISUSE, "table is NULL");
    code = scope_enter(ob, &scope);
    return code == OUTBOX_OK ? scope_leave(ob, &scope, release_table(ob, &scope, table)) : code;
}

/* capture_random_test.c — the same operations through the library, as SQL functions, and as plain SQL on a captured
 * table: one stream of events, equal but for times.
 *
 * Tables, values and operations come from a seed (drawn_writes.h). On failure operations are left out for as long as the
 * streams still differ, and what is left is printed. SEED=n runs another seed, COUNT=n that many from it on, OPERATIONS=n
 * that many of each.
 */
#include <stdbool.h>

#include "buffer.h"
#include "drawn_writes.h"
#include "json_write.h"
#include "value.h"

enum { OPERATIONS_MAX = 100000, KEY_MAX = 16384 };

/* ---- Those who write: each does an operation in its own way ---- */

struct leg {
    const char *name;
    char path[128];
    outbox *ob;
    sqlite3 *db;
    int (*apply)(struct leg *, const struct layout *, const struct operation *);
    int (*prepare)(struct leg *);
};

/* Whether there is the row, and what its key is as text. */
static bool find_key(struct leg *leg, const struct layout *l, const struct operation *o, char *text, size_t size);

static void bind(sqlite3_stmt *st, int i, const outbox_value *v)
{
    switch (v->type) {
    case OUTBOX_TYPE_INTEGER: sqlite3_bind_int64(st, i, v->as.integer); break;
    case OUTBOX_TYPE_REAL: sqlite3_bind_double(st, i, v->as.real); break;
    case OUTBOX_TYPE_TEXT: sqlite3_bind_text64(st, i, v->as.data, (uint64_t)v->size, SQLITE_STATIC, SQLITE_UTF8); break;
    case OUTBOX_TYPE_BLOB: sqlite3_bind_blob64(st, i, v->as.data, (uint64_t)v->size, SQLITE_STATIC); break;
    default: sqlite3_bind_null(st, i);
    }
}

static int run_sql(sqlite3 *db, sqlite3_str *sql, const struct operation *o)
{
    char *text = sqlite3_str_finish(sql);
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);
    for (int i = 0; rc == SQLITE_OK && i < o->n; i++)
        bind(st, i + 1, &o->row[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        print_error("%s: %s\n", text, sqlite3_errmsg(db));
    sqlite3_free(text);
    return rc;
}

static void append_where(sqlite3_str *sql, const struct layout *l)
{
    for (int k = 0; k < l->keys; k++)
        sqlite3_str_appendf(sql, "%s\"%w\" = ?%d", k ? " AND " : " WHERE ", names[k], k + 1);
}

static bool exists(sqlite3 *db, const struct layout *l, const struct operation *o)
{
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendall(sql, "SELECT 1 FROM \"ta ble\"");
    append_where(sql, l);
    struct operation keys = *o;
    keys.n = l->keys;
    return run_sql(db, sql, &keys) == SQLITE_ROW;
}

static void append_insert(sqlite3_str *sql, const struct operation *o, const char *verb)
{
    sqlite3_str_appendf(sql, "%s INTO \"ta ble\"(", verb);
    for (int i = 0; i < o->n; i++)
        sqlite3_str_appendf(sql, "%s\"%w\"", i ? ", " : "", o->row[i].column);
    sqlite3_str_appendall(sql, ") VALUES (");
    for (int i = 0; i < o->n; i++)
        sqlite3_str_appendf(sql, "%s?%d", i ? ", " : "", i + 1);
    sqlite3_str_appendall(sql, ")");
}

static void append_set(sqlite3_str *sql, const struct layout *l, const struct operation *o)
{
    for (int i = l->keys; i < o->n; i++)
        sqlite3_str_appendf(sql, "%s\"%w\" = ?%d", i > l->keys ? ", " : " SET ", o->row[i].column, i + 1);
}

static int apply_sql(struct leg *leg, const struct layout *l, const struct operation *o)
{
    sqlite3_str *sql = sqlite3_str_new(leg->db);
    bool there = exists(leg->db, l, o);
    if (o->kind == DELETE) {
        sqlite3_str_appendall(sql, "DELETE FROM \"ta ble\"");
        append_where(sql, l);
    } else if (o->kind == REPLACE) {
        append_insert(sql, o, "REPLACE");
    } else if (o->kind == PUT_ON_CONFLICT && o->n > l->keys) {
        append_insert(sql, o, "INSERT");
        for (int k = 0; k < l->keys; k++)
            sqlite3_str_appendf(sql, "%s\"%w\"", k ? ", " : " ON CONFLICT(", names[k]);
        sqlite3_str_appendall(sql, ") DO UPDATE");
        append_set(sql, l, o);
    } else if (!there) {
        append_insert(sql, o, "INSERT");
    } else if (o->n > l->keys) {
        sqlite3_str_appendall(sql, "UPDATE \"ta ble\"");
        append_set(sql, l, o);
        append_where(sql, l);
    } else { /* nothing to set */
        sqlite3_free(sqlite3_str_finish(sql));
        return OUTBOX_OK;
    }
    return run_sql(leg->db, sql, o) == SQLITE_DONE ? OUTBOX_OK : OUTBOX_ERROR;
}

static int apply_library(struct leg *leg, const struct layout *l, const struct operation *o)
{
    outbox_write_options options = {.size = sizeof options, .flags = OUTBOX_SKIP_UNCHANGED};
    char key[KEY_MAX];
    bool there = find_key(leg, l, o, key, sizeof key);
    int code = OUTBOX_OK;
    if (there && (o->kind == DELETE || o->kind == REPLACE))
        code = outbox_delete(leg->ob, "ta ble", key, OUTBOX_ANY_REVISION, NULL);
    if (code == OUTBOX_OK && o->kind != DELETE)
        code = outbox_upsert(leg->ob, "ta ble", o->row, o->n, OUTBOX_ANY_REVISION, &options, NULL);
    if (code != OUTBOX_OK)
        print_error("%s: %s\n", leg->name, outbox_errmsg(leg->ob));
    return code;
}

/* The last event of the row names it. */
static bool find_key(struct leg *leg, const struct layout *l, const struct operation *o, char *text, size_t size)
{
    if (!exists(leg->db, l, o))
        return false;
    outbox_write_options options = {.size = sizeof options, .flags = OUTBOX_SKIP_UNCHANGED};
    struct operation keys = *o;
    if (outbox_upsert(leg->ob, "ta ble", keys.row, l->keys, OUTBOX_ANY_REVISION, &options, NULL) != OUTBOX_OK)
        fail_msg("%s", outbox_errmsg(leg->ob));
    snprintf(text, size, "%s", outbox_last_key(leg->ob));
    return true;
}

/* ---- As SQL functions ---- */

static void write_row(struct buffer *json, const struct operation *o)
{
    buffer_append_byte(json, '{');
    for (int i = 0; i < o->n; i++) {
        if (i)
            buffer_append_byte(json, ',');
        json_write_text(json, o->row[i].column, strlen(o->row[i].column));
        buffer_append_byte(json, ':');
        value_write(json, &o->row[i]);
    }
    buffer_append_byte(json, '}');
}

/* One statement of one row; its first column as text goes into result, where there is one. */
static int call(struct leg *leg, const char *sql, const char *argument, struct buffer *result)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(leg->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        sqlite3_bind_text(st, 1, argument, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && result) {
        buffer_clear(result);
        buffer_append(result, sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        print_error("%s(%s): %s: %s\n", sql, argument, leg->name, sqlite3_errmsg(leg->db));
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OUTBOX_OK : OUTBOX_ERROR;
}

static const char sql_get[] = "SELECT json_remove(outbox_get('ta ble', ?1), '$.revision')";

/* In SQL each upsert is an event; what changes nothing is taken back here. */
static int upsert_extension(struct leg *leg, const char *key, const struct operation *o)
{
    struct buffer json = {0}, before = {0}, after = {0};
    write_row(&json, o);
    int code = key ? call(leg, sql_get, key, &before) : OUTBOX_OK;
    if (code == OUTBOX_OK)
        code = call(leg, "SAVEPOINT whole", NULL, NULL);
    if (code == OUTBOX_OK)
        code = call(leg, "SELECT outbox_upsert('ta ble', ?1)", buffer_text(&json), NULL);
    if (code == OUTBOX_OK && key)
        code = call(leg, sql_get, key, &after);
    if (code == OUTBOX_OK && key && before.size == after.size && !memcmp(before.data, after.data, after.size))
        code = call(leg, "ROLLBACK TO whole", NULL, NULL);
    if (code == OUTBOX_OK)
        code = call(leg, "RELEASE whole", NULL, NULL);
    buffer_free(&json);
    buffer_free(&before);
    buffer_free(&after);
    return code;
}

static int apply_extension(struct leg *leg, const struct layout *l, const struct operation *o)
{
    char key[KEY_MAX];
    bool there = find_key(leg, l, o, key, sizeof key);
    int code = OUTBOX_OK;
    if (there && (o->kind == DELETE || o->kind == REPLACE)) {
        code = call(leg, "SELECT outbox_delete('ta ble', ?1)", key, NULL);
        there = false;
    }
    if (code == OUTBOX_OK && o->kind != DELETE)
        code = upsert_extension(leg, there ? key : NULL, o);
    return code;
}

static int prepare_extension(struct leg *leg)
{
    char path[512], *error = NULL;
    const char *build = getenv("BUILD");
    snprintf(path, sizeof path, "%s/mod_outbox", build ? build : "build");
    sqlite3_enable_load_extension(leg->db, 1);
    if (sqlite3_load_extension(leg->db, path, NULL, &error) == SQLITE_OK)
        return OUTBOX_OK;
    print_error("%s: %s\n", path, error);
    sqlite3_free(error);
    return OUTBOX_ERROR;
}

static int prepare_extension_captured(struct leg *leg)
{
    int code = prepare_extension(leg);
    return code == OUTBOX_OK ? call(leg, "SELECT outbox_capture(?1)", "ta ble", NULL) : code;
}

static int prepare_captured(struct leg *leg)
{
    int code = outbox_capture(leg->ob, "ta ble", NULL);
    if (code != OUTBOX_OK)
        print_error("%s\n", outbox_errmsg(leg->ob));
    return code;
}

/* The first is what the others are compared with. */
static const struct leg legs[] = {
    {.name = "library", .apply = apply_library},
    {.name = "captured SQL", .apply = apply_sql, .prepare = prepare_captured},
    {.name = "library, captured", .apply = apply_library, .prepare = prepare_captured},
    {.name = "extension", .apply = apply_extension, .prepare = prepare_extension},
    {.name = "extension, captured", .apply = apply_extension, .prepare = prepare_extension_captured},
};

enum { LEGS = sizeof legs / sizeof *legs };

/* ---- One run ---- */

static bool is_number(char c)
{
    return (c >= '0' && c <= '9') || (c && strchr("+-.eE", c));
}

/* Equal, but that a number with a point or an exponent may be spelt otherwise. */
static bool same_json(const char *a, const char *b)
{
    bool in_string = false;
    while (*a && *b) {
        if (!in_string && (*a == '-' || (*a >= '0' && *a <= '9'))) {
            size_t n = 0, m = 0;
            while (is_number(a[n]))
                n++;
            while (is_number(b[m]))
                m++;
            bool same = n == m && !memcmp(a, b, n);
            if (!same && (!strpbrk(a, ".e") || !strpbrk(b, ".e") || strtod(a, NULL) != strtod(b, NULL)))
                return false;
            a += n;
            b += m;
            continue;
        }
        if (*a != *b)
            return false;
        if (in_string && *a == '\\') {
            a++;
            b++;
            if (*a != *b)
                return false;
        } else if (*a == '"') {
            in_string = !in_string;
        }
        a++;
        b++;
    }
    return *a == *b;
}

static const char sql_stream[] = "SELECT seq, topic, table_name, key, ordering_key, op, revision, headers,"
                                 " coalesce(before, ''), coalesce(payload, '') FROM change_log ORDER BY seq";

static bool same_row(sqlite3_stmt *a, sqlite3_stmt *b, bool tell)
{
    for (int i = 0; i < sqlite3_column_count(a); i++) {
        const char *x = (const char *)sqlite3_column_text(a, i), *y = (const char *)sqlite3_column_text(b, i);
        bool same = i >= 8 ? same_json(x, y) : x && y ? !strcmp(x, y) : x == y;
        if (!same && tell)
            print_error("seq %lld, %s:\n  %s\n  %s\n", (long long)sqlite3_column_int64(a, 0), sqlite3_column_name(a, i),
                        x ? x : "NULL", y ? y : "NULL");
        if (!same)
            return false;
    }
    return true;
}

static bool same_streams(sqlite3 *one, sqlite3 *other, bool tell)
{
    sqlite3_stmt *a, *b;
    bool same = true;
    assert_int_equal(sqlite3_prepare_v2(one, sql_stream, -1, &a, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(other, sql_stream, -1, &b, NULL), SQLITE_OK);
    for (int x = SQLITE_ROW; same && x == SQLITE_ROW;) {
        x = sqlite3_step(a);
        int y = sqlite3_step(b);
        if (x != y && tell)
            print_error("one stream ends before the other\n");
        same = x == y && (x != SQLITE_ROW || same_row(a, b, tell));
    }
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    return same;
}

static void open_leg(struct leg *leg, const char *dir, int i, const struct layout *l, uint64_t seed)
{
    *leg = legs[i];
    snprintf(leg->path, sizeof leg->path, "%s/leg%d.db", dir, i);
    unlink(leg->path);
    assert_int_equal(
        outbox_open(leg->path,
                    &(outbox_open_options){.size = sizeof(outbox_open_options), .synchronous = OUTBOX_SYNC_NORMAL},
                    &leg->ob),
        OUTBOX_OK);
    leg->db = outbox_db(leg->ob);
    sql_on(leg->db, l->create);
    sql_on(leg->db, "PRAGMA trusted_schema = OFF");
    sql_on(leg->db, seed % 2 ? "PRAGMA recursive_triggers = ON" : "PRAGMA recursive_triggers = OFF");
    if (leg->prepare)
        assert_int_equal(leg->prepare(leg), OUTBOX_OK);
}

/* Whether all streams are the same without the operations left out. */
static bool run(const char *dir, uint64_t seed, int n, const bool *left_out, bool tell)
{
    struct layout l = layout_of(seed);
    struct leg all[LEGS];
    struct storage *s = malloc(sizeof *s);
    struct operation o;
    bool same = true;
    for (int i = 0; i < LEGS; i++) {
        open_leg(&all[i], dir, i, &l, seed);
        assert_int_equal(outbox_begin(all[i].ob), OUTBOX_OK);
    }
    for (int k = 0; same && k < n; k++) {
        if (left_out[k])
            continue;
        operation_of(&l, seed, k, &o, s);
        if (tell)
            print_error("operation %d: kind %d, %d values\n", k, (int)o.kind, o.n);
        for (int i = 0; i < LEGS; i++)
            same = all[i].apply(&all[i], &l, &o) == OUTBOX_OK && same;
    }
    for (int i = 0; i < LEGS; i++)
        same = outbox_commit(all[i].ob) == OUTBOX_OK && same;
    for (int i = 1; i < LEGS; i++)
        if (!same_streams(all[0].db, all[i].db, tell)) {
            if (tell)
                print_error("%s, then %s; table: %s\n", all[0].name, all[i].name, l.create);
            same = false;
        }
    for (int i = 0; i < LEGS; i++)
        outbox_close(all[i].ob);
    free(s);
    return same;
}

static void shrink(const char *dir, uint64_t seed, int n, bool *left_out)
{
    for (int chunk = n / 2; chunk > 0; chunk /= 2)
        for (int from = 0; from < n; from += chunk) {
            bool *kept = malloc((size_t)n * sizeof *kept);
            memcpy(kept, left_out, (size_t)n * sizeof *kept);
            for (int i = from; i < n && i < from + chunk; i++)
                left_out[i] = true;
            if (run(dir, seed, n, left_out, false))
                memcpy(left_out, kept, (size_t)n * sizeof *kept);
            free(kept);
        }
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void the_library_and_captured_sql_make_the_same_events(void **state)
{
    struct fixture *f = *state;
    uint64_t first = number_of("SEED", 1), count = number_of("COUNT", 20);
    int n = (int)number_of("OPERATIONS", 100);
    assert_in_range(n, 1, OPERATIONS_MAX);
    bool *left_out = calloc((size_t)n, sizeof *left_out);
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (run(f->dir, seed, n, left_out, false))
            continue;
        shrink(f->dir, seed, n, left_out);
        run(f->dir, seed, n, left_out, true);
        free(left_out);
        fail_msg("SEED=%llu COUNT=1 OPERATIONS=%d: the streams differ", (unsigned long long)seed, n);
    }
    free(left_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_library_and_captured_sql_make_the_same_events, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

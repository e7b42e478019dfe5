/* capture_value.c — see capture_value.h.
 *
 * Most rows are plain: numbers, and text of printable ASCII. The fast road writes those, and is NULL for any other; the
 * slow one is the trigger outbox_odd_written of the schema, once for all tables: every statement that touches a table
 * compiles its triggers, and each of them that runs allocates what all of its expressions may need. A key has to be at
 * hand in conditions: where it may be odd, the slow road's text stands in the table's own triggers.
 */
#include <limits.h>
#include <string.h>

#include "capture_value.h"
#include "schema.h"

/* A text of printable ASCII. GLOB stops at a NUL, instr does not. */
#define PLAIN_TEXT "%1$s NOT GLOB '*[^ -~]*' AND NOT instr(%1$s, char(0))"

/* NULL: not plain. GLOB finds a single character faster than anything else does. */
static const char sql_text[] =
    "CASE WHEN " PLAIN_TEXT " THEN CASE WHEN %1$s GLOB '*\"*' OR %1$s GLOB '*\\*'"
    " THEN '\"' || replace(replace(%1$s, '\\', '\\\\'), '\"', '\\\"') || '\"' ELSE '\"' || %1$s || '\"' END END";

/* Four decimals, exactly: the quotient of two whole doubles is the nearest to the decimal. Else as many digits as read
 * back bit for bit with the printf of SQLite 3.40. */
static const char sql_real[] =
    "CASE WHEN abs(%1$s) < 1e11 AND round(%1$s * 10000.0) / 10000.0 = %1$s THEN printf('%%!.15g', %1$s)"
    " WHEN %1$s = 9e999 THEN '9e999' WHEN %1$s = -9e999 THEN '-9e999' ELSE printf('%%!.18g', %1$s) END";

/* A key is compared as text, so it is written as json_write_real does: the shortest of 15, 16 and 17 digits that reads
 * back. SQLite's own printf and CAST round now and then another way than strtod does, and each version in its own, so
 * the digits are made of whole numbers, exactly: n is the digits so far, k of them behind the point, hi and lo what is
 * left, in units of 2^-56 and 2^-112 of the last digit, half an ulp in units of 2^-56 of it. From 15 digits on, n
 * rounded is the one if it is nearer than half; 17 always are. Left to printf: what json_write_real writes with an exponent. */
static const char sql_key_real[] =
    "CASE WHEN abs(%1$s) < 1e11 AND round(%1$s * 10000.0) / 10000.0 = %1$s THEN printf('%%!.15g', %1$s)"
    " WHEN %1$s = 9e999 THEN '9e999' WHEN %1$s = -9e999 THEN '-9e999'"
    " WHEN abs(%1$s) >= 1e-4 AND (abs(%1$s) < 1e15 OR abs(%1$s) < 9e15 AND (CAST(%1$s AS INTEGER) %% 10 <> 0"
    " OR %1$s <> CAST(%1$s AS INTEGER))) THEN CASE WHEN %1$s < 0 THEN '-' ELSE '' END ||"
    " (WITH RECURSIVE"
    " real(x, f) AS (SELECT abs(%1$s), (abs(%1$s) - CAST(abs(%1$s) AS INTEGER)) * 72057594037927936.0),"
    " digit(n, k, hi, lo, half) AS ("
    "SELECT CAST(x AS INTEGER), 0, CAST(f AS INTEGER), CAST((f - CAST(f AS INTEGER)) * 72057594037927936.0 AS INTEGER),"
    " (x + x * 1.1102230246251568e-16 - x) * 36028797018963968.0 FROM real"
    " UNION ALL "
    "SELECT n * 10 + (hi * 10 + (lo * 10 >> 56) >> 56), k + 1, hi * 10 + (lo * 10 >> 56) & 72057594037927935,"
    " lo * 10 & 72057594037927935, half * 10.0 FROM digit WHERE n < 10000000000000000)"
    " SELECT coalesce(nullif(ltrim(substr(z, 1, 22 - k), '0'), ''), '0') || '.' ||"
    " coalesce(nullif(rtrim(substr(z, 23 - k), '0'), ''), '0') FROM ("
    "SELECT k, printf('%%022d', n + (hi + (lo > 0 OR n & 1) > 36028797018963968)) AS z FROM digit"
    " WHERE n >= 10000000000000000 OR n >= 100000000000000 AND min(hi, 72057594037927936 - hi) < half"
    " ORDER BY k LIMIT 1))"
    " WHEN CAST(printf('%%!.15g', %1$s) AS REAL) = %1$s THEN replace(printf('%%!.15g', %1$s), '.0e', 'e')"
    " WHEN CAST(printf('%%!.16g', %1$s) AS REAL) = %1$s THEN replace(printf('%%!.16g', %1$s), '.0e', 'e')"
    " ELSE replace(printf('%%!.17g', %1$s), '.0e', 'e') END";

/* Writes the template with every %1$s as x and %% as %. sqlite3_str has no numbered arguments. */
static void expand(sqlite3_str *sql, const char *template, const char *x)
{
    for (const char *p = template; *p; p++) {
        if (p[0] == '%' && p[1] == '1') {
            sqlite3_str_appendall(sql, x);
            p += 3;
        } else {
            sqlite3_str_appendchar(sql, 1, *p);
            p += p[0] == '%' && p[1] == '%';
        }
    }
}

void capture_spoil(sqlite3_str *sql)
{
    sqlite3_str_appendchar(sql, INT_MAX, ' ');
}

/* sqlite3_malloc'd; NULL: sql is spoilt. */
static char *reference(sqlite3_str *sql, const struct column *c, const char *row)
{
    char *text = sqlite3_mprintf("%s.\"%w\"", row, c->name);
    if (!text)
        capture_spoil(sql);
    return text;
}

/* What a column of its affinity holds. Anything else, and what is odd, is NULL: it takes the slow road. */
static void write_fast(sqlite3_str *sql, const struct column *c, const char *row)
{
    char *x = reference(sql, c, row);
    if (!x)
        return;
    bool any = c->affinity == AFFINITY_BLOB || c->affinity == AFFINITY_NUMERIC;
    sqlite3_str_appendf(sql, "CASE typeof(%s)", x);
    if (any || c->affinity == AFFINITY_INTEGER)
        sqlite3_str_appendf(sql, " WHEN 'integer' THEN %s", x);
    if (any || c->affinity == AFFINITY_TEXT) {
        sqlite3_str_appendall(sql, " WHEN 'text' THEN ");
        expand(sql, sql_text, x);
    }
    if (any || c->affinity == AFFINITY_REAL) {
        sqlite3_str_appendall(sql, " WHEN 'real' THEN ");
        expand(sql, sql_real, x);
    }
    sqlite3_str_appendall(sql, " WHEN 'null' THEN 'null' END");
    sqlite3_free(x);
}

/* ---- The slow road's text, as the schema has it ---- */

/* What stands there between two comments: an expression of `value`. */
static void write_schema_text(sqlite3_str *sql, const char *from, const char *to)
{
    const char *start = strstr(schema_migrations[0], from) + strlen(from);
    sqlite3_str_append(sql, start, (int)(strstr(start, to) - start));
}

/* Both of a column named value. */
static void write_slow_text(sqlite3_str *sql)
{
    write_schema_text(sql, "/* text: */", "/* :text */");
}

static void write_slow_base64(sqlite3_str *sql)
{
    write_schema_text(sql, "/* base64: */", "/* :base64 */");
}

static bool is_shown(const struct capture *c, int column)
{
    return !c->excluded[column];
}

/* A chain of || is as deep as it is long, and SQLite allows 1,000 deep: in groups. */
enum { GROUP = 64 };

void capture_write_image(sqlite3_str *sql, const struct capture *c, const char *row, const char *revision)
{
    const struct table *t = c->table;
    sqlite3_str_appendall(sql, "('{'");
    for (int i = 0, shown = 0; i < t->column_count; i++) {
        if (!is_shown(c, i))
            continue;
        if (shown && shown % GROUP == 0)
            sqlite3_str_appendall(sql, ") || (''");
        sqlite3_str_appendf(sql, " || '%s%.*q' || ", shown++ ? "," : "", (int)t->columns[i].label_size,
                            t->columns[i].label);
        if (i == t->revision)
            sqlite3_str_appendall(sql, revision);
        else
            write_fast(sql, &t->columns[i], row);
    }
    sqlite3_str_appendall(sql, ") || '}'");
}

/* The label as SQL text: {"name": or ,"name": */
static void write_label(sqlite3_str *sql, const struct column *c, bool first)
{
    sqlite3_str_appendf(sql, "'%s%.*q'", first ? "{" : ",", (int)c->label_size, c->label);
}

void capture_write_values(sqlite3_str *sql, const struct capture *c, const char *row, const char *revision,
                          const char *image)
{
    const struct table *t = c->table;
    for (int i = 0, shown = 0; i < t->column_count; i++) {
        if (!is_shown(c, i))
            continue;
        sqlite3_str_appendf(sql, ", ('%s', ", image);
        write_label(sql, &t->columns[i], shown++ == 0);
        if (i == t->revision)
            sqlite3_str_appendf(sql, ", %s)", revision);
        else
            sqlite3_str_appendf(sql, ", %s.\"%w\")", row, t->columns[i].name);
    }
}

void capture_write_labels(sqlite3_str *sql, const struct capture *c)
{
    const struct table *t = c->table;
    for (int i = 0, shown = 0; i < t->column_count; i++) {
        if (!is_shown(c, i))
            continue;
        sqlite3_str_appendf(sql, "%s(%d, ", shown ? ", " : "", i);
        write_label(sql, &t->columns[i], shown++ == 0);
        sqlite3_str_appendall(sql, ")");
    }
}

void capture_write_value_at(sqlite3_str *sql, const struct capture *c, const char *row, const char *number)
{
    const struct table *t = c->table;
    sqlite3_str_appendf(sql, "CASE %s", number);
    for (int i = 0; i < t->column_count; i++)
        if (is_shown(c, i))
            sqlite3_str_appendf(sql, " WHEN %d THEN %s.\"%w\"", i, row, t->columns[i].name);
    sqlite3_str_appendall(sql, " END");
}

void capture_write_plain(sqlite3_str *sql, const struct column *column, const char *row)
{
    char *x = reference(sql, column, row);
    if (!x)
        return;
    sqlite3_str_appendf(sql, "CASE typeof(%s) WHEN 'text' THEN %s", x, x);
    if (column->affinity != AFFINITY_TEXT) { /* which makes a number text */
        sqlite3_str_appendf(sql, " WHEN 'integer' THEN CAST(%s AS TEXT) WHEN 'real' THEN ", x);
        expand(sql, sql_key_real, x);
    }
    sqlite3_str_appendall(sql, " WHEN 'blob' THEN '{\"$base64\":\"' || (SELECT ");
    write_slow_base64(sql);
    sqlite3_str_appendf(sql, " FROM (SELECT +%s AS value LIMIT 1)) || '\"}' END", x);
    sqlite3_free(x);
}

/* A part of a composite key, by the name value. Where all are text, none is a number: less to compile. */
static void write_part(sqlite3_str *sql, const struct table *t)
{
    bool numbers = false;
    for (int k = 0; k < t->key_count; k++)
        numbers = numbers || t->columns[t->keys[k]].affinity != AFFINITY_TEXT;
    sqlite3_str_appendall(sql, "CASE typeof(value) WHEN 'text' THEN '\"' || ");
    write_slow_text(sql);
    sqlite3_str_appendall(sql, " || '\"' WHEN 'blob' THEN '{\"$base64\":\"' || ");
    write_slow_base64(sql);
    sqlite3_str_appendall(sql, " || '\"}'");
    if (numbers) {
        sqlite3_str_appendall(sql, " WHEN 'real' THEN ");
        expand(sql, sql_key_real, "value");
    }
    sqlite3_str_appendall(sql, " WHEN 'null' THEN 'null' ELSE value END");
}

static void write_composite(sqlite3_str *sql, const struct table *t, const char *row)
{
    sqlite3_str_appendall(sql, "(SELECT '[' || group_concat(label || ");
    write_part(sql, t);
    sqlite3_str_appendall(sql, ", '') || ']' FROM (SELECT '' AS label, NULL AS value WHERE 0 UNION ALL VALUES ");
    for (int k = 0; k < t->key_count; k++)
        sqlite3_str_appendf(sql, "%s('%s', +%s.\"%w\")", k ? ", " : "", k ? "," : "", row, t->columns[t->keys[k]].name);
    sqlite3_str_appendall(sql, "))");
}

void capture_write_key(sqlite3_str *sql, const struct capture *c, const char *row)
{
    const struct table *t = c->table;
    if (t->rowid_alias) {
        sqlite3_str_appendf(sql, "CAST(%s.\"%w\" AS TEXT)", row, t->columns[t->keys[0]].name);
        return;
    }
    if (t->key_count == 1) {
        capture_write_plain(sql, &t->columns[t->keys[0]], row);
        return;
    }
    /* Integers and plain text are most of what keys are made of. */
    sqlite3_str_appendall(sql, "coalesce('['");
    for (int k = 0; k < t->key_count; k++) {
        char *x = reference(sql, &t->columns[t->keys[k]], row);
        if (!x)
            continue;
        sqlite3_str_appendf(sql, " || '%s' || CASE typeof(%s) WHEN 'integer' THEN %s WHEN 'text' THEN ", k ? "," : "",
                            x, x);
        expand(sql, sql_text, x);
        sqlite3_str_appendall(sql, " END");
        sqlite3_free(x);
    }
    sqlite3_str_appendall(sql, " || ']', ");
    write_composite(sql, t, row);
    sqlite3_str_appendall(sql, ")");
}

/* capture_value.c — see capture_value.h.
 *
 * Most rows are plain: numbers, and text of printable ASCII. The fast expression writes those and is NULL for any other,
 * and then coalesce() takes the slow road, which stands once per image and not once per column: every statement that
 * touches the table compiles this text.
 *
 * The slow road takes text apart in windows of about 1 KiB and walks each, as json_write.c does: malformed UTF-8
 * becomes U+FFFD, one per maximal bad part. A window ends where no sequence can be cut. Windows, because SQLite copies
 * a value each time it is taken apart: in one piece a megabyte would cost its square.
 */
#include <limits.h>

#include "capture_value.h"

/* A text that needs no escape. GLOB stops at a NUL, instr does not. */
#define PLAIN_TEXT "GLOB '*[^] !#-[^-~]*' OR instr(%s, char(0))"

/* Four decimals, exactly: the quotient of two whole doubles is the nearest to the decimal. Else as many digits as read
 * back bit for bit with the printf of SQLite 3.40. */
static const char sql_real[] =
    "CASE WHEN abs(%1$s) < 1e11 AND round(%1$s * 10000.0) / 10000.0 = %1$s THEN printf('%%!.15g', %1$s)"
    " WHEN %1$s = 9e999 THEN '9e999' WHEN %1$s = -9e999 THEN '-9e999' ELSE printf('%%!.18g', %1$s) END";

/* A key is compared as text, so it is written as the library would: the shortest digits that read back. */
static const char sql_key_real[] =
    "CASE WHEN abs(%1$s) < 1e11 AND round(%1$s * 10000.0) / 10000.0 = %1$s THEN printf('%%!.15g', %1$s)"
    " WHEN %1$s = 9e999 THEN '9e999' WHEN %1$s = -9e999 THEN '-9e999'"
    " WHEN CAST(printf('%%.15g', %1$s) AS REAL) = %1$s"
    " THEN printf('%%.15g', %1$s) || CASE WHEN printf('%%.15g', %1$s) GLOB '*[.e]*' THEN '' ELSE '.0' END"
    " WHEN CAST(printf('%%.16g', %1$s) AS REAL) = %1$s"
    " THEN printf('%%.16g', %1$s) || CASE WHEN printf('%%.16g', %1$s) GLOB '*[.e]*' THEN '' ELSE '.0' END"
    " ELSE printf('%%.17g', %1$s) || CASE WHEN printf('%%.17g', %1$s) GLOB '*[.e]*' THEN '' ELSE '.0' END END";

/* Base64, three bytes a row. */
#define DIGIT(n)  "(instr('0123456789ABCDEF', substr(h, " #n ", 1)) - 1)"
#define SEXTET(v) "substr('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 1 + " v ", 1)"
static const char sql_base64[] =
    "(WITH RECURSIVE win(p, b) AS (SELECT 1, substr(%1$s, 1, 1536)"
    " UNION ALL SELECT p + 1536, substr(%1$s, p + 1536, 1536) FROM win WHERE length(b) = 1536)"
    " SELECT group_concat((WITH RECURSIVE g(q, h) AS (SELECT 1, hex(substr(b, 1, 3))"
    " UNION ALL SELECT q + 3, hex(substr(b, q + 3, 3)) FROM g WHERE length(h) = 6)"
    " SELECT coalesce(group_concat(" SEXTET(DIGIT(1) " * 4 + " DIGIT(2) " / 4") " || " SEXTET(DIGIT(2) " %% 4 * 16 + " DIGIT(3)) " || CASE WHEN length(h) < 4 THEN '=' ELSE " SEXTET(
        DIGIT(4) " * 4 + " DIGIT(5) " / 4") " END"
                                            " || CASE WHEN length(h) < 6 THEN '=' ELSE " SEXTET(DIGIT(
                                                5) " %% 4 * 16 + " DIGIT(6)) " END, ''), '')"
                                                                             " FROM g WHERE h <> ''), '') FROM win)";

/* Where a window of 1,023 bytes is cut: before a byte that begins a sequence, or that can belong to none. */
#define CUT                                                                                                            \
    "1020 + CASE WHEN hex(substr(raw, 1021, 3)) GLOB '[89AB]?[89AB]?[89AB]?' THEN 3"                                   \
    " WHEN hex(substr(raw, 1021, 3)) GLOB '[89AB]?[89AB]*' THEN 2"                                                     \
    " WHEN hex(substr(raw, 1021, 3)) GLOB '[89AB]*' THEN 1 ELSE 0 END"

/* How many bytes to take next, by the hexadecimal digits of eight of them; a bad part is negative. Table 3-7 of the
 * Unicode Standard, as in utf8.c; eight of ASCII and two of Chinese at once. */
#define TAKE                                                                                                           \
    "CASE WHEN k <> 0 THEN 0"                                                                                          \
    " WHEN h GLOB '[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?[2-7]?' THEN 8 WHEN h < '8' THEN 1"                       \
    " WHEN h GLOB 'E[13-9A-C][89AB]?[89AB]?E[13-9A-C][89AB]?[89AB]*' THEN 6"                                           \
    " WHEN h GLOB 'C[2-9A-F][89AB]*' OR h GLOB 'D?[89AB]*' THEN 2"                                                     \
    " WHEN h GLOB 'E[1-9A-CEF][89AB]?[89AB]*' OR h GLOB 'E0[AB]?[89AB]*' OR h GLOB 'ED[89]?[89AB]*' THEN 3"            \
    " WHEN h GLOB 'F[1-3][89AB]?[89AB]?[89AB]*' OR h GLOB 'F0[9AB]?[89AB]?[89AB]*'"                                    \
    " OR h GLOB 'F48?[89AB]?[89AB]*' THEN 4"                                                                           \
    " WHEN h GLOB 'F[1-3][89AB]?[89AB]*' OR h GLOB 'F0[9AB]?[89AB]*' OR h GLOB 'F48?[89AB]*' THEN -3"                  \
    " WHEN h GLOB 'F[1-3][89AB]*' OR h GLOB 'F0[9AB]*' OR h GLOB 'F48*' OR h GLOB 'E[1-9A-CEF][89AB]*'"                \
    " OR h GLOB 'E0[AB]*' OR h GLOB 'ED[89]*' THEN -2 ELSE -1 END"

/* What stands for the bytes taken. */
#define PIECE                                                                                                           \
    "CASE WHEN k < 0 THEN char(65533) WHEN h < '2' THEN CASE substr(h, 1, 2) WHEN '08' THEN '\\b' WHEN '09' THEN '\\t'" \
    " WHEN '0A' THEN '\\n' WHEN '0C' THEN '\\f' WHEN '0D' THEN '\\r' ELSE '\\u00' || lower(substr(h, 1, 2)) END"        \
    " WHEN h GLOB 'C285*' THEN '\\u0085' WHEN h GLOB 'E280A8*' THEN '\\u2028' WHEN h GLOB 'E280A9*' THEN '\\u2029'"     \
    " ELSE CAST(substr(b, q, k) AS TEXT) END"

/* The rows of walk come in pairs: how many bytes (k = 0, to be looked at), then those bytes taken. */
static const char sql_text[] =
    "(WITH RECURSIVE win(p, raw) AS (SELECT 1, substr(CAST(%1$s AS BLOB), 1, 1023)"
    " UNION ALL SELECT p + " CUT ", substr(CAST(%1$s AS BLOB), p + " CUT ", 1023) FROM win WHERE length(raw) > 1020)"
    " SELECT coalesce(group_concat((WITH RECURSIVE walk(q, h, k) AS (SELECT 1, hex(substr(b, 1, 8)), 0"
    " UNION ALL SELECT q + abs(k), CASE k WHEN 0 THEN h ELSE hex(substr(b, q + abs(k), 8)) END, " TAKE
    " FROM walk WHERE h <> '') SELECT group_concat(" PIECE ", '') FROM walk WHERE k <> 0), ''), '')"
    " FROM (SELECT CAST(replace(replace(CAST(substr(raw, 1, " CUT
    ") AS TEXT), '\\', '\\\\'), '\"', '\\\"') AS BLOB) AS b"
    " FROM win LIMIT -1) WHERE 1)";

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

/* NULL for what takes the slow road. */
static void write_fast(sqlite3_str *sql, const char *x)
{
    sqlite3_str_appendf(sql,
                        "CASE typeof(%s) WHEN 'integer' THEN %s WHEN 'text' THEN CASE WHEN %s " PLAIN_TEXT
                        " THEN NULL ELSE '\"' || %s || '\"' END WHEN 'null' THEN 'null' WHEN 'real' THEN ",
                        x, x, x, x, x);
    expand(sql, sql_real, x);
    sqlite3_str_appendall(sql, " END");
}

/* Any value, by its name x. */
static void write_slow(sqlite3_str *sql, const char *x, const char *real)
{
    sqlite3_str_appendf(sql, "CASE typeof(%s) WHEN 'text' THEN '\"' || ", x);
    expand(sql, sql_text, x);
    sqlite3_str_appendf(sql, " || '\"' WHEN 'blob' THEN '{\"$base64\":\"' || ");
    expand(sql, sql_base64, x);
    sqlite3_str_appendall(sql, " || '\"}' WHEN 'real' THEN ");
    expand(sql, real, x);
    sqlite3_str_appendf(sql, " WHEN 'null' THEN 'null' ELSE %s END", x);
}

static bool is_shown(const struct capture *c, int column)
{
    return !c->excluded[column];
}

/* A chain of || is as deep as it is long, and SQLite allows 1,000 deep: in groups. */
enum { GROUP = 64 };

static void write_fast_image(sqlite3_str *sql, const struct capture *c, const char *row, const char *revision)
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
        char *x = reference(sql, &t->columns[i], row);
        if (i == t->revision)
            sqlite3_str_appendf(sql, "coalesce(%s, 'null')", revision);
        else if (x)
            write_fast(sql, x);
        sqlite3_free(x);
    }
    sqlite3_str_appendall(sql, ") || '}'");
}

static void write_slow_image(sqlite3_str *sql, const struct capture *c, const char *row, const char *revision)
{
    const struct table *t = c->table;
    sqlite3_str_appendall(sql, "(SELECT '{' || group_concat(l || ");
    write_slow(sql, "v", sql_real);
    sqlite3_str_appendall(sql, ", '') || '}' FROM (SELECT '' AS l, NULL AS v WHERE 0 UNION ALL VALUES ");
    for (int i = 0, shown = 0; i < t->column_count; i++) {
        if (!is_shown(c, i))
            continue;
        sqlite3_str_appendf(sql, "%s('%s%.*q', ", shown ? ", " : "", shown ? "," : "", (int)t->columns[i].label_size,
                            t->columns[i].label);
        shown++;
        if (i == t->revision)
            sqlite3_str_appendf(sql, "+%s)", revision);
        else
            sqlite3_str_appendf(sql, "+%s.\"%w\")", row, t->columns[i].name);
    }
    sqlite3_str_appendall(sql, "))");
}

void capture_write_image(sqlite3_str *sql, const struct capture *c, const char *row, const char *revision)
{
    sqlite3_str_appendall(sql, "coalesce(");
    write_fast_image(sql, c, row, revision);
    sqlite3_str_appendall(sql, ", ");
    write_slow_image(sql, c, row, revision);
    sqlite3_str_appendall(sql, ")");
}

void capture_write_plain(sqlite3_str *sql, const struct column *column, const char *row)
{
    char *x = reference(sql, column, row);
    if (!x)
        return;
    sqlite3_str_appendf(
        sql, "CASE typeof(%s) WHEN 'text' THEN %s WHEN 'integer' THEN CAST(%s AS TEXT) WHEN 'real' THEN ", x, x, x);
    expand(sql, sql_key_real, x);
    sqlite3_str_appendall(sql, " WHEN 'blob' THEN '{\"$base64\":\"' || ");
    expand(sql, sql_base64, x);
    sqlite3_str_appendall(sql, " || '\"}' END");
    sqlite3_free(x);
}

static void write_composite(sqlite3_str *sql, const struct table *t, const char *row)
{
    sqlite3_str_appendall(sql, "(SELECT '[' || group_concat(l || ");
    write_slow(sql, "v", sql_key_real);
    sqlite3_str_appendall(sql, ", '') || ']' FROM (SELECT '' AS l, NULL AS v WHERE 0 UNION ALL VALUES ");
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
        if (x)
            sqlite3_str_appendf(
                sql,
                " || '%s' || CASE typeof(%s) WHEN 'integer' THEN %s WHEN 'text' THEN CASE WHEN %s " PLAIN_TEXT
                " THEN NULL ELSE '\"' || %s || '\"' END END",
                k ? "," : "", x, x, x, x, x);
        sqlite3_free(x);
    }
    sqlite3_str_appendall(sql, " || ']', ");
    write_composite(sql, t, row);
    sqlite3_str_appendall(sql, ")");
}

/* fuzz.h — what every harness shares: its entry point, and an assertion that ends the program in every build.
 *
 * A harness checks an answer against another way to the same answer (SQLite, libc, OpenSSL, plain arithmetic, the way
 * back), never only that nothing crashed. Under clang libFuzzer calls it; under gcc replay.c does, with the corpus.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "outbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

static inline _Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* A NUL-terminated copy, which ends at the input's first NUL as any C string does; freed by the caller. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = strndup(size ? (const char *)data : "", size);
    CHECK(text != NULL);
    return text;
}

/* The number in the next n bytes; fewer where the input ends. */
static inline uint64_t fuzz_take(const uint8_t **data, size_t *size, size_t n)
{
    uint64_t value = 0;
    for (; n > 0 && *size > 0; n--, (*data)++, (*size)--)
        value = value << 8 | **data;
    return value;
}

/* The C library's word on whether this is UTF-8. */
static inline bool fuzz_is_utf8(const void *bytes, size_t size)
{
    static iconv_t converter;
    size_t left = size, room = 4 * size;
    char *in = malloc(size + 1), *out = malloc(room + 1), *from = in, *to = out;

    if (!converter)
        converter = iconv_open("UTF-32LE", "UTF-8");
    CHECK(converter != (iconv_t)-1 && in && out);
    if (size)
        memcpy(in, bytes, size);
    iconv(converter, NULL, NULL, NULL, NULL);
    bool good = iconv(converter, &from, &left, &to, &room) != (size_t)-1 && left == 0;
    free(in);
    free(out);
    return good;
}

static inline sqlite3 *fuzz_memory_db(void)
{
    sqlite3 *db = NULL;
    CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
    return db;
}

/* An SQL expression over one text, which is ?1. */
static inline sqlite3_stmt *fuzz_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    CHECK(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK);
    return st;
}

/* Whether each colon outside a string comes after one, as in all JSON. SQLite 3.40 takes {["a"]:1}, and every object or
 * array whose last value is a string, for a name. */
static inline bool fuzz_names_are_strings(const char *text, size_t size)
{
    bool inside = false;
    char last = 0; /* outside strings, but for white space */
    for (size_t i = 0; i < size; i++) {
        if (!inside && text[i] == ':' && last != '"')
            return false;
        if (inside && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            inside = !inside;
        if (!inside && i < size && !strchr(" \t\r\n", text[i]))
            last = text[i];
    }
    return true;
}

/* SQLite's word on whether this is JSON. It lets malformed UTF-8 pass and stops at a NUL: look at both before. */
static inline bool fuzz_sqlite_json_valid(const void *text, size_t size)
{
    static sqlite3_stmt *st;
    if (!st)
        st = fuzz_prepare(fuzz_memory_db(), "SELECT json_valid(?1)");
    sqlite3_bind_text(st, 1, size ? text : "", (int)size, SQLITE_STATIC);
    CHECK(sqlite3_step(st) == SQLITE_ROW);
    bool valid = sqlite3_column_int(st, 0) != 0;
    sqlite3_reset(st);
    return valid && fuzz_names_are_strings(text, size);
}

/* A handle on a database in memory with these tables and ours, kept over all inputs. */
static inline outbox *fuzz_outbox(const char *tables)
{
    static outbox *ob;
    if (ob)
        return ob;
    sqlite3 *db = fuzz_memory_db();
    CHECK(sqlite3_exec(db, outbox_schema_sql(), NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK && outbox_attach(db, NULL, &ob) == OUTBOX_OK);
    return ob;
}

#endif

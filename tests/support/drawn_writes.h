/* drawn_writes.h — tables, values and operations drawn from a seed: odd names and types, values at the edges of their types,
 * a few keys that come again and again.
 *
 * Each operation has a generator of its own, so that any of them can be left out and the others stay as they are.
 */
#ifndef TESTS_DRAWN_WRITES_H
#define TESTS_DRAWN_WRITES_H

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "fixture.h"

enum { COLUMNS_MAX = 8, KEYS = 6, TEXT_MAX = 1400 };

/* ---- The generator ---- */

struct random {
    uint64_t state;
};

static inline uint64_t draw(struct random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline unsigned below(struct random *r, unsigned n)
{
    return (unsigned)(draw(r) % n);
}

static inline struct random random_of(uint64_t seed, uint64_t n)
{
    struct random r = {seed * 1000003 + n};
    draw(&r);
    return r;
}

/* ---- Tables ---- */

static const char *const names[COLUMNS_MAX] = {"a",           "select", "two words", "quo\"te",
                                               "apos'trophe", "größe",  "%s",        "名前"};
static const char *const types[] = {"TEXT", "INTEGER", "REAL", "BLOB", "", "NUMERIC"};

struct layout {
    int columns, keys; /* the first ones are the key */
    int type[COLUMNS_MAX];
    bool rowid_alias;
    char create[1024];
};

static inline struct layout layout_of(uint64_t seed)
{
    struct random r = random_of(seed, 0);
    struct layout l = {.columns = 2 + (int)below(&r, COLUMNS_MAX - 1)};
    l.rowid_alias = below(&r, 3) == 0;
    l.keys = l.rowid_alias ? 1 : 1 + (int)below(&r, l.columns > 3 ? 3 : 1);
    bool strict = below(&r, 4) == 0, without_rowid = !l.rowid_alias && below(&r, 3) == 0;
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(sql, "CREATE TABLE \"ta ble\"(");
    for (int i = 0; i < l.columns; i++) {
        l.type[i] = i == 0 && l.rowid_alias ? 1 : (int)below(&r, strict ? 4 : 6);
        sqlite3_str_appendf(sql, "\"%w\" %s%s, ", names[i], types[l.type[i]],
                            i == 0 && l.rowid_alias ? " PRIMARY KEY" : "");
    }
    if (below(&r, 2))
        sqlite3_str_appendf(sql, "made %s AS (\"%w\" || 'x') %s, ", strict ? "TEXT" : "", names[l.columns - 1],
                            below(&r, 2) ? "STORED" : "VIRTUAL");
    sqlite3_str_appendall(sql, "revision INTEGER NOT NULL DEFAULT 1");
    for (int k = 0; !l.rowid_alias && k < l.keys; k++)
        sqlite3_str_appendf(sql, "%s\"%w\"%s", k ? ", " : ", PRIMARY KEY(", names[k], k == l.keys - 1 ? ")" : "");
    sqlite3_str_appendf(sql, ")%s%s%s", without_rowid ? " WITHOUT ROWID" : "", without_rowid && strict ? "," : "",
                        strict ? " STRICT" : "");
    char *text = sqlite3_str_finish(sql);
    snprintf(l.create, sizeof l.create, "%s", text);
    sqlite3_free(text);
    return l;
}

/* ---- Values ---- */

struct storage {
    char text[COLUMNS_MAX][TEXT_MAX + 8];
};

static const char *const odd[] = {"\"",
                                  "\\",
                                  "\n",
                                  "\x01",
                                  "\x7f",
                                  "é",
                                  "\xe2\x80\xa8",
                                  "\xe2\x80\xa9",
                                  "\xc2\x85",
                                  "漢",
                                  "\xf0\x9f\x98\x80",
                                  "\xef\xbf\xbf",
                                  "/",
                                  "\t",
                                  " ",
                                  "O'Hara"};

/* A key can hold no NUL. */
static inline outbox_value text_value(struct random *r, const char *name, char *to, bool key)
{
    size_t n = 0, wanted = key ? 1 + below(r, 12) : below(r, 20) ? below(r, 24) : below(r, TEXT_MAX - 16);
    bool plain = below(r, 2);
    while (n < wanted) {
        if (plain || below(r, 3))
            to[n++] = (char)(' ' + below(r, 95));
        else if (!key && !below(r, 12))
            to[n++] = '\0';
        else {
            const char *s = odd[below(r, sizeof odd / sizeof *odd)];
            memcpy(to + n, s, strlen(s));
            n += strlen(s);
        }
    }
    return outbox_text_n(name, to, n);
}

static inline outbox_value int_value(struct random *r, const char *name)
{
    switch (below(r, 5)) {
    case 0: return outbox_int(name, INT64_MAX - (int64_t)below(r, 3));
    case 1: return outbox_int(name, INT64_MIN + (int64_t)below(r, 3));
    case 2: return outbox_int(name, (int64_t)(draw(r) >> below(r, 63)));
    default: return outbox_int(name, (int64_t)below(r, 10) - 5);
    }
}

/* SQLite writes digits by way of long double, which is no longer than a double to some (valgrind): then only the few of
 * a price come out as anybody else writes them. */
static inline bool has_long_double(void)
{
    volatile long double one = 1, more = one + LDBL_EPSILON;
    return more != one;
}

static inline outbox_value real_value(struct random *r, const char *name, bool key)
{
    if (!has_long_double())
        return outbox_real(name, (double)below(r, 100000) / 100);
    double x;
    uint64_t bits = draw(r);
    memcpy(&x, &bits, sizeof x);
    switch (key ? 3 : below(r, 7)) {
    case 0: return outbox_real(name, INFINITY);
    case 1: return outbox_real(name, -INFINITY);
    case 2: return outbox_real(name, isfinite(x) ? x : 0.1);
    case 3: return outbox_real(name, (double)below(r, 100000) / 100);
    case 4: return outbox_real(name, (double)below(r, 1000) / 7);
    case 5: return outbox_real(name, (double)(int64_t)(draw(r) >> below(r, 63)) * (below(r, 2) ? 1 : 1e10));
    default: return outbox_real(name, 1e-5 * below(r, 1000));
    }
}

static inline outbox_value value_of(struct random *r, int type, const char *name, char *to, bool key)
{
    static const int by_type[] = {OUTBOX_TYPE_TEXT, OUTBOX_TYPE_INTEGER, OUTBOX_TYPE_REAL, OUTBOX_TYPE_BLOB};
    int kind = type < 4 ? by_type[type] : key ? OUTBOX_TYPE_INTEGER : by_type[below(r, 4)];
    if (!key && below(r, 8) == 0)
        return outbox_null(name);
    if (type == 4 && key)
        kind = by_type[below(r, 2)];
    switch (kind) {
    case OUTBOX_TYPE_TEXT: return text_value(r, name, to, key);
    case OUTBOX_TYPE_INTEGER: return int_value(r, name);
    case OUTBOX_TYPE_REAL: return real_value(r, name, key);
    default: break;
    }
    size_t n = key || below(r, 10) ? below(r, 9) : below(r, TEXT_MAX);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)draw(r);
    return outbox_blob(name, to, n);
}

/* ---- Operations ---- */

enum kind { PUT, PUT_ON_CONFLICT, REPLACE, DELETE, KINDS };

struct operation {
    enum kind kind;
    int n; /* values, the key's first */
    outbox_value row[COLUMNS_MAX];
};

static inline void operation_of(const struct layout *l, uint64_t seed, int number, struct operation *o,
                                struct storage *s)
{
    struct random r = random_of(seed, (uint64_t)number + 1000);
    uint64_t which = below(&r, KEYS);
    *o = (struct operation){.kind = (enum kind)below(&r, KINDS)};
    struct random key = random_of(seed, 10 + which);
    for (int k = 0; k < l->keys; k++)
        o->row[o->n++] = value_of(&key, l->type[k], names[k], s->text[k], true);
    for (int i = l->keys; i < l->columns && o->kind != DELETE; i++) {
        bool given = o->kind == REPLACE || below(&r, 3);
        if (given)
            o->row[o->n++] = value_of(&r, l->type[i], names[i], s->text[i], false);
    }
}

#endif

/* key_fuzz.c — the text of a key, as events, the API and the command line have it. Of a row there is one text: what finds
 * the row is what it was written under, and what is refused finds nothing. */
#include "fuzz.h"

static const char tables[] =
    "CREATE TABLE texts(k TEXT PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1) STRICT;"
    "CREATE TABLE numbers(k INTEGER PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
    "CREATE TABLE reals(k REAL PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1) WITHOUT ROWID;"
    "CREATE TABLE blobs(k BLOB PRIMARY KEY, revision INTEGER NOT NULL DEFAULT 1);"
    "CREATE TABLE pairs(k TEXT, n INTEGER, revision INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (k, n));";

/* Writes a row and wants it found under the key that the library says it has. */
static void check_row(outbox *ob, const char *table, const outbox_value *row, int n, const char *expected)
{
    const char *image = NULL;
    int64_t revision = 0;
    CHECK(outbox_begin(ob) == OUTBOX_OK);
    int code = outbox_upsert(ob, table, row, n, 0, NULL, &revision);
    CHECK(code == OUTBOX_OK || code == OUTBOX_INVALID);
    if (code == OUTBOX_OK) {
        char *key = strdup(outbox_last_key(ob));
        CHECK(key && (!expected || !strcmp(key, expected)));
        CHECK(outbox_get(ob, table, key, &image, &revision) == OUTBOX_OK && revision == 1);
        CHECK(outbox_delete(ob, table, key, 1, NULL) == OUTBOX_OK && !strcmp(outbox_last_key(ob), key));
        free(key);
    } else {
        CHECK(!expected && outbox_errmsg(ob)[0]);
    }
    CHECK(outbox_rollback(ob) == OUTBOX_OK);
}

/* The text as a key of a table where nothing is: not found, or no key of it. */
static bool is_key(outbox *ob, const char *table, const char *text)
{
    const char *image = NULL;
    int64_t revision = -7;
    int code = outbox_get(ob, table, text, &image, &revision);
    CHECK(code == OUTBOX_NOT_FOUND || code == OUTBOX_INVALID);
    CHECK(!image && revision == -7 && outbox_delete(ob, table, text, OUTBOX_ANY_REVISION, NULL) == code);
    return code == OUTBOX_NOT_FOUND;
}

static void check_texts(outbox *ob, const char *text, size_t size)
{
    bool good = fuzz_is_utf8(text, size);
    outbox_value key = outbox_text("k", text), blob = outbox_blob("k", text, size);
    outbox_value pair[] = {outbox_text("k", text), outbox_int("n", (int64_t)size)};
    if (is_key(ob, "texts", text))
        check_row(ob, "texts", &key, 1, NULL);
    if (good)
        check_row(ob, "pairs", pair, 2, NULL);
    check_row(ob, "blobs", &blob, 1, NULL);
    is_key(ob, "blobs", text);
    if (is_key(ob, "pairs", text))
        CHECK(fuzz_sqlite_json_valid(text, size) && text[strspn(text, " \t\r\n")] == '[');
}

static void check_numbers(outbox *ob, const char *text, const uint8_t *data, size_t size)
{
    double real;
    uint64_t bits = fuzz_take(&data, &size, 8);
    outbox_value integer = outbox_int("k", (int64_t)bits), key;
    char decimal[32];
    snprintf(decimal, sizeof decimal, "%lld", (long long)bits);
    check_row(ob, "numbers", &integer, 1, decimal);
    memcpy(&real, &bits, sizeof real);
    if (real == real) { /* a NaN is NULL */
        key = outbox_real("k", real);
        check_row(ob, "reals", &key, 1, NULL);
    }
    is_key(ob, "reals", text);
    is_key(ob, "numbers", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    outbox *ob = fuzz_outbox(tables);
    char *text = fuzz_text(data, size);
    check_texts(ob, text, strlen(text));
    check_numbers(ob, text, data, size);
    free(text);
    return 0;
}

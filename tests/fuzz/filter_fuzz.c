/* filter_fuzz.c — an operator's SQL that is taken is one expression: its brackets are its own, it runs over one event within
 * its budget, and the database is the same afterwards. What is refused is said in one line. */
#include "event_select.h"
#include "expression.h"
#include "fuzz.h"
#include "outbox.h"

static struct expression_budget budget;

static sqlite3 *events(void)
{
    static sqlite3 *db;
    if (db)
        return db;
    db = fuzz_memory_db();
    CHECK(sqlite3_exec(db, outbox_schema_sql(), NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "INSERT INTO change_log(topic, table_name, key, op, revision, payload, created_at)"
                       " VALUES ('orders', 'orders', '7', 'insert', 1, '{\"id\":7,\"total\":120}', 1);"
                       "INSERT INTO outbox(seq) SELECT max(seq) FROM change_log",
                       NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20); /* randomblob(1e9) is the budget's no business */
    expression_confine(db, &budget);
    return db;
}

/* From behind an opening quote to behind its end. */
static const char *skip_quoted(const char *p, char quote)
{
    for (; *p; p++)
        if (*p == quote && p[1] == quote && quote != ']')
            p++;
        else if (*p == quote)
            return p + 1;
    return p;
}

/* Whether no bracket closes that the text itself has not opened. */
static bool brackets_are_its_own(const char *p)
{
    int depth = 0;
    while (*p && depth >= 0) {
        if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else if (strchr("'\"`[", *p)) {
            p = skip_quoted(p + 1, *p == '[' ? ']' : *p);
        } else {
            depth += (*p == '(') - (*p == ')');
            p++;
        }
    }
    return depth == 0;
}

/* The expression by itself, on the one event there is: 1, 0, or -1 where it fails or may say something else next time. */
static int word_of(sqlite3 *db, const char *filter)
{
    sqlite3_stmt *st = NULL;
    char sql[2048];
    int word = -1;
    if (strcasestr(filter, "random") || strcasestr(filter, "now") || strcasestr(filter, "time") ||
        strcasestr(filter, "date") || strcasestr(filter, "julian"))
        return -1;
    snprintf(sql, sizeof sql, "SELECT iif((\n%s\n), 1, 0) FROM main.outbox_events", filter);
    budget.left = 20;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        word = sqlite3_column_int(st, 0);
    expression_budget_end(&budget);
    sqlite3_finalize(st);
    return word;
}

static void run(sqlite3 *db, const char *filter)
{
    char copy[2048];
    struct sink_settings settings = {.kind = SINK_JSONL, .filter = copy};
    sqlite3_stmt *st = NULL;
    int rows = 0, before = sqlite3_total_changes(db), word = word_of(db, filter);

    snprintf(copy, sizeof copy, "%s", filter);
    if (event_select_prepare(db, "outbox_events", &settings, &st) != SQLITE_OK)
        return;
    CHECK(sqlite3_stmt_readonly(st) && sqlite3_column_count(st) == 12 && sqlite3_bind_parameter_count(st) == 3);
    event_select_bind(st, 0, 10, 100);
    budget.left = 20; /* some hundred thousand steps: what ends them is the same */
    for (; rows < 3 && sqlite3_step(st) == SQLITE_ROW; rows++)
        CHECK(word < 0 || event_select_wanted(st) == (word == 1));
    expression_budget_end(&budget);
    CHECK(rows <= 1);
    sqlite3_finalize(st);
    CHECK(sqlite3_total_changes(db) == before && sqlite3_get_autocommit(db));
    CHECK(sqlite3_db_filename(db, "temp") == NULL || !*sqlite3_db_filename(db, "temp"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sqlite3 *db = events();
    char *text = fuzz_text(data, size < 1000 ? size : 1000), message[400] = "";

    if (expression_check(db, "--filter", text, message, sizeof message)) {
        CHECK(brackets_are_its_own(text));
        run(db, text);
    } else {
        CHECK(!strncmp(message, "--filter: ", 10) && message[10]);
    }
    free(text);
    return 0;
}

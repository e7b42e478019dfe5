/* expression.c — checks and confines the operator's SQL; see expression.h. */
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "expression.h"

/* As a WHERE, where SQLite itself refuses aggregates and window functions: an expression is about one event. The line
 * breaks keep a trailing comment of the operator's from swallowing the bracket. */
static const char sql_check_head[] = "SELECT 1 FROM main.outbox_events WHERE (\n";
static const char sql_check_tail[] = "\n)";

/* And once more where another bracket closes it: what closes one of ours and goes on, as in `1) GROUP BY (topic`, may fit
 * the first of the two, never both. */
static const char sql_cast_head[] = "SELECT 1 FROM main.outbox_events WHERE CAST(\n";
static const char sql_cast_tail[] = "\n AS INTEGER)";

/* Some seconds at the most, on one event: a recursive query without an end stops there. */
enum { STEPS_PER_CALLBACK = 10000, CALLBACKS_PER_EVENT = 5000 };

/* The ones that our own statements on this connection need. */
static bool is_harmless_pragma(const char *name, const char *value)
{
    return name && ((!strcmp(name, "data_version") && !value) || !strcmp(name, "table_info"));
}

static int authorize(void *unused, int action, const char *first, const char *second, const char *database,
                     const char *trigger)
{
    (void)unused, (void)database, (void)trigger;
    /* The first two: an expression is asked more than once of one event, and again at another try. */
    static const char *const refused_functions[] = {"random",    "randomblob", "load_extension", "readfile",
                                                    "writefile", "edit",       "fts3_tokenizer"};
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
    case SQLITE_TRANSACTION: return SQLITE_OK;
    case SQLITE_PRAGMA: return is_harmless_pragma(first, second) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
        for (size_t i = 0; i < sizeof refused_functions / sizeof *refused_functions; i++)
            if (second && sqlite3_stricmp(second, refused_functions[i]) == 0)
                return SQLITE_DENY;
        return SQLITE_OK;
    default: return SQLITE_DENY;
    }
}

static int spend(void *arg)
{
    struct expression_budget *budget = arg;
    return budget->left >= 0 && budget->left-- == 0;
}

void expression_confine(sqlite3 *db, struct expression_budget *budget)
{
    budget->left = -1;
    sqlite3_set_authorizer(db, authorize, NULL);
    sqlite3_progress_handler(db, STEPS_PER_CALLBACK, spend, budget);
}

void expression_budget_begin(struct expression_budget *budget)
{
    budget->left = CALLBACKS_PER_EVENT;
}

void expression_budget_end(struct expression_budget *budget)
{
    budget->left = -1;
}

/* The text around the place that SQLite points at, on one line. */
static void show_place(sqlite3 *db, const char *sql, char *place, size_t size)
{
    int offset = sqlite3_error_offset(db) - (int)(sizeof sql_check_head - 1);
    *place = 0;
    if (offset >= 0 && offset <= (int)strlen(sql))
        snprintf(place, size, ", at character %d: %.40s", offset + 1, sql[offset] ? sql + offset : "(its end)");
}

/* Prepares head, sql and tail as one statement. *whole: there is nothing behind it, and nothing to bind. */
static int prepare(sqlite3 *db, const char *head, const char *sql, const char *tail, bool *whole)
{
    struct buffer text = {0};
    buffer_append_text(&text, head);
    buffer_append_text(&text, sql);
    buffer_append_text(&text, tail);
    const char *statement = buffer_text(&text), *rest = NULL;
    sqlite3_stmt *st = NULL;
    int rc = statement ? sqlite3_prepare_v2(db, statement, -1, &st, &rest) : SQLITE_NOMEM;
    *whole = rc == SQLITE_OK && st && !*rest && sqlite3_bind_parameter_count(st) == 0;
    sqlite3_finalize(st);
    buffer_free(&text);
    return rc;
}

bool expression_check(sqlite3 *db, const char *option, const char *sql, char *message, size_t message_size)
{
    bool whole = false;
    int rc = prepare(db, sql_check_head, sql, sql_check_tail, &whole);
    if (rc != SQLITE_OK) {
        char place[96];
        show_place(db, sql, place, sizeof place);
        snprintf(message, message_size, "%s: %s%s", option, rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(db),
                 place);
        return false;
    }
    if (whole && prepare(db, sql_cast_head, sql, sql_cast_tail, &whole) != SQLITE_OK)
        whole = false;
    if (!whole)
        snprintf(message, message_size,
                 "%s: must be one SQL expression, its brackets in pairs, without ; and without parameters: %.60s",
                 option, sql);
    return whole;
}

/* history.c — see history.h. */
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "lineage.h"
#include "query.h"

static const char sql_former_sources[] = "SELECT value FROM main.outbox_meta WHERE name = 'former_sources'";

static const char sql_last[] = "SELECT max(seq) FROM main.change_log WHERE seq <= ?1";

/* Each row from ?1 on that has no neighbour below it, the last one first, and the row below the hole. */
static const char sql_holes[] = "SELECT c.seq, (SELECT max(p.seq) FROM main.change_log AS p WHERE p.seq < c.seq)"
                                "  FROM main.change_log AS c"
                                " WHERE c.seq > ?1 AND c.seq <= ?2"
                                "   AND NOT EXISTS (SELECT 1 FROM main.change_log AS p WHERE p.seq = c.seq - 1)"
                                " ORDER BY c.seq DESC";

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int last_hole(sqlite3 *db, const char *former, int64_t from, int64_t upto, int64_t *first)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_holes, "ii", from, upto);
    *first = from;
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(st, 0), below = larger(sqlite3_column_int64(st, 1), from - 1);
        rc = SQLITE_OK;
        if (!lineage_explains(former, below, seq)) {
            *first = seq;
            break;
        }
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int history_unbroken(sqlite3 *db, int64_t from, int64_t upto, int64_t *first)
{
    sqlite3_stmt *st;
    int64_t last = 0;
    int rc = query_open(db, &st, sql_former_sources, "");
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    const char *former = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        rc = query_int(db, &last, sql_last, "i", upto);
    if (rc == SQLITE_OK && larger(last, from - 1) < upto &&
        !lineage_explains(former, larger(last, from - 1), upto + 1)) {
        *first = upto + 1;
    } else if (rc == SQLITE_OK) {
        rc = last_hole(db, former, from, upto, first);
    }
    sqlite3_finalize(st);
    return rc;
}

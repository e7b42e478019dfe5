/* erase_log.c — see erase.h.
 *
 * A seq says which event a line is only under the source that gave it out. Behind a restore from a backup the same seq
 * may have been given out twice: what a former source gave out that this database never had is not in its log.
 */
#include "erase.h"
#include "query.h"

static const char sql_ask[] =
    "SELECT key IS ?3 AND (topic = ?2 OR table_name IS ?2 COLLATE NOCASE) FROM main.change_log"
    " WHERE seq = ?1 AND ?4 = coalesce("
    "    (SELECT json_extract(value, '$.source')"
    "       FROM json_each((SELECT value FROM main.outbox_meta WHERE name = 'former_sources'))"
    "      WHERE json_extract(value, '$.last_seq') >= ?1 ORDER BY key LIMIT 1),"
    "    (SELECT value FROM main.outbox_meta WHERE name = 'source'))";

static const char sql_is_table[] =
    "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";

static enum erase_line ask(void *db, const struct erase_key *k, const struct event_line *line)
{
    enum erase_line result = ERASE_UNDECIDED;
    sqlite3_stmt *st = NULL;
    int rc = query_open(db, &st, sql_ask, "ittt", line->event.seq, k->name, k->key, line->source);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        result = sqlite3_column_int(st, 0) ? ERASE_OURS : ERASE_OTHER;
    sqlite3_finalize(st);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return result;
    ctl_fail_sqlite(db, rc, "change_log");
    return ERASE_FAILED;
}

int erase_log_init(struct erase_log *log, sqlite3 *db, const struct erase_key *k)
{
    int64_t tables = 0;
    int rc = query_int(db, &tables, sql_is_table, "t", k->name);
    *log = (struct erase_log){ask, db, tables > 0};
    return rc;
}

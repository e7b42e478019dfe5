/* schema.c — checks and migrates our tables; see schema.h.
 *
 * The migrations themselves are plain SQL in schema/. This file decides whether one may run: never over a table that
 * only has one of our names, never over a database that is newer than we can read.
 */
#include <stdio.h>
#include <string.h>

#include "handle.h"
#include "schema.h"

static const char sql_meta[] = "SELECT name, value FROM main.outbox_meta"
                               " WHERE name IN ('schema_version', 'min_version', 'source', 'max_payload')";

/* Names of ours that stand in a database without our outbox_meta, with what they are. */
static const char sql_foreign[] =
    "SELECT s.type, s.name FROM main.sqlite_schema AS s"
    " WHERE s.name COLLATE NOCASE IN ('change_log', 'outbox', 'consumer_offsets', 'failed_deliveries', 'outbox_meta',"
    "                                 'outbox_events', 'outbox_audit', 'failed_attempts', 'outbox_displaced',"
    "                                 'outbox_odd')"
    "   AND NOT (s.name = 'consumer_offsets' COLLATE NOCASE" /* a reader of files may have created ours already */
    "            AND (SELECT group_concat(name) FROM pragma_table_info('consumer_offsets', 'main'))"
    "                = '" CONSUMER_OFFSETS_COLUMNS "')"
    " ORDER BY s.name LIMIT 1";

static int sqlite_failed(sqlite3 *db, int rc, char *message, size_t message_size)
{
    snprintf(message, message_size, "the outbox tables: %s", words_of_sqlite(db));
    return code_of_sqlite(rc);
}

static int missing(sqlite3 *db, char *message, size_t message_size)
{
    const char *path = sqlite3_db_filename(db, "main");
    snprintf(message, message_size, "the database has no outbox tables; create them with: outboxctl --db %s init",
             path && *path ? path : "PATH");
    return OUTBOX_SCHEMA;
}

static bool has_meta(sqlite3 *db, int *rc)
{
    sqlite3_stmt *st = NULL;
    *rc = sqlite3_prepare_v2(
        db, "SELECT count(*) = 2 FROM pragma_table_info('outbox_meta', 'main') WHERE name IN ('name', 'value')", -1,
        &st, NULL);
    if (*rc == SQLITE_OK)
        *rc = sqlite3_step(st);
    bool yes = *rc == SQLITE_ROW && sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    *rc = *rc == SQLITE_ROW ? SQLITE_OK : *rc;
    return yes;
}

int schema_present(sqlite3 *db, bool *present)
{
    int rc;
    *present = has_meta(db, &rc);
    return code_of_sqlite(rc);
}

char *schema_consumer_offsets_sql(void)
{
    static const char begin[] = "CREATE TABLE IF NOT EXISTS consumer_offsets(", end[] = "STRICT;";
    const char *from = strstr(schema_migrations[0], begin);
    const char *to = strstr(from, end) + strlen(end);
    return sqlite3_mprintf("%.*s", (int)(to - from), from);
}

/* The values of outbox_meta. schema_version stays 0 where the table is missing or has no such row. */
static int read_meta(sqlite3 *db, struct schema_info *info)
{
    int rc;
    memset(info, 0, sizeof *info);
    if (!has_meta(db, &rc))
        return rc;
    sqlite3_stmt *st = NULL;
    rc = sqlite3_prepare_v2(db, sql_meta, -1, &st, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        const char *text = (const char *)sqlite3_column_text(st, 1);
        int64_t value = sqlite3_column_int64(st, 1);
        rc = SQLITE_OK;
        if (!name)
            continue; /* out of memory: the next step says so */
        if (!strcmp(name, "schema_version"))
            info->schema_version = value;
        else if (!strcmp(name, "min_version"))
            info->min_version = value;
        else if (!strcmp(name, "max_payload"))
            info->max_payload_bytes = value;
        else if (text && strlen(text) == 16)
            memcpy(info->source, text, 17);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int too_new(const struct schema_info *info, char *message, size_t message_size)
{
    snprintf(
        message, message_size,
        "the database's outbox schema is version %lld and needs at least version %lld of this library's %d; upgrade",
        (long long)info->schema_version, (long long)info->min_version, SCHEMA_VERSION);
    return OUTBOX_NEWER;
}

int schema_check(sqlite3 *db, struct schema_info *info, char *message, size_t message_size)
{
    struct schema_info found;
    int rc = read_meta(db, &found);
    if (rc != SQLITE_OK)
        return sqlite_failed(db, rc, message, message_size);
    if (found.schema_version < 1)
        return missing(db, message, message_size);
    if (found.min_version > SCHEMA_VERSION)
        return too_new(&found, message, message_size);
    if (found.schema_version < SCHEMA_VERSION) {
        snprintf(message, message_size,
                 "the database's outbox schema is version %lld, this library needs %d; run: outboxctl init",
                 (long long)found.schema_version, SCHEMA_VERSION);
        return OUTBOX_SCHEMA;
    }
    if (!found.source[0]) {
        snprintf(message, message_size, "outbox_meta has no source; was a row of it deleted? restore it from a backup");
        return OUTBOX_SCHEMA;
    }
    *info = found;
    return OUTBOX_OK;
}

/* A table of one of our names that isn't ours is somebody's data: say what to type, touch nothing. */
static int refuse_foreign(sqlite3 *db, char *message, size_t message_size)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql_foreign, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int code = OUTBOX_OK;
    if (rc == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(st, 0), *name = (const char *)sqlite3_column_text(st, 1);
        bool table = type && !strcmp(type, "table");
        snprintf(message, message_size, "the database has a %s \"%s\" that is not ours; %s", type ? type : "thing",
                 name ? name : "", table ? "move it out of the way: " : "drop or rename it, then try again");
        size_t used = strlen(message);
        if (table && name && used < message_size)
            snprintf(message + used, message_size - used, "ALTER TABLE \"%s\" RENAME TO \"%s_old\"", name, name);
        code = OUTBOX_SCHEMA;
    } else if (rc != SQLITE_DONE) {
        code = sqlite_failed(db, rc, message, message_size);
    }
    sqlite3_finalize(st);
    return code;
}

/* Inside the transaction: runs what is still to be run. */
static int apply(sqlite3 *db, const char *const migrations[], int count, char *message, size_t message_size)
{
    struct schema_info info;
    int rc = read_meta(db, &info);
    if (rc != SQLITE_OK)
        return sqlite_failed(db, rc, message, message_size);
    if (info.schema_version >= count)
        return OUTBOX_OK; /* another process was faster */
    if (info.schema_version < 1) {
        int code = refuse_foreign(db, message, message_size);
        if (code != OUTBOX_OK)
            return code;
    }
    for (int64_t version = info.schema_version < 1 ? 0 : info.schema_version; version < count; version++) {
        rc = sqlite3_exec(db, migrations[version], NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return sqlite_failed(db, rc, message, message_size);
    }
    return OUTBOX_OK;
}

int schema_migrate(sqlite3 *db, const char *const migrations[], int count, char *message, size_t message_size)
{
    struct schema_info info;
    int rc = read_meta(db, &info);
    if (rc != SQLITE_OK)
        return sqlite_failed(db, rc, message, message_size);
    if (info.schema_version >= 1 && info.min_version > count)
        return too_new(&info, message, message_size);
    if (info.schema_version >= count)
        return OUTBOX_OK;
    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return sqlite_failed(db, rc, message, message_size);
    int code = apply(db, migrations, count, message, message_size);
    if (code == OUTBOX_OK) {
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            code = sqlite_failed(db, rc, message, message_size);
    }
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

/* cursors.c — see cursors.h. */
#include <sys/stat.h>

#include "cursors.h"
#include "query.h"
#include "schema.h"

static const char sql_readers[] =
    "SELECT group_concat(name) = '" CONSUMER_OFFSETS_COLUMNS "'"
    "       AND (SELECT count(*) FROM pragma_table_info('outbox_meta', 'main') WHERE name IN ('name', 'value')) < 2"
    "  FROM pragma_table_info('consumer_offsets', 'main')";

enum { BUSY_TIMEOUT_MS = 5000 };

int cursors_ask(sqlite3 *db, bool *readers)
{
    int64_t yes = 0;
    int rc = query_int(db, &yes, sql_readers, "");
    *readers = rc == SQLITE_OK && yes;
    return rc;
}

bool cursors_are_a_readers(sqlite3 *db)
{
    bool readers;
    return cursors_ask(db, &readers) == SQLITE_OK && readers;
}

/* Asks a question of a database before it is opened for writing, no where it can't be read. */
static bool look(const char *path, bool (*ask)(sqlite3 *))
{
    sqlite3 *db = NULL;
    bool yes = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK && ask(db);
    sqlite3_close(db);
    return yes;
}

static bool is_no_outbox(sqlite3 *db)
{
    bool present = true;
    schema_present(db, &present);
    return !present;
}

static int attach_own(const char *path, struct cursors *c)
{
    int rc = sqlite3_open_v2(path, &c->own, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(c->own, rc, path);
    sqlite3_busy_timeout(c->own, BUSY_TIMEOUT_MS);
    wal_keeper_init(&c->keeper, c->own);
    int code = outbox_attach(c->own, NULL, &c->ob);
    return code == OUTBOX_OK ? EXIT_DONE : ctl_fail(NULL, code);
}

static int open_where(const struct ctl *ctl, bool (*is_own)(sqlite3 *), struct cursors *c)
{
    struct stat st;
    bool own = stat(ctl->db_path, &st) == 0 && look(ctl->db_path, is_own);
    return own ? attach_own(ctl->db_path, c) : ctl_open(ctl, &c->ob); /* which says what is wrong with it */
}

int cursors_open(const struct ctl *ctl, struct cursors *c)
{
    return open_where(ctl, is_no_outbox, c);
}

int cursors_open_existing(const struct ctl *ctl, struct cursors *c)
{
    return open_where(ctl, cursors_are_a_readers, c);
}

void cursors_tend(struct cursors *c)
{
    if (c->own)
        wal_keeper_tend(&c->keeper);
}

void cursors_close(struct cursors *c)
{
    outbox_close(c->ob);
    wal_keeper_fini(&c->keeper);
    sqlite3_close(c->own);
    *c = (struct cursors){0};
}

/* owe.c — see owe.h.
 *
 * Plain INSERTs only: AUTOINCREMENT then hands out every seq exactly once, in commit order, without a gap, and a seq
 * that is missing proves a loss.
 */
#include <stdbool.h>
#include <string.h>

#include "handle.h"
#include "owe.h"
#include "timestamp.h"

enum {
    LOG_TOPIC = 1,
    LOG_TABLE,
    LOG_KEY,
    LOG_ORDERING_KEY,
    LOG_OP,
    LOG_REVISION,
    LOG_BEFORE,
    LOG_PAYLOAD,
    LOG_HEADERS,
    LOG_CREATED_AT
};

/* NULL text binds NULL; nothing is copied: all of it outlives the step. */
static int bind_text(sqlite3_stmt *st, int parameter, const char *text, size_t size)
{
    return sqlite3_bind_text64(st, parameter, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_name(sqlite3_stmt *st, int parameter, const char *text)
{
    return sqlite3_bind_text(st, parameter, text, -1, SQLITE_STATIC);
}

static int bind_payload(sqlite3_stmt *st, const struct change *c)
{
    if (!c->payload)
        return sqlite3_bind_null(st, LOG_PAYLOAD);
    if (c->payload_is_blob)
        return sqlite3_bind_blob64(st, LOG_PAYLOAD, c->payload, c->payload_size, SQLITE_STATIC);
    return bind_text(st, LOG_PAYLOAD, c->payload, c->payload_size);
}

/* The first fault counts: in a database of UTF-16 binding converts, and a text for which there is no memory would be
 * NULL in the log. */
static int bind(sqlite3_stmt *st, const struct change *c)
{
    int rc = bind_name(st, LOG_TOPIC, c->topic);
    if (rc == SQLITE_OK)
        rc = bind_name(st, LOG_TABLE, c->table);
    if (rc == SQLITE_OK)
        rc = bind_text(st, LOG_KEY, c->key, c->key_size);
    if (rc == SQLITE_OK)
        rc = bind_name(st, LOG_ORDERING_KEY, c->options->ordering_key);
    if (rc == SQLITE_OK)
        rc = bind_name(st, LOG_OP, c->op);
    if (rc == SQLITE_OK)
        rc = c->revision ? sqlite3_bind_int64(st, LOG_REVISION, c->revision) : sqlite3_bind_null(st, LOG_REVISION);
    if (rc == SQLITE_OK)
        rc = bind_text(st, LOG_BEFORE, c->before, c->before_size);
    if (rc == SQLITE_OK)
        rc = bind_payload(st, c);
    if (rc == SQLITE_OK)
        rc = bind_name(st, LOG_HEADERS, c->options->headers);
    return rc == SQLITE_OK ? sqlite3_bind_int64(st, LOG_CREATED_AT, timestamp_now_us()) : rc;
}

/* A small max-payload is not meant for what goes with it. */
enum { TEXT_MAX_BYTES = 64 * 1024 };

/* What goes with the payload has a limit too: every one of them is in every line and request. */
static int check_sizes(outbox *ob, const struct change *c)
{
    int64_t most = ob->max_payload_bytes > TEXT_MAX_BYTES ? ob->max_payload_bytes : TEXT_MAX_BYTES;
    const char *ordering_key = c->options->ordering_key, *headers = c->options->headers;
    const struct {
        const char *what;
        size_t size;
    } texts[] = {{"topic", strlen(c->topic)},
                 {"key", c->key_size},
                 {"ordering_key", ordering_key ? strlen(ordering_key) : 0},
                 {"headers", headers ? strlen(headers) : 0}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((int64_t)texts[i].size > most)
            return fail(ob, OUTBOX_TOOBIG, "%s: %zu bytes, and at most %lld go with an event (max-payload)",
                        texts[i].what, texts[i].size, (long long)most);
    return OUTBOX_OK;
}

int owe(outbox *ob, const struct change *c, int64_t *seq)
{
    int code = check_sizes(ob, c);
    if (code != OUTBOX_OK)
        return code;
    sqlite3_stmt *log = handle_statement(ob, ST_LOG, &code);
    sqlite3_stmt *due = log ? handle_statement(ob, ST_OWE, &code) : NULL;
    if (!due)
        return code;
    int rc = bind(log, c);
    if (rc == SQLITE_OK)
        rc = statement_run(log);
    if (rc != SQLITE_OK)
        return fail_sqlite(ob, rc, "change_log");
    *seq = sqlite3_last_insert_rowid(ob->db);
    sqlite3_bind_int64(due, 1, *seq);
    rc = statement_run(due);
    return rc == SQLITE_OK ? OUTBOX_OK : fail_sqlite(ob, rc, "outbox");
}

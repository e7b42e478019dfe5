/* events.c — `events`: what change_log holds, as JSON lines in the native form, and with --follow what comes after.
 *
 * A batch is copied out in one short read transaction and printed after it: a slow reader of our output keeps no
 * snapshot open. Nothing is acknowledged; a look is no consumer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "encode.h"
#include "event_batch.h"
#include "follow.h"

static const char sql_events[] = "SELECT " EVENT_COLUMNS ", (SELECT value FROM main.outbox_meta WHERE name = 'source')"
                                 "  FROM main.change_log WHERE seq > ?1 ORDER BY seq LIMIT ?2";

enum { COLUMN_SOURCE = 11, SOURCE_SIZE = 17, BATCH_COUNT = 500, BATCH_BYTES = 4 << 20 };

struct events {
    sqlite3 *db;
    sqlite3_stmt *select;
    int64_t after; /* the last seq read */
    int64_t left;  /* of --limit */
    char source[SOURCE_SIZE];
    struct event_batch batch;
    struct buffer out;
};

/* The next events into the batch; none is fine. Returns the SQLite code. */
static int read_batch(struct events *e)
{
    int64_t limit = e->left < BATCH_COUNT ? e->left : BATCH_COUNT;
    int rc = SQLITE_OK;
    event_batch_clear(&e->batch);
    sqlite3_bind_int64(e->select, 1, e->after);
    sqlite3_bind_int64(e->select, 2, limit);
    while (e->batch.arena.size < BATCH_BYTES && (rc = sqlite3_step(e->select)) == SQLITE_ROW) {
        const char *source = (const char *)sqlite3_column_text(e->select, COLUMN_SOURCE);
        snprintf(e->source, sizeof e->source, "%s", source ? source : "");
        if (!event_batch_add(&e->batch, e->select, e->source)) {
            rc = SQLITE_NOMEM;
            break;
        }
    }
    sqlite3_reset(e->select); /* ends the read transaction */
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void encode_batch(struct events *e)
{
    struct encode_options options = {.source = e->source};
    const outbox_event *event;
    buffer_clear(&e->out);
    while ((event = event_batch_next(&e->batch))) {
        struct source_row row = {.event = *event};
        const char *error;
        encode_native(&e->out, &row, &options, &error);
        buffer_append_byte(&e->out, '\n');
        e->after = event->seq;
        e->left--;
    }
}

/* Reads and encodes the next batch; *any: there was one. */
static int next_batch(struct events *e, bool *any)
{
    int rc = read_batch(e);
    if (rc != SQLITE_OK && rc != SQLITE_NOMEM)
        return ctl_fail_sqlite(e->db, rc, "change_log");
    *any = e->batch.count > 0;
    if (rc == SQLITE_OK)
        encode_batch(e);
    if (rc == SQLITE_OK && buffer_ok(&e->out))
        return EXIT_DONE;
    ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
    return EXIT_TEMPORARY;
}

static int print_all(struct events *e)
{
    bool any = true;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && any && e->left > 0 && !ferror(stdout)) {
        code = next_batch(e, &any);
        if (code == EXIT_DONE && any)
            code = ctl_print(&e->out);
    }
    return code;
}

static int explain(enum follow_result result)
{
    switch (result) {
    case FOLLOW_ON:
    case FOLLOW_STOP: return EXIT_DONE;
    case FOLLOW_MOVED: ctl_say("the database file was moved or replaced; start again"); return EXIT_TEMPORARY;
    case FOLLOW_FAILED: ctl_say("follow: %s", strerror(errno)); return EXIT_TEMPORARY;
    }
    return EXIT_PERMANENT;
}

static int follow_all(struct events *e)
{
    struct follow f;
    enum follow_result result = follow_begin(&f, e->db) ? FOLLOW_ON : FOLLOW_FAILED;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && result == FOLLOW_ON && e->left > 0) {
        bool any = false;
        code = next_batch(e, &any);
        if (code != EXIT_DONE)
            break;
        if (any)
            follow_found(&f);
        result = any ? follow_write(&f, &e->out) : follow_wait(&f, e->db);
    }
    if (code == EXIT_DONE)
        code = explain(result);
    follow_end(&f);
    return code;
}

int ctl_events(struct ctl *ctl, int argc, char **argv)
{
    struct events e = {.left = INT64_MAX};
    bool follow = false;
    const struct option_spec options[] = {
        {"after", OPTION_INT, &e.after}, {"limit", OPTION_INT, &e.left}, {"follow", OPTION_FLAG, &follow}};
    int code;
    if (!arguments_read(ctl, options, 3, 0, 0, &argc, argv, &code))
        return code;
    code = ctl_open_reader(ctl, &e.db);
    if (code != EXIT_DONE)
        return code;
    int rc = sqlite3_prepare_v2(e.db, sql_events, -1, &e.select, NULL);
    if (rc != SQLITE_OK)
        code = ctl_fail_sqlite(e.db, rc, "change_log");
    else
        code = follow ? follow_all(&e) : print_all(&e);
    sqlite3_finalize(e.select);
    event_batch_free(&e.batch);
    buffer_free(&e.out);
    sqlite3_close(e.db);
    return code;
}

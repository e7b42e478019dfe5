/* target.c — see target.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "query.h"
#include "target.h"

static const char sql_find[] = "SELECT reads, state, acked_seq, kind"
                               "  FROM main.consumer_offsets WHERE consumer = ?1";

static const char sql_names[] = "SELECT group_concat(consumer, ', ')"
                                "  FROM (SELECT consumer FROM main.consumer_offsets ORDER BY consumer LIMIT 20)";

static const char sql_wake[] =
    "UPDATE main.consumer_offsets SET lease_token = coalesce(lease_token, 0) + 1 WHERE consumer = ?1";

static enum target_kind kind_of(const char *reads, const char *kind)
{
    if (reads)
        return TARGET_FILE_READER;
    if (!kind)
        return TARGET_NOBODYS;
    if (!strcmp(kind, "jsonl"))
        return TARGET_JSONL_WRITER;
    if (!strcmp(kind, "reader"))
        return TARGET_READER;
    return !strcmp(kind, "webhook") ? TARGET_WEBHOOK : TARGET_SINK;
}

static int say_unknown(sqlite3 *db, const char *name)
{
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_names, "");
    const char *names = rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0)
                                                                          : NULL;
    if (names)
        ctl_say("there is no consumer %s; there are: %s", name, names);
    else
        ctl_say("there is no consumer %s: none has registered", name);
    sqlite3_finalize(st);
    return EXIT_NEGATIVE;
}

static bool copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return !text || *to;
}

static bool fill(struct target *t, const char *name, sqlite3_stmt *st)
{
    const char *reads = (const char *)sqlite3_column_text(st, 0), *state = (const char *)sqlite3_column_text(st, 1);
    snprintf(t->name, sizeof t->name, "%s", name);
    const char *kind = (const char *)sqlite3_column_text(st, 3);
    t->kind = kind_of(reads, kind);
    snprintf(t->sink, sizeof t->sink, "%s", kind ? kind : "");
    t->unbegun = reads && sqlite3_column_type(st, 2) == SQLITE_NULL;
    t->acked_seq = sqlite3_column_int64(st, 2);
    return copy(&t->reads, reads) && copy(&t->state, state);
}

int target_find(sqlite3 *db, const char *name, struct target *out)
{
    struct target t = {0};
    sqlite3_stmt *st;
    int rc = query_open(db, &st, sql_find, "t", name);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    bool found = rc == SQLITE_ROW, filled = found && fill(&t, name, st);
    sqlite3_finalize(st);
    if (filled) {
        *out = t;
        return EXIT_DONE;
    }
    target_free(&t);
    if (found) {
        ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
        return EXIT_TEMPORARY;
    }
    return rc == SQLITE_DONE ? say_unknown(db, name) : ctl_fail_sqlite(db, rc, "consumer_offsets");
}

void target_free(struct target *t)
{
    free(t->reads);
    free(t->state);
    t->reads = t->state = NULL;
}

int target_refuse_writer(const struct target *t, const char *verb)
{
    ctl_say(
        "%s writes a JSONL stream, and its file says how far it is: it cannot be made to %s. For a stream that begins "
        "elsewhere: outbox-relay --jsonl NEWFILE --consumer NEWNAME --from SEQ",
        t->name, verb);
    return EXIT_PERMANENT;
}

int target_wake(sqlite3 *db, const char *name)
{
    int rc = query_run(db, NULL, sql_wake, "t", name);
    return rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(db, rc, "consumer_offsets");
}

/* capture.h — triggers that log a table's changes in the statement's own transaction, whoever writes.
 *
 * What was asked for stands in the triggers themselves, as JSON in a comment, so that it goes wherever the schema goes,
 * and the triggers can be written anew from the table as it is now: what differs from them is stale.
 */
#ifndef OUTBOX_CAPTURE_H
#define OUTBOX_CAPTURE_H

#include "buffer.h"
#include "table.h"

enum { CAPTURE_TRIGGERS_MAX = 16 };

/* A table with what is to be captured of it. */
struct capture {
    struct table *table; /* not owned */
    char *topic;         /* NULL: the table's name */
    int ordering_key;    /* column; -1: none */
    int ops;             /* OUTBOX_CAPTURE_… */
    bool *excluded;      /* per column: left out of every image */
    bool *watched;       /* per column: an update is an event only if one of these changes; NULL: any */
    bool without_rowid;
    const char *rowid; /* a name of the rowid that no column hides; NULL: none */

    char *conflicts;   /* SQL: row o stands in the way of NEW; see capture_conflict.c */
    bool *unique;      /* per column: part of a unique index or the key */
    bool unseen_index; /* there is a unique index whose conflicts cannot be told */
};

/* ---- Options (capture_options.c) ---- */

/* Both leave *c to be freed with capture_fini, on failure too. INVALID: no such column, a column that cannot be left
 * out, an unknown option, by name. */
int capture_from_options(outbox *, struct table *, const outbox_capture_options *, struct capture *c);
int capture_from_json(outbox *, struct table *, const char *json, size_t size, struct capture *c);

void capture_write_json(struct buffer *, const struct capture *); /* what capture_from_json reads */
void capture_fini(struct capture *);

/* ---- Triggers (capture_triggers.c) ---- */

struct capture_trigger {
    char *name, *sql; /* sqlite3_malloc'd */
};

/* The triggers, in the order in which they are created. *count is at most CAPTURE_TRIGGERS_MAX. */
int capture_triggers(outbox *, const struct capture *, struct capture_trigger *triggers, int *count);
void capture_triggers_free(struct capture_trigger *triggers, int count);

/* Finds what stands in NEW's way: fills conflicts and unique. */
int capture_find_conflicts(outbox *, struct capture *);

/* ---- The table in the schema (capture.c) ---- */

/* outbox_capture with the options as a JSON object; NULL: those it had, or none. */
int capture_json(outbox *, const char *table, const char *json, ptrdiff_t size);

/* Whether the table is captured, and if so whether what it has are the triggers it should have; *why (sqlite3_malloc'd,
 * NULL where it is not stale) says what differs. Changes nothing; a read-only connection will do. */
int capture_look(outbox *, struct table *, bool *captured, char **why);

/* What was asked for, to be freed with capture_fini; of a table that is not captured, the defaults. INVALID: it does not
 * fit the table any more. */
int capture_read(outbox *, struct table *, struct capture *);

#endif

/* table.h — a domain table as the schema describes it, with its prepared statements.
 *
 * There is nothing to register: a table is looked up at its first use and again when the schema has changed. Each set
 * of columns that rows come with has its own UPDATE and INSERT, prepared once and kept (struct plan).
 */
#ifndef OUTBOX_TABLE_H
#define OUTBOX_TABLE_H

#include <stdbool.h>

#include "outbox.h"

enum affinity { AFFINITY_BLOB, AFFINITY_TEXT, AFFINITY_NUMERIC, AFFINITY_INTEGER, AFFINITY_REAL };

struct column {
    char *name;
    char *label; /* as it stands in an image: "name": with its quotes and colon */
    size_t label_size;
    enum affinity affinity;
    int key_place;  /* 1.. in the primary key, 0: not part of it */
    bool generated; /* in the image, never written */
};

/* One set of columns, in the order a row gave them. */
struct plan {
    struct plan *next;
    int count;
    char **names;                  /* as the caller spelt them */
    int *columns;                  /* the column of each value; -1: ignored */
    int *keys;                     /* per key column, the value that gives it; -1: none does */
    sqlite3_stmt *update, *insert; /* value i is ?i+1, the revision ?count+1 */
};

/* Where an image begins in the rows of table.select: before it the rowid (or NULL). */
enum { SELECT_ROWID = 0, SELECT_IMAGE = 1 };

enum { KEY_DIGITS_SIZE = 24 };

/* By which one schema is told from another, within a handle; see table.c. */
struct schema_stamp {
    int64_t cookie;
    int expiries;
};

struct table {
    struct table *next;
    char *name; /* as the schema spells it */
    int column_count;
    struct column *columns; /* in table order, generated ones too */
    int revision;           /* its column */
    int key_count;
    int *keys; /* columns of the primary key, in its order */
    bool rowid_alias;
    bool without_rowid;
    bool strict;
    bool triggers;                       /* it has some: what they do must not be overridden by OR ABORT */
    bool captured;                       /* and some of ours, which log its changes */
    char *stale;                         /* why those are not what they should be; sqlite3_malloc'd, NULL: they are */
    sqlite3_stmt *select;                /* ?1.. the key: rowid, then every column */
    sqlite3_stmt *delete;                /* ?1.. the key */
    struct plan *plans;                  /* the last one used first */
    outbox_value *key_values;            /* key_count, the key of the call under way */
    char (*key_digits)[KEY_DIGITS_SIZE]; /* text of those that came as integers for a TEXT column */
    struct schema_stamp stamp;           /* of the schema that all this was read from */
    int reprepared;                      /* of select, when the stamp was last found to be the schema's still */
};

/* The table called name, from the cache or the schema. INVALID: no such table, a view, no primary key, no revision
 * column, one of our own. Inside a scope, so that the schema stands still. */
int table_find(outbox *, const char *name, struct table **);

/* After a step of table->select: did SQLite prepare it anew because the schema has changed? Then *t is replaced by what
 * the schema says now and *changed is set: bind and step again. */
int table_recheck(outbox *, struct table **t, int rc, bool *changed);

/* Where the schema has changed since it was read, reads the table again: *t is another, *changed is set. */
int table_refresh(outbox *, struct table **t, bool *changed);

/* The plan for n values. INVALID: unknown column, a column twice. */
int table_plan(outbox *, struct table *, const outbox_value *row, int n, struct plan **);

void tables_free(struct table *, bool finalize);

#endif

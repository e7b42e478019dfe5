/* mod_outbox.h — what the SQL functions and tables of one connection share.
 *
 *     load_extension ──▶ one struct module per connection ──▶ a handle (outbox_attach), made at the first use
 *                                                        └──▶ a reader per consumer, from its first use until the
 *                                                             connection closes or outbox_leave()
 *
 * The handle keeps prepared statements, and sqlite3_close() refuses while there are any. So the table outbox_read, made
 * known to SQLite before the first of them is prepared, lets go of everything in its xDisconnect: SQLite calls that
 * first of all when a connection closes. What comes after a close that failed begins anew.
 */
#ifndef OUTBOX_MOD_OUTBOX_H
#define OUTBOX_MOD_OUTBOX_H

#include "mod_sqlite.h"

#include <stdbool.h>

#include "handle.h"
#include "outbox.h"

struct held; /* a consumer's reader (mod_consumer.c) */

struct module {
    sqlite3 *db;
    outbox *ob;     /* NULL: not needed yet */
    bool connected; /* outbox_read is: its xDisconnect will come */
    bool busy;      /* one of our functions is running */
    struct held *held;
    int references;           /* of SQLite, by function and module; the last one frees */
    char words[MESSAGE_SIZE]; /* of a failure that left no handle to say it */
};

/* ---- The module's life (mod_outbox.c) ---- */

/* Every function and every filter of a table begins here: OUTBOX_OK with m->ob, else m->words. One at a time: what a
 * trigger or an application's function calls meanwhile is MISUSE. */
int module_enter(struct module *);
void module_leave(struct module *);
void module_disconnect(struct module *); /* lets go of the readers and the handle */
void module_free(void *module);          /* one reference less; for SQLite's xDestroy */

/* ---- Errors (mod_error.c) ---- */

/* "outbox: conflict: …": the code's word, then what the handle or the module says. For sqlite3_free; NULL: no memory. */
char *module_message(struct module *, int code);

int sqlite_code(int code); /* one of ours as the code that the SQL statement fails with */

/* ---- Arguments (mod_argument.c) ---- */

struct call {
    struct module *m;
    outbox *ob;
    sqlite3_context *context;
    sqlite3_value **args;
    int n;
    struct buffer text; /* of an argument that was rendered */
};

/* The argument as text; NULL where it is NULL or left out, and INVALID then if it is needed. Valid until the call ends. */
int argument_text(struct call *, int i, const char *name, bool needed, const char **out);

/* The same for a key, which may come as the value itself: a number, or a BLOB. */
int argument_key(struct call *, int i, bool needed, const char **out);

/* A whole number, as INTEGER or (hosts without integers) as REAL; left out or NULL leaves *out alone. */
int argument_int(struct call *, int i, const char *name, int64_t *out);

/* ---- Consumers (mod_consumer.c) ---- */

/* The consumer's reader, opened where the connection doesn't hold it yet: at OUTBOX_FROM_… where it is new. */
int held_take(struct module *, const char *name, int from, outbox_reader **out);

outbox_reader *held_find(struct module *, const char *name); /* NULL: not held */

/* After a failure with the reader: one that is STALE is let go, so that the next call opens it again. */
void held_failed(struct module *, const char *name, int code);

bool held_release(struct module *, const char *name); /* true: it was held */
void held_release_all(struct module *);

int function_take(struct call *);
int function_ack(struct call *);
int function_leave(struct call *);
int function_wait(struct call *);

/* ---- Tables (mod_read.c, mod_history.c) ---- */

extern const sqlite3_module read_table, history_table;

#endif

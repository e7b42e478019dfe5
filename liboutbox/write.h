/* write.h — one write of a row under way, and the steps that upsert and delete share.
 *
 * A write reads the row, decides, changes it, reads what it became, and owes the event. Everything that can be refused
 * is refused before the first change; what the row became is never guessed.
 * Left to others: the transaction (transaction.c), the SQL (plan.c), keys (key.c), the log (owe.c).
 */
#ifndef OUTBOX_WRITE_H
#define OUTBOX_WRITE_H

#include <stdbool.h>

#include "buffer.h"
#include "row.h"
#include "table.h"

enum { SCHEMA_TRIES = 4 }; /* a schema that changes this often while we hold the write lock is a fault, not a race */

struct write {
    outbox *ob;
    const char *table_name;
    const outbox_value *row;
    int n;
    int64_t expected;
    outbox_write_options options;
    struct table *table;
    struct plan *plan;
    bool assigned; /* SQLite chooses the key */
    struct found_row found;
    int64_t rowid; /* what sqlite3_last_insert_rowid() shall say */
    int64_t revision, seq;
    int64_t logged_before; /* of a captured table: the last seq before the change */
};

/* The first step: table is not NULL, expected is in range, options are read and checked. */
int write_begin(struct write *, const outbox_write_options *);

/* The compare of compare-and-swap: CONFLICT, or INVALID where the stored revision is none. */
int write_check_revision(struct write *);

/* ob->key: the key stored, where there is a row, and what would be stored where there is none. */
int write_take_key(struct write *);

/* After COMMIT nothing may fail any more: makes the room in which write_remember() keeps ob->key. */
int write_keep_room(outbox *);

/* The image of the row that the table's SELECT stands on. */
int write_take_image(struct write *, struct buffer *image);

/* Runs the statement that changes the row; exactly one must change. */
int write_step(struct write *, sqlite3_stmt *);

/* Before the change: of a captured table, that its triggers are up to date and will run, and where the log ends. */
int write_prepare(struct write *);

/* Logs and owes the change; before and after may be NULL. Of a captured table the triggers have done so: finds what they
 * logged, and gives it the topic, ordering_key and headers of the call. */
int write_owe(struct write *, const char *op, const struct buffer *before, const struct buffer *after);

void write_remember(struct write *); /* what a write that succeeded leaves on the handle */

const char *write_key_words(outbox *); /* ob->key, for messages */

/* Finds the row that key names; a text may stand for more than one value, and the first that exists is meant. On
 * OUTBOX_OK the SELECT stands on it, if it exists, and ob->key is set. */
int write_find_by_text(struct write *, const char *key);

#endif

/* capture_put.h — what the triggers of a captured table are put together from: conditions, and the statements that log.
 *
 * Short of memory a text is spoilt (capture_spoil), and with it the trigger.
 */
#ifndef OUTBOX_CAPTURE_PUT_H
#define OUTBOX_CAPTURE_PUT_H

#include "capture.h"

#define CAPTURE_NOW "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000"

struct capture_writer {
    const struct capture *c;
    sqlite3 *db;
    struct capture_trigger *triggers;
    int count;
    sqlite3_str *sql; /* of the trigger under construction */
    char *revision;   /* the revision column's name, quoted */
};

enum capture_columns { OF_KEY, OF_UNIQUE, OF_WATCHED, OF_ANY };

void capture_put(struct capture_writer *, const char *text);

/* The trigger up to its table's name, and its last word. OF_KEY and OF_UNIQUE: where one of those columns is set. */
void capture_begin(struct capture_writer *, const char *what, const char *event, enum capture_columns);
void capture_end(struct capture_writer *);

/* ---- Conditions; row is NEW, OLD or an alias ---- */

void capture_put_valid(struct capture_writer *, const char *row); /* its revision is one that a row can have */
void capture_put_same_row(struct capture_writer *, const char *alias, const char *row);
void capture_put_still_there(struct capture_writer *); /* at the revision that the statement left it at */
void capture_put_changed(struct capture_writer *, enum capture_columns);

/* ---- Parts of statements ---- */

void capture_put_key(struct capture_writer *, const char *row);
void capture_put_ordering_key(struct capture_writer *, const char *row);
void capture_put_topic_and_table(struct capture_writer *);
void capture_put_old_revision(struct capture_writer *, const char *row, char *text, size_t size);

/* ---- Statements ---- */

void capture_put_refusal(struct capture_writer *, const char *kind, const char *words); /* FROM or WHERE is to follow */
void capture_put_bad_revision(struct capture_writer *);                                 /* so here */
void capture_put_key_check(struct capture_writer *);
void capture_put_refused(struct capture_writer *); /* right after the INSERT into change_log: it is there */
void capture_put_owe(struct capture_writer *, bool before, bool payload);
void capture_put_log_insert(struct capture_writer *, bool key_changed);
void capture_put_log_delete(struct capture_writer *);

#endif

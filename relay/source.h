/* source.h — reads what is owed, in seq order, and proves that nothing is missing in between.
 *
 * A batch is one short read transaction, ended before source_read() returns, and the WAL is synced before it says OK:
 * what a sink was handed may be delivered. Rows come from outbox_events; those that a consumer had already acknowledged
 * and must write again come from change_log. Whether a row is wanted and what it looks like (filter, transform) is
 * decided by expressions in the same SELECT.
 */
#ifndef RELAY_SOURCE_H
#define RELAY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "durable.h"
#include "settings.h"
#include "sink.h"
#include "wake.h"

struct source;

enum source_result {
    SOURCE_OK,      /* whatever there was has been handed out; nothing new is OK too */
    SOURCE_PAUSED,  /* an operator, or a 410, has stopped this consumer */
    SOURCE_STALE,   /* the lease token is another, or the database has a new source: claim again */
    SOURCE_LATER,   /* the database could not be read now */
    SOURCE_GAP,     /* events this consumer needs are gone */
    SOURCE_REWOUND, /* the cursor is beyond the database's last seq: an older copy was put in its place */
    SOURCE_BROKEN   /* moved away, damaged, or its WAL could not be synced */
};

/* Takes one row, or only passes its seq where the filter does not want it (row->event holds nothing else then).
 * Everything in row is SQLite's and gone afterwards. False: not taken; the batch ends before this row. */
typedef bool source_take(void *arg, const struct source_row *row, bool wanted);

/* Confines db (expression.h) and borrows it and settings until source_close(). NULL: message says why, and *temporary
 * whether that may pass. */
struct source *source_open(sqlite3 *db, const struct sink_settings *settings, bool *temporary, char *message,
                           size_t message_size);
void source_close(struct source *); /* NULL is fine; db stays open */

/* The expressions of one sink, before anything is started. False: one line for exit 2. */
bool source_check_expressions(sqlite3 *db, const struct sink_settings *settings, char *message, size_t message_size);

/* Lets it sync the WAL beside a writer that does so, at the moments that wake hears (sync_ahead.h). Borrowed until
 * source_close(); NULL: it syncs after each read. */
void source_use_wake(struct source *, struct wake *);

/* Shares with others what their syncs of the same WAL cover, and what its own do. Borrowed until source_close(); NULL: it
 * knows of its own only. */
void source_use_durable(struct source *, struct durable *);

/* From the next read on: where others have synced something that it has not read yet, that is all it reads, and needs no
 * sync. For whoever reads at a pace, and again soon. source_held_back(): the last read left something for that reason. */
void source_follow(struct source *, bool follows);
bool source_may_follow(const struct source *); /* not with an expression, which may see what has no seq */
bool source_held_back(const struct source *);

/* What must still hold at each read: the database's source, and the lease token (0: an unregistered consumer, which
 * has none). Rows up to owed_after are no longer owed to this consumer and are read from change_log; INT64_MAX: all. */
void source_expect(struct source *, const char *source_id, int64_t lease_token, int64_t owed_after);

/* Hands out at most limit rows after *after, which moves to the last one taken. *full: the batch ended at a limit, so
 * there may be more at once. Anything but OK is explained by source_message(); rows taken before it must then not be
 * delivered. */
enum source_result source_read(struct source *, int64_t *after, int limit, source_take *take, void *arg, bool *full);

/* Whether reading after `after` would be allowed, without reading: OK, PAUSED, STALE, REWOUND, LATER or BROKEN. */
enum source_result source_look(struct source *, int64_t after);

const char *source_message(const struct source *);

#endif

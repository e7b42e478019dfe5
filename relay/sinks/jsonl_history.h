/* jsonl_history.h — what the database still knows of events that a stream holds, or should hold. */
#ifndef RELAY_SINKS_JSONL_HISTORY_H
#define RELAY_SINKS_JSONL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

struct history {
    sqlite3 *db;                /* borrowed */
    const char *former_sources; /* borrowed; see lineage.h; NULL: none */
    sqlite3_stmt *created_at;   /* prepared when first needed */
};

enum history_answer {
    HISTORY_SAME,    /* the very event; nothing missing */
    HISTORY_OTHER,   /* another event has this seq; something is missing */
    HISTORY_UNKNOWN, /* change_log no longer has it, or the line has no time */
    HISTORY_ERROR    /* sqlite3_errmsg says */
};

void history_init(struct history *, sqlite3 *db, const char *former_sources);
void history_fini(struct history *);

/* Whether the event seq was written at time, as its line shows it: to the microsecond, so that two events that merely
 * have the same number differ. Filters and transforms leave it alone. */
enum history_answer history_compare(struct history *, int64_t seq, const char *time, size_t time_size);

/* Whether change_log has every event after after_seq up to last_seq: SAME, or OTHER with the first run that is missing.
 * Seqs that new-source has passed over were never given out. */
enum history_answer history_missing(const struct history *, int64_t after_seq, int64_t last_seq, int64_t *first_missing,
                                    int64_t *last_missing);

#endif

/* erase.h — the data of one key is forgotten: where its events' payloads lie, and how each place is emptied.
 *
 * An event that is erased keeps everything that order and exactly-once stand on (seq, prev, id, key, revision, time, op)
 * and loses what it says: payload and before are JSON null, and not absent as in a delete; headers are an empty object.
 * So nothing moves: no seq is missing, no line begins elsewhere, no cursor means anything else than before.
 */
#ifndef OUTBOXCTL_ERASE_H
#define OUTBOXCTL_ERASE_H

#include <stdbool.h>
#include <stdint.h>

#include "event_line.h"
#include "operation.h"

struct erase_key {
    const char *name; /* a topic, or a table */
    const char *key;  /* as events have it */
};

/* ---- The database (erase_rows.c) ---- */

struct erase_rows {
    const struct erase_key *key;
    char **files;          /* streams: whoever reads one of those is owed its events as well */
    int file_count;        /* each is there once */
    bool owed;             /* --owed: what is still owed is delivered without its data */
    struct buffer seqs;    /* of the key's events, as a JSON array that lacks its end */
    int64_t count, last;   /* how many those are; the highest one looked at */
    int64_t jsonl_writers; /* streams that this database feeds */
};

/* Finds the key's events, while nobody is kept waiting: there is no index for it, it reads all of change_log. EXIT_DONE,
 * else said. */
int erase_rows_find(struct erase_rows *, const struct ctl *);

/* Inside BEGIN IMMEDIATE: finds those written since, refuses what is still owed, empties the rest. EXIT_DONE, else
 * said. */
int erase_rows(struct erase_rows *, sqlite3 *, struct report *);

/* ---- The write-ahead log (erase_wal.c) ---- */

/* Has the WAL begun anew, cut to what the new one needs, so that it no longer holds pages from before. Tries for 2 s:
 * a reader can keep it from that. *gone: whether it is done. An SQLite code. */
int erase_wal(sqlite3 *, bool *gone);

/* ---- A line (erase_line.c). Pure. ---- */

enum erase_line {
    ERASE_OTHER,
    ERASE_OURS,
    ERASE_UNDECIDED,  /* an event with this key: neither it nor the log says of which table */
    ERASE_UNREADABLE, /* nobody can tell whose it is */
    ERASE_NO_MEMORY,
    ERASE_FAILED, /* said */
};

/* Who knows of an event what a CloudEvent doesn't say: its table. ERASE_UNDECIDED where he has it no more. */
struct erase_log {
    enum erase_line (*ask)(void *arg, const struct erase_key *, const struct event_line *);
    void *arg;
    bool is_table; /* the name is a table's, and not only a topic's: it may own what says no table */
};

/* What the line has to become; as it is, where that was done before. out gets as many bytes as text has. parsed is NULL
 * where text is no event: a kill or a power cut may have left it half erased, and then its beginning still says whose
 * it is, and it is made whole. */
enum erase_line erase_line(const struct erase_key *, const struct erase_log *, const struct event_line *parsed,
                           const char *text, size_t size, struct buffer *out);

/* change_log, as an erase_log (erase_log.c). Holds nothing between two questions. An SQLite code. */
int erase_log_init(struct erase_log *, sqlite3 *, const struct erase_key *);

/* ---- A stream's files (erase_files.c) ---- */

struct erase_files {
    const struct erase_key *key;
    struct erase_log log;
    bool keep; /* false: only counted */
    int64_t files, lines, emptied;
    int64_t untouched;  /* files of a stream that can't be reached into; the first of each stream is said */
    int64_t unreadable; /* lines; the first is said */
    int64_t undecided;  /* likewise */
};

/* Whether there is such a stream. EXIT_DONE, else said. */
int erase_files_look(const char *path);

/* Every file of the stream. A relay may go on writing it; where none does, none can begin meanwhile. Adds up; EXIT_DONE,
 * else said. */
int erase_files(struct erase_files *, const char *path);

#endif

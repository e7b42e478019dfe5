/* consumer_list.h — every consumer as it stands: how far, how far behind, who holds it, what stepped aside.
 *
 * Looked up, never changed: a look takes no consumer's lock file into existence and writes nothing into one.
 */
#ifndef OUTBOXCTL_CONSUMER_LIST_H
#define OUTBOXCTL_CONSUMER_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "buffer.h"

struct consumer {
    char *name;
    char *reads; /* the JSONL file it follows; NULL: the database */
    char *kind;  /* jsonl, webhook, …, reader; NULL: nobody has worked for it yet */
    char *state; /* paused, disabled; NULL: active */
    int64_t acked_seq;
    int64_t behind;               /* events in outbox after acked_seq; 0 for one that reads files */
    int64_t oldest_us;            /* when the oldest of them was written; 0: none */
    int64_t updated_at_us;        /* its last acknowledgement */
    int64_t retry, waiting, dead; /* in failed_deliveries */
    int64_t failing_since_us;     /* of the oldest in retry or waiting; 0: none */
    int64_t dead_since_us;        /* 0: none */
    bool held;                    /* somebody has its lock */
    char holder[128];             /* who, where held */
};

struct consumer_list {
    struct consumer *items; /* by name */
    int count;
};

/* Fills the list, which is freed whatever it returns. Returns the SQLite code; held is looked up beside the database. */
int consumer_list_load(sqlite3 *, struct consumer_list *);
void consumer_list_free(struct consumer_list *);

/* Appends the list as a table, ages as of now_us; and one consumer as a JSON object. */
bool consumer_list_render(const struct consumer_list *, int64_t now_us, struct buffer *out, bool colour);
void consumer_append_json(const struct consumer *, struct buffer *out);

#endif

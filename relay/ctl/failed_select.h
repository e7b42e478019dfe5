/* failed_select.h — which failed deliveries a command is about: by seq, consumer, key, state or status, all of them
 * together.
 *
 * As SQL: FAILED_CHOSEN holds for a chosen row f of failed_deliveries, with its arguments in ?1 to ?5. Arguments of the
 * statement's own begin at ?6.
 */
#ifndef OUTBOXCTL_FAILED_SELECT_H
#define OUTBOXCTL_FAILED_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "operation.h"

struct selection {
    const char *consumer; /* NULL: any; so is every other */
    const char *key;      /* as listed, or the event's own */
    const char *status;   /* as given: a state, or the status of the last answer */
    const char *state;    /* status, where it is one */
    int64_t answer;       /* status, where it is that; 0: none */
    const char *seqs;     /* a JSON array */
    struct buffer text;   /* which is in here */
    bool all;
};

#define FAILED_CHOSEN                                                                                                  \
    "((?1 IS NULL OR f.consumer = ?1)"                                                                                 \
    " AND (?2 IS NULL OR f.key = ?2"                                                                                   \
    "      OR EXISTS (SELECT 1 FROM main.change_log AS k WHERE k.seq = f.seq AND k.key = ?2))"                         \
    " AND (?3 IS NULL OR f.state = ?3)"                                                                                \
    " AND (?4 = 0 OR f.last_status = ?4)"                                                                              \
    " AND (?5 IS NULL OR f.seq IN (SELECT value FROM json_each(?5))))"

/* For query.h: the types, and the arguments of s. */
#define FAILED_TYPES        "tttit"
#define FAILED_ARGUMENTS(s) (s)->consumer, (s)->key, (s)->state, (s)->answer, (s)->seqs

/* Reads the seqs, and takes status apart. False: said. Free it either way. */
int selection_read(struct selection *, int seq_count, char **seqs);
void selection_free(struct selection *);

/* Nothing matches: a no, unless all of them were meant. Returns the exit code. */
int selection_none(const struct selection *, struct report *);

/* Whether it names anything. */
bool selection_is_narrow(const struct selection *);

#endif

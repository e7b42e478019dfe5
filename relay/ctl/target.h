/* target.h — the consumer that a command is about, and what may be done to it.
 *
 * What works for a consumer is in its row's kind and reads, since whoever registered it: a relay (claim.c) or a program's
 * own reader (liboutbox/consumer.c).
 */
#ifndef OUTBOXCTL_TARGET_H
#define OUTBOXCTL_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

enum target_kind {
    TARGET_WEBHOOK,      /* takes single events again, by way of failed_deliveries */
    TARGET_SINK,         /* of a relay: a command, standard output; by its cursor alone */
    TARGET_JSONL_WRITER, /* its file is the witness of how far it is */
    TARGET_READER,       /* an outbox_reader in a program, of the database */
    TARGET_FILE_READER,  /* an outbox_reader of a stream's files */
    TARGET_NOBODYS       /* nobody has worked for it yet: a row made by hand */
};

struct target {
    char name[65];
    enum target_kind kind;
    char sink[16]; /* the kind as its row has it */
    char *reads;   /* the stream, absolute; NULL: the database */
    char *state;   /* paused, disabled; NULL: active */
    int64_t acked_seq;
    bool unbegun; /* acked_seq is NULL: it reads a stream that had no line yet */
};

/* EXIT_DONE and *out, to be freed; EXIT_NEGATIVE with the names there are; else said. */
int target_find(sqlite3 *, const char *name, struct target *out);
void target_free(struct target *);

/* Why a stream's writer cannot be moved. Says it and returns EXIT_PERMANENT. */
int target_refuse_writer(const struct target *, const char *verb);

/* Whoever works for it has to claim it anew: the lease token rises. EXIT_DONE, else said. */
int target_wake(sqlite3 *, const char *name);

#endif

/* ctl.h — what the commands of outboxctl have in common: their arguments, the database, words, and the exit code.
 *
 * Data goes to standard output, words to standard error, one line each. A command returns its exit code
 * (exit_codes.h); main() says so where standard output could not be written.
 */
#ifndef OUTBOXCTL_CTL_H
#define OUTBOXCTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "exit_codes.h"
#include "outbox.h"

struct command;

struct ctl {
    const char *db_path;
    bool json; /* --json: for programs */
    bool help; /* --help was given: the command's, where there is one */
    const struct command *command;
};

struct command {
    const char *name;
    const char *usage;                               /* operands and options, as shown */
    const char *summary;                             /* one line */
    int (*run)(struct ctl *, int argc, char **argv); /* argv: what follows the name */
};

/* ---- Arguments (arguments.c) ---- */

enum option_type { OPTION_FLAG /* bool */, OPTION_TEXT /* const char * */, OPTION_INT /* int64_t, from 0 up */ };

struct option_spec {
    const char *name; /* without the dashes */
    enum option_type type;
    void *value;
};

/* Takes options out of argv, the command's own and those that fit every command, wherever they stand; "--" ends them.
 * What stays in argv[0..*argc) are operands, from minimum to maximum of them. False: said on standard error, or --help
 * was printed; *code is the exit code. */
bool arguments_read(struct ctl *, const struct option_spec *own, size_t own_count, int minimum, int maximum, int *argc,
                    char **argv, int *code);

/* The same for what stands before the command: stops at the first operand, which becomes argv[0]. */
bool arguments_read_global(struct ctl *, int *argc, char ***argv, int *code);

/* Standard input where argument is "-", else the argument itself. False: said. The text is in b, sized, with a NUL. */
bool arguments_text(struct buffer *b, const char *argument);

/* ---- Words and codes (ctl.c) ---- */

void ctl_say(const char *format, ...) __attribute__((format(printf, 1, 2))); /* "outboxctl: …", escaped */

int ctl_exit_code(int code);                              /* of an OUTBOX_ code */
int ctl_fail(const outbox *, int code);                   /* says outbox_errmsg(), returns ctl_exit_code() */
int ctl_fail_sqlite(sqlite3 *, int rc, const char *what); /* says the error, never EXIT_DONE; rc is what failed */

/* Writes b to standard output. Returns EXIT_DONE, or EXIT_TEMPORARY with words where b ran out of memory. */
int ctl_print(const struct buffer *b);

/* ---- The database (ctl.c) ---- */

/* For writing: an existing database with our schema, neither created nor migrated. EXIT_DONE, else said. */
int ctl_open(const struct ctl *, outbox **);

/* For looking: read-only, hardened against what a stranger's schema could do, WAL or not. EXIT_DONE, else said. */
int ctl_open_reader(const struct ctl *, sqlite3 **);

/* The same, or a database of a reader's own, of which only consumer_offsets may be asked for (cursors.h). */
int ctl_open_cursors(const struct ctl *, sqlite3 **);

/* ---- The commands, one file per group ---- */

int ctl_init(struct ctl *, int argc, char **argv); /* setup.c */
int ctl_schema(struct ctl *, int argc, char **argv);
int ctl_set(struct ctl *, int argc, char **argv);    /* set.c */
int ctl_upsert(struct ctl *, int argc, char **argv); /* rows.c */
int ctl_get(struct ctl *, int argc, char **argv);
int ctl_delete(struct ctl *, int argc, char **argv);
int ctl_emit(struct ctl *, int argc, char **argv);
int ctl_events(struct ctl *, int argc, char **argv);     /* events.c */
int ctl_history(struct ctl *, int argc, char **argv);    /* history_command.c */
int ctl_tail(struct ctl *, int argc, char **argv);       /* tail.c */
int ctl_snapshot(struct ctl *, int argc, char **argv);   /* snapshot.c */
int ctl_consumers(struct ctl *, int argc, char **argv);  /* consumers.c */
int ctl_failed(struct ctl *, int argc, char **argv);     /* failed.c */
int ctl_replay(struct ctl *, int argc, char **argv);     /* replay.c */
int ctl_erase(struct ctl *, int argc, char **argv);      /* erase.c */
int ctl_new_source(struct ctl *, int argc, char **argv); /* new_source.c */
int ctl_capture(struct ctl *, int argc, char **argv);    /* capture.c */
int ctl_release(struct ctl *, int argc, char **argv);
int ctl_verify(struct ctl *, int argc, char **argv); /* verify.c */
int ctl_status(struct ctl *, int argc, char **argv); /* status.c */

#endif

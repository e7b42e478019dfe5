/* operation.h — a command that moves or destroys something: told, agreed to, then done, in one transaction.
 *
 * The telling is the doing: the change is made in a transaction that is rolled back, and what it reports is shown. Only
 * then is somebody asked, while no lock is held; and what is done in the end is reported anew, since the database may
 * have gone on in between.
 */
#ifndef OUTBOXCTL_OPERATION_H
#define OUTBOXCTL_OPERATION_H

#include <stdbool.h>

#include "buffer.h"
#include "ctl.h"

/* What the change is, in words and for programs. */
struct report {
    struct buffer words;  /* lines, each ended by a newline */
    struct buffer fields; /* members of one JSON object, without its braces */
    struct buffer json;   /* that object, where it is wanted: made before the change is kept */
    bool empty;           /* there is nothing to do: nothing is asked */
    bool dry_run;         /* nothing is changed, as was asked for */
};

/* A line of words. */
void report_say(struct report *, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct consent {
    bool dry_run; /* --dry-run: tell, and change nothing */
    bool yes;     /* --yes: don't ask */
};

/* Inside BEGIN IMMEDIATE: makes the change and reports it. EXIT_DONE, else said: it is rolled back then, and that is
 * the command's exit code. Called twice where somebody is asked, each time on an untouched arg but for what it wrote
 * there itself. */
typedef int operation_step(sqlite3 *db, void *arg, struct report *);

/* The whole command: opens the database, tells, asks where standard input is a terminal, does. Without --yes and
 * without a terminal to ask on it is EXIT_USAGE. */
int operation_run(struct ctl *ctl, const struct consent *consent, operation_step *step, void *arg);

/* The same, where the step asks for nothing but consumer_offsets once cursors_are_a_readers(): such a database will do. */
int operation_run_on_cursors(struct ctl *ctl, const struct consent *consent, operation_step *step, void *arg);

/* What no transaction can hold, after the step and outside of it: told (keep false) or done, where the step was. Reports
 * too. Its exit code is the command's. */
typedef int operation_rest(sqlite3 *db, void *arg, bool keep, struct report *);

/* As operation_run, with a rest. */
int operation_run_with(struct ctl *ctl, const struct consent *consent, operation_step *step, operation_rest *rest,
                       void *arg);

/* Records it in outbox_audit, in the same transaction: part of every step; a reader's own database has
 * none. consumer, key and detail may be NULL, seq 0. EXIT_DONE, else said. */
int operation_record(sqlite3 *db, const char *action, const char *consumer, int64_t seq, const char *key,
                     const char *detail);

/* Who that is, "user@host": for statements that record several rows at once. */
void operation_actor(char *text, size_t size);

#endif

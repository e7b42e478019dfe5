/* verify.h — what the parts of `verify` share: findings, each printed as it is made, and runs of seqs.
 *
 * Memory is the same however much there is to check, and nothing is changed.
 */
#ifndef OUTBOXCTL_VERIFY_H
#define OUTBOXCTL_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "ctl.h"

struct verify {
    bool json;
    bool filtered;    /* --filtered: the stream's relay has a filter, so events may be left out of it */
    const char *what; /* "database", or the stream's path */
    int64_t problems; /* of what */
};

/* One finding about the seqs first to last (0: about none). kind is a word for programs. A problem counts, a note
 * does not. */
void verify_problem(struct verify *, const char *kind, int64_t first, int64_t last, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void verify_note(struct verify *, const char *kind, int64_t first, int64_t last, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* What is said in the end: complete from first to last (0: there is nothing), or how many problems there are. */
void verify_conclude(struct verify *, int64_t first, int64_t last, int64_t events);

/* Seqs of one kind, gathered for as long as each is the one after. text tells what is wrong with them. */
struct run {
    struct verify *verify;
    const char *kind, *text;
    int64_t first, last; /* first 0: it is empty */
};

void run_add(struct run *, int64_t seq);
void run_end(struct run *); /* prints what was gathered, as a problem */

int verify_database(struct verify *, sqlite3 *); /* verify_database.c; EXIT_DONE, else said */
/* verify_rows.c; an SQLite code. An entry before whole_from may not be its key's last: those after it can be gone. */
int verify_rows(struct verify *, sqlite3 *, int64_t whole_from);
int verify_stream(struct verify *, sqlite3 *, const char *path); /* verify_stream.c; likewise */

#endif

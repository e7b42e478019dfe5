/* follow.h — output that goes on until somebody says enough: SIGINT, SIGTERM, or the reader of our output gone.
 *
 * The signals are blocked and read from a descriptor, beside what says that there is more, and standard output: nothing
 * waits for one of the three and misses the others.
 */
#ifndef OUTBOXCTL_FOLLOW_H
#define OUTBOXCTL_FOLLOW_H

#include <stdbool.h>

#include <sqlite3.h>

#include "buffer.h"

struct wake;

struct follow {
    int signal_fd;
    int more_fd;       /* readable when there may be more */
    struct wake *wake; /* whose it is; NULL: somebody else's */
};

enum follow_result {
    FOLLOW_ON,
    FOLLOW_STOP /* enough: exit 0 */,
    FOLLOW_MOVED /* the database was replaced */,
    FOLLOW_FAILED /* errno */
};

/* Watches db's file. False with errno; follow_end() is due either way. */
bool follow_begin(struct follow *, sqlite3 *db);
bool follow_begin_fd(struct follow *, int more_fd); /* the same for what another has to say, such as a reader */
void follow_end(struct follow *);

/* To standard output, all of it where the answer is ON. */
enum follow_result follow_write(struct follow *, const struct buffer *);

enum follow_result follow_poll(struct follow *);              /* until there may be more */
enum follow_result follow_wait(struct follow *, sqlite3 *db); /* the same of db: until a commit may be there to read */
bool follow_stopped(const struct follow *);                   /* somebody has said enough; waits for nothing */
void follow_found(struct follow *);                           /* there was one */

#endif

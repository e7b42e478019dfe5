/* follow.h — output that goes on until somebody says enough: SIGINT, SIGTERM, or the reader of our output gone.
 *
 * The signals are blocked and read from a descriptor, beside the database's wake and standard output: nothing waits for
 * one of the three and misses the others.
 */
#ifndef OUTBOXCTL_FOLLOW_H
#define OUTBOXCTL_FOLLOW_H

#include <stdbool.h>

#include <sqlite3.h>

#include "buffer.h"

struct wake;

struct follow {
    int signal_fd;
    struct wake *wake;
};

enum follow_result {
    FOLLOW_ON,
    FOLLOW_STOP /* enough: exit 0 */,
    FOLLOW_MOVED /* the database was replaced */,
    FOLLOW_FAILED /* errno */
};

/* Watches db's file. False with errno; follow_end() is due either way. */
bool follow_begin(struct follow *, sqlite3 *db);
void follow_end(struct follow *);

enum follow_result follow_write(struct follow *, const struct buffer *); /* to standard output, all of it */
enum follow_result follow_wait(struct follow *, sqlite3 *db);            /* until a commit may be there to read */
void follow_found(struct follow *);                                      /* there was one */

#endif

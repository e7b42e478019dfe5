/* failed_attempts.h — what became of each attempt at a delivery, for `failed show`. */
#ifndef OUTBOXCTL_FAILED_ATTEMPTS_H
#define OUTBOXCTL_FAILED_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "buffer.h"

/* Appends the attempts that are on record, the oldest first: as lines, or as the JSON field "tries" of an open object;
 * nothing where there is none. An SQLite code. */
int failed_attempts_append(sqlite3 *, const char *consumer, int64_t seq, bool json, struct buffer *out);

#endif

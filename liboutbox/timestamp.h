/* timestamp.h — wall-clock time, for what is stored and shown. Never for intervals. */
#ifndef OUTBOX_TIMESTAMP_H
#define OUTBOX_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMESTAMP_SIZE = 40 }; /* bytes for any int64 and the NUL */

int64_t timestamp_now_us(void);

/* RFC 3339 in UTC, "2026-11-21T05:21:00.123456Z", whatever the time zone; years outside 0000..9999 have their sign and
 * as many digits as they need. Returns the length. */
int timestamp_format(char out[TIMESTAMP_SIZE], int64_t us);

/* The way back, for exactly what timestamp_format() writes. */
bool timestamp_parse(const char *text, size_t size, int64_t *us);

#endif

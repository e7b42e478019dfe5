/* line_settled.h — a line of a stream that somebody may be writing over.
 *
 * outboxctl erase does so: each line by one call, as long as it was, under an exclusive flock() of the file. What is read
 * in that moment can be half of the old one and half of the new. So whoever finds a line that is no event reads it again
 * under a shared lock, before judging the stream by it.
 */
#ifndef OUTBOX_LINE_SETTLED_H
#define OUTBOX_LINE_SETTLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads size bytes at offset when nobody is writing a line over. Waits for that alone, 100 ms at most. False: they could
 * not be read. */
bool line_read_settled(int fd, char *bytes, size_t size, int64_t offset);

#endif

/* log_out.h — standard error, as the log writes to it: never waiting long for whoever reads it. */
#ifndef RELAY_LOG_OUT_H
#define RELAY_LOG_OUT_H

#include <stddef.h>
#include <stdint.h>

/* A whole line, or several. Where standard error takes nothing (a pipe that nobody reads, a terminal that is held, a full
 * disk), it is dropped after a moment, and while that lasts those after it at once. Returns how many were dropped before
 * this one, where this one was written; else 0. From any thread. */
int64_t log_out_write(const char *line, size_t size);

#endif

/* batch_command.h — a shell command that is run once for each batch of lines. */
#ifndef OUTBOXCTL_BATCH_COMMAND_H
#define OUTBOXCTL_BATCH_COMMAND_H

#include "buffer.h"

/* Runs /bin/sh -c command with the lines on its standard input, and waits for it. EXIT_DONE: it read all of them and
 * ended with 0. Else said, EXIT_TEMPORARY: the same lines may be given to it again. SIGPIPE has to be ignored. */
int batch_command_run(const char *command, const struct buffer *lines);

#endif

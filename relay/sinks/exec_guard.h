/* exec_guard.h — sees to it that a command does not outlive its relay.
 *
 * A relay that is killed can end nothing, and its successor begins after the last acknowledgement: the old command,
 * which has up to a pipe of lines still before it, would be at work beside the new one on the same events. So a small
 * process waits for the relay's death and kills the command's process group. (PR_SET_PDEATHSIG would reach the shell
 * only, and not what it has started.)
 */
#ifndef RELAY_SINKS_EXEC_GUARD_H
#define RELAY_SINKS_EXEC_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

struct exec_guard {
    pid_t pid; /* 0: none */
    int fd;    /* the relay's end of a pipe; its closing, by whatever death, is the sign */
};

bool exec_guard_start(struct exec_guard *, pid_t group); /* false with errno */

/* Stands down. To be called before the group's leader is reaped, so that a guard never kills another group of the same
 * number. Of none it does nothing. */
void exec_guard_end(struct exec_guard *);

#endif

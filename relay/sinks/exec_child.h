/* exec_child.h — a command in a process of its own: started, written to, listened to, ended.
 *
 * It runs through /bin/sh -c in its own process group, with pipes as standard input and output, the relay's standard
 * error, and nothing else of the relay's: no descriptor, no blocked or ignored signal. It is killed when the relay is.
 * Nothing here waits for it but exec_child_close(). What its lines mean, and what its end means, is the caller's. SIGPIPE has to be ignored.
 */
#ifndef RELAY_SINKS_EXEC_CHILD_H
#define RELAY_SINKS_EXEC_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sinks/exec_guard.h"

enum { EXEC_LINE_SIZE = 64, EXEC_HEARD_SIZE = 65536 /* what a pipe holds */ };

struct exec_child {
    pid_t pid; /* 0: none, or reaped */
    struct exec_guard guard;
    int pid_fd;             /* readable when it is dead; -1: this kernel has none, look now and then */
    int input_fd;           /* its standard input, our end; -1: closed */
    int output_fd;          /* its standard output, our end; -1: closed, by us or by it */
    int64_t empty_since_us; /* its input, as exec_child_took_all() found it; 0: it has not been empty yet */

    char heard[EXEC_HEARD_SIZE]; /* read and not yet looked at: from heard_begin to heard_end */
    size_t heard_begin, heard_end;
    char line[EXEC_LINE_SIZE]; /* the line under way; of a longer one its beginning */
    size_t line_size;
};

void exec_child_init(struct exec_child *); /* none */

/* False with errno: no process or descriptor. A command that isn't there ends with status 127, as the shell has it. */
bool exec_child_start(struct exec_child *, const char *command);

/* Whether anybody can still read its input; false: closed on this side too. */
bool exec_child_reads(struct exec_child *);

/* How much of it the pipe took, perhaps 0. */
size_t exec_child_write(struct exec_child *, const char *bytes, size_t size);

/* Whether somebody has read all that was written, and a moment has passed since, so that a command that ends by itself
 * then, as head does, is seen to. To be asked every few ms, and only once nothing more will be written. */
bool exec_child_took_all(struct exec_child *, int64_t now_us);

void exec_child_close_input(struct exec_child *); /* end of file, after what is in the pipe */

/* Takes a piece of what it has printed, once all lines of the piece before are taken. False: nothing is there. */
bool exec_child_listen(struct exec_child *);

/* The next whole line of what was listened to, without its end, cut to EXEC_LINE_SIZE - 1 bytes; valid until the next
 * call. NULL: no more. A last line without its end is none: its writer may have been killed within a number. */
const char *exec_child_line(struct exec_child *);

void exec_child_signal(const struct exec_child *, int signal); /* to its whole process group */

/* True, once, when it is dead: *status is as waitpid() gives it, and unless that is a good end, the rest of its group is
 * killed. What it printed can still be listened to. */
bool exec_child_ended(struct exec_child *, int *status);

/* In words, what such a status says of a command whose input had not ended. */
void exec_child_describe(int status, char *words, size_t size);

/* Waits until it may be worth a look: it has printed, has died or closed its input, takes more of it (where there
 * is some), or wake_fd is readable. */
void exec_child_wait(const struct exec_child *, bool has_input, int wake_fd, int timeout_ms);

/* Ends it, if it still runs: SIGTERM, after grace_ms SIGKILL. Back to none. */
void exec_child_close(struct exec_child *, int grace_ms);

#endif

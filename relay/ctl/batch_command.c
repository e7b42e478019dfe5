/* batch_command.c — see batch_command.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "batch_command.h"
#include "ctl.h"

/* With the signals as a shell expects them: our own mask and SIGPIPE are not for it. */
static int spawn(const char *command, int input, pid_t *pid)
{
    char shell[] = "sh", flag[] = "-c";
    char *text = strdup(command);
    char *argv[] = {shell, flag, text, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, pipe_only;
    if (!text)
        return ENOMEM;
    sigemptyset(&none);
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe_only);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    free(text);
    return error;
}

static bool write_all(int fd, const struct buffer *lines)
{
    size_t done = 0;
    while (done < lines->size) {
        ssize_t n = write(fd, lines->data + done, lines->size - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int judge(int status, bool all_written)
{
    if (WIFSIGNALED(status))
        ctl_say("the command was ended by signal %d: its lines are not acknowledged", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        ctl_say("the command ended with %d: its lines are not acknowledged", WEXITSTATUS(status));
    else if (!all_written)
        ctl_say("the command ended before it had read all lines: they are not acknowledged");
    else
        return EXIT_DONE;
    return EXIT_TEMPORARY;
}

int batch_command_run(const char *command, const struct buffer *lines)
{
    int ends[2], status = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ctl_say("pipe: %s", strerror(errno));
        return EXIT_TEMPORARY;
    }
    int error = spawn(command, ends[0], &pid);
    close(ends[0]);
    if (error) {
        close(ends[1]);
        ctl_say("/bin/sh: %s", strerror(error));
        return EXIT_TEMPORARY;
    }
    bool all_written = write_all(ends[1], lines);
    close(ends[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return judge(status, all_written);
}

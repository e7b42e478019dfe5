/* exec_guard.c — the process that ends a command whose relay has been killed; see exec_guard.h.
 *
 * It is a fork of a program with threads and takes no lock, allocates nothing, and holds no descriptor but its end of
 * the pipe: no file of the relay's stays open because of it, no lock held.
 */
#include "sinks/exec_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "settings_secret.h"

/* No signal but SIGKILL reaches it: what is meant for the relay (a terminal's ^C, systemd's SIGTERM for all) is not for
 * it. */
static _Noreturn void stand_guard(int fd, pid_t group)
{
    sigset_t all;
    char byte;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "outbox-guard");
    secrets_leave_environment(environ);
    dup2(fd, STDIN_FILENO);
    close_range(STDIN_FILENO + 1, ~0U, 0);
    if (read(STDIN_FILENO, &byte, 1) == 0)
        kill(-group, SIGKILL);
    _exit(0);
}

bool exec_guard_start(struct exec_guard *guard, pid_t group)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        stand_guard(fds[0], group);
    int error = errno;
    close(fds[0]);
    if (pid < 0) {
        close(fds[1]);
        errno = error;
        return false;
    }
    *guard = (struct exec_guard){pid, fds[1]};
    return true;
}

void exec_guard_end(struct exec_guard *guard)
{
    if (guard->pid <= 0)
        return;
    kill(guard->pid, SIGKILL);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(guard->fd); /* only now: to a living guard it would be the sign */
    guard->pid = 0;
}

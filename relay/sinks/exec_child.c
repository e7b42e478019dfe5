/* exec_child.c — a command's process; see exec_child.h.
 *
 * Between fork() and exec() the child calls nothing that could take a lock: another thread may have held it. Its pid
 * stays ours until it is reaped, and it is signalled only before that, so that no signal ever reaches a stranger.
 */
#include "sinks/exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "settings_secret.h"

enum {
    LOOK_MS = 100,  /* where the kernel cannot tell of its death */
    MOMENT_MS = 50, /* in which a command ends that was about to */
};

struct pipe {
    int read_fd, write_fd;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void exec_child_init(struct exec_child *child)
{
    *child = (struct exec_child){.pid_fd = -1, .input_fd = -1, .output_fd = -1};
}

/* ---- Start -------------------------------------------------------------------------------------------------------- */

/* In the child. The pipes' descriptors are above 2, as SQLite leaves none of these free for whoever opens after it. */
static _Noreturn void become(const char *command, int input_fd, int output_fd)
{
    sigset_t none;
    bool ready = setpgid(0, 0) == 0 && dup2(input_fd, STDIN_FILENO) >= 0 && dup2(output_fd, STDOUT_FILENO) >= 0 &&
                 close_range(STDERR_FILENO + 1, ~0U, 0) == 0;

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    secrets_leave_environment(environ); /* they sign what we send, and are nobody else's */
    if (ready)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* Only our end is made non-blocking: programs do not expect it of their standard input. */
static bool open_pipe(struct pipe *p, bool we_write)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    *p = (struct pipe){fds[0], fds[1]};
    return fcntl(we_write ? p->write_fd : p->read_fd, F_SETFL, O_NONBLOCK) == 0;
}

static void end_at_once(pid_t pid)
{
    kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

bool exec_child_start(struct exec_child *child, const char *command)
{
    struct pipe input = {-1, -1}, output = {-1, -1};
    struct exec_guard guard = {0};
    pid_t pid = -1;

    if (open_pipe(&input, true) && open_pipe(&output, false))
        pid = fork();
    if (pid == 0)
        become(command, input.read_fd, output.write_fd);
    if (pid > 0)
        setpgid(pid, pid); /* the child does so too: whoever is first, the group is there before it is signalled */
    bool started = pid > 0 && exec_guard_start(&guard, pid);
    int error = errno;
    close_fd(&input.read_fd);
    close_fd(&output.write_fd);
    if (!started) {
        if (pid > 0)
            end_at_once(pid);
        close_fd(&input.write_fd);
        close_fd(&output.read_fd);
        errno = error;
        return false;
    }
    exec_child_init(child);
    child->pid = pid;
    child->guard = guard;
    child->pid_fd = pidfd_open(pid, 0);
    child->input_fd = input.write_fd;
    child->output_fd = output.read_fd;
    return true;
}

/* ---- Write and listen --------------------------------------------------------------------------------------------- */

bool exec_child_reads(struct exec_child *child)
{
    struct pollfd input = {.fd = child->input_fd};

    if (poll(&input, 1, 0) > 0 && input.revents & POLLERR)
        close_fd(&child->input_fd);
    return child->input_fd >= 0;
}

size_t exec_child_write(struct exec_child *child, const char *bytes, size_t size)
{
    ssize_t n;

    do
        n = write(child->input_fd, bytes, size);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0; /* that nobody reads it any more is found by exec_child_reads() */
}

bool exec_child_took_all(struct exec_child *child, int64_t now_us)
{
    int unread;

    if (ioctl(child->input_fd, FIONREAD, &unread) != 0 || unread > 0)
        return false;
    if (!child->empty_since_us)
        child->empty_since_us = now_us;
    return now_us >= child->empty_since_us + MOMENT_MS * INT64_C(1000);
}

void exec_child_close_input(struct exec_child *child)
{
    close_fd(&child->input_fd);
}

bool exec_child_listen(struct exec_child *child)
{
    ssize_t n;

    if (child->output_fd < 0)
        return false;
    do
        n = read(child->output_fd, child->heard, sizeof child->heard);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        close_fd(&child->output_fd);
    child->heard_begin = 0;
    child->heard_end = n > 0 ? (size_t)n : 0;
    return n > 0;
}

const char *exec_child_line(struct exec_child *child)
{
    while (child->heard_begin < child->heard_end) {
        char c = child->heard[child->heard_begin++];
        if (c == '\n') {
            child->line[child->line_size] = '\0';
            child->line_size = 0;
            return child->line;
        }
        if (child->line_size < sizeof child->line - 1)
            child->line[child->line_size++] = c ? c : '?'; /* a NUL would make a number of what is none */
    }
    return NULL;
}

void exec_child_wait(const struct exec_child *child, bool has_input, int wake_fd, int timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = wake_fd, .events = POLLIN},
        {.fd = child->output_fd, .events = POLLIN},
        {.fd = child->pid_fd, .events = POLLIN},
        {.fd = child->input_fd, .events = has_input ? POLLOUT : 0},
    };
    bool blind = child->pid > 0 && child->pid_fd < 0;

    if (blind && (timeout_ms < 0 || timeout_ms > LOOK_MS))
        timeout_ms = LOOK_MS;
    poll(fds, sizeof fds / sizeof *fds, timeout_ms);
}

/* ---- End ---------------------------------------------------------------------------------------------------------- */

void exec_child_signal(const struct exec_child *child, int signal)
{
    if (child->pid > 0)
        kill(-child->pid, signal);
}

bool exec_child_ended(struct exec_child *child, int *status)
{
    siginfo_t info = {0};

    if (child->pid <= 0 || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || !info.si_pid)
        return false;
    /* What a failed command has left behind would be at work beside its successor; what a good one has left is its own
     * business. The pid is no stranger's yet: it is not reaped. */
    if (info.si_code != CLD_EXITED || info.si_status != 0)
        exec_child_signal(child, SIGKILL);
    exec_guard_end(&child->guard);
    while (waitpid(child->pid, status, 0) < 0 && errno == EINTR) {
    }
    child->pid = 0;
    close_fd(&child->pid_fd);
    close_fd(&child->input_fd);
    return true;
}

void exec_child_describe(int status, char *words, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(words, size, "the command was killed by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == 127)
        snprintf(words, size, "the command was not found (exit 127)");
    else if (WEXITSTATUS(status) == 0)
        snprintf(words, size, "the command ended before the end of its input");
    else
        snprintf(words, size, "the command ended with exit %d", WEXITSTATUS(status));
}

/* Its input stays open until it is dead: at an end of file it would take half a line for a whole one. */
void exec_child_close(struct exec_child *child, int grace_ms)
{
    int64_t until_us = clock_monotonic_us() + grace_ms * INT64_C(1000);
    int status;

    exec_child_signal(child, SIGTERM);
    while (child->pid > 0 && !exec_child_ended(child, &status)) {
        struct pollfd dead = {.fd = child->pid_fd, .events = POLLIN};
        int left_ms = clock_poll_ms(until_us, clock_monotonic_us());
        if (left_ms == 0)
            exec_child_signal(child, SIGKILL);
        poll(&dead, 1, left_ms > 0 && left_ms < LOOK_MS ? left_ms : LOOK_MS);
    }
    close_fd(&child->input_fd);
    close_fd(&child->output_fd);
    exec_child_init(child);
}

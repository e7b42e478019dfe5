/* follow.c — see follow.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "database.h"
#include "follow.h"
#include "wake.h"

enum { WRITE_CHUNK = 4096 }; /* what a pipe that polls as writable takes without blocking */

bool follow_begin_fd(struct follow *f, int more_fd)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    *f = (struct follow){.signal_fd = -1, .more_fd = more_fd};
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &stop, NULL) != 0)
        return false;
    f->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    return f->signal_fd >= 0;
}

bool follow_begin(struct follow *f, sqlite3 *db)
{
    if (follow_begin_fd(f, -1))
        f->wake = wake_open(database_path(db));
    if (f->wake)
        f->more_fd = wake_fd(f->wake);
    return f->wake;
}

void follow_end(struct follow *f)
{
    if (f->wake)
        wake_close(f->wake);
    if (f->signal_fd >= 0)
        close(f->signal_fd);
}

enum follow_result follow_write(struct follow *f, const struct buffer *b)
{
    struct pollfd fds[] = {{STDOUT_FILENO, POLLOUT, 0}, {f->signal_fd, POLLIN, 0}};
    size_t done = 0;
    while (done < b->size) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return FOLLOW_FAILED;
        if (fds[1].revents)
            return FOLLOW_STOP;
        if (!fds[0].revents)
            continue;
        size_t chunk = b->size - done < WRITE_CHUNK ? b->size - done : WRITE_CHUNK;
        ssize_t n = write(STDOUT_FILENO, b->data + done, chunk);
        if (n < 0 && errno == EPIPE)
            return FOLLOW_STOP;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return FOLLOW_FAILED;
        done += n > 0 ? (size_t)n : 0;
    }
    return FOLLOW_ON;
}

enum follow_result follow_poll(struct follow *f)
{
    /* No event is asked of standard output: poll reports the end of its reader unasked. */
    struct pollfd fds[] = {{f->more_fd, POLLIN, 0}, {f->signal_fd, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    while (poll(fds, 3, -1) < 0)
        if (errno != EINTR)
            return FOLLOW_FAILED;
    return fds[1].revents || (fds[2].revents & (POLLERR | POLLHUP)) ? FOLLOW_STOP : FOLLOW_ON;
}

bool follow_stopped(const struct follow *f)
{
    struct pollfd fd = {f->signal_fd, POLLIN, 0};
    return poll(&fd, 1, 0) > 0;
}

enum follow_result follow_wait(struct follow *f, sqlite3 *db)
{
    enum follow_result result = follow_poll(f);
    if (result == FOLLOW_ON && (wake_drain(f->wake) & WAKE_MOVED) && database_moved(db))
        return FOLLOW_MOVED;
    return result;
}

void follow_found(struct follow *f)
{
    wake_found(f->wake);
}

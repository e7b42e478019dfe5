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

bool follow_begin(struct follow *f, sqlite3 *db)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    *f = (struct follow){.signal_fd = -1};
    if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0)
        return false;
    f->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f->signal_fd >= 0)
        f->wake = wake_open(database_path(db));
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
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return FOLLOW_FAILED;
        done += n > 0 ? (size_t)n : 0;
    }
    return FOLLOW_ON;
}

enum follow_result follow_wait(struct follow *f, sqlite3 *db)
{
    /* No event is asked of standard output: poll reports the end of its reader unasked. */
    struct pollfd fds[] = {{wake_fd(f->wake), POLLIN, 0}, {f->signal_fd, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    while (poll(fds, 3, -1) < 0)
        if (errno != EINTR)
            return FOLLOW_FAILED;
    if (fds[1].revents || (fds[2].revents & (POLLERR | POLLHUP)))
        return FOLLOW_STOP;
    if ((wake_drain(f->wake) & WAKE_MOVED) && database_moved(db))
        return FOLLOW_MOVED;
    return FOLLOW_ON;
}

void follow_found(struct follow *f)
{
    wake_found(f->wake);
}

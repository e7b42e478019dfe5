/* line_settled.c — see line_settled.h. */
#include "line_settled.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

bool line_read_settled(int fd, char *bytes, size_t size, int64_t offset)
{
    enum { TRIES = 100 };
    const struct timespec pause = {.tv_nsec = 1000000};
    ssize_t n;

    for (int i = 0; flock(fd, LOCK_SH | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == TRIES)
            return false;
        nanosleep(&pause, NULL);
    }
    do
        n = pread(fd, bytes, size, offset);
    while (n < 0 && errno == EINTR);
    flock(fd, LOCK_UN);
    return n == (ssize_t)size;
}

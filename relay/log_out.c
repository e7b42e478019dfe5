/* log_out.c — lines to standard error; see log_out.h.
 *
 * One at a time, so that lines of several threads never mix. Standard error stays blocking: that it isn't would hold for
 * everybody who shares it. So what is no file is asked first, and gets no more at once than it has room for then. (Another
 * process that writes to the same pipe may take that room in between: then this one waits after all.)
 */
#include "log_out.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 200 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int64_t lost; /* lines in a row */
static bool cut;     /* the last thing that was written is half a line */

static bool has_room(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, lost > 0 ? 0 : PATIENCE_MS) > 0; /* an error too: the write then fails */
}

/* False: not all of it. */
static bool write_all(const char *at, size_t size)
{
    struct stat st;
    bool asks = fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode);

    while (size > 0) {
        if (asks && !has_room())
            return false;
        ssize_t n = write(STDERR_FILENO, at, asks && size > PIPE_BUF ? PIPE_BUF : size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
        cut = at[-1] != '\n';
    }
    return true;
}

int64_t log_out_write(const char *line, size_t size)
{
    int64_t before = 0;

    pthread_mutex_lock(&mutex);
    if ((!cut || write_all("\n", 1)) && write_all(line, size)) {
        before = lost;
        lost = 0;
    } else {
        lost++;
    }
    pthread_mutex_unlock(&mutex);
    return before;
}

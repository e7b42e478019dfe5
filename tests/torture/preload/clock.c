/* clock.c — a wall clock that is wrong, for one program: what it reads is off by the microseconds that stand in the file
 * $CLOCK_OFFSET, eight bytes of this machine, and jumps when somebody writes others there. The monotonic clock is true.
 * Loaded before libc (LD_PRELOAD): the machine's own clock stays as it is, and others' with it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static const volatile int64_t *offset_us;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK_OFFSET");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (page == MAP_FAILED)
        abort(); /* a true clock would prove nothing */
    offset_us = page;
    close(fd);
}

static int wall_clock(struct timespec *out)
{
    if (syscall(SYS_clock_gettime, CLOCK_REALTIME, out) != 0)
        return -1;
    int64_t us = out->tv_sec * INT64_C(1000000) + out->tv_nsec / 1000 + (offset_us ? *offset_us : 0);
    out->tv_sec = us / 1000000;
    out->tv_nsec = us % 1000000 * 1000 + out->tv_nsec % 1000;
    return 0;
}

SHOWN int clock_gettime(clockid_t clock, struct timespec *out)
{
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        return wall_clock(out);
    return (int)syscall(SYS_clock_gettime, clock, out);
}

SHOWN int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (wall_clock(&now) != 0)
        return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

SHOWN time_t time(time_t *out)
{
    struct timespec now;
    time_t seconds = wall_clock(&now) == 0 ? now.tv_sec : (time_t)-1;
    if (out)
        *out = seconds;
    return seconds;
}

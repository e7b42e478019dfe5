/* world.c — chance, time and the verdict; see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

static uint64_t state;
static int64_t monotonic_us, wall_offset_us;
static char failure[512];

void world_begin(uint64_t seed)
{
    state = seed * 0x9e3779b97f4a7c15ULL + 1;
    monotonic_us = 1000000000;
    wall_offset_us = 1700000000000000;
    failure[0] = '\0';
}

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t world_below(uint32_t n)
{
    return (uint32_t)(draw() % n);
}

bool world_chance(int in_a_thousand)
{
    return (int)world_below(1000) < in_a_thousand;
}

int64_t world_now_us(void)
{
    return monotonic_us;
}

void world_pass(int64_t us)
{
    monotonic_us += us;
}

void world_step_clock(int64_t us)
{
    wall_offset_us += us;
}

void world_fail(const char *format, ...)
{
    va_list args;
    if (failure[0])
        return;
    va_start(args, format);
    vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
}

const char *world_failure(void)
{
    return failure[0] ? failure : NULL;
}

/* ---- What the code under test sees -------------------------------------------------------------------------------- */

/* NOLINTBEGIN(bugprone-reserved-identifier): these names are ld's */
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int64_t us = clock == CLOCK_MONOTONIC ? monotonic_us : monotonic_us + wall_offset_us;
    *out = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    unsigned char *at = bytes;
    (void)flags;
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)world_below(256);
    return (ssize_t)size;
}
/* NOLINTEND(bugprone-reserved-identifier) */

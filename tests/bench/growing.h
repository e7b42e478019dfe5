/* growing.h — the file that a relay writes, as somebody sees it who waits for a line. */
#ifndef BENCH_GROWING_H
#define BENCH_GROWING_H

#include <sys/stat.h>

#include "bench.h"

enum { GROWING_PATIENCE_SECONDS = 20 };

/* Bytes; -1: it is not there. */
static inline int64_t growing_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Waits, spinning, until the file is larger than before. */
static inline void growing_await(const char *path, int64_t before)
{
    double deadline = bench_now() + GROWING_PATIENCE_SECONDS;
    while (growing_size(path) <= before)
        if (bench_now() > deadline)
            bench_die(path, "no line came");
}

#endif

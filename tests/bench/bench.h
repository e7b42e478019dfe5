/* bench.h — interleaved rounds of two programs that do the same work, and the ratio of their medians.
 *
 * Both sides run in one process, in turn, on the same disk, so that a machine that speeds up or slows down does it to
 * both. One line per measurement: what, ours, bare, ratio, goal.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_ROUNDS_MAX = 31 };

static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* This process's CPU time, which others on the machine hardly change. */
static inline double bench_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double bench_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, bench_compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static inline void bench_die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

/* Rates per second of ours and bare, from the seconds each round took for `count` operations; the ratio is the median
 * of the rounds' own ratios. */
static inline void bench_report(const char *what, double *ours, double *bare, int rounds, double count, double goal)
{
    double ratios[BENCH_ROUNDS_MAX];
    for (int i = 0; i < rounds; i++)
        ratios[i] = bare[i] / ours[i];
    double ratio = bench_median(ratios, rounds);
    printf("%-52s %12.0f/s %12.0f/s %7.2f %8.2f\n", what, count / bench_median(ours, rounds),
           count / bench_median(bare, rounds), ratio, goal);
    fflush(stdout);
}

#endif

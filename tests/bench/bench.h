/* bench.h — interleaved rounds of two programs that do the same work, and the ratio of their medians.
 *
 * Both sides run in one process, in turn, on the same disk, so that a machine that speeds up or slows down does it to
 * both. One line per measurement: what, ours, bare, ratio, goal.
 */
#ifndef BENCH_H
#define BENCH_H

#include <sched.h>
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

static inline void bench_pause_us(int us)
{
    nanosleep(&(struct timespec){0, us * 1000L}, NULL);
}

/* From here on this process and its children run on this core alone; nothing where there is but one. */
static inline void bench_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > core)
        sched_setaffinity(0, sizeof set, &set);
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
 * of the rounds' own ratios. goal 0: none. */
static inline void bench_report(const char *what, double *ours, double *bare, int rounds, double count, double goal)
{
    double ratios[BENCH_ROUNDS_MAX];
    for (int i = 0; i < rounds; i++)
        ratios[i] = bare[i] / ours[i];
    double ratio = bench_median(ratios, rounds);
    printf("%-52s %12.0f/s %12.0f/s %7.2f", what, count / bench_median(ours, rounds),
           count / bench_median(bare, rounds), ratio);
    if (goal > 0)
        printf(" %8.2f", goal);
    printf("\n");
    fflush(stdout);
}

/* Two lines, of seconds: the median, and beyond which one in a hundred is. Goals in microseconds, as "< 300", or "". */
static inline void bench_report_us(const char *what, double *values, int n, const char *goal, const char *goal_p99)
{
    double median = bench_median(values, n); /* sorts them */
    printf("%-52s %11.0f µs %30s %5s\n", what, median * 1e6, "", goal);
    printf("%-52s %11.0f µs %30s %5s\n", "  its 99th percentile", values[n * 99 / 100] * 1e6, "", goal_p99);
    fflush(stdout);
}

#endif

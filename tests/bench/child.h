/* child.h — runs a program and says how long it took, how it ended and how much memory it had. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"

/* argv[0] is the path. Standard error goes to the file log. */
static inline pid_t child_start(char *const argv[], const char *log)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, 2);
    execv(argv[0], argv);
    _exit(127);
}

/* Seconds until it ends; it must end with 0. *peak_kib (may be NULL) is its largest resident size. */
static inline double child_run(char *const argv[], const char *log, long *peak_kib)
{
    struct rusage usage;
    int status;
    double start = bench_now();
    pid_t pid = child_start(argv, log);
    if (wait4(pid, &status, 0, &usage) != pid || status != 0)
        bench_die(argv[0], "ended badly; see its log");
    if (peak_kib && usage.ru_maxrss > *peak_kib)
        *peak_kib = usage.ru_maxrss;
    return bench_now() - start;
}

/* The largest resident size so far of one that runs; 0: unknown. */
static inline long child_peak_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

/* CPU time of all its threads so far. */
static inline double child_cpu(pid_t pid)
{
    struct timespec t = {0};
    clockid_t clock;
    if (pid > 0 && clock_getcpuclockid(pid, &clock) == 0)
        clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline const char *child_program(const char *name)
{
    static char path[512];
    const char *build = getenv("BUILD");
    snprintf(path, sizeof path, "%s/%s", build ? build : "build", name);
    return path;
}

enum { CHILD_STREAM_ARGS = 16 };

/* outbox-relay with one stream that is never rotated, and up to three options more (NULL: none). All are borrowed. */
static inline void child_stream(char *argv[CHILD_STREAM_ARGS], char *db, char *path, char *consumer, char *one,
                                char *two, char *three)
{
    static char relay[512], db_is[] = "--db", path_is[] = "--jsonl", consumer_is[] = "--consumer",
                            size_is[] = "--jsonl-max-size", endless[] = "100G";
    snprintf(relay, sizeof relay, "%s", child_program("outbox-relay"));
    char *all[] = {relay, db_is, db, path_is, path, consumer_is, consumer, size_is, endless, one, two, three, NULL};
    memcpy(argv, all, sizeof all);
}

#endif

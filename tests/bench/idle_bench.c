/* idle_bench.c — what the relay costs when nothing happens. */
#include <dirent.h>
#include <signal.h>

#include "backlog.h"
#include "child.h"
#include "growing.h"

enum { IDLE_SECONDS = 5 };

static long wakes_of(pid_t pid)
{
    char path[64], line[256];
    long wakes = 0, n;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char status[512];
        snprintf(status, sizeof status, "/proc/%d/task/%s/status", (int)pid, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(status, "r");
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
                wakes += n;
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
    return wakes;
}

static double cpu_of(pid_t pid)
{
    char path[64];
    unsigned long user = 0, sys = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
        bench_die(path, "unreadable");
    fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

int main(void)
{
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], path[128], log[128], command[160];
    outbox *ob;
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(path, sizeof path, "%s/events.jsonl", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    if (outbox_open(db, NULL, &ob) != OUTBOX_OK)
        bench_die(db, outbox_errmsg(NULL));
    char *argv[] = {strdup(child_program("outbox-relay")), (char[]){"--db"}, db, (char[]){"--jsonl"}, path, NULL};
    pid_t pid = child_start(argv, log);
    if (outbox_emit(ob, "t", "k", "{}", -1, NULL, NULL) != OUTBOX_OK)
        bench_die("emit", outbox_errmsg(ob));
    growing_await(path, 0);
    struct timespec settle = {2, 0}, idle = {IDLE_SECONDS, 0};
    nanosleep(&settle, NULL);
    long wakes = wakes_of(pid);
    double cpu = cpu_of(pid);
    nanosleep(&idle, NULL);
    printf("%-52s %11.1f /s %30s %5s\n", "wakes of an idle relay", (double)(wakes_of(pid) - wakes) / IDLE_SECONDS, "",
           "< 2");
    printf("%-52s %11.2f %% %31s %5s\n", "  its share of a core", (cpu_of(pid) - cpu) / IDLE_SECONDS * 100, "",
           "< 0.05");
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    outbox_close(ob);
    free(argv[0]);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

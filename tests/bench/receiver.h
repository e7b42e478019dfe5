/* receiver.h — a webhook receiver that costs little, and measures its senders over a window of the bytes they send.
 *
 * One process, one epoll loop, kept-alive connections, 204 for every whole request. What it counts is in memory shared
 * with the bench. A sender's start and end are left out on purpose: time and the sender's CPU time are taken when the
 * bytes accepted pass `from_bytes` and `to_bytes`.
 */
#ifndef BENCH_RECEIVER_H
#define BENCH_RECEIVER_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "child.h"

enum { RECEIVER_CONNECTIONS = 1024, RECEIVER_HEAD = 4096, RECEIVER_PIECE = 1 << 18 };

enum receiver_mode {
    RECEIVER_ACCEPTS,
    RECEIVER_REFUSES_PARKED, /* 400 where the body names a key "parked-…" */
    RECEIVER_FAILS_EVERY_2ND /* 500: failures enough, and never several in a row */
};

struct receiver {
    pid_t pid;
    char url[64];
    enum receiver_mode mode;
    volatile pid_t sender;
    volatile int64_t from_bytes, to_bytes;

    volatile int64_t requests, accepted, bytes; /* bytes: of accepted bodies */
    struct receiver_mark {
        double time, cpu;
        int64_t accepted, bytes;
        bool passed;
    } from, to;
};

struct receiver_connection {
    char head[RECEIVER_HEAD];
    size_t head_size;
    int64_t body_size, body_left; /* while the head is whole */
    bool in_body, refused;
};

static inline void receiver_mark(struct receiver *r, struct receiver_mark *mark)
{
    mark->time = bench_now();
    mark->cpu = child_cpu(r->sender);
    mark->accepted = r->accepted;
    mark->bytes = r->bytes;
    mark->passed = true;
}

static inline bool receiver_answer(struct receiver *r, struct receiver_connection *c, int fd)
{
    static const char yes[] = "HTTP/1.1 204 No Content\r\n\r\n";
    static const char no[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    static const char later[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    bool fails = r->mode == RECEIVER_FAILS_EVERY_2ND && r->requests % 2 == 0;
    const char *answer = c->refused ? no : fails ? later : yes;

    r->requests++;
    if (answer == yes) {
        r->accepted++;
        r->bytes += c->body_size;
        if (!r->from.passed && r->bytes >= r->from_bytes)
            receiver_mark(r, &r->from);
        if (!r->to.passed && r->bytes >= r->to_bytes)
            receiver_mark(r, &r->to);
    }
    c->in_body = c->refused = false;
    c->head_size = 0;
    return send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0;
}

/* Takes what belongs to the head; the number of bytes taken. */
static inline size_t receiver_take_head(struct receiver_connection *c, const char *data, size_t size)
{
    size_t room = sizeof c->head - 1 - c->head_size, take = size < room ? size : room, before = c->head_size;
    memcpy(c->head + before, data, take);
    c->head_size += take;
    c->head[c->head_size] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end && c->head_size == sizeof c->head - 1)
        bench_die("receiver", "endless headers");
    if (!end)
        return take;
    char *length = strcasestr(c->head, "content-length:");
    c->body_size = c->body_left = length && length < end ? atoll(length + 15) : 0;
    c->in_body = true;
    return (size_t)(end + 4 - c->head) - before;
}

static inline bool receiver_take(struct receiver *r, struct receiver_connection *c, int fd, const char *data,
                                 size_t size)
{
    while (size > 0) {
        size_t taken = c->in_body ? 0 : receiver_take_head(c, data, size);
        data += taken;
        size -= taken;
        if (!c->in_body)
            continue;
        taken = (int64_t)size < c->body_left ? size : (size_t)c->body_left;
        if (r->mode == RECEIVER_REFUSES_PARKED && memmem(data, taken, "\"parked-", 8))
            c->refused = true;
        data += taken;
        size -= taken;
        c->body_left -= (int64_t)taken;
        if (c->body_left == 0 && !receiver_answer(r, c, fd))
            return false;
    }
    return true;
}

static inline void receiver_loop(struct receiver *r, int listener)
{
    static struct receiver_connection connections[RECEIVER_CONNECTIONS];
    static char piece[RECEIVER_PIECE];
    int epoll = epoll_create1(0), one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                if ((fd = accept(listener, NULL, NULL)) < 0 || fd >= RECEIVER_CONNECTIONS)
                    bench_die("receiver", "too many connections");
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = fd;
                connections[fd] = (struct receiver_connection){.in_body = false};
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            ssize_t size = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
            if (size <= 0 || !receiver_take(r, &connections[fd], fd, piece, (size_t)size))
                close(fd); /* and out of the epoll set with it */
        }
    }
}

/* Undoes bench_pin(). */
static inline void bench_unpin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int core = 0; core < CPU_SETSIZE; core++)
        CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* Begins a receiver on core 0, and moves the caller, with all that it starts later, to core 1. */
static inline struct receiver *receiver_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct receiver *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 512) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        bench_die("receiver", "no port");
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d/hook", ntohs(address.sin_port));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bench_pin(0);
        receiver_loop(r, listener);
    }
    r->pid = pid;
    close(listener);
    bench_pin(1);
    return r;
}

/* Counts anew: the window of the next sender. No sender is running. */
static inline void receiver_reset(struct receiver *r, enum receiver_mode mode, int64_t from_bytes, int64_t to_bytes)
{
    r->mode = mode;
    r->from_bytes = from_bytes;
    r->to_bytes = to_bytes;
    r->requests = r->accepted = r->bytes = 0;
    r->from = r->to = (struct receiver_mark){0};
}

static inline void receiver_stop(struct receiver *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    munmap(r, sizeof *r);
}

#endif

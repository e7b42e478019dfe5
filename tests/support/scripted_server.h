/* scripted_server.h — an HTTP/1.1 server that misbehaves on request, inside the test's own process.
 *
 * One thread per connection, kept alive between requests. Each request is recorded with its arrival number, then the
 * script decides how it is answered. It counts what a receiver can see go wrong: two requests of one ordering key under
 * way at once. Everything static: a test includes it and needs no other file.
 */
#ifndef TESTS_SUPPORT_SCRIPTED_SERVER_H
#define TESTS_SUPPORT_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SERVER_REQUESTS_MAX = 20000, SERVER_CONNECTIONS_MAX = 512, SERVER_REQUEST_SIZE = 4 << 20 };

enum server_way {
    ANSWER_STATUS,  /* status, with extra header lines and a short body */
    ANSWER_CLOSE,   /* the connection, without a word */
    ANSWER_HANG,    /* nothing, until the sender gives up */
    ANSWER_TRICKLE, /* a good answer, one byte at a time, that never ends */
    ANSWER_HUGE,    /* 200 and 100 MB */
    ANSWER_HEADERS, /* headers without end */
    ANSWER_BULKY,   /* 200, and headers of 128 KiB, whole */
    ANSWER_CUT,     /* 200, and less body than promised */
    ANSWER_HALF,    /* 200, and half of its headers */
    ANSWER_STALL,   /* 200, whole headers, then nothing, until the sender gives up */
    ANSWER_CHUNKS,  /* 200, and chunks without end */
    ANSWER_RESET,   /* the connection, by a reset */
    ANSWER_GARBAGE, /* not HTTP */
    ANSWER_ECHO     /* status, and the request's line and headers as the body */
};

struct server_answer {
    enum server_way way;
    int status;
    char extra[256]; /* header lines, each ending in \r\n */
    int delay_ms;    /* before it */
};

struct server_request {
    int arrival; /* from 1 */
    int attempt; /* of this webhook-id, from 1 */
    char *head;  /* request line and headers */
    char *body;
    size_t body_size;
    char id[96], key[128];
    bool overlaps; /* another of its key was under way */
    int status;    /* answered with; 0: not (yet) by a status */
    int64_t at_us; /* monotonic */
};

struct server;
typedef void server_script(void *arg, const struct server_request *, struct server_answer *);

struct server {
    int listener, port;
    server_script *script;
    void *arg;
    void (*seen)(void *arg, const struct server_request *); /* may be NULL; one at a time, in order of arrival */
    pthread_t acceptor;
    pthread_mutex_t lock;
    bool stopping;
    int connections[SERVER_CONNECTIONS_MAX]; /* sockets; -1: closed */
    pthread_t threads[SERVER_CONNECTIONS_MAX];
    int connection_count;
    struct server_request *requests;
    bool *under_way;
    int request_count, overlaps, most_under_way, now_under_way;
    int64_t flooded; /* bytes that a sender took of answers without end */
};

struct server_connection {
    struct server *server;
    int socket, slot;
};

static inline int64_t server_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The value of a header, trimmed, into out ("" where it is missing). */
static inline void server_header(const char *head, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);

    out[0] = 0;
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':') {
            const char *value = line + 2 + length + 1 + strspn(line + 2 + length + 1, " ");
            snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return;
        }
}

static inline bool server_member(const char *body, const char *name, char *out, size_t size)
{
    char pattern[40];

    snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    const char *at = strstr(body, pattern);
    if (at)
        snprintf(out, size, "%.*s", (int)strcspn(at + strlen(pattern), "\""), at + strlen(pattern));
    return at != NULL;
}

/* The ordering key as the receiver can see it, in any of the formats. */
static inline void server_find_key(struct server_request *r)
{
    server_header(r->head, "ce-partitionkey", r->key, sizeof r->key);
    if (r->key[0] || server_member(r->body, "partitionkey", r->key, sizeof r->key) ||
        server_member(r->body, "ordering_key", r->key, sizeof r->key))
        return;
    server_member(r->body, "key", r->key, sizeof r->key);
}

/* Reads one request: true where there was a whole one. The rest of what came stays in buffer. */
static inline bool server_read(int socket, char *buffer, size_t *filled, struct server_request *r)
{
    for (;;) {
        buffer[*filled] = 0;
        char *end = strstr(buffer, "\r\n\r\n");
        if (end) {
            char length_text[32];
            size_t head_size = (size_t)(end - buffer) + 2;
            r->head = strndup(buffer, head_size);
            server_header(r->head, "content-length", length_text, sizeof length_text);
            size_t body_size = strtoul(length_text, NULL, 10), total = head_size + 2 + body_size;
            if (*filled >= total) {
                r->body = calloc(1, body_size + 1);
                memcpy(r->body, buffer + head_size + 2, body_size);
                r->body_size = body_size;
                memmove(buffer, buffer + total, *filled - total);
                *filled -= total;
                return true;
            }
            free(r->head);
            r->head = NULL;
        }
        ssize_t got = *filled < SERVER_REQUEST_SIZE ? recv(socket, buffer + *filled, SERVER_REQUEST_SIZE - *filled, 0)
                                                    : 0;
        if (got <= 0)
            return false;
        *filled += (size_t)got;
    }
}

static inline int server_record(struct server *s, struct server_request *r)
{
    pthread_mutex_lock(&s->lock);
    int index = s->request_count;
    if (s->stopping || index == SERVER_REQUESTS_MAX) {
        pthread_mutex_unlock(&s->lock);
        return -1;
    }
    r->arrival = index + 1;
    r->attempt = 1;
    r->at_us = server_now_us();
    for (int i = 0; i < index; i++) {
        r->attempt += strcmp(s->requests[i].id, r->id) == 0;
        r->overlaps |= s->under_way[i] && r->key[0] && strcmp(s->requests[i].key, r->key) == 0;
    }
    s->overlaps += r->overlaps;
    s->requests[index] = *r;
    s->under_way[index] = true;
    s->request_count++;
    if (++s->now_under_way > s->most_under_way)
        s->most_under_way = s->now_under_way;
    if (s->seen)
        s->seen(s->arg, r);
    pthread_mutex_unlock(&s->lock);
    return index;
}

static inline void server_done(struct server *s, int index, int status)
{
    pthread_mutex_lock(&s->lock);
    s->under_way[index] = false;
    s->requests[index].status = status;
    s->now_under_way--;
    pthread_mutex_unlock(&s->lock);
}

static inline bool server_send(int socket, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* Until the other side closes, or the server stops (which shuts the socket down). */
static inline void server_wait_closed(int socket, int ms)
{
    struct pollfd fd = {.fd = socket, .events = POLLIN | POLLRDHUP};
    poll(&fd, 1, ms);
}

static inline void server_flood(struct server *s, int socket, const char *start, const char *chunk, int64_t bytes)
{
    bool open = server_send(socket, start, strlen(start));
    int64_t sent = 0;
    for (size_t size = strlen(chunk); open && sent < bytes; sent += (int64_t)size)
        open = server_send(socket, chunk, size);
    pthread_mutex_lock(&s->lock);
    s->flooded += sent;
    pthread_mutex_unlock(&s->lock);
}

/* False: the connection is to be closed. */
static inline bool server_answer(struct server *s, int socket, int index, const struct server_answer *a)
{
    static const char trickle[] = "HTTP/1.1 200 OK\r\nX-Slow: ";
    char text[512];

    if (a->delay_ms)
        server_wait_closed(socket, a->delay_ms);
    switch (a->way) {
    case ANSWER_STATUS: {
        int size = snprintf(text, sizeof text, "HTTP/1.1 %d Scripted\r\n%sContent-Length: %d\r\n\r\n%s", a->status,
                            a->extra, a->status == 204 || a->status == 304 ? 0 : 2,
                            a->status == 204 || a->status == 304 ? "" : "ok");
        server_done(s, index, a->status);
        return server_send(socket, text, (size_t)size);
    }
    case ANSWER_CLOSE: break;
    case ANSWER_STALL:
        server_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 38);
        server_wait_closed(socket, 60000);
        break;
    case ANSWER_CHUNKS:
        server_done(s, index, 200);
        snprintf(text, sizeof text, "100\r\n%0256d\r\n", 0);
        server_flood(s, socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", text, 104857600);
        return false;
    case ANSWER_RESET: setsockopt(socket, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)); break;
    case ANSWER_HANG: server_wait_closed(socket, 60000); break;
    case ANSWER_TRICKLE:
        for (size_t i = 0; server_send(socket, i < sizeof trickle - 1 ? &trickle[i] : "x", 1); i++) {
            struct pollfd fd = {.fd = socket, .events = POLLIN | POLLRDHUP};
            if (poll(&fd, 1, 10) > 0)
                break;
        }
        break;
    case ANSWER_HUGE:
        server_done(s, index, 200);
        memset(text, 'x', sizeof text);
        text[sizeof text - 1] = 0;
        server_flood(s, socket, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", text, 104857600);
        return false;
    case ANSWER_HEADERS:
        snprintf(text, sizeof text, "X-More: %0480d\r\n", 0);
        server_flood(s, socket, "HTTP/1.1 200 OK\r\n", text, 104857600);
        break;
    case ANSWER_BULKY:
        snprintf(text, sizeof text, "X-More: %0480d\r\n", 0);
        server_flood(s, socket, "HTTP/1.1 200 OK\r\n", text, 131072);
        return server_send(socket, "Content-Length: 0\r\n\r\n", 21);
    case ANSWER_CUT: server_flood(s, socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "short", 5); break;
    case ANSWER_HALF: server_send(socket, "HTTP/1.1 200 OK\r\nX-Half: 1\r\nContent-Le", 38); break;
    case ANSWER_GARBAGE: server_flood(s, socket, "\x01\x02", "what is this\n", 100); break;
    case ANSWER_ECHO: {
        pthread_mutex_lock(&s->lock);
        const char *head = s->requests[index].head;
        pthread_mutex_unlock(&s->lock);
        int size = snprintf(text, sizeof text, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n\r\n", a->status,
                            strlen(head));
        server_done(s, index, a->status);
        return server_send(socket, text, (size_t)size) && server_send(socket, head, strlen(head));
    }
    }
    server_done(s, index, 0);
    return false;
}

static inline void *server_connection_main(void *arg)
{
    struct server_connection c = *(struct server_connection *)arg;
    char *buffer = malloc(SERVER_REQUEST_SIZE + 1);
    size_t filled = 0;
    struct server_request r = {0};

    free(arg);
    while (buffer && server_read(c.socket, buffer, &filled, &r)) {
        struct server_answer answer = {.way = ANSWER_STATUS, .status = 200};
        server_header(r.head, "webhook-id", r.id, sizeof r.id);
        server_find_key(&r);
        int index = server_record(c.server, &r);
        if (index < 0) {
            free(r.head);
            free(r.body);
            break;
        }
        if (c.server->script)
            c.server->script(c.server->arg, &r, &answer);
        if (!server_answer(c.server, c.socket, index, &answer))
            break;
        r = (struct server_request){0};
    }
    free(buffer);
    pthread_mutex_lock(&c.server->lock);
    c.server->connections[c.slot] = -1;
    close(c.socket);
    pthread_mutex_unlock(&c.server->lock);
    return NULL;
}

static inline void *server_accept_main(void *arg)
{
    struct server *s = arg;

    for (int socket; (socket = accept(s->listener, NULL, NULL)) >= 0;) {
        struct server_connection *c = malloc(sizeof *c);
        pthread_mutex_lock(&s->lock);
        int slot = s->connection_count;
        if (!c || s->stopping || slot == SERVER_CONNECTIONS_MAX) {
            pthread_mutex_unlock(&s->lock);
            free(c);
            close(socket);
            continue;
        }
        *c = (struct server_connection){s, socket, slot};
        s->connections[slot] = socket;
        s->connection_count++;
        if (pthread_create(&s->threads[slot], NULL, server_connection_main, c) != 0)
            abort();
        pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

/* Listens on 127.0.0.1 (port 0: the kernel's choice, in s->port). script NULL: 200 to everything. */
static inline bool server_start(struct server *s, int port, server_script *script, void *arg)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    int on = 1;

    *s = (struct server){.script = script, .arg = arg};
    s->requests = calloc(SERVER_REQUESTS_MAX, sizeof *s->requests);
    s->under_way = calloc(SERVER_REQUESTS_MAX, sizeof *s->under_way);
    pthread_mutex_init(&s->lock, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, size) != 0 || listen(s->listener, 128) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    s->port = ntohs(address.sin_port);
    return pthread_create(&s->acceptor, NULL, server_accept_main, s) == 0;
}

/* Nobody is answered any more, and every thread has ended (a second call does nothing); what was recorded stays until server_free(). */
static inline void server_stop(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->stopping) {
        pthread_mutex_unlock(&s->lock);
        return;
    }
    s->stopping = true;
    shutdown(s->listener, SHUT_RDWR);
    for (int i = 0; i < s->connection_count; i++)
        if (s->connections[i] >= 0)
            shutdown(s->connections[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->acceptor, NULL);
    for (int i = 0; i < s->connection_count; i++)
        pthread_join(s->threads[i], NULL);
    close(s->listener);
}

static inline void server_free(struct server *s)
{
    for (int i = 0; i < s->request_count; i++) {
        free(s->requests[i].head);
        free(s->requests[i].body);
    }
    free(s->requests);
    free(s->under_way);
    pthread_mutex_destroy(&s->lock);
}

static inline int server_count(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    int count = s->request_count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

#endif

/* http_loop.h — drives the transfers of one curl multi handle by what their sockets say.
 *
 * curl_multi_perform() looks at every transfer each time, with a system call for most of them; here only those are
 * looked at whose socket or time has come. A transfer is added with curl_multi_add_handle(), as ever; it begins with the
 * next http_loop_run().
 *
 * Sockets are watched from their opening to their closing, over all requests that use them: so the easy handles have to
 * tell of both (CURLOPT_OPENSOCKETFUNCTION, CURLOPT_CLOSESOCKETFUNCTION).
 */
#ifndef RELAY_SINKS_HTTP_LOOP_H
#define RELAY_SINKS_HTTP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include <curl/curl.h>

enum { HTTP_LOOP_EVENTS = 64 };

struct http_loop { /* zero-initialised is empty, and can be ended */
    CURLM *multi;
    int epoll_plus_1;               /* 0: none */
    int64_t due_us;                 /* curl's own next timer, CLOCK_MONOTONIC; INT64_MAX: none */
    struct watched_socket *sockets; /* by descriptor */
    size_t socket_count;
    int wake_fd; /* watched too; -1: none */
    struct epoll_event events[HTTP_LOOP_EVENTS];
    int event_count; /* what http_loop_wait() has found; -1: it was not asked since */
};

bool http_loop_init(struct http_loop *); /* false: out of memory or descriptors */
void http_loop_fini(struct http_loop *); /* the easy handles are out of it, or gone */

/* What a socket callback has to tell. opened false: no memory to watch it, the socket is not to be used. */
bool http_loop_opened(struct http_loop *, int fd);
void http_loop_closed(struct http_loop *, int fd);

/* Lets every transfer go on that can. Never waits. */
void http_loop_run(struct http_loop *);

/* Waits for a transfer that can go on, wake_fd (-1: none; the same one each time) or timeout_ms (-1: for ever). */
void http_loop_wait(struct http_loop *, int wake_fd, int timeout_ms);

#endif

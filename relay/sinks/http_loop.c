/* http_loop.c — curl's sockets in an epoll set, curl's timer beside it.
 *
 * Leaves to others: what the transfers are, and their answers. The invariant: a socket that curl waits for is in the
 * epoll set for what curl waits for. More may be in it: a connection between two requests stays, since nothing is dearer
 * here than a system call per request; where one wakes us then (its receiver has closed it), it is taken out.
 */
#include "http_loop.h"

#include <stdlib.h>
#include <unistd.h>

#include "clock.h"

enum { AGAIN_US = 100000 };

struct watched_socket {
    bool connection;          /* we hear of its closing */
    uint32_t wanted, watched; /* by curl, by the epoll set: EPOLLIN, EPOLLOUT */
};

/* ---- The epoll set ----------------------------------------------------------------------------------------------------- */

static int epoll_of(const struct http_loop *l)
{
    return l->epoll_plus_1 - 1;
}

static bool watch(struct http_loop *l, int fd, uint32_t events)
{
    struct watched_socket *s = &l->sockets[fd];
    struct epoll_event event = {.events = events, .data.fd = fd};
    int op = !events ? EPOLL_CTL_DEL : s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (s->watched == events)
        return true;
    if (epoll_ctl(epoll_of(l), op, fd, &event) != 0 && events)
        return false;
    s->watched = events;
    return true;
}

static bool reserve(struct http_loop *l, int fd)
{
    size_t count = l->socket_count ? l->socket_count : 64;

    if ((size_t)fd < l->socket_count)
        return true;
    while (count <= (size_t)fd)
        count *= 2;
    struct watched_socket *sockets = realloc(l->sockets, count * sizeof *sockets);
    if (!sockets)
        return false;
    for (size_t i = l->socket_count; i < count; i++)
        sockets[i] = (struct watched_socket){0};
    l->sockets = sockets;
    l->socket_count = count;
    return true;
}

bool http_loop_opened(struct http_loop *l, int fd)
{
    if (!reserve(l, fd))
        return false;
    l->sockets[fd] = (struct watched_socket){.connection = true};
    return true;
}

/* The kernel takes it out of the set. */
void http_loop_closed(struct http_loop *l, int fd)
{
    if ((size_t)fd < l->socket_count)
        l->sockets[fd] = (struct watched_socket){0};
}

/* ---- What curl wants --------------------------------------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http_loop *l = arg;
    uint32_t wanted = 0;

    (void)easy, (void)unused;
    if (!reserve(l, fd))
        return -1; /* curl ends the transfer */
    if (what != CURL_POLL_REMOVE)
        wanted = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    struct watched_socket *s = &l->sockets[fd];
    s->wanted = wanted;
    bool rests = !wanted && s->connection && s->watched == EPOLLIN;
    return rests || watch(l, fd, wanted) ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_loop *l = arg;

    (void)multi;
    l->due_us = timeout_ms < 0 ? INT64_MAX : clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    return 0;
}

/* ---- Open and close ---------------------------------------------------------------------------------------------------- */

bool http_loop_init(struct http_loop *l)
{
    *l = (struct http_loop){.due_us = INT64_MAX, .wake_fd = -1, .event_count = -1};
    l->multi = curl_multi_init();
    l->epoll_plus_1 = epoll_create1(EPOLL_CLOEXEC) + 1;
    return l->multi && l->epoll_plus_1 && curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l) == CURLM_OK &&
           curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
           curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l) == CURLM_OK;
}

void http_loop_fini(struct http_loop *l)
{
    curl_multi_cleanup(l->multi); /* closes what connections are left, and tells of it */
    if (l->epoll_plus_1)
        close(epoll_of(l));
    free(l->sockets);
    *l = (struct http_loop){0};
}

/* ---- Run and wait ------------------------------------------------------------------------------------------------------ */

/* Where curl has no memory it leaves out saying when it wants to be called again, for all of its transfers. */
static void ask_curl(struct http_loop *l, int fd, int bits)
{
    int running;
    int64_t again_us = clock_monotonic_us() + AGAIN_US;

    if (curl_multi_socket_action(l->multi, fd, bits, &running) != CURLM_OK && again_us < l->due_us)
        l->due_us = again_us;
}

static void act_on(struct http_loop *l, const struct epoll_event *event)
{
    int fd = event->data.fd, bits = 0;

    if (fd == l->wake_fd)
        return;
    if (!l->sockets[fd].wanted) { /* its receiver has closed it, or says what nobody asked for */
        watch(l, fd, 0);
        return;
    }
    bits |= event->events & EPOLLIN ? CURL_CSELECT_IN : 0;
    bits |= event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0; /* neither: curl looks for itself */
    ask_curl(l, fd, bits);
}

static void look(struct http_loop *l, int timeout_ms)
{
    int n = epoll_wait(epoll_of(l), l->events, HTTP_LOOP_EVENTS, timeout_ms);

    l->event_count = n > 0 ? n : 0;
}

void http_loop_run(struct http_loop *l)
{
    if (l->event_count < 0)
        look(l, 0);
    for (int i = 0; i < l->event_count; i++)
        act_on(l, &l->events[i]);
    l->event_count = -1;
    if (clock_monotonic_us() < l->due_us)
        return;
    l->due_us = INT64_MAX; /* curl sets it anew in here, where something is left */
    ask_curl(l, CURL_SOCKET_TIMEOUT, 0);
}

void http_loop_wait(struct http_loop *l, int wake_fd, int timeout_ms)
{
    int ours_ms = clock_poll_ms(l->due_us, clock_monotonic_us());

    if (wake_fd >= 0 && wake_fd != l->wake_fd) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = wake_fd};
        if (epoll_ctl(epoll_of(l), EPOLL_CTL_ADD, wake_fd, &event) == 0)
            l->wake_fd = wake_fd;
    }
    if (timeout_ms < 0 || (ours_ms >= 0 && ours_ms < timeout_ms))
        timeout_ms = ours_ms;
    look(l, timeout_ms);
}

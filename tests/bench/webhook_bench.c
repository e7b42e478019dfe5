/* webhook_bench.c — one event per POST on loopback: outbox-relay against a bare libcurl multi loop.
 *
 * Both post bodies of the same size to the same server (a process of its own, one epoll loop, kept-alive connections)
 * with the same number in flight, unsigned and signed. The bare loop reads nothing and encodes nothing.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "backlog.h"
#include "child.h"

enum { ROUNDS = 5, CONNECTIONS_MAX = 1024, REQUEST_MAX = 16384 };

/* ---- The server: answers every whole request with 204 ---- */

struct connection {
    char data[REQUEST_MAX];
    size_t size;
};

/* The size of the first whole request in data, 0 where it is not whole yet. */
static size_t whole_request(struct connection *c)
{
    c->data[c->size] = '\0';
    char *end = strstr(c->data, "\r\n\r\n");
    if (!end)
        return 0;
    char *length = strcasestr(c->data, "content-length:");
    size_t need = (size_t)(end + 4 - c->data) + (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
    return c->size >= need ? need : 0;
}

static void serve(int fd, struct connection *c, int epoll)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\n\r\n";
    ssize_t n = recv(fd, c->data + c->size, sizeof c->data - 1 - c->size, MSG_DONTWAIT);
    if (n <= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        c->size = 0;
        return;
    }
    c->size += (size_t)n;
    for (size_t whole; (whole = whole_request(c)) > 0;) {
        memmove(c->data, c->data + whole, c->size - whole);
        c->size -= whole;
        if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            return;
    }
}

static void server(int listener)
{
    static struct connection connections[CONNECTIONS_MAX];
    int epoll = epoll_create1(0), one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                serve(fd, &connections[fd], epoll);
            } else if ((fd = accept(listener, NULL, NULL)) >= 0 && fd < CONNECTIONS_MAX) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                event.data.fd = fd;
                connections[fd].size = 0;
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}

static pid_t start_server(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 512) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        bench_die("listen", "no port");
    *port = ntohs(address.sin_port);
    pid_t pid = fork();
    if (pid == 0)
        server(listener);
    close(listener);
    return pid;
}

/* ---- The bare loop ---- */

static int bare(const char *url, int events, int in_flight)
{
    static char body[700];
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/cloudevents+json; charset=utf-8");
    headers = curl_slist_append(headers, "webhook-id: 0123456789abcdef-123456");
    headers = curl_slist_append(headers, "webhook-timestamp: 1795252692");
    headers = curl_slist_append(headers, "idempotency-key: 0123456789abcdef-123456");
    headers = curl_slist_append(headers, "Expect:");
    memset(body, 'x', sizeof body);
    curl_global_init(CURL_GLOBAL_ALL);
    CURLM *multi = curl_multi_init();
    int started = 0, done = 0, running = 0;
    for (; started < in_flight; started++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)sizeof body);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_multi_add_handle(multi, easy);
    }
    while (done < events) {
        int left;
        curl_multi_perform(multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));) {
            CURL *easy = m->easy_handle;
            if (m->data.result != CURLE_OK)
                bench_die("bare", curl_easy_strerror(m->data.result));
            done++;
            curl_multi_remove_handle(multi, easy);
            if (started < events) {
                curl_multi_add_handle(multi, easy);
                started++;
            } else {
                curl_easy_cleanup(easy);
            }
        }
        if (done < events)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    return 0;
}

static double run_bare(char *self, char *url, int events, int in_flight, const char *log)
{
    char n[16], k[16];
    snprintf(n, sizeof n, "%d", events);
    snprintf(k, sizeof k, "%d", in_flight);
    char *argv[] = {self, (char[]){"--bare"}, url, n, k, NULL};
    return child_run(argv, log, NULL);
}

static double run_relay(char *db, char *url, int consumer, int in_flight, const char *secret, const char *log,
                        long *peak_kib)
{
    char name[32], k[16];
    snprintf(name, sizeof name, "bench-%d", consumer);
    snprintf(k, sizeof k, "%d", in_flight);
    if (secret)
        setenv("OUTBOX_WEBHOOK_SECRET", secret, 1);
    else
        unsetenv("OUTBOX_WEBHOOK_SECRET");
    char *argv[] = {strdup(child_program("outbox-relay")),
                    (char[]){"--db"},
                    db,
                    (char[]){"--webhook"},
                    url,
                    (char[]){"--consumer"},
                    name,
                    (char[]){"--concurrency"},
                    k,
                    (char[]){"--once"},
                    NULL};
    double t = child_run(argv, log, peak_kib);
    free(argv[0]);
    return t;
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return bare(argv[2], atoi(argv[3]), atoi(argv[4]));
    static const struct {
        const char *what;
        int in_flight;
        const char *secret;
    } cases[] = {{"relay to a webhook, 1 in flight", 1, NULL},
                 {"relay to a webhook, 8 in flight", 8, NULL},
                 {"relay to a webhook, 32 in flight", 32, NULL},
                 {"relay to a webhook, 128 in flight", 128, NULL},
                 {"relay to a webhook, 32 in flight, signed", 32, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}};
    int events = getenv("EVENTS") ? atoi(getenv("EVENTS")) : 30000, port, consumer = 0;
    char dir[] = "/var/tmp/outbox-bench-XXXXXX", db[128], url[64], log[128], command[160];
    long peak_kib = 0;
    if (!mkdtemp(dir))
        bench_die("mkdtemp", dir);
    snprintf(db, sizeof db, "%s/b.db", dir);
    snprintf(log, sizeof log, "%s/log", dir);
    backlog_make(db, events, 10000, "3600000000000");
    pid_t pid = start_server(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hook", port);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ours[ROUNDS], theirs[ROUNDS];
        for (int round = -1; round < ROUNDS; round++) {
            double t_bare = run_bare(argv[0], url, events, cases[i].in_flight, log);
            double t_ours = run_relay(db, url, consumer++, cases[i].in_flight, cases[i].secret, log, &peak_kib);
            if (round >= 0) {
                ours[round] = t_ours;
                theirs[round] = t_bare;
            }
        }
        bench_report(cases[i].what, ours, theirs, ROUNDS, events, 0.7);
    }
    printf("%-52s %11.1f MiB %30s %5s\n", "  its peak memory", (double)peak_kib / 1024, "", "< 64");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* http_request.c — prepares curl's easy handles, and reads of an answer what is worth reading.
 *
 * Leaves to others: the multi handle, when to send, and what the answer means (outcome.h). The invariant: the bytes that
 * are signed are the bytes that are sent.
 */
#include "http_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard.h"

/* ---- What all requests share ------------------------------------------------------------------------------------------- */

static bool append_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool is_agent(const char *line)
{
    static const char name[] = "User-Agent";

    return strncasecmp(line, name, sizeof name - 1) == 0 && (!line[sizeof name - 1] || line[sizeof name - 1] == ':');
}

static bool has_agent(const char *const lines[], int count)
{
    for (int i = 0; i < count; i++)
        if (is_agent(lines[i]))
            return true;
    return false;
}

bool http_endpoint_init(struct http_endpoint *endpoint, const struct webhook_settings *settings, struct http_loop *loop)
{
    *endpoint = (struct http_endpoint){.settings = settings, .loop = loop};
    endpoint->url = curl_url(); /* parsed once, not for each request */
    bool done = endpoint->url && curl_url_set(endpoint->url, CURLUPART_URL, settings->url, 0) == CURLUE_OK &&
                signer_init(&endpoint->signer, settings) && append_header(&endpoint->common, "Accept:");
    for (char **line = settings->headers; done && line && *line; line++)
        done = append_header(&endpoint->common, *line);
    for (char **line = settings->headers; line && *line; line++)
        endpoint->agent_given |= is_agent(*line);
    for (char **name = settings->event_headers; name && *name; name++)
        endpoint->agent_of_events |= is_agent(*name);
    if (!done)
        http_endpoint_fini(endpoint);
    return done;
}

void http_endpoint_fini(struct http_endpoint *endpoint)
{
    curl_slist_free_all(endpoint->common);
    curl_url_cleanup(endpoint->url);
    signer_fini(&endpoint->signer);
    endpoint->common = NULL;
    endpoint->url = NULL;
}

/* ---- Answers ------------------------------------------------------------------------------------------------------------ */

/* Counts the body and forgets it, but for the beginning that is to be kept. */
static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_request *r = arg;

    size_t keep = (size_t)r->endpoint->settings->keep_answer_bytes;
    if (r->answer_bytes < keep) {
        size_t room = keep - r->answer_bytes;
        memcpy(r->answer_start + r->answer_bytes, data, size * count < room ? size * count : room);
    }
    r->answer_bytes += size * count;
    if (r->answer_bytes <= HTTP_ANSWER_MAX)
        return size * count;
    r->answer_cut = true;
    return 0; /* ends the transfer; the connection is closed, not drained */
}

/* Keeps Retry-After of the final answer: each status line, an interim one too, begins anew. The empty line that ends an
 * answer's headers makes it one: a receiver that dies within them has promised nothing, and curl takes it for done. */
static size_t take_header(char *data, size_t size, size_t count, void *arg)
{
    static const char name[] = "retry-after:";
    struct http_request *r = arg;
    size_t length = size * count, skip = sizeof name - 1;

    r->header_bytes += length;
    if (r->header_bytes > HTTP_HEADERS_MAX) /* curl keeps them all, and before 8.3 without a limit */
        return 0;
    if (length >= 5 && strncmp(data, "HTTP/", 5) == 0) {
        r->retry_after[0] = 0;
        r->headers_whole = false;
    } else if (length > 0 && (data[0] == '\r' || data[0] == '\n')) {
        r->headers_whole = true; /* trailers may follow, and change nothing */
    }
    if (length > skip && length - skip < sizeof r->retry_after && strncasecmp(data, name, skip) == 0) {
        memcpy(r->retry_after, data + skip, length - skip);
        r->retry_after[length - skip] = 0;
        r->retry_after[strcspn(r->retry_after, "\r\n")] = 0;
    }
    return length;
}

/* A name that isn't found, a port that is closed, a host that is silent. Not a bad certificate: somebody is there. */
static bool is_unsent(const struct http_request *r, CURLcode result)
{
    long sent = 0;

    if (result != CURLE_COULDNT_RESOLVE_HOST && result != CURLE_COULDNT_CONNECT && result != CURLE_OPERATION_TIMEDOUT)
        return false;
    return curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent == 0;
}

void http_request_answer(struct http_request *r, CURLcode result, struct http_answer *answer)
{
    long status = 0;

    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result == CURLE_OK && !r->headers_whole) {
        result = CURLE_GOT_NOTHING;
        snprintf(r->transport, sizeof r->transport, "the connection was closed within the answer's headers");
    }
    size_t keep = (size_t)r->endpoint->settings->keep_answer_bytes;
    bool refused = r->refused[0] && (result == CURLE_COULDNT_CONNECT || result == CURLE_ABORTED_BY_CALLBACK);
    *answer = (struct http_answer){
        .result = result == CURLE_WRITE_ERROR && r->answer_cut ? CURLE_OK : result,
        .status = status,
        .retry_after = r->retry_after[0] ? r->retry_after : NULL,
        .transport = refused ? r->refused : r->transport,
        .unsent = !refused && is_unsent(r, result),
        .start = r->answer_start,
        .start_size = r->answer_bytes < keep ? r->answer_bytes : keep,
    };
}

/* ---- Connections -------------------------------------------------------------------------------------------------------- */

/* Here the address is the kernel's, not a text's. Of several that a name has, curl asks for each it tries. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_request *r = arg;

    if (purpose != CURLSOCKTYPE_IPCXN ||
        !guard_allows(r->endpoint->settings, &address->addr, r->refused, sizeof r->refused))
        return CURL_SOCKET_BAD;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0 && !http_loop_opened(r->endpoint->loop, fd)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    http_loop_closed(arg, fd);
    return close(fd);
}

static bool was_allowed(const struct http_endpoint *endpoint, const char *remote)
{
    const struct http_allowed *last = &endpoint->allowed;

    return last->remote[0] && strcmp(last->remote, remote) == 0 &&
           last->public_only == endpoint->settings->public_only && last->allow_http == endpoint->settings->allow_http;
}

static void remember_allowed(struct http_endpoint *endpoint, const char *remote)
{
    struct http_allowed *last = &endpoint->allowed;

    if (strlen(remote) >= sizeof last->remote)
        return;
    strcpy(last->remote, remote);
    last->public_only = endpoint->settings->public_only;
    last->allow_http = endpoint->settings->allow_http;
}

/* A connection that is used again has passed open_socket() for another request: look before each. To look at the same
 * address under the same rules as the last time took a thirtieth of all that a request costs. */
static int look_again(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct http_request *r = arg;
    struct sockaddr_storage address;

    (void)local, (void)remote_port, (void)local_port;
    if (was_allowed(r->endpoint, remote))
        return CURL_PREREQFUNC_OK;
    if (!address_parse(remote, &address) ||
        !guard_allows(r->endpoint->settings, (const struct sockaddr *)&address, r->refused, sizeof r->refused))
        return CURL_PREREQFUNC_ABORT;
    remember_allowed(r->endpoint, remote);
    return CURL_PREREQFUNC_OK;
}

/* ---- Requests ----------------------------------------------------------------------------------------------------------- */

/* What never changes from one request to the next. The defaults that matter are set too: they are promises here. */
static bool set_up(struct http_request *r)
{
    const struct webhook_settings *settings = r->endpoint->settings;
    CURL *easy = r->easy;
    CURLcode bad = 0;

    bad |= curl_easy_setopt(easy, CURLOPT_CURLU, r->endpoint->url);
    bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    bad |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    bad |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    bad |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (settings->ca_file) { /* and nobody else */
        bad |= curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
        bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    /* curl would trust what it has read of a file for a day, where a new one lies there and the receivers have new
     * certificates. A build that refuses this keeps nothing. */
    (void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    if (settings->client_cert) {
        bad |= curl_easy_setopt(easy, CURLOPT_SSLCERT, settings->client_cert);
        bad |= curl_easy_setopt(easy, CURLOPT_SSLKEY,
                                settings->client_key ? settings->client_key : settings->client_cert);
    }
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* The first handshake tells whether one connection can carry them all: worth a wait. Over plain http only the first
     * answer would, and one request that hangs would hold up all others. */
    bad |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, (long)(strncmp(settings->url, "https:", 6) == 0));
    bad |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)((settings->timeout_us + 999) / 1000));
    bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)((settings->connect_timeout_us + 999) / 1000));
    bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, r);
    bad |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    bad |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, r->endpoint->loop); /* a connection outlives requests */
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, look_again);
    bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
    bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->transport);
    bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
    return bad == CURLE_OK;
}

bool http_request_init(struct http_request *r, struct http_endpoint *endpoint)
{
    *r = (struct http_request){.easy = curl_easy_init(), .endpoint = endpoint};
    if (r->easy && set_up(r))
        return true;
    http_request_fini(r);
    return false;
}

void http_request_fini(struct http_request *r)
{
    curl_easy_cleanup(r->easy);
    r->easy = NULL;
}

/* curl's lists want char *, and only read it. */
static char *line_of(const char *line)
{
    union {
        const char *borrowed;
        char *line;
    } cast = {line};
    return cast.line;
}

/* From 1 MiB on curl would add "Expect: 100-continue": a second to wait where nobody answers it. A line of ours keeps it
 * from that, and is compared with each name that curl looks for, in each request. */
enum { EXPECT_BYTES = 1 << 19 };

static void link_headers(struct http_request *r, const char *const lines[], int count)
{
    for (int i = 0; i < count; i++) {
        r->nodes[i].data = line_of(lines[i]);
        r->nodes[i].next = i + 1 < count ? &r->nodes[i + 1] : r->endpoint->common;
    }
}

/* printf took a tenth of what a request costs us; most of what it wrote was there already. */
static void write_lines(struct http_request *r, const char *id, int64_t now_s, const struct http_message *m)
{
    static const char id_name[] = "webhook-id: ", idempotency_name[] = "idempotency-key: ";
    size_t size = strnlen(id, HTTP_ID_MAX);

    memcpy(r->id_line, id_name, sizeof id_name);
    memcpy(r->id_line + sizeof id_name - 1, id, size);
    r->id_line[sizeof id_name - 1 + size] = 0;
    memcpy(r->idempotency_line, idempotency_name, sizeof idempotency_name);
    memcpy(r->idempotency_line + sizeof idempotency_name - 1, id, size);
    r->idempotency_line[sizeof idempotency_name - 1 + size] = 0;
    if (now_s != r->stamped_s || !r->timestamp_line[0])
        snprintf(r->timestamp_line, sizeof r->timestamp_line, "webhook-timestamp: %" PRId64, now_s);
    r->stamped_s = now_s;
    /* A name with nothing after it takes away the header that curl would add. */
    if (m->content_type != r->typed || !r->type_line[0])
        snprintf(r->type_line, sizeof r->type_line, "Content-Type:%s%s", m->content_type ? " " : "",
                 m->content_type ? m->content_type : "");
    r->typed = m->content_type;
}

bool http_request_prepare(struct http_request *r, const char *id, int64_t now_s, const struct http_message *m)
{
    const char *lines[HTTP_NODES_MAX];
    int count = 0;

    write_lines(r, id, now_s, m);
    if (!r->endpoint->agent_given && !(r->endpoint->agent_of_events && has_agent(m->headers, m->header_count)))
        lines[count++] = "User-Agent: outbox-relay/" OUTBOX_BUILD_VERSION; /* CURLOPT_USERAGENT is printed twice */
    lines[count++] = r->id_line;
    lines[count++] = r->timestamp_line;
    lines[count++] = r->idempotency_line;
    lines[count++] = r->type_line;
    if (r->endpoint->settings->secret_count) {
        static const char name[] = "webhook-signature: ";
        memcpy(r->signature_line, name, sizeof name);
        if (!signer_sign(&r->endpoint->signer, id, now_s, m->body, m->size, r->signature_line + sizeof name - 1))
            return false;
        lines[count++] = r->signature_line;
    }
    if (m->size >= EXPECT_BYTES)
        lines[count++] = "Expect:";
    for (int i = 0; i < m->header_count; i++)
        lines[count++] = m->headers[i];
    link_headers(r, lines, count);

    r->answer_bytes = r->header_bytes = 0;
    r->answer_cut = r->headers_whole = false;
    r->retry_after[0] = r->transport[0] = r->refused[0] = 0;
    return curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->nodes) == CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, m->body) == CURLE_OK &&
           curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)m->size) == CURLE_OK;
}

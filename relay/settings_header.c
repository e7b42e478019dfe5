/* settings_header.c — see settings_header.h.
 *
 * A line break in a value would begin a header of its own, or end the head: no control byte gets through. Values may be
 * secrets (Authorization), so they are wiped when freed and never quoted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "settings_header.h"

enum { HEADERS_MAX = 64 };

/* RFC 9110, 5.6.2 */
static const char token_bytes[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* A name that ends in '-' stands for every name that begins so. */
static const char *const reserved[] = {
    /* the message's length and the connection's */
    "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-", "TE", "Trailer", "Upgrade",
    "Expect", "HTTP2-Settings",
    /* the relay's own: what is signed, what receivers dedupe by, what the body is */
    "webhook-", "Idempotency-Key", "Content-Type", "Content-Encoding", "ce-", "traceparent"};

static bool is_reserved(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        size_t n = strlen(reserved[i]);
        bool prefix = reserved[i][n - 1] == '-';
        if ((prefix ? length >= n : length == n) && !strncasecmp(name, reserved[i], n))
            return true;
    }
    return false;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static int count_headers(char *const *headers)
{
    int n = 0;
    while (headers && headers[n])
        n++;
    return n;
}

/* Takes line over. */
static bool append(char ***headers, char *line)
{
    int n = count_headers(*headers);
    char **longer = realloc(*headers, (size_t)(n + 2) * sizeof *longer);
    if (longer) {
        *headers = longer;
        longer[n] = line;
        longer[n + 1] = NULL;
    } else {
        free(line);
    }
    return longer != NULL;
}

bool header_add(const char *line, struct webhook_settings *w, char *why, size_t why_size)
{
    size_t name = strspn(line, token_bytes);
    const char *value = line + name;
    if (name == 0 || *value != ':') {
        snprintf(why, why_size, "not a header; write 'Name: value'");
        return false;
    }
    value += 1 + strspn(value + 1, " \t");
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    if (length == 0)
        snprintf(why, why_size, "header %.*s has no value", (int)name, line);
    else if (has_control(value, length))
        snprintf(why, why_size, "header %.*s has a line break or another control byte in its value", (int)name, line);
    else if (is_reserved(line, name))
        snprintf(why, why_size, "header %.*s is set by the relay itself; leave it out", (int)name, line);
    else if (count_headers(w->headers) == HEADERS_MAX)
        snprintf(why, why_size, "more than %d headers", HEADERS_MAX);
    else {
        char *copy = NULL;
        if (asprintf(&copy, "%.*s: %.*s", (int)name, line, (int)length, value) > 0 && append(&w->headers, copy))
            return true;
        snprintf(why, why_size, "out of memory");
    }
    return false;
}

bool header_add_lines(char *text, struct webhook_settings *w, char *why, size_t why_size)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        if (!header_add(line, w, why, why_size))
            return false;
    return true;
}

bool event_header_add(const char *name, struct webhook_settings *w, char *why, size_t why_size)
{
    size_t length = strlen(name);
    bool known = false;
    for (char **other = w->event_headers; other && *other; other++)
        known |= !strcasecmp(*other, name);
    if (length == 0 || strspn(name, token_bytes) != length)
        snprintf(why, why_size, "'%.80s' is no header's name", name);
    else if (is_reserved(name, length))
        snprintf(why, why_size, "header %.80s is set by the relay itself; leave it out", name);
    else if (known)
        snprintf(why, why_size, "header %.80s is given twice", name);
    else if (count_headers(w->event_headers) == WEBHOOK_EVENT_HEADERS_MAX)
        snprintf(why, why_size, "more than %d headers", WEBHOOK_EVENT_HEADERS_MAX);
    else {
        char *copy = strdup(name);
        if (copy && append(&w->event_headers, copy))
            return true;
        snprintf(why, why_size, "out of memory");
    }
    return false;
}

const char *event_header_clash(const struct webhook_settings *w)
{
    for (char **name = w->event_headers; name && *name; name++)
        for (char **line = w->headers; line && *line; line++) {
            size_t length = strlen(*name);
            if (!strncasecmp(*line, *name, length) && (*line)[length] == ':')
                return *name;
        }
    return NULL;
}

static void clear(char ***headers)
{
    for (char **line = *headers; line && *line; line++) {
        explicit_bzero(*line, strlen(*line));
        free(*line);
    }
    free(*headers);
    *headers = NULL;
}

void headers_clear(struct webhook_settings *w)
{
    clear(&w->headers);
    clear(&w->event_headers);
}

/* settings_url.c — see settings_url.h.
 *
 * curl's own parser decides, so that what was checked is what will be connected to; it also brings spellings of an
 * address (2130706433, 0x7f.1) to the one form that is looked at here. Names are judged by their ending only: what one
 * resolves to is known when a socket is connected, not now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "settings_url.h"
#include "sinks/address.h"

/* A name without a dot, or under a domain that is never public (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal). */
static bool name_is_inside(const char *host)
{
    static const char *const endings[] = {".localhost", ".local", ".internal", ".home.arpa", ".test"};
    char name[256];
    size_t length = strlen(host);
    if (length > 0 && host[length - 1] == '.') /* the root: "localhost." is localhost */
        length--;
    if (length == 0 || length >= sizeof name)
        return false;
    memcpy(name, host, length);
    name[length] = 0;
    if (!strchr(name, '.'))
        return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && !strcasecmp(name + length - n, endings[i]))
            return true;
    }
    return false;
}

/* host as curl gives it: an IPv6 address stands in brackets. */
static bool host_is_inside(const char *host)
{
    bool in_brackets = host[0] == '[';
    struct sockaddr_storage address;
    char literal[INET6_ADDRSTRLEN];

    snprintf(literal, sizeof literal, "%.*s", (int)strcspn(host + in_brackets, "]"), host + in_brackets);
    if (address_parse(literal, &address))
        return address_kind((const struct sockaddr *)&address) == ADDRESS_INSIDE;
    return !in_brackets && name_is_inside(host);
}

/* Scheme and host of what u holds; both are curl's, and NULL where that fails. */
static CURLUcode get_origin(CURLU *u, char **scheme, char **host)
{
    CURLUcode code = curl_url_get(u, CURLUPART_SCHEME, scheme, 0);
    return code == CURLUE_OK ? curl_url_get(u, CURLUPART_HOST, host, 0) : code;
}

/* url and shown as strings of our own. */
static bool copy_out(CURLU *u, const char *scheme, const char *host, char **url, char **shown)
{
    char *whole = NULL, *port = NULL, *copy = NULL, *origin = NULL;
    curl_url_get(u, CURLUPART_PORT, &port, 0); /* absent more often than not */
    if (curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK)
        copy = strdup(whole);
    bool done = copy && asprintf(&origin, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "") > 0;
    if (done) {
        *url = copy;
        *shown = origin;
    } else {
        free(copy);
    }
    curl_free(whole);
    curl_free(port);
    return done;
}

/* curl takes https:/x and https:///x for a host x, where somebody has most likely left the host out. */
static bool has_two_slashes(const char *text)
{
    const char *colon = strchr(text, ':');
    return !colon || strspn(colon + 1, "/") == 2;
}

/* curl lets an escape stand for one, and it would be shown, and sent as the Host. */
static bool has_control(const char *host)
{
    for (; *host; host++)
        if ((unsigned char)*host <= 0x20 || *host == 0x7f)
            return true;
    return false;
}

bool url_check(const char *text, char **url, char **shown, char *why, size_t why_size)
{
    char *scheme = NULL, *host = NULL;
    bool good = false;
    CURLU *u = curl_url();
    CURLUcode code = u ? curl_url_set(u, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK && !has_two_slashes(text))
        code = CURLUE_NO_HOST;
    if (code == CURLUE_OK)
        code = get_origin(u, &scheme, &host);
    if (code == CURLUE_OUT_OF_MEMORY)
        snprintf(why, why_size, "out of memory");
    else if (code != CURLUE_OK)
        snprintf(why, why_size, "not a URL: %s; write https://HOST/PATH", curl_url_strerror(code));
    else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        snprintf(why, why_size, "only http:// and https:// URLs can be delivered to");
    else if (has_control(host))
        snprintf(why, why_size, "not a URL: a control byte in the host's name; write https://HOST/PATH");
    else if (!(good = copy_out(u, scheme, host, url, shown)))
        snprintf(why, why_size, "out of memory");
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return good;
}

bool url_is_plain_public(const char *url, bool *answer)
{
    char *scheme = NULL, *host = NULL;
    CURLU *u = curl_url();
    CURLUcode code = u ? curl_url_set(u, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK)
        code = get_origin(u, &scheme, &host);
    *answer = code != CURLUE_OK ||
              (!strcmp(scheme, "http") && !host_is_inside(host)); /* what can't be judged is not let pass */
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return code != CURLUE_OUT_OF_MEMORY;
}

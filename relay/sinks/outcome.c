/* outcome.c — the table of answers.
 *
 * Leaves to others: counting attempts, and what a verdict leads to. The invariant: only 2xx, whole, is delivered; only
 * what the receiver itself has refused is dead.
 */
#include "outcome.h"

#include <stdio.h>

enum outcome outcome_of(CURLcode result, long status)
{
    if (result != CURLE_OK)
        return OUTCOME_RETRY;
    if (status >= 200 && status <= 299)
        return OUTCOME_DELIVERED;
    switch (status) {
    case 408: /* Request Timeout */
    case 425: /* Too Early */
    case 429: /* Too Many Requests */ return OUTCOME_RETRY;
    case 410: return OUTCOME_GONE;
    }
    return status >= 300 && status <= 499 ? OUTCOME_DEAD : OUTCOME_RETRY;
}

bool outcome_holds_endpoint(long status)
{
    return status == 429 || status == 503;
}

static const char *phrase(long status)
{
    static const struct {
        long status;
        const char *phrase;
    } phrases[] = {
        {301, "Moved Permanently: redirects are not followed"},
        {302, "Found: redirects are not followed"},
        {303, "See Other: redirects are not followed"},
        {307, "Temporary Redirect: redirects are not followed"},
        {308, "Permanent Redirect: redirects are not followed"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return NULL;
}

void outcome_words(CURLcode result, long status, const char *transport, char *out, size_t size)
{
    const char *words = phrase(status);

    if (result != CURLE_OK) {
        const char *reason = transport && *transport ? transport : curl_easy_strerror(result);
        if (status)
            snprintf(out, size, "%ld, then: %s", status, reason);
        else
            snprintf(out, size, "%s", reason);
    } else if (words) {
        snprintf(out, size, "%ld %s", status, words);
    } else {
        snprintf(out, size, "status %ld", status);
    }
}

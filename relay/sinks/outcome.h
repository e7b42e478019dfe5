/* outcome.h — what an answer means for the event that was sent. Pure. */
#ifndef RELAY_SINKS_OUTCOME_H
#define RELAY_SINKS_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include <curl/curl.h>

/* Delivered, retry, dead, and no fourth: OUTCOME_GONE is a word about the endpoint, and leaves the event owed. */
enum outcome {
    OUTCOME_DELIVERED, /* 2xx: the receiver has it */
    OUTCOME_RETRY,     /* 408, 425, 429, 5xx, an answer nobody knows, or none: this may pass */
    OUTCOME_DEAD,      /* any other 3xx or 4xx: the same request would be refused again. Redirects are not followed */
    OUTCOME_GONE       /* 410: the endpoint wants no more requests */
};

/* A transfer that ended: curl's result and the HTTP status (0: none came). A transport error after the status is a
 * retry all the same: an answer cut short may come from a proxy whose upstream has died. */
enum outcome outcome_of(CURLcode result, long status);

/* Whether Retry-After speaks for the whole endpoint rather than for this event. */
bool outcome_holds_endpoint(long status);

/* The outcome in words for failed_deliveries and logs: "503 Service Unavailable", "timed out", "connection refused …".
 * transport is curl's own text about this transfer, "" where it has none. */
void outcome_words(CURLcode result, long status, const char *transport, char *out, size_t size);

#endif

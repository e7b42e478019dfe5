/* http_request.h — one POST: its headers, its signature, and a curl handle that is used again for the next.
 *
 * What a webhook's request must never do is set here, once: follow a redirect, use a proxy, a .netrc or cookies from
 * the environment, speak anything but http and https, take compressed or endless answers, wait for ever, connect where
 * guard.h says no.
 */
#ifndef RELAY_SINKS_HTTP_REQUEST_H
#define RELAY_SINKS_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "envelope.h"
#include "http_loop.h"
#include "kept_answer.h"
#include "settings.h"
#include "signer.h"

enum {
    HTTP_ANSWER_MAX = 64 * 1024, /* bytes of body that are read; no more are worth reading */
    HTTP_HEADERS_MAX = 64 * 1024,
    HTTP_ID_MAX = 79,
    HTTP_NODES_MAX = 8 + ENVELOPE_HEADERS_MAX
};

/* What one request says. */
struct http_message {
    const char *body; /* not NUL-terminated */
    size_t size;
    const char *content_type; /* static; NULL: there is no body */
    int header_count;         /* ENVELOPE_HEADERS_MAX at the most */
    const char *const *headers;
};

/* What all requests to one endpoint have in common. */
struct http_endpoint {
    const struct webhook_settings *settings; /* borrowed */
    struct http_loop *loop;                  /* likewise: it watches the connections */
    CURLU *url;
    struct curl_slist *common;         /* the operator's headers, and those of curl's that we do without */
    bool agent_given, agent_of_events; /* a User-Agent: by the operator, or by an event that has one */
    struct signer signer;
    struct http_allowed { /* what guard.h allowed last, and under which rules */
        char remote[64];  /* as curl writes it; "": nothing yet */
        bool public_only, allow_http;
    } allowed;
};

/* settings and loop are borrowed. False: out of memory. */
bool http_endpoint_init(struct http_endpoint *, const struct webhook_settings *, struct http_loop *loop);
void http_endpoint_fini(struct http_endpoint *);

struct http_request {
    CURL *easy;
    struct http_endpoint *endpoint;
    void *about; /* the caller's */

    struct curl_slist nodes[HTTP_NODES_MAX]; /* curl only reads a list: these are not allocated one by one */
    char id_line[16 + HTTP_ID_MAX], idempotency_line[24 + HTTP_ID_MAX], timestamp_line[48], type_line[96];
    int64_t stamped_s; /* what the last two say */
    const char *typed;
    char signature_line[32 + SIGNER_SIZE];

    size_t answer_bytes, header_bytes;
    char answer_start[KEPT_ANSWER_MAX]; /* settings->keep_answer_bytes of it, as far as it came */
    bool answer_cut;                    /* we stopped reading: its status stands */
    bool headers_whole;                 /* the empty line at the end of its headers has come */
    char retry_after[64];               /* the header's value; "": none */
    char transport[CURL_ERROR_SIZE];
    char refused[160]; /* why we did not want to connect; "": we did */
};

/* The handle's *easy is of the caller's multi handle or of none when it is prepared or freed. */
bool http_request_init(struct http_request *, struct http_endpoint *); /* false: out of memory */
void http_request_fini(struct http_request *);

/* Makes it ready to be sent: id is the event's or the batch's, now_s this attempt's time. The message is borrowed until the end of
 * the transfer. False: it could not be signed, or memory ran out. */
bool http_request_prepare(struct http_request *, const char *id, int64_t now_s, const struct http_message *);

/* What came of it. result is curl's message about the handle; it comes back as CURLE_OK where only we cut the answer. */
struct http_answer {
    CURLcode result;
    long status;             /* 0: none */
    const char *retry_after; /* NULL: none */
    const char *transport;   /* curl's words, may be "" */
    const char *start;       /* how the body began, as it came; not NUL-terminated */
    size_t start_size;
    bool unsent; /* no connection was to be had: no byte of it has left */
};

void http_request_answer(struct http_request *, CURLcode result, struct http_answer *);

#endif

/* settings_url.h — where webhooks go: which URLs are taken, and what of one may be shown. */
#ifndef RELAY_SETTINGS_URL_H
#define RELAY_SETTINGS_URL_H

#include <stdbool.h>
#include <stddef.h>

/* http and https only. *url: as curl normalises it, with whatever secret it holds; *shown: scheme, host and port. Both
 * are the caller's. False: why holds the reason, which never quotes the text. */
bool url_check(const char *text, char **url, char **shown, char *why, size_t why_size);

/* *answer: plain http to an address that is not one's own network's; decided by the text, before any DNS. For a checked
 * URL. False: out of memory. */
bool url_is_plain_public(const char *url, bool *answer);

#endif

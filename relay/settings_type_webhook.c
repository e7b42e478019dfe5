/* settings_type_webhook.c — the kinds of value that only webhooks have: URL, headers, secrets, addresses,
 * certificates, backoff.
 *
 * Their field is the whole struct webhook_settings, as each fills more than one member. A value that may be a secret can
 * stand in a private file, named as file:PATH; nothing here quotes one in a message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings_header.h"
#include "settings_option.h"
#include "settings_secret.h"
#include "settings_tls.h"
#include "settings_url.h"
#include "settings_value.h"

static const char file_scheme[] = "file:";

/* What stands behind "file:", or NULL where the text is the value itself. */
static const char *file_path(const char *text)
{
    return strncmp(text, file_scheme, sizeof file_scheme - 1) ? NULL : text + sizeof file_scheme - 1;
}

static bool set_url(const char *text, struct webhook_settings *w, char *why, size_t why_size)
{
    char *url, *shown;
    if (!url_check(text, &url, &shown, why, why_size))
        return false;
    free(w->url);
    free(w->url_shown);
    w->url = url;
    w->url_shown = shown;
    return true;
}

static bool parse_url(const struct given *g, void *field, char *why, size_t why_size)
{
    const char *path = file_path(g->text);
    if (!path)
        return set_url(g->text, field, why, why_size);
    char *text = secret_file_read(path, why, why_size);
    if (!text)
        return false;
    size_t length = strcspn(text, " \t\r\n"), rest = strspn(text + length, " \t\r\n");
    bool good = text[length + rest] == 0;
    if (!good)
        snprintf(why, why_size, "%s holds more than one URL", path);
    text[length] = 0;
    good = good && set_url(text, field, why, why_size);
    secret_free(text);
    return good;
}

static bool format_url(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct webhook_settings *w = field;
    snprintf(out, out_size, "'%s'", w->url_shown ? w->url_shown : "");
    return w->url_shown != NULL;
}

static bool parse_header(const struct given *g, void *field, char *why, size_t why_size)
{
    const char *path = file_path(g->text);
    if (!path)
        return header_add(g->text, field, why, why_size);
    char *text = secret_file_read(path, why, why_size);
    bool good = text && header_add_lines(text, field, why, why_size);
    secret_free(text);
    return good;
}

/* Names only: a value may be a credential. */
static bool format_headers(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct webhook_settings *w = field;
    size_t used = 0;
    for (int i = 0; w->headers && w->headers[i] && used < out_size; i++)
        used += (size_t)snprintf(out + used, out_size - used, "%s'%.*s: …'", i ? ", " : "{",
                                 (int)strcspn(w->headers[i], ":"), w->headers[i]);
    if (used > 0 && used < out_size)
        snprintf(out + used, out_size - used, "}");
    return used > 0;
}

static bool parse_event_header(const struct given *g, void *field, char *why, size_t why_size)
{
    return event_header_add(g->text, field, why, why_size);
}

static bool format_event_headers(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct webhook_settings *w = field;
    size_t used = 0;
    for (int i = 0; w->event_headers && w->event_headers[i] && used < out_size; i++)
        used += (size_t)snprintf(out + used, out_size - used, "%s'%s'", i ? ", " : "{", w->event_headers[i]);
    if (used > 0 && used < out_size)
        snprintf(out + used, out_size - used, "}");
    return used > 0;
}

const struct option_type type_event_headers = {parse_event_header, format_event_headers};

/* A file's path, but from the environment the secrets themselves. */
static bool parse_secrets(const struct given *g, void *field, char *why, size_t why_size)
{
    if (g->by == GIVEN_BY_ENVIRONMENT)
        return secrets_parse(g->text, field, why, why_size);
    const char *path = file_path(g->text) ? file_path(g->text) : g->text;
    char *text = secret_file_read(path, why, why_size);
    bool good = text && secrets_parse(text, field, why, why_size);
    secret_free(text);
    return good;
}

static bool format_secrets(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct webhook_settings *w = field;
    snprintf(out, out_size, "'…' # %d secret%s", w->secret_count, w->secret_count == 1 ? "" : "s");
    return w->secret_count > 0;
}

const struct option_type type_url = {parse_url, format_url};
const struct option_type type_headers = {parse_header, format_headers};
const struct option_type type_secrets = {parse_secrets, format_secrets};

static bool parse_address(const struct given *g, void *field, char *why, size_t why_size)
{
    struct webhook_settings *w = field;
    struct address_block block;
    if (!address_block_parse(g->text, &block)) {
        snprintf(why, why_size, "'%.80s' is no block of addresses; write 10.1.0.0/16, fd00::/8, or one address",
                 g->text);
        return false;
    }
    struct address_block *longer = realloc(w->allowed, (size_t)(w->allowed_count + 1) * sizeof *longer);
    if (!longer) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    w->allowed = longer;
    w->allowed[w->allowed_count++] = block;
    return true;
}

static bool format_addresses(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct webhook_settings *w = field;
    char block[ADDRESS_TEXT_SIZE];
    size_t used = 0;
    for (int i = 0; i < w->allowed_count && used < out_size; i++) {
        address_block_format(&w->allowed[i], block);
        used += (size_t)snprintf(out + used, out_size - used, "%s'%s'", i ? ", " : "{", block);
    }
    if (used > 0 && used < out_size)
        snprintf(out + used, out_size - used, "}");
    return used > 0;
}

const struct option_type type_addresses = {parse_address, format_addresses};

static bool parse_certificate(const struct given *g, void *field, char *why, size_t why_size)
{
    return tls_certificate_check(g->text, why, why_size) && type_text.parse(g, field, why, why_size);
}

static bool parse_key(const struct given *g, void *field, char *why, size_t why_size)
{
    return tls_key_check(g->text, why, why_size) && type_text.parse(g, field, why, why_size);
}

static bool format_path(const struct option *o, const void *field, char *out, size_t out_size)
{
    return type_text.format(o, field, out, out_size);
}

const struct option_type type_certificate = {parse_certificate, format_path};
const struct option_type type_key = {parse_key, format_path};

static bool parse_backoff(const struct given *g, void *field, char *why, size_t why_size)
{
    struct webhook_settings *w = field;
    int64_t least, most;
    bool good = value_duration_pair(g->text, &least, &most);
    if (!good)
        snprintf(why, why_size, "'%.80s' is not MIN,MAX: two durations, the shorter first, as in 1s,1h", g->text);
    else if ((good = option_in_limits(g, least, value_format_duration, why, why_size) &&
                     option_in_limits(g, most, value_format_duration, why, why_size))) {
        w->backoff_min_us = least;
        w->backoff_max_us = most;
    }
    return good;
}

static bool format_backoff(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct webhook_settings *w = field;
    char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
    value_format_duration(w->backoff_min_us, least);
    value_format_duration(w->backoff_max_us, most);
    snprintf(out, out_size, "'%s,%s'", least, most);
    return true;
}

const struct option_type type_backoff = {parse_backoff, format_backoff};

/* settings_equal.c — compares two sinks' settings field by field; see settings_equal.h. A new setting belongs in here. */
#include <string.h>

#include "settings_equal.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_list(char *const *a, char *const *b)
{
    if (!a || !b)
        return (!a || !*a) && (!b || !*b);
    while (*a && *b && !strcmp(*a, *b))
        a++, b++;
    return !*a && !*b;
}

static bool same_jsonl(const struct jsonl_settings *a, const struct jsonl_settings *b)
{
    return same_text(a->path, b->path) && a->max_size_bytes == b->max_size_bytes && a->keep_count == b->keep_count &&
           a->keep_size_bytes == b->keep_size_bytes && a->keep_age_us == b->keep_age_us &&
           a->sync_never == b->sync_never && a->format == b->format;
}

static bool same_secrets(const struct webhook_settings *a, const struct webhook_settings *b)
{
    if (a->secret_count != b->secret_count)
        return false;
    for (int i = 0; i < a->secret_count; i++)
        if (a->secrets[i].size_bytes != b->secrets[i].size_bytes ||
            memcmp(a->secrets[i].key, b->secrets[i].key, a->secrets[i].size_bytes) != 0)
            return false;
    return true;
}

static bool same_allowed(const struct webhook_settings *a, const struct webhook_settings *b)
{
    return a->allowed_count == b->allowed_count &&
           (a->allowed_count == 0 ||
            memcmp(a->allowed, b->allowed, (size_t)a->allowed_count * sizeof *a->allowed) == 0);
}

static bool same_webhook(const struct webhook_settings *a, const struct webhook_settings *b)
{
    return same_text(a->url, b->url) && same_secrets(a, b) && same_list(a->headers, b->headers) &&
           same_list(a->event_headers, b->event_headers) && a->format == b->format &&
           a->batch_count == b->batch_count && a->concurrency == b->concurrency && a->timeout_us == b->timeout_us &&
           a->connect_timeout_us == b->connect_timeout_us && a->max_attempts == b->max_attempts &&
           a->max_age_us == b->max_age_us && a->backoff_min_us == b->backoff_min_us &&
           a->backoff_max_us == b->backoff_max_us && a->keep_answer_bytes == b->keep_answer_bytes &&
           a->skip_dead == b->skip_dead && a->allow_http == b->allow_http && a->public_only == b->public_only &&
           same_allowed(a, b) && same_text(a->ca_file, b->ca_file) && same_text(a->client_cert, b->client_cert) &&
           same_text(a->client_key, b->client_key);
}

bool settings_equal(const struct sink_settings *a, const struct sink_settings *b)
{
    bool same = same_text(a->consumer, b->consumer) && a->registered == b->registered && a->kind == b->kind &&
                a->start == b->start && a->start_seq == b->start_seq && a->read_batch == b->read_batch &&
                a->rate == b->rate && same_text(a->filter, b->filter) && same_text(a->transform, b->transform) &&
                same_text(a->before_transform, b->before_transform);
    switch (a->kind) {
    case SINK_JSONL: return same && same_jsonl(&a->jsonl, &b->jsonl);
    case SINK_WEBHOOK: return same && same_webhook(&a->webhook, &b->webhook);
    case SINK_EXEC:
        return same && same_text(a->exec.command, b->exec.command) && a->exec.timeout_us == b->exec.timeout_us;
    case SINK_STDOUT:
    case SINK_NULL: break;
    }
    return same;
}

/* settings_option.c — the table of options; see settings_option.h.
 *
 * Order here is order in --help and --check-config. In each sink's group the first line is the one that makes the sink.
 */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "settings_option.h"
#include "settings_secret.h"
#include "sinks/kept_answer.h"
#include "sinks/rate.h"

static const char *const log_formats[] = {"text", "json", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const jsonl_formats[] = {"native", "cloudevents", NULL};
static const char *const jsonl_syncs[] = {"batch", "never", NULL};
static const char *const webhook_formats[] = {"native", "cloudevents", "cloudevents-binary", "payload", NULL};
static const char *const dead_ways[] = {"park", "skip", NULL};

#define KIB         INT64_C(1024)
#define TIB         (KIB * KIB * KIB * KIB)
#define MS          INT64_C(1000)
#define DAY         (MS * 1000 * 86400)
#define RELAY(name) GROUP_RELAY, offsetof(struct relay_settings, name)
#define SINK(name)  GROUP_SINK, offsetof(struct sink_settings, name)
#define SINK_ITSELF GROUP_SINK, 0
#define JSONL(name) GROUP_JSONL, offsetof(struct sink_settings, jsonl.name)
#define HOOK(name)  GROUP_WEBHOOK, offsetof(struct sink_settings, webhook.name)
#define HOOKS       GROUP_WEBHOOK, offsetof(struct sink_settings, webhook)
#define EXEC(name)  GROUP_EXEC, offsetof(struct sink_settings, exec.name)

/* clang-format off */
const struct option relay_options[] = {
    {"db", RELAY(db_path), OPTION_IN_FILE, &type_text, .fallback = "outbox.db", .variable = "OUTBOX_DB",
     .argument = "PATH", .help = "the application's database"},
    {"config", RELAY(config_path), 0, &type_text, .argument = "FILE", .help = "more settings, and any number of sinks"},
    {"check-config", RELAY(check_config), OPTION_SWITCH, &type_switch, .help = "show what was understood, and end"},
    {"once", RELAY(once), OPTION_SWITCH, &type_switch, .help = "deliver what is committed by now, and end"},
    {"log-format", RELAY(log_format), OPTION_IN_FILE, &type_choice, .fallback = "text", .words = log_formats,
     .argument = "text|json", .help = "how log lines on standard error look"},
    {"log-level", RELAY(log_level), OPTION_IN_FILE, &type_choice, .fallback = "info", .words = log_levels,
     .argument = "LEVEL", .help = "error, warn, info or debug"},

    {"consumer", SINK(consumer), OPTION_IN_FILE, &type_consumer,
     .argument = "NAME", .help = "whose cursor this is; else the section's title or the kind of sink"},
    {"from", SINK_ITSELF, OPTION_IN_FILE, &type_start, .fallback = "start",
     .argument = "start|now|SEQ", .help = "where a consumer begins that is new"},
    {"filter", SINK(filter), OPTION_IN_FILE, &type_text, .argument = "SQL", .help = "deliver only events for which this is true"},
    {"transform", SINK(transform), OPTION_IN_FILE, &type_text, .argument = "SQL", .help = "the payload to deliver instead"},
    {"before-transform", SINK(before_transform), OPTION_IN_FILE, &type_text,
     .argument = "SQL", .help = "the row before the change, which is else left out where there is a transform"},
    {"read-batch", SINK(read_batch), OPTION_IN_FILE, &type_count, .fallback = "1000", .least = 1, .most = 100000,
     .argument = "N", .help = "events read in one go, at the most"},
    {"rate", SINK(rate), OPTION_IN_FILE, &type_limit, .least = 1, .most = RATE_MAX,
     .argument = "N", .help = "events delivered in a second, at the most; else no limit"},

    {"jsonl", JSONL(path), OPTION_IN_FILE | OPTION_MAKES_SINK, &type_text,
     .argument = "PATH", .help = "append each event to this file as a line of JSON"},
    {"jsonl-max-size", JSONL(max_size_bytes), OPTION_IN_FILE, &type_size, .fallback = "64M", .least = 4 * KIB, .most = TIB,
     .argument = "SIZE", .help = "begin a new file before this one gets larger"},
    {"jsonl-keep", JSONL(keep_count), OPTION_IN_FILE, &type_number, .fallback = "0", .most = INT_MAX,
     .argument = "N", .help = "full files to keep; 0: all"},
    {"jsonl-keep-size", JSONL(keep_size_bytes), OPTION_IN_FILE, &type_size, .fallback = "0", .most = INT64_MAX,
     .argument = "SIZE", .help = "what full files may take together; 0: no limit"},
    {"jsonl-keep-age", JSONL(keep_age_us), OPTION_IN_FILE, &type_duration, .fallback = "0", .most = 36525 * DAY,
     .argument = "TIME", .help = "delete full files older than this; 0: never"},
    {"jsonl-sync", JSONL(sync_never), OPTION_IN_FILE, &type_either, .fallback = "batch", .words = jsonl_syncs,
     .argument = "batch|never", .help = "when lines are forced to the disk; never: a power cut can lose some"},
    {"jsonl-format", JSONL(format), OPTION_IN_FILE, &type_choice, .fallback = "native", .words = jsonl_formats,
     .argument = "native|cloudevents", .help = "what a line looks like"},

    {"webhook", HOOKS, OPTION_IN_FILE | OPTION_MAKES_SINK, &type_url,
     .argument = "URL", .help = "POST each event there; file:PATH where the URL is a secret"},
    {"webhook-secret-file", HOOKS, OPTION_IN_FILE, &type_secrets, .variable = SECRET_VARIABLE,
     .argument = "FILE", .help = "sign with these: one to three, one a line, the newest first"},
    {"webhook-header", HOOKS, OPTION_IN_FILE | OPTION_REPEATS, &type_headers,
     .argument = "LINE", .help = "'Name: value' for each request, or file:PATH of such lines; may be repeated"},
    {"event-header", HOOKS, OPTION_IN_FILE | OPTION_REPEATS, &type_event_headers,
     .argument = "NAME", .help = "send this one of the event's own headers as a header; may be repeated"},
    {"webhook-format", HOOK(format), OPTION_IN_FILE, &type_choice, .fallback = "cloudevents", .words = webhook_formats,
     .argument = "FORMAT", .help = "cloudevents, cloudevents-binary, native or payload"},
    {"webhook-batch", HOOK(batch_count), OPTION_IN_FILE, &type_count, .fallback = "1", .least = 1, .most = 1000,
     .argument = "N", .help = "events in one request, at the most"},
    {"concurrency", HOOK(concurrency), OPTION_IN_FILE, &type_count, .fallback = "8", .least = 1, .most = 1000,
     .argument = "N", .help = "requests under way at once, never two for one ordering key"},
    {"timeout", HOOK(timeout_us), OPTION_IN_FILE, &type_duration, .fallback = "30s", .least = MS, .most = DAY,
     .argument = "TIME", .help = "for a whole request"},
    {"connect-timeout", HOOK(connect_timeout_us), OPTION_IN_FILE, &type_duration, .fallback = "5s", .least = MS, .most = DAY,
     .argument = "TIME", .help = "for connecting"},
    {"max-attempts", HOOK(max_attempts), OPTION_IN_FILE, &type_count, .fallback = "25", .least = 1, .most = INT_MAX,
     .argument = "N", .help = "after so many an event is dead"},
    {"max-age", HOOK(max_age_us), OPTION_IN_FILE, &type_duration, .fallback = "0", .most = 36525 * DAY,
     .argument = "TIME", .help = "an event that has failed for longer is dead; 0: no limit"},
    {"backoff", HOOKS, OPTION_IN_FILE, &type_backoff, .fallback = "1s,1h", .least = MS, .most = DAY,
     .argument = "MIN,MAX", .help = "bounds of the pause between two attempts"},
    {"on-dead", HOOK(skip_dead), OPTION_IN_FILE, &type_either, .fallback = "park", .words = dead_ways,
     .argument = "park|skip", .help = "whether a dead event holds up the later ones of its ordering key"},
    {"keep-answer", HOOK(keep_answer_bytes), OPTION_IN_FILE, &type_size, .fallback = "0", .most = KEPT_ANSWER_MAX,
     .argument = "BYTES", .help = "how much of an answer that is no delivery is kept, for outboxctl failed show"},
    {"allow-http", HOOK(allow_http), OPTION_IN_FILE | OPTION_SWITCH, &type_switch,
     .help = "plain http to public addresses too"},
    {"public-only", HOOK(public_only), OPTION_IN_FILE | OPTION_SWITCH, &type_switch,
     .help = "never connect to private, local or reserved addresses: for URLs that others gave"},
    {"allow-address", HOOKS, OPTION_IN_FILE | OPTION_REPEATS, &type_addresses,
     .argument = "CIDR", .help = "an exception to --public-only; may be repeated"},
    {"ca-file", HOOK(ca_file), OPTION_IN_FILE, &type_certificate,
     .argument = "FILE", .help = "trust receivers certified by these, in PEM, and not the system's"},
    {"client-cert", HOOK(client_cert), OPTION_IN_FILE, &type_certificate,
     .argument = "FILE", .help = "the certificate to show to receivers, in PEM"},
    {"client-key", HOOK(client_key), OPTION_IN_FILE, &type_key,
     .argument = "FILE", .help = "its private key, in a private file; else it stands beside the certificate"},

    {"exec", EXEC(command), OPTION_IN_FILE | OPTION_MAKES_SINK, &type_text,
     .argument = "CMD", .help = "write each event to this command as a line of JSON; the seqs it prints acknowledge"},
    {"timeout", EXEC(timeout_us), OPTION_IN_FILE, &type_duration, .fallback = "30s", .least = MS, .most = DAY,
     .argument = "TIME", .help = "for the command to end after the end of its input"},

    {"stdout", GROUP_STDOUT, 0, OPTION_IN_FILE | OPTION_MAKES_SINK | OPTION_SWITCH, &type_presence,
     .help = "write events to standard output; without --consumer no cursor is kept"},

    {"null", GROUP_NULL, 0, OPTION_IN_FILE | OPTION_MAKES_SINK | OPTION_SWITCH, &type_presence,
     .help = "take every event and throw it away, to measure the rest"},
};
/* clang-format on */

const size_t relay_option_count = sizeof relay_options / sizeof *relay_options;

const struct option *option_by_flag(const char *flag, size_t length)
{
    for (size_t i = 0; i < relay_option_count; i++)
        if (strlen(relay_options[i].flag) == length && !memcmp(relay_options[i].flag, flag, length))
            return &relay_options[i];
    return NULL;
}

const char *option_key(const struct option *o)
{
    static const char *const prefixes[] = {[GROUP_JSONL] = "jsonl-", [GROUP_WEBHOOK] = "webhook-", [GROUP_NULL] = NULL};
    const char *prefix = prefixes[o->group];
    return prefix && !strncmp(o->flag, prefix, strlen(prefix)) ? o->flag + strlen(prefix) : o->flag;
}

enum sink_kind option_sink_kind(const struct option *o)
{
    switch (o->group) {
    case GROUP_JSONL: return SINK_JSONL;
    case GROUP_WEBHOOK: return SINK_WEBHOOK;
    case GROUP_EXEC: return SINK_EXEC;
    case GROUP_STDOUT: return SINK_STDOUT;
    case GROUP_NULL:
    case GROUP_RELAY:
    case GROUP_SINK: break;
    }
    return SINK_NULL;
}

const char *sink_kind_name(enum sink_kind kind)
{
    for (size_t i = 0; i < relay_option_count; i++)
        if (relay_options[i].traits & OPTION_MAKES_SINK && option_sink_kind(&relay_options[i]) == kind)
            return relay_options[i].flag;
    return "null"; /* unreachable: each kind has its option */
}

bool option_fits(const struct option *o, enum sink_kind kind)
{
    return o->group == GROUP_SINK || (o->group > GROUP_SINK && option_sink_kind(o) == kind);
}

const struct option *option_for(const struct option *o, enum sink_kind kind)
{
    if (option_fits(o, kind))
        return o;
    for (size_t i = 0; i < relay_option_count; i++)
        if (option_fits(&relay_options[i], kind) && !strcmp(relay_options[i].flag, o->flag))
            return &relay_options[i];
    return NULL;
}

const struct option *option_by_key(const char *key, enum sink_kind kind)
{
    for (size_t i = 0; i < relay_option_count; i++)
        if (option_fits(&relay_options[i], kind) && !strcmp(option_key(&relay_options[i]), key))
            return &relay_options[i];
    return NULL;
}

bool option_set(const struct given *g, void *settings, char *message, size_t message_size)
{
    char why[512];
    if (g->option->type->parse(g, (char *)settings + g->option->offset, why, sizeof why))
        return true;
    return given_complain(g, message, message_size, "%s", why);
}

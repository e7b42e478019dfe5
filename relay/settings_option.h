/* settings_option.h — every option there is, once: flags, config keys, --help and --check-config are made from this.
 *
 * To add one: a field in settings.h, a line in settings_option.c, a paragraph in outbox-relay.1.
 */
#ifndef RELAY_SETTINGS_OPTION_H
#define RELAY_SETTINGS_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"
#include "settings_given.h"
#include "settings_value.h"

/* Whom an option is for. From GROUP_JSONL on: sinks of that kind only. */
enum option_group { GROUP_RELAY, GROUP_SINK, GROUP_JSONL, GROUP_WEBHOOK, GROUP_EXEC, GROUP_STDOUT, GROUP_NULL };

enum option_trait {
    OPTION_IN_FILE = 1,    /* it has a key in the config file */
    OPTION_SWITCH = 2,     /* the flag takes no value and means true */
    OPTION_MAKES_SINK = 4, /* giving it is what makes a sink of its group */
    OPTION_REPEATS = 8     /* may be given more than once; a list in the config file */
};

struct option_type;

struct option {
    const char *flag; /* without the dashes */
    enum option_group group;
    size_t offset; /* of its field in struct relay_settings (GROUP_RELAY) or struct sink_settings */
    int traits;
    const struct option_type *type;
    const char *fallback;     /* the default, as an operator would write it; NULL: none */
    int64_t least, most;      /* for numbers, sizes and durations */
    const char *const *words; /* for choices: in the order of the enum, NULL at the end */
    const char *variable;     /* environment; NULL: none */
    const char *argument;     /* "PATH"; NULL for switches */
    const char *help;
};

/* What a value is. field is the option's; a field already set is replaced, or, where the option repeats, added to. */
struct option_type {
    /* False: why holds the reason, without the option's name. */
    bool (*parse)(const struct given *, void *field, char *why, size_t why_size);
    /* As the config file would have it; NULL or an answer of false: there is nothing to show. */
    bool (*format)(const struct option *, const void *field, char *out, size_t out_size);
};

extern const struct option relay_options[];
extern const size_t relay_option_count;

const struct option *option_by_flag(const char *flag, size_t length); /* the first of that name; NULL: none */
const char *option_key(const struct option *);                        /* the flag without its sink's prefix */

/* The option that a key means in a section of this kind. */
const struct option *option_by_key(const char *key, enum sink_kind kind);

/* What a flag means for a sink of this kind: --timeout is a webhook's or a command's. NULL: nothing. */
const struct option *option_for(const struct option *, enum sink_kind kind);

bool option_fits(const struct option *, enum sink_kind kind);
enum sink_kind option_sink_kind(const struct option *); /* of one that makes a sink, or is for one kind */

/* Parses one value into the settings that the option belongs to: a struct relay_settings or sink_settings. */
bool option_set(const struct given *, void *settings, char *message, size_t message_size);

/* For types: whether value is within the option's limits. */
bool option_in_limits(const struct given *, int64_t value, value_format *format, char *why, size_t why_size);

/* The types, in settings_type.c and settings_type_webhook.c. */
extern const struct option_type type_text, type_switch, type_presence, type_count, type_limit, type_number, type_size,
    type_duration, type_choice, type_either, type_consumer, type_start, type_backoff, type_url, type_headers,
    type_secrets, type_addresses, type_certificate, type_key, type_event_headers;

#endif

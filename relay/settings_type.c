/* settings_type.c — the kinds of value an option can have: how each is read, checked and shown.
 *
 * What a value must look like is settings_value.h's and its sisters' business; here it meets the field, its limits and
 * the words for an operator.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"
#include "settings_option.h"
#include "settings_value.h"

/* ---- Text -------------------------------------------------------------------------------------------------------------- */

static bool replace_text(char **field, const char *text, char *why, size_t why_size)
{
    char *copy = strdup(text);
    if (!copy) {
        snprintf(why, why_size, "out of memory");
        return false;
    }
    free(*field);
    *field = copy;
    return true;
}

static bool parse_text(const struct given *g, void *field, char *why, size_t why_size)
{
    return replace_text(field, g->text, why, why_size);
}

/* In single quotes, where only the quote itself and the backslash mean something to libconfuse. */
static void format_quoted(const char *text, char *out, size_t out_size)
{
    size_t n = 0;
    out[n++] = '\'';
    for (const char *p = text; *p && n + 4 < out_size; p++) {
        if (*p == '\'' || *p == '\\')
            out[n++] = '\\';
        out[n++] = *p;
    }
    out[n++] = '\'';
    out[n] = 0;
}

static bool format_text(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const char *text = *(char *const *)field;
    if (text)
        format_quoted(text, out, out_size);
    return text != NULL;
}

const struct option_type type_text = {parse_text, format_text};

static bool parse_consumer(const struct given *g, void *field, char *why, size_t why_size)
{
    if (!consumer_name_is_good(g->text)) {
        snprintf(why, why_size,
                 "'%.80s' is not a consumer's name: 1 to %d letters, digits, dots, '_' or '-', no dot first", g->text,
                 CONSUMER_NAME_MAX);
        return false;
    }
    return replace_text(field, g->text, why, why_size);
}

const struct option_type type_consumer = {parse_consumer, format_text};

/* ---- Switches and choices ---------------------------------------------------------------------------------------------- */

static bool parse_switch(const struct given *g, void *field, char *why, size_t why_size)
{
    if (value_switch(g->text, field))
        return true;
    snprintf(why, why_size, "'%.80s' is neither true nor false", g->text);
    return false;
}

static bool format_switch(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    snprintf(out, out_size, "%s", *(const bool *)field ? "true" : "false");
    return true;
}

const struct option_type type_switch = {parse_switch, format_switch};

/* stdout = true: the key is the sink, so there is no field, and false would be a sink that is none. */
static bool parse_presence(const struct given *g, void *field, char *why, size_t why_size)
{
    (void)field;
    bool on = false;
    if (value_switch(g->text, &on) && on)
        return true;
    snprintf(why, why_size, "can only be true; without it the section is no such sink");
    return false;
}

static bool format_presence(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o, (void)field;
    snprintf(out, out_size, "true");
    return true;
}

const struct option_type type_presence = {parse_presence, format_presence};

/* The place of text among the option's words; -1: none of them. */
static int find_word(const struct given *g, char *why, size_t why_size)
{
    const char *const *words = g->option->words;
    int used = snprintf(why, why_size, "'%.80s' is none of", g->text);
    for (int i = 0; words[i]; i++) {
        if (!strcmp(g->text, words[i]))
            return i;
        if (used >= 0 && (size_t)used < why_size)
            used += snprintf(why + used, why_size - (size_t)used, "%s %s", i ? "," : "", words[i]);
    }
    return -1;
}

static bool parse_choice(const struct given *g, void *field, char *why, size_t why_size)
{
    int word = find_word(g, why, why_size);
    if (word >= 0)
        *(unsigned *)field = (unsigned)word;
    return word >= 0;
}

static bool format_choice(const struct option *o, const void *field, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s", o->words[*(const unsigned *)field]);
    return true;
}

_Static_assert(sizeof(enum event_format) == sizeof(unsigned) && sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum log_format) == sizeof(unsigned),
               "type_choice writes an enum as the unsigned int that it is");

const struct option_type type_choice = {parse_choice, format_choice};

/* Two words for a bool: the second one is true. */
static bool parse_either(const struct given *g, void *field, char *why, size_t why_size)
{
    int word = find_word(g, why, why_size);
    if (word >= 0)
        *(bool *)field = word == 1;
    return word >= 0;
}

static bool format_either(const struct option *o, const void *field, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s", o->words[*(const bool *)field]);
    return true;
}

const struct option_type type_either = {parse_either, format_either};

/* ---- Numbers, sizes, durations ----------------------------------------------------------------------------------------- */

static void plain_number(int64_t n, char out[VALUE_TEXT_SIZE])
{
    snprintf(out, VALUE_TEXT_SIZE, "%" PRId64, n);
}

bool option_in_limits(const struct given *g, int64_t value, value_format *format, char *why, size_t why_size)
{
    const struct option *o = g->option;
    if (value >= o->least && value <= o->most)
        return true;
    char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
    format(o->least, least);
    format(o->most, most);
    snprintf(why, why_size, "%.80s is out of bounds: %s to %s", g->text, least, most);
    return false;
}

static bool read_number(const struct given *g, int64_t *n, char *why, size_t why_size)
{
    if (value_number(g->text, n))
        return option_in_limits(g, *n, plain_number, why, why_size);
    snprintf(why, why_size, "'%.80s' is not a whole number", g->text);
    return false;
}

static bool parse_count(const struct given *g, void *field, char *why, size_t why_size)
{
    int64_t n;
    bool good = read_number(g, &n, why, why_size);
    if (good)
        *(int *)field = (int)n; /* the option's limits are an int's */
    return good;
}

static bool parse_number(const struct given *g, void *field, char *why, size_t why_size)
{
    int64_t n;
    bool good = read_number(g, &n, why, why_size);
    if (good)
        *(int64_t *)field = n;
    return good;
}

static bool parse_size(const struct given *g, void *field, char *why, size_t why_size)
{
    int64_t bytes;
    bool good = value_size(g->text, &bytes);
    if (!good)
        snprintf(why, why_size, "'%.80s' is not a size: bytes, or a number with K, M, G or T, as in 64M", g->text);
    else if ((good = option_in_limits(g, bytes, value_format_size, why, why_size)))
        *(int64_t *)field = bytes;
    return good;
}

static bool parse_duration(const struct given *g, void *field, char *why, size_t why_size)
{
    int64_t us;
    bool good = value_duration(g->text, &us);
    if (!good)
        snprintf(why, why_size, "'%.80s' is not a duration: a number with ms, s, m, h, d or w, as in 30s", g->text);
    else if ((good = option_in_limits(g, us, value_format_duration, why, why_size)))
        *(int64_t *)field = us;
    return good;
}

static bool format_count(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    snprintf(out, out_size, "%d", *(const int *)field);
    return true;
}

static bool format_int64(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    snprintf(out, out_size, "%" PRId64, *(const int64_t *)field);
    return true;
}

static bool format_size(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    char text[VALUE_TEXT_SIZE];
    value_format_size(*(const int64_t *)field, text);
    snprintf(out, out_size, "%s", text);
    return true;
}

static bool format_duration(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    char text[VALUE_TEXT_SIZE];
    value_format_duration(*(const int64_t *)field, text);
    snprintf(out, out_size, "%s", text);
    return true;
}

/* Without it there is no limit, which is no number. */
static bool format_limit(const struct option *o, const void *field, char *out, size_t out_size)
{
    return *(const int *)field > 0 && format_count(o, field, out, out_size);
}

const struct option_type type_count = {parse_count, format_count};
const struct option_type type_limit = {parse_count, format_limit};
const struct option_type type_number = {parse_number, format_int64};
const struct option_type type_size = {parse_size, format_size};
const struct option_type type_duration = {parse_duration, format_duration};

/* ---- Where a consumer begins ------------------------------------------------------------------------------------------- */

/* The field is the whole sink_settings. */
static bool parse_start(const struct given *g, void *field, char *why, size_t why_size)
{
    struct sink_settings *s = field;
    int64_t seq = 0;
    if (!strcmp(g->text, "start"))
        s->start = START_OLDEST;
    else if (!strcmp(g->text, "now"))
        s->start = START_NOW;
    else if (value_number(g->text, &seq) && seq > 0)
        s->start = START_SEQ;
    else {
        snprintf(why, why_size, "'%.80s' is none of start, now, or the seq of the first event wanted", g->text);
        return false;
    }
    s->start_seq = seq;
    return true;
}

static bool format_start(const struct option *o, const void *field, char *out, size_t out_size)
{
    (void)o;
    const struct sink_settings *s = field;
    if (s->start == START_SEQ)
        snprintf(out, out_size, "%" PRId64, s->start_seq);
    else
        snprintf(out, out_size, "%s", s->start == START_NOW ? "now" : "start");
    return true;
}

const struct option_type type_start = {parse_start, format_start};

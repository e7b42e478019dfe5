/* settings_value.c — see settings_value.h.
 *
 * Not strtoll(): it takes white space, signs and, through its locale, more. Here a value is digits and a unit.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "settings_value.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* The smallest first, as value_format() wants them. */
static const struct unit size_units[] = {
    {"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", INT64_C(1) << 40}};
static const struct unit duration_units[] = {{"us", 1},         {"ms", 1000},       {"s", 1000000},     {"m", 60000000},
                                             {"h", 3600000000}, {"d", 86400000000}, {"w", 604800000000}};

enum {
    SIZE_UNITS = sizeof size_units / sizeof *size_units,
    DURATION_UNITS = sizeof duration_units / sizeof *duration_units
};

bool value_switch(const char *text, bool *on)
{
    static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};
    for (int i = 0; i < 6; i++)
        if (!strcmp(text, words[i])) {
            *on = i >= 3;
            return true;
        }
    return false;
}

/* The digits at the beginning of text; where they end, or NULL: there are none, or too many. */
static const char *read_digits(const char *text, int64_t *number)
{
    const char *p = text;
    int64_t n = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
            return NULL;
    *number = n;
    return p > text ? p : NULL;
}

bool value_number(const char *text, int64_t *number)
{
    int64_t n;
    const char *end = read_digits(text, &n);
    if (!end || *end)
        return false;
    *number = n;
    return true;
}

static bool read_scaled(const char *text, const struct unit *units, int unit_count, int64_t *out)
{
    int64_t n;
    const char *unit = read_digits(text, &n);
    if (!unit)
        return false;
    for (int i = 0; i < unit_count; i++)
        if (!strcmp(unit, units[i].name)) {
            bool fits = !__builtin_mul_overflow(n, units[i].factor, &n);
            if (fits)
                *out = n;
            return fits;
        }
    return false;
}

bool value_size(const char *text, int64_t *bytes)
{
    return read_scaled(text, size_units, SIZE_UNITS, bytes);
}

bool value_duration(const char *text, int64_t *us)
{
    if (strcmp(text, "0") != 0)
        return read_scaled(text, duration_units, DURATION_UNITS, us);
    *us = 0;
    return true;
}

bool value_duration_pair(const char *text, int64_t *least_us, int64_t *most_us)
{
    char first[VALUE_TEXT_SIZE];
    const char *comma = strchr(text, ',');
    int64_t least, most;
    if (!comma || (size_t)(comma - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(comma - text));
    first[comma - text] = 0;
    if (!value_duration(first, &least) || !value_duration(comma + 1, &most) || least > most)
        return false;
    *least_us = least;
    *most_us = most;
    return true;
}

static void format_scaled(int64_t value, const struct unit *units, int unit_count, char out[VALUE_TEXT_SIZE])
{
    const struct unit *best = &units[0];
    for (int i = 1; i < unit_count && value > 0; i++)
        if (value % units[i].factor == 0)
            best = &units[i];
    snprintf(out, VALUE_TEXT_SIZE, "%" PRId64 "%s", value / best->factor, value > 0 ? best->name : "");
}

void value_format_size(int64_t bytes, char out[VALUE_TEXT_SIZE])
{
    format_scaled(bytes, size_units, SIZE_UNITS, out);
}

void value_format_duration(int64_t us, char out[VALUE_TEXT_SIZE])
{
    if (us == 0)
        snprintf(out, VALUE_TEXT_SIZE, "0s");
    else
        format_scaled(us, duration_units, DURATION_UNITS - 1, out); /* weeks are read, and shown as days */
}

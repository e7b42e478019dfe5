/* settings_value.h — numbers, sizes and durations as an operator writes them. Pure; false leaves *out alone. */
#ifndef RELAY_SETTINGS_VALUE_H
#define RELAY_SETTINGS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VALUE_TEXT_SIZE = 32 }; /* bytes for any value written back, and the NUL */

bool value_switch(const char *text, bool *on); /* true, yes, on; false, no, off */

/* Decimal digits and nothing else; no sign, no space, at most INT64_MAX. */
bool value_number(const char *text, int64_t *number);

/* Bytes, or K, M, G, T of them, by 1024: 65536, 64M. */
bool value_size(const char *text, int64_t *bytes);

/* A number with us, ms, s, m, h, d or w: 100ms, 30s, 7d. A bare 0 is a duration too; any other number wants its unit. */
bool value_duration(const char *text, int64_t *us);

/* Two durations, "1s,1h", the first no longer than the second. */
bool value_duration_pair(const char *text, int64_t *least_us, int64_t *most_us);

/* The same in the largest unit that leaves no rest, so that it reads back. Not for negative values. */
void value_format_size(int64_t bytes, char out[VALUE_TEXT_SIZE]);
void value_format_duration(int64_t us, char out[VALUE_TEXT_SIZE]);

typedef void value_format(int64_t value, char out[VALUE_TEXT_SIZE]);

#endif

/* suggest.h — the name that was probably meant. */
#ifndef OUTBOXCTL_SUGGEST_H
#define OUTBOXCTL_SUGGEST_H

#include <stddef.h>

/* The one of count names nearest to word: it begins like it, or is at most two slips (a letter more, less, other, or two
 * swapped) away. NULL: none is near. */
const char *suggest_name(const char *word, const char *const names[], size_t count);

#endif

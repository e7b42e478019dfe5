/* utf8.h — is this UTF-8? RFC 3629: no surrogates, nothing over U+10FFFF, no overlong form. */
#ifndef OUTBOX_UTF8_H
#define OUTBOX_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length (1..4) of the well-formed sequence at p, 0 where it is malformed or cut short by end. p < end. */
int utf8_sequence(const unsigned char *p, const unsigned char *end);

/* Where utf8_sequence says 0: the length (1..3) of the bad part, which is the longest beginning of a well-formed sequence,
 * at least one byte (Unicode's "maximal subpart"). One U+FFFD stands for it. */
int utf8_bad_part(const unsigned char *p, const unsigned char *end);

/* Whether all size bytes are well-formed; if not, *offset (may be NULL) is where the first bad sequence begins. */
bool utf8_valid(const char *text, size_t size, size_t *offset);

#endif

/* json_write.h — JSON values from SQLite's, appended to a buffer. Output is always valid JSON on one line.
 *
 * Numbers read back exactly; malformed UTF-8 becomes U+FFFD (one per maximal bad part); U+2028, U+2029 and U+0085 are
 * escaped, so that no reader splits a line. Independent of the process's locale.
 */
#ifndef OUTBOX_JSON_WRITE_H
#define OUTBOX_JSON_WRITE_H

#include <stdint.h>

#include "buffer.h"

void json_write_int(struct buffer *, int64_t);
void json_write_real(struct buffer *,
                     double); /* shortest form of at most 17 digits, always with . or e; ±9e999; NaN: null */
void json_write_text(struct buffer *, const char *text, size_t size);      /* "…" with its quotes */
void json_write_text_part(struct buffer *, const char *text, size_t size); /* without: part of a longer string */
void json_write_blob(struct buffer *, const void *data, size_t size);      /* {"$base64":"…"} */
void json_write_base64(struct buffer *, const void *data, size_t size);    /* the digits alone, padded */

#endif

/* json_scan.h — checks JSON text and takes it apart, without building anything and without re-rendering a number.
 *
 * Strict RFC 8259 over strict UTF-8: no NUL, no BOM, no comments, nesting at most JSON_DEPTH_MAX. SQLite's json_valid
 * of 3.40 lets malformed UTF-8 pass and stops at a NUL; this one does neither.
 */
#ifndef OUTBOX_JSON_SCAN_H
#define OUTBOX_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum { JSON_DEPTH_MAX = 1000, JSON_EVENT_DEPTH_MAX = JSON_DEPTH_MAX + 2 };

struct json_error {
    size_t offset;      /* bytes from the start */
    const char *reason; /* static: "malformed UTF-8", "unexpected end", … */
};

/* Whether text is exactly one JSON value with white space around it. error may be NULL. */
bool json_check(const char *text, size_t size, struct json_error *error);

/* The same for an event as the relay writes it, which has the payload a level deeper, two in a batch. */
bool json_check_event(const char *text, size_t size, struct json_error *error);

/* Checks text and appends it in the form that a line can carry: a line break outside a string becomes a space, U+2028,
 * U+2029 and U+0085 in a string are escaped, nothing else changes. Where it isn't JSON: false, and the buffer is as it
 * was. One pass; the fast path is a copy. */
bool json_splice(struct buffer *, const char *text, size_t size, struct json_error *error);

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_INTEGER, JSON_REAL, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

/* A slice of the text; text still holds escapes and, for a string, excludes the quotes. */
struct json_value {
    enum json_type type; /* INTEGER: no fraction and no exponent, whatever its size */
    const char *text;
    size_t size;
    bool escaped; /* a string with a backslash in it: json_unescape */
};

/* Walks the members of an object or the elements of an array that json_check has passed. */
struct json_walk {
    const char *at, *end;
};

bool json_walk_begin(struct json_walk *, const char *text, size_t size); /* false: neither object nor array */
bool json_walk_member(struct json_walk *, struct json_value *name, struct json_value *value); /* false: no more */
bool json_walk_element(struct json_walk *, struct json_value *value);                         /* false: no more */
bool json_value_of(const char *text, size_t size, struct json_value *); /* the whole text as one value */

void json_unescape(struct buffer *, const struct json_value *string); /* appends the text; lone surrogates: U+FFFD */
bool json_int64(const struct json_value *, int64_t *);                /* false: it overflows */
bool json_double(const struct json_value *, double *);                /* false: it overflows, but ±9e999 is infinity */

/* The bytes of {"$base64":"…"}: appended to bytes. JSON_BLOB_NOT: another object; JSON_BLOB_BAD: not base64. */
enum json_blob { JSON_BLOB_NOT, JSON_BLOB_OK, JSON_BLOB_BAD };
enum json_blob json_blob_decode(const struct json_value *object, struct buffer *bytes);
bool json_base64_decode(struct buffer *bytes, const char *digits,
                        size_t size); /* the digits alone; false: they aren't */

#endif

/* fields.h — one JSON object or array for a program to read, field by field. The comma comes by itself.
 *
 *     field_open(b, '{'); field_text(b, "consumer", name); field_int(b, "behind", n); field_close(b, '}');
 *
 * What is absent is left out, never null, but for settings whose null means "for ever", or "never".
 */
#ifndef OUTBOXCTL_FIELDS_H
#define OUTBOXCTL_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

void field_open(struct buffer *, char bracket);  /* '{' or '[', as an element */
void field_close(struct buffer *, char bracket); /* '}' or ']' */

void field_name(struct buffer *, const char *name);                   /* a literal; its value follows */
void field_text(struct buffer *, const char *name, const char *text); /* NULL: left out */
void field_int(struct buffer *, const char *name, int64_t);
void field_int_or_null(struct buffer *, const char *name, int64_t, bool null);
void field_bool(struct buffer *, const char *name, bool);
void field_time(struct buffer *, const char *name, int64_t us); /* RFC 3339; 0: left out */

#endif

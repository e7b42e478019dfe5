/* text.h — words for a terminal: what may be shown as it is, and how many columns it takes.
 *
 * Keys, errors and names come from the outside: a control character among them could move the cursor, recolour the
 * screen or reorder a line. Nothing reaches a terminal but through here.
 */
#ifndef OUTBOXCTL_TEXT_H
#define OUTBOXCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "buffer.h"

/* Appends text with control characters (\n, \t, \x1b), malformed UTF-8 (\xff) and whatever breaks or reorders a line
 * (\u2028, \u202e) escaped. */
void text_escape(struct buffer *, const char *text, size_t size);

/* The columns that escaped text takes: 2 for a wide character, 0 for a combining one. */
int text_width(const char *text, size_t size);

/* Whether to colour what goes to stream: a terminal that is not dumb, and no NO_COLOR in the environment. */
bool text_colour(FILE *stream);

/* A duration in at most two units, "1d 4h", "3m 20s", "0s". */
void text_append_duration(struct buffer *, int64_t us);

void text_append_bytes(struct buffer *, int64_t bytes); /* "512 B", "1.5 MiB" */

void text_append_int(struct buffer *, int64_t);

#endif

/* kept_answer.h — how an answer began, fit to be stored: without what must not leave the relay.
 *
 * A receiver that echoes its request would else bring URL, headers and signature into the database. Pure.
 */
#ifndef RELAY_SINKS_KEPT_ANSWER_H
#define RELAY_SINKS_KEPT_ANSWER_H

#include <stddef.h>

enum { KEPT_ANSWER_MAX = 1024 }; /* --keep-answer */

struct webhook_settings;

/* Masks with asterisks, in place, what it finds of the URL behind the host (and its password), of the operator's headers
 * and of signatures; at the end also the beginning of any, since the rest of it may have been cut. Only as it was sent:
 * what a receiver has encoded otherwise is not known again. */
void kept_answer_mask(char *bytes, size_t size, const struct webhook_settings *);

#endif

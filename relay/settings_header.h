/* settings_header.h — the operator's own lines in the head of each request. */
#ifndef RELAY_SETTINGS_HEADER_H
#define RELAY_SETTINGS_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

/* Adds "Name: value", trimmed. Refused: what is no header, a control byte, a name that the relay or the protocol needs
 * for itself. False: why, which quotes the name at most. */
bool header_add(const char *line, struct webhook_settings *, char *why, size_t why_size);

/* Each line of text, empty ones left out. */
bool header_add_lines(char *text, struct webhook_settings *, char *why, size_t why_size);

/* Adds the name of an event's header that may become one of the request's. Refused: what is no name, one of the above,
 * one that is there already. */
bool event_header_add(const char *name, struct webhook_settings *, char *why, size_t why_size);

/* The first name that both kinds have; NULL: none. */
const char *event_header_clash(const struct webhook_settings *);

void headers_clear(struct webhook_settings *);

#endif

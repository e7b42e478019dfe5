/* settings_secret.h — what must not stand on a command line: private files, and webhook secrets in them. */
#ifndef RELAY_SETTINGS_SECRET_H
#define RELAY_SETTINGS_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

/* The whole of a small text file that nobody else can read: a regular file, not a link, ours or root's, no permission
 * for group or others. NULL: why says what to type. The caller wipes and frees it: secret_free(). */
char *secret_file_read(const char *path, char *why, size_t why_size);

/* One secret per word, the newest first, up to three, replacing what was there. False: why, without quoting any. */
bool secrets_parse(const char *text, struct webhook_settings *, char *why, size_t why_size);

void secrets_clear(struct webhook_settings *); /* wiped and freed */
void secret_free(char *text);                  /* likewise; NULL is fine */

/* The environment variable that secrets may come in. */
#define SECRET_VARIABLE "OUTBOX_WEBHOOK_SECRET"

/* In a child process, of which a command is to be made or not: takes that variable out of environment and wipes its value.
 * Allocates nothing and takes no lock. */
void secrets_leave_environment(char **environment);

#endif

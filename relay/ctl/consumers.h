/* consumers.h — the commands of `consumers`, one function each. Nobody but consumers.c calls them. */
#ifndef OUTBOXCTL_CONSUMERS_H
#define OUTBOXCTL_CONSUMERS_H

#include "operation.h"

/* to: a seq, "start" or "now". Usage errors are said. */
int consumers_seek(struct ctl *, const struct consent *, const char *name, const char *to); /* consumers_seek.c */

int consumers_pause(struct ctl *, const char *name); /* consumers_state.c */
int consumers_resume(struct ctl *, const char *name);
int consumers_remove(struct ctl *, const struct consent *, const char *name, bool force);

#endif

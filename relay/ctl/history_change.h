/* history_change.h — what a change of a row did, in words for people: `total 42.5 -> 43, note null -> "x"`. */
#ifndef OUTBOXCTL_HISTORY_CHANGE_H
#define OUTBOXCTL_HISTORY_CHANGE_H

#include "buffer.h"

/* Appends the columns whose values differ between the two images, either of which may be NULL; all but the revision,
 * which has a place of its own. Values are as the images have them; a long one is cut. */
void history_change(struct buffer *, const char *before, const char *after);

#endif

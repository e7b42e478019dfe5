/* descriptors.h — whether the process may open what its sinks need, before one of them finds that it may not.
 *
 * A relay that runs out of descriptors starves whichever sink asks last, for as long as the others keep theirs. So the
 * need is known at start: the soft limit is raised as far as it takes and the hard one allows, webhooks share what there
 * is where that is not enough, and where it is not enough for one connection each the relay does not begin.
 */
#ifndef RELAY_DESCRIPTORS_H
#define RELAY_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_settings;

/* What all sinks may have open at once, if no webhook has more than `most` requests under way. */
int64_t descriptors_needed(const struct relay_settings *, int most);

/* Raises the limit, and lowers the webhooks' concurrency where it must; says so in the log. False: too few; the message
 * says how many it takes. */
bool descriptors_reserve(struct relay_settings *, char *message, size_t message_size);

#endif

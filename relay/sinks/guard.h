/* guard.h — whether an endpoint may be connected to at an address. Pure.
 *
 * Asked with the address that a socket is about to be connected to, or that a connection used again has: whatever the
 * URL spelled and whatever a name resolved to, this time or the last.
 */
#ifndef RELAY_SINKS_GUARD_H
#define RELAY_SINKS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"
#include "sinks/address.h"

/* False: why says so, with the address and the option that would allow it. */
bool guard_allows(const struct webhook_settings *, const struct sockaddr *, char *why, size_t why_size);

#endif

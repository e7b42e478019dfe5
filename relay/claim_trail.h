/* claim_trail.h — what the last holder of a consumer has delivered and could not record any more.
 *
 * Its trail (trail.h) is judged against the database and made part of the cursor, in the transaction that claims the
 * consumer: a kill after it finds it done, a kill before it finds the trail as it was.
 */
#ifndef RELAY_CLAIM_TRAIL_H
#define RELAY_CLAIM_TRAIL_H

#include <stdint.h>

#include <sqlite3.h>

#include "settings.h"
#include "sink.h"
#include "trail.h"

/* The consumer as its row was found, before its lease token was raised. */
struct claim_found {
    const char *source; /* the database's, now */
    int64_t lease_token;
};

/* Inside the claim's transaction. Raises *cursor over what the trail proves to be delivered, in the row too, and deletes
 * it from failed_deliveries. *count: how many events that were. An SQLite code; *cursor is good whatever it is. */
int claim_trail_apply(sqlite3 *db, const struct sink_settings *settings, const struct trail *trail,
                      const struct claim_found *found, struct cursor *cursor, int64_t *count);

#endif

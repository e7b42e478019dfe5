/* claim.h — where a consumer stands when a pipeline takes it: registered where it is new, its lease token raised,
 * refused where another kind of sink, or a program's own reader, works for it.
 *
 * Runs inside the ledger's write transaction. A token, once raised, makes every write of an earlier holder miss its row.
 */
#ifndef RELAY_CLAIM_H
#define RELAY_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "settings.h"
#include "sink.h"
#include "trail.h"

struct claim {
    struct cursor cursor; /* position is the caller's to free */
    int64_t lease_token;
    bool is_new;
    int64_t waiting_count; /* of a new one: the events it will be given */
    bool waiting_more;   /* too many to be counted: the seqs they span, of which `new-source` may have left some out */
    int64_t trail_count; /* events that the last holder had delivered without recording it */
};

enum claim_result { CLAIM_OK, CLAIM_LATER, CLAIM_BROKEN };

/* Inside BEGIN IMMEDIATE. The trail is the consumer's, or NULL. On anything but OK reason says why, and the transaction
 * is the caller's to roll back. */
enum claim_result claim_take(sqlite3 *db, const struct sink_settings *settings, struct trail *trail, struct claim *out,
                             char *reason, size_t reason_size);

/* Where a consumer without a row begins: the seq before the first one it is given. Writes nothing. */
enum claim_result claim_begin(sqlite3 *db, const struct sink_settings *settings, int64_t *after, char *reason,
                              size_t reason_size);

#endif

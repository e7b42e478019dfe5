/* ledger.h — does all the relay's writing to the database, on one thread and one connection.
 *
 * Pipelines post what is settled and go on delivering; the ledger gathers what all of them posted and commits it
 * together: at once when it has been idle, else some 20 times a second. In between it reclaims (janitor.h) and keeps the
 * WAL short (wal.h). A full disk or a busy writer delays it, nothing is dropped: what could not be written is kept and
 * tried again.
 */
#ifndef RELAY_LEDGER_H
#define RELAY_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"
#include "sink.h"
#include "trail.h"
#include "wake.h"

struct ledger;
struct
    ledger_consumer; /* one pipeline's place in it; that pipeline's thread alone uses it, but for ledger_interrupt() */

/* Opens the writing connection and starts the thread. EXIT_DONE, EXIT_TEMPORARY or EXIT_PERMANENT as
 * database_open_writer(). */
int ledger_open(const char *db_path, struct ledger **out, char *message, size_t message_size);

/* Stops the thread and frees everything. All consumers have left. NULL is fine. */
void ledger_close(struct ledger *);

/* settings and wake are borrowed until ledger_leave(); wake is poked when the standing is no longer HELD. NULL: out of
 * memory. */
struct ledger_consumer *ledger_join(struct ledger *, const struct sink_settings *settings, struct wake *wake);
void ledger_leave(struct ledger_consumer *); /* what is not committed yet is dropped: flush first. NULL is fine */

/* Its claims take what the trail says into account. Borrowed until ledger_leave(); NULL: none. */
void ledger_use_trail(struct ledger_consumer *, struct trail *);

enum ledger_result {
    LEDGER_OK,
    LEDGER_LATER,      /* not within the time given */
    LEDGER_BROKEN,     /* it will not work: reason says why */
    LEDGER_INTERRUPTED /* by ledger_interrupt() */
};

/* Reclaims until there is nothing left to reclaim. LATER: the database could not be written for some 20 s. BROKEN: it
 * never will be, until somebody mends it. Either was said. */
enum ledger_result ledger_reclaim(struct ledger *);

/* Registers the consumer where it is new, raises its lease token, and answers its cursor (position is the caller's to
 * free). Waits for the write lock; with patient false one failed attempt is LATER. What was posted before is dropped:
 * it belonged to another token. */
enum ledger_result ledger_claim(struct ledger_consumer *, bool patient, struct cursor *cursor, int64_t *lease_token,
                                char *reason, size_t reason_size);

/* Hands over a settlement, copied but for its changes, which the ledger then owns. Never waits for a commit. False: out
 * of memory; nothing of it will be written, so the pipeline must begin again from its last cursor. */
bool ledger_post(struct ledger_consumer *, const struct settlement *);

/* Waits until everything posted is committed. BROKEN where it never will be: taken over, moved, or the ledger ended. */
enum ledger_result ledger_flush(struct ledger_consumer *, int timeout_ms);

enum ledger_standing {
    LEDGER_HELD,
    LEDGER_STALE /* claim again */,
    LEDGER_ENDED /* the database cannot be written any more */
};
enum ledger_standing ledger_standing(struct ledger_consumer *);

/* Whether everything posted is committed. *acked_seq: the cursor that is, as far as it was posted since the claim. */
bool ledger_recorded(struct ledger_consumer *, int64_t *acked_seq);

/* How many changes wait to be committed: a pipeline stops reading when they pile up. */
int ledger_backlog(struct ledger_consumer *);

/* From any thread: a claim under way, and every later one, ends with INTERRUPTED. */
void ledger_interrupt(struct ledger_consumer *);

#endif

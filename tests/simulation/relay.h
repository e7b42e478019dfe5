/* relay.h — the relay without its threads: two pipelines, the ledger and the janitor, a step at a time.
 *
 * The parts are the product's own: both sinks with all that is in them, source, claim, settlement, janitor. Only what
 * drives them is here, in place of pipeline_run.c and ledger_thread.c, so that anything can happen between two steps.
 */
#ifndef SIMULATION_RELAY_H
#define SIMULATION_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

enum { TO_FILE, TO_WEBHOOK, PIPES };

/* Once. path is the active file. */
bool relay_init(const char *db_path, char *path);
void relay_fini(void);

void relay_begin(void); /* draws settings, and starts */

/* Pipeline n opens, claims, reads, delivers or settles: whatever comes next. */
void relay_step(int n);
void relay_commit(bool then_dies); /* the ledger writes what was settled; it may die before the COMMIT */
void relay_reclaim(void);
void relay_die(void);   /* kill -9: only what is on the disk, in the database and at the receiver is left */
void relay_start(void); /* again */

int64_t relay_due_us(void); /* when something is to be done, by time alone */

/* What the settings allow, for those who judge. */
int64_t relay_kept_segments(void); /* 0: all */
bool relay_batches(void);

#endif

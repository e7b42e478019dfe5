/* slots.h — the relay's sinks: a slot each for its settings, its pipeline, and how that ended.
 *
 * Settings live as long as a pipeline runs on them: after a reload the unchanged sinks go on with the ones they came
 * with. Used by the supervisor's thread alone.
 */
#ifndef RELAY_SLOTS_H
#define RELAY_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "settings.h"

struct slots;

/* db_path and the ledger are borrowed until slots_free(); notify_fd is an eventfd, written to when a pipeline ends. With
 * once, events up to once_seq are delivered. NULL: out of memory. */
struct slots *slots_new(const char *db_path, struct ledger *, int64_t once_seq, int notify_fd);
void slots_free(struct slots *); /* no pipeline may be running; NULL is fine */

/* Takes *settings over, first or again: unchanged sinks go on and reopen their files; the others end and begin anew,
 * broken ones too, those that are gone only end. False: out of memory, and nothing has changed: *settings stays the
 * caller's. */
bool slots_take(struct slots *, struct relay_settings *settings);
const struct relay_settings *slots_settings(const struct slots *); /* as taken last */

/* Starts what is not running yet and can be: a consumer that is being replaced ends first. */
void slots_start(struct slots *);

/* Joins what has ended; to be called when notify_fd says so, and after slots_take(). */
void slots_join(struct slots *);

/* Every pipeline finishes what is in flight, none is started any more. */
void slots_stop(struct slots *);
bool slots_stopping(const struct slots *);

/* Something runs, or is to be started. */
bool slots_running(const struct slots *);

/* When slots_start() is to be called at the latest: what could not be started is tried again. -1: no need. */
int slots_patience_ms(const struct slots *);

int slots_exit_code(const struct slots *); /* exit_codes.h, by what has ended so far */

#endif

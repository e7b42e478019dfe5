/* reread.h — an event that stepped aside, read again when its turn comes.
 *
 * With the same expressions as at first, so that a transform hides at the tenth attempt what it hid at the first.
 */
#ifndef RELAY_SINKS_REREAD_H
#define RELAY_SINKS_REREAD_H

#include <stddef.h>
#include <stdint.h>

#include "sink.h"
#include "source.h"

struct reread;

enum reread_result {
    REREAD_OK,       /* take() had it */
    REREAD_UNWANTED, /* the filter wants it no more */
    REREAD_GONE,     /* change_log has it no more */
    REREAD_LATER     /* the database could not be read now */
};

struct reread *reread_new(const struct sink_context *); /* opens nothing yet; NULL: out of memory */
void reread_free(struct reread *);                      /* NULL is fine */

/* take gets the row, which is gone when it returns. */
enum reread_result reread_event(struct reread *, int64_t seq, void (*take)(void *arg, const struct source_row *),
                                void *arg);

/* The rows of failed_deliveries of this consumer, in seq order. key and last_error are borrowed. each returns false to
 * stop. An SQLite code. */
int reread_failed(const struct sink_context *,
                  bool (*each)(void *arg, const struct failed_change *, int64_t failed_at_us), void *arg);

#endif

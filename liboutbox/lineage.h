/* lineage.h — the sources a database has had, and the seqs that were never given out.
 *
 * outbox_meta.former_sources is NULL or a JSON array, oldest first:
 *     [{"source":"9f86d081884c7d65","last_seq":41,"next_seq":1000}, …]
 * last_seq is the last one given out under that source, next_seq the first one under its successor. A hole between the
 * two is no loss; any other is.
 */
#ifndef OUTBOX_LINEAGE_H
#define OUTBOX_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all seqs between last and next (both exclusive) were skipped on purpose. former_sources may be NULL. */
bool lineage_explains(const char *former_sources, int64_t last, int64_t next);

/* Whether source is one of the former ones. */
bool lineage_knows(const char *former_sources, const char *source);

#endif

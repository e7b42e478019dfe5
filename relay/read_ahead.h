/* read_ahead.h — under a backlog, the next page of events, read and encoded by a thread of its own while the last one is
 * sent.
 *
 * A page is what source_read() would have handed out, in the same order, under the same checks, synced likewise: it is
 * ready only when all of that has been said, and nothing of it is with the sink before. What is not taken is dropped and
 * read again. There are two pages at the most, so that one is read while the one before it is taken. The thread has a
 * connection of its own, and sleeps where nobody asks.
 *
 * For sinks with sink_ops.prepare. All but the thread itself is called from the pipeline's.
 */
#ifndef RELAY_READ_AHEAD_H
#define RELAY_READ_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"
#include "sink.h"
#include "source.h"
#include "wake.h"

struct read_ahead;

enum page_state {
    PAGE_NONE,
    PAGE_ASKED, /* the wake is poked when it is ready */
    PAGE_READY
};

/* What a page must agree with: as source_expect() has it. */
struct page_wish {
    struct sink *sink;
    const char *source_id;
    int64_t lease_token, owed_after;
    int64_t after; /* rows after this one, at most limit of them */
    int limit;
};

/* One event of a page: what prepare() made of it, or NULL where the filter does not want it. */
struct page_entry {
    int64_t seq;
    void *item;
};

/* All is borrowed until read_ahead_stop(). NULL: no memory or thread; reading goes on without. */
struct read_ahead *read_ahead_start(const char *db_path, const struct sink_settings *, const struct sink_ops *,
                                    struct durable *, struct wake *);
void read_ahead_stop(struct read_ahead *); /* NULL is fine, here and below */

/* Of the page whose turn it is. */
enum page_state read_ahead_state(struct read_ahead *);

/* Whether nothing is being read, and there is a place for another page. */
bool read_ahead_may_ask(struct read_ahead *);

/* Where read_ahead_may_ask(). All in the wish but the sink is copied. */
void read_ahead_ask(struct read_ahead *, const struct page_wish *);

/* What the reading of a page came to. */
struct page_end {
    enum source_result result;
    const char *message; /* unless it is OK */
    int64_t after;       /* the last seq that was passed */
    int count;           /* of its entries */
    bool full;           /* as source_read() has it */
};

/* These are about a page that is ready. SOURCE_OK without anything may mean that memory or the connection was not to be
 * had: reading without this says what is wrong. */
struct page_end read_ahead_end(const struct read_ahead *);

/* Its next entry, the item now the caller's. False: there are no more. */
bool read_ahead_take(struct read_ahead *, struct page_entry *);

/* It has been taken, and the next one's turn has come. */
void read_ahead_turn(struct read_ahead *);

/* Waits for a page that was asked for, and lets go of all that nobody has taken. */
void read_ahead_drop(struct read_ahead *);

#endif

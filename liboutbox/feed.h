/* feed.h — where a reader's events come from: the database, or the files of a stream, behind one ops table.
 *
 * A feed hands over batches in seq order and proves that nothing is missing between them. It keeps no cursor that
 * matters: every read says after which seq. Waiting is the reader's, on the feed's wake.
 */
#ifndef OUTBOX_FEED_H
#define OUTBOX_FEED_H

#include <stdbool.h>

#include "event_batch.h"
#include "outbox.h"
#include "wake.h"

struct feed;

/* After this seq comes whatever the feed has first: nothing was there yet when the reader was registered. */
enum { FEED_UNBEGUN = -1 };

struct feed_ops {
    /* Where a reader that begins at from (OUTBOX_FROM_START, _NOW) stands. Registering makes it part of its
     * transaction. */
    int (*start)(struct feed *, int from, int64_t *after_seq);

    /* Told where the reader stands, before the first read and whenever it was moved, and what position() said then
     * ("": nothing). REWOUND: the feed ends before it. */
    int (*resume)(struct feed *, int64_t after_seq, const char *position);

    /* Fills an empty batch with at most count events after after_seq; none is OUTBOX_OK too. GAP: events are missing
     * between after_seq and first_available. Every other failure may pass: the same read can be made again. */
    int (*read)(struct feed *, int64_t after_seq, int count, struct event_batch *);

    /* What is kept beside a cursor at seq so that resume() knows the feed again; "": nothing is known; NULL: nothing
     * ever is. */
    const char *(*position)(const struct feed *, int64_t seq);

    void (*close)(struct feed *, bool forked); /* forked: the handle's connection is the parent's, to be left alone */
};

struct feed {
    const struct feed_ops *ops;
    outbox *ob;
    const char *reads; /* the stream's path, absolute; NULL: the database */
    struct wake *wake;
    int64_t first_available; /* after GAP: the first seq there is; 0: none */
};

int feed_database_open(outbox *, struct feed **out);
int feed_files_open(outbox *, const char *jsonl, struct feed **out);

#endif

/* position.h — which seqs above the cursor are settled, as the text that consumer_offsets.position keeps.
 *
 * {"settled":"103-110,113"}: 103 to 110 and 113 are at the receiver, or have stepped aside, although something below
 * them is still under way. Read again after a kill, they are passed over. Pure.
 */
#ifndef RELAY_SINKS_POSITION_H
#define RELAY_SINKS_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

struct seq_range {
    int64_t first, last; /* both in it */
};

struct position {
    struct seq_range *ranges; /* rising, apart from each other */
    int count;
};

/* NULL and "" are nothing settled. False: no memory (errno is ENOMEM), or not our text (EINVAL), which may be taken for
 * nothing settled, as it costs repeats only. *out is empty then. */
bool position_parse(struct position *out, const char *text);
void position_free(struct position *); /* leaves it empty and valid */

/* Whether seq is settled. Asked in rising order: what lies below seq is forgotten. */
bool position_take(struct position *, int64_t seq);

/* Writes a position range by range, in rising order; neighbours become one. An empty one writes nothing. */
struct position_writer {
    struct buffer *out;
    struct seq_range pending;
    bool any;
};

void position_begin(struct position_writer *, struct buffer *out);        /* clears out */
void position_add(struct position_writer *, int64_t first, int64_t last); /* first > last: nothing */
void position_end(struct position_writer *);

#endif

/* exec_lines.h — the lines that a command has not acknowledged yet, and the seqs that follow from its acknowledgements.
 *
 * A line is put (text, in memory), written byte by byte as the pipe takes it, sent once it is wholly written, and gone
 * when it is acknowledged. Pure: no I/O, no clock. Invariant: reached_seq passes no line that is not acknowledged.
 */
#ifndef RELAY_SINKS_EXEC_LINES_H
#define RELAY_SINKS_EXEC_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum {
    EXEC_LINES_MAX = 1000,           /* without an acknowledgement */
    EXEC_LINES_BYTES_MAX = 16 << 20, /* likewise; one batch may go beyond it */
};

struct exec_line {
    int64_t seq;
    int64_t passed_seq; /* the last one filtered out behind it: acknowledged with it */
    int64_t created_at_us;
    int64_t end; /* where it ends, in bytes put since the beginning */
};

struct exec_lines {
    struct buffer text; /* encoded into by the caller, who then calls exec_lines_put() */
    size_t written;     /* of text */

    struct exec_line ring[EXEC_LINES_MAX];
    int first, count, sent;                  /* count of them from first; these sent are wholly written */
    int64_t put_end, written_end, acked_end; /* in bytes since the beginning */

    int64_t put_seq;   /* of the last line put: the next one's prev */
    int64_t sent_seq;  /* of the last line sent: nothing beyond it can be acknowledged */
    int64_t acked_seq; /* of the last line acknowledged, by this command or one before it */
    int64_t acked_created_at_us;
    int64_t reached_seq; /* the cursor: the same, or what was filtered out behind it */
};

/* None, after the cursor, whose position (NULL: none) has the seq of the last line before it. The text's memory is kept. */
void exec_lines_begin(struct exec_lines *, int64_t acked_seq, const char *position);
void exec_lines_clear(struct exec_lines *); /* forgets what is not acknowledged; reached_seq stays */
void exec_lines_free(struct exec_lines *);

bool exec_lines_full(const struct exec_lines *);

/* The text has one more line, seq's. */
void exec_lines_put(struct exec_lines *, int64_t seq, int64_t created_at_us);
void exec_lines_skip(struct exec_lines *, int64_t seq); /* filtered out */

/* What is to be written next; 0: nothing. Then how much of it was. */
size_t exec_lines_pending(const struct exec_lines *, const char **bytes);
void exec_lines_wrote(struct exec_lines *, size_t size);

/* The seq that a line printed by the command is; false: it is none. */
bool exec_lines_seq(const char *line, int64_t *seq);

/* Everything up to seq, which is at most sent_seq. False: it was acknowledged before. */
bool exec_lines_ack(struct exec_lines *, int64_t seq);

/* Of what is pending only the rest of a line begun stays. */
void exec_lines_cut(struct exec_lines *);

#endif

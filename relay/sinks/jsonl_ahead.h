/* jsonl_ahead.h — lines encoded under a backlog by the thread that reads, a page while the one before is written.
 *
 * Which thread may touch what is sink.h's word on prepare(): the page being filled is the reading thread's, the other
 * one the pipeline's. A line carries the prev that it was encoded with, so that it can be put nowhere but there.
 */
#ifndef RELAY_SINKS_JSONL_AHEAD_H
#define RELAY_SINKS_JSONL_AHEAD_H

#include "sink.h"
#include "sinks/jsonl_file.h"

struct ahead_page;

struct ahead_line {
    struct ahead_page *page;
    size_t begin, end; /* in page->text, with its line break */
    int64_t seq, prev;
    char *error; /* why it is without its payload; NULL: it isn't */
};

struct ahead_page {
    struct buffer text;
    int count, gone; /* lines made, and of these let go of */
    struct ahead_line lines[PENDING_LINES];
};

struct jsonl_ahead {
    struct ahead_page pages[2];
    int filling;
    int64_t last_seq; /* of the last line made: the next one's prev */
};

/* Appends one event's line. *error as encode_native() says it. False: out of memory, and the buffer is as it was. */
bool jsonl_encode(struct buffer *, const struct sink_context *, const struct source_row *, int64_t prev,
                  const char **error);

/* A page is to be filled: after the lines of the other one where some are left to be put, else after put_seq. */
void jsonl_ahead_begin(struct jsonl_ahead *, int64_t put_seq);

/* NULL: out of memory, or the page is full. */
struct ahead_line *jsonl_ahead_add(struct jsonl_ahead *, const struct sink_context *, const struct source_row *);

/* Of each line once, put or not. */
void jsonl_ahead_let_go(struct ahead_line *);

void jsonl_ahead_fini(struct jsonl_ahead *);

#endif

/* null.c — takes everything and keeps nothing: to measure and test all that stands around a sink. */
#include <limits.h>
#include <stdlib.h>

#include "sink.h"

struct sink {
    int64_t reached_seq, settled_seq;
};

static struct sink *null_create(const struct sink_context *context)
{
    (void)context;
    return calloc(1, sizeof(struct sink));
}

static enum sink_result null_open(struct sink *s, struct cursor *cursor)
{
    s->reached_seq = s->settled_seq = cursor->acked_seq;
    return SINK_OK;
}

static int null_room(const struct sink *s)
{
    (void)s;
    return INT_MAX;
}

static enum sink_result null_put(struct sink *s, const struct source_row *row)
{
    s->reached_seq = row->event.seq;
    return SINK_OK;
}

static void null_skip(struct sink *s, int64_t seq)
{
    s->reached_seq = seq;
}

static enum sink_result null_push(struct sink *s)
{
    (void)s;
    return SINK_OK;
}

static int64_t null_due(const struct sink *s)
{
    (void)s;
    return INT64_MAX;
}

static bool null_settle(struct sink *s, struct settlement *out)
{
    if (s->settled_seq == s->reached_seq)
        return false;
    s->settled_seq = out->acked_seq = s->reached_seq;
    return true;
}

static int64_t null_retrying(const struct sink *s)
{
    (void)s;
    return 0;
}

static void null_close(struct sink *s)
{
    free(s);
}

const struct sink_ops sink_null = {
    .kind = "null",
    .create = null_create,
    .open = null_open,
    .room = null_room,
    .put = null_put,
    .skip = null_skip,
    .push = null_push,
    .due = null_due,
    .settle = null_settle,
    .finish = null_push, /* there is never anything in flight */
    .retrying = null_retrying,
    .close = null_close,
};

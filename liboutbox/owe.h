/* owe.h — what happened goes to change_log, and what is owed to outbox: one row each, in the writer's transaction. */
#ifndef OUTBOX_OWE_H
#define OUTBOX_OWE_H

#include <stdbool.h>

#include "outbox.h"

struct change {
    const char *op; /* static */
    const char *topic;
    const char *table; /* NULL: emit */
    const char *key;   /* NULL: none */
    size_t key_size;
    int64_t revision; /* 0: none */
    const char *before;
    size_t before_size;
    const void *payload; /* NULL: none */
    size_t payload_size;
    bool payload_is_blob;
    const outbox_write_options *options; /* checked; ordering_key and headers are taken from it */
};

/* Inserts both rows. *seq is the event's. Inside a scope. */
int owe(outbox *, const struct change *, int64_t *seq);

#endif

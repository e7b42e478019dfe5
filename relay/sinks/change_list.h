/* change_list.h — what a sink owes to failed_deliveries until its next settlement. */
#ifndef RELAY_SINKS_CHANGE_LIST_H
#define RELAY_SINKS_CHANGE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "sink.h"

struct change_list { /* zero-initialised is empty and valid */
    struct failed_change *changes;
    size_t count, capacity;
};

void change_list_free(struct change_list *);

/* The strings of a change; each may be NULL. */
struct change_texts {
    const char *key, *error, *request, *answer;
    size_t answer_size;
};

/* Appends change with copies of texts as its strings. False: out of memory, and the list is as it was. */
bool change_list_add(struct change_list *, const struct failed_change *change, const struct change_texts *texts);

void change_list_cut(struct change_list *, size_t count); /* back to its first count changes */

/* Gives the whole list to a settlement, and is empty. */
void change_list_give(struct change_list *, struct settlement *out);

#endif

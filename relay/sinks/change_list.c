/* change_list.c — a growing array of failed_change, each with strings of its own.
 *
 * Leaves to others: what changes, and writing it. The invariant: a change is in it whole or not at all.
 */
#include "change_list.h"

#include <stdlib.h>
#include <string.h>

void change_list_cut(struct change_list *list, size_t count)
{
    while (list->count > count) {
        struct failed_change *change = &list->changes[--list->count];
        free(change->key);
        free(change->last_error);
    }
}

void change_list_free(struct change_list *list)
{
    change_list_cut(list, 0);
    free(list->changes);
    *list = (struct change_list){0};
}

static bool reserve_one(struct change_list *list)
{
    if (list->count < list->capacity)
        return true;
    size_t capacity = list->capacity ? list->capacity * 2 : 16;
    struct failed_change *changes = realloc(list->changes, capacity * sizeof *changes);
    if (!changes)
        return false;
    list->changes = changes;
    list->capacity = capacity;
    return true;
}

bool change_list_add(struct change_list *list, const struct failed_change *change, const char *key, const char *error)
{
    char *own_key = key ? strdup(key) : NULL, *own_error = error ? strdup(error) : NULL;

    if ((key && !own_key) || (error && !own_error) || !reserve_one(list)) {
        free(own_key);
        free(own_error);
        return false;
    }
    struct failed_change *copy = &list->changes[list->count++];
    *copy = *change;
    copy->key = own_key;
    copy->last_error = own_error;
    return true;
}

void change_list_give(struct change_list *list, struct settlement *out)
{
    out->changes = list->changes;
    out->change_count = (int)list->count;
    *list = (struct change_list){0};
}

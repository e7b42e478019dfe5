/* change_list.c — a growing array of failed_change, each with strings of its own.
 *
 * Leaves to others: what changes, and writing it. The invariant: a change is in it whole or not at all.
 */
#include "change_list.h"

#include <stdlib.h>
#include <string.h>

void change_list_cut(struct change_list *list, size_t count)
{
    while (list->count > count)
        failed_change_fini(&list->changes[--list->count]);
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

/* False: out of memory. NULL is copied as such. */
static bool copy(char **to, const char *from, size_t size)
{
    *to = from ? malloc(size + 1) : NULL;
    if (*to) {
        memcpy(*to, from, size);
        (*to)[size] = '\0';
    }
    return *to || !from;
}

static bool copy_text(char **to, const char *from)
{
    return copy(to, from, from ? strlen(from) : 0);
}

bool change_list_add(struct change_list *list, const struct failed_change *change, const struct change_texts *texts)
{
    struct failed_change own = *change;

    own.key = own.last_error = own.attempt.request = own.attempt.answer = NULL;
    own.attempt.answer_size = texts->answer_size;
    if (!copy_text(&own.key, texts->key) || !copy_text(&own.last_error, texts->error) ||
        !copy_text(&own.attempt.request, texts->request) ||
        !copy(&own.attempt.answer, texts->answer, texts->answer_size) || !reserve_one(list)) {
        failed_change_fini(&own);
        return false;
    }
    list->changes[list->count++] = own;
    return true;
}

void change_list_give(struct change_list *list, struct settlement *out)
{
    out->changes = list->changes;
    out->change_count = (int)list->count;
    *list = (struct change_list){0};
}

/* settings_given.c — see settings_given.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "settings_option.h"

bool given_add(struct given_list *list, const struct given *given)
{
    struct given *longer = realloc(list->items, (size_t)(list->count + 1) * sizeof *longer);
    if (longer) {
        list->items = longer;
        longer[list->count++] = *given;
    }
    return longer != NULL;
}

const struct given *given_find(const struct given_list *list, const struct option *option)
{
    for (int i = 0; i < list->count; i++)
        if (list->items[i].option == option)
            return &list->items[i];
    return NULL;
}

void given_free(struct given_list *list)
{
    free(list->items);
    *list = (struct given_list){0};
}

bool given_complain(const struct given *g, char *message, size_t message_size, const char *format, ...)
{
    int used = 0;
    switch (g->by) {
    case GIVEN_BY_FLAG: used = snprintf(message, message_size, "--%s: ", g->option->flag); break;
    case GIVEN_BY_ENVIRONMENT: used = snprintf(message, message_size, "$%s: ", g->option->variable); break;
    case GIVEN_BY_FILE:
        used = snprintf(message, message_size, "%s:%d: %s: ", g->path, g->line, option_key(g->option));
        break;
    case GIVEN_BY_DEFAULT: used = snprintf(message, message_size, "default of --%s: ", g->option->flag); break;
    }
    if (used >= 0 && (size_t)used < message_size) {
        va_list args;
        va_start(args, format);
        vsnprintf(message + used, message_size - (size_t)used, format, args);
        va_end(args);
    }
    return false;
}

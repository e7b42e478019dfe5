/* settings_arguments.c — the command line, taken apart; see settings_given.h.
 *
 * By hand rather than with getopt_long(): that one permutes argv, which a SIGHUP reads again, keeps its place in
 * globals, and takes abbreviations that a later version's options would make ambiguous.
 */
#include <stdio.h>
#include <string.h>

#include "settings_option.h"

#ifndef OUTBOX_BUILD_VERSION
#define OUTBOX_BUILD_VERSION "unknown"
#endif

/* It isn't repeated: a URL given without its option has its secret in it still. */
static enum settings_result bad_operand(int place, char *message, size_t message_size)
{
    snprintf(message, message_size,
             "argument %d belongs to no option; a sink is given as --jsonl PATH, --webhook URL or --stdout", place);
    return SETTINGS_BAD;
}

static bool is_help(const char *argument)
{
    return !strcmp(argument, "--help") || !strcmp(argument, "-h");
}

static bool is_version(const char *argument)
{
    return !strcmp(argument, "--version") || !strcmp(argument, "-V");
}

/* Takes argument, "--name" or "--name=value", with next, the one after it or NULL. *used_next: it was the value. */
static enum settings_result read_one(const char *argument, const char *next, struct given_list *list, bool *used_next,
                                     char *message, size_t message_size)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    struct given g = {.option = option_by_flag(name, length), .by = GIVEN_BY_FLAG};
    if (!g.option) {
        snprintf(message, message_size, "--%.*s: no such option; outbox-relay --help lists them",
                 (int)(length < 80 ? length : 80), name);
        return SETTINGS_BAD;
    }
    bool is_switch = g.option->traits & OPTION_SWITCH;
    *used_next = !is_switch && !equals;
    g.text = is_switch ? "true" : equals ? equals + 1 : next;
    bool good = true;
    if (is_switch && equals)
        good = given_complain(&g, message, message_size, "takes no value; write --%s alone", g.option->flag);
    else if (!g.text || (*used_next && !strncmp(g.text, "--", 2)))
        good = given_complain(&g, message, message_size, "the value is missing; write --%s %s", g.option->flag,
                              g.option->argument);
    else if (!*g.text)
        good = given_complain(&g, message, message_size, "the value is empty; leave the option out, or write --%s %s",
                              g.option->flag, g.option->argument);
    else if (!(g.option->traits & OPTION_REPEATS) && given_find(list, g.option))
        good = given_complain(&g, message, message_size, "given twice; %s",
                              g.option->traits & OPTION_MAKES_SINK ? "for two sinks of one kind use --config"
                                                                   : "leave one of them out");
    else if (!given_add(list, &g))
        good = given_complain(&g, message, message_size, "out of memory");
    return good ? SETTINGS_OK : SETTINGS_BAD;
}

enum settings_result arguments_read(int argc, char *const argv[], struct given_list *list, char *message,
                                    size_t message_size)
{
    for (int i = 1; i < argc; i++) {
        if (is_help(argv[i])) {
            help_print();
            return SETTINGS_EXIT;
        }
        if (is_version(argv[i])) {
            puts("outbox-relay " OUTBOX_BUILD_VERSION);
            return SETTINGS_EXIT;
        }
        if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2])
            return bad_operand(i, message, message_size);
        bool used_next = false;
        enum settings_result result = read_one(argv[i], i + 1 < argc ? argv[i + 1] : NULL, list, &used_next, message,
                                               message_size);
        if (result != SETTINGS_OK)
            return result;
        i += used_next;
    }
    return SETTINGS_OK;
}

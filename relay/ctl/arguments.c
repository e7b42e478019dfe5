/* arguments.c — options and operands; see ctl.h.
 *
 * Only what begins with two dashes is an option: keys may begin with one, and "-" is standard input. Options may stand
 * anywhere, as --name VALUE or --name=VALUE.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "settings_value.h"
#include "suggest.h"

enum { OPTIONS_MAX = 16, GLOBAL_COUNT = 3 };

struct option_set {
    struct option_spec options[OPTIONS_MAX];
    size_t count;
};

static struct option_set every_option(struct ctl *ctl, const struct option_spec *own, size_t own_count)
{
    struct option_set set = {.options = {{"db", OPTION_TEXT, &ctl->db_path},
                                         {"json", OPTION_FLAG, &ctl->json},
                                         {"help", OPTION_FLAG, &ctl->help}},
                             .count = GLOBAL_COUNT};
    for (size_t i = 0; i < own_count && set.count < OPTIONS_MAX; i++)
        set.options[set.count++] = own[i];
    return set;
}

static bool complain(const struct ctl *, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool complain(const struct ctl *ctl, const char *format, ...)
{
    char words[512];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (ctl->command)
        ctl_say("%s: %s", ctl->command->name, words);
    else
        ctl_say("%s", words);
    return false;
}

static bool unknown_option(const struct ctl *ctl, const struct option_set *set, const char *given, size_t name_size)
{
    const char *names[OPTIONS_MAX];
    char name[64];
    for (size_t i = 0; i < set->count; i++)
        names[i] = set->options[i].name;
    snprintf(name, sizeof name, "%.*s", (int)name_size, given + 2);
    const char *near = suggest_name(name, names, set->count);
    if (near)
        return complain(ctl, "unknown option --%s; did you mean --%s?", name, near);
    return complain(ctl, "unknown option --%s; see outboxctl %s%s--help", name, ctl->command ? ctl->command->name : "",
                    ctl->command ? " " : "");
}

/* The option at argv[*i]; *i moves over its value. */
static bool read_option(struct ctl *ctl, const struct option_set *set, int argc, char **argv, int *i)
{
    const char *given = argv[*i], *equals = strchr(given, '=');
    size_t name_size = (equals ? (size_t)(equals - given) : strlen(given)) - 2;
    const struct option_spec *o = NULL;
    for (size_t k = 0; k < set->count && !o; k++)
        if (strlen(set->options[k].name) == name_size && !memcmp(set->options[k].name, given + 2, name_size))
            o = &set->options[k];
    if (!o)
        return unknown_option(ctl, set, given, name_size);
    if (o->type == OPTION_FLAG) {
        *(bool *)o->value = true;
        return !equals || complain(ctl, "--%s takes no value", o->name);
    }
    const char *value = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
    if (!value || !*value)
        return complain(ctl, "--%s wants a value", o->name);
    if (o->type == OPTION_INT)
        return value_number(value, o->value) ||
               complain(ctl, "--%s wants a whole number from 0 up, not %s", o->name, value);
    *(const char **)o->value = value;
    return true;
}

static int show_help(const struct ctl *ctl)
{
    printf("usage: outboxctl [--db PATH] [--json] %s %s\n%s\n", ctl->command->name, ctl->command->usage,
           ctl->command->summary);
    return EXIT_DONE;
}

bool arguments_read(struct ctl *ctl, const struct option_spec *own, size_t own_count, int minimum, int maximum,
                    int *argc, char **argv, int *code)
{
    struct option_set set = every_option(ctl, own, own_count);
    int operands = 0;
    bool options_end = false;
    *code = EXIT_USAGE;
    for (int i = 0; i < *argc; i++) {
        if (options_end || strncmp(argv[i], "--", 2) != 0)
            argv[operands++] = argv[i];
        else if (!argv[i][2])
            options_end = true;
        else if (!read_option(ctl, &set, *argc, argv, &i))
            return false;
    }
    *argc = operands;
    if (ctl->help) {
        *code = show_help(ctl);
        return false;
    }
    if (operands < minimum || operands > maximum) {
        ctl_say("usage: outboxctl %s %s", ctl->command->name, ctl->command->usage);
        return false;
    }
    return true;
}

bool arguments_read_global(struct ctl *ctl, int *argc, char ***argv, int *code)
{
    struct option_set set = every_option(ctl, NULL, 0);
    int i = 0;
    *code = EXIT_USAGE;
    while (i < *argc && !strncmp((*argv)[i], "--", 2)) {
        if (!read_option(ctl, &set, *argc, *argv, &i))
            return false;
        i++;
    }
    *argc -= i;
    *argv += i;
    return true;
}

static bool read_all(int fd, struct buffer *b)
{
    enum { CHUNK = 65536 };
    for (;;) {
        char *to = buffer_reserve(b, CHUNK);
        ssize_t n = to ? read(fd, to, CHUNK) : -1;
        if (n > 0)
            buffer_grow(b, (size_t)n);
        else if (n == 0)
            return true;
        else if (!to || errno != EINTR)
            return false;
    }
}

bool arguments_text(struct buffer *b, const char *argument)
{
    if (strcmp(argument, "-") != 0)
        buffer_append_text(b, argument);
    else if (!read_all(STDIN_FILENO, b) && buffer_ok(b)) {
        ctl_say("standard input: %s", strerror(errno));
        return false;
    }
    if (buffer_text(b))
        return true;
    ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
    return false;
}

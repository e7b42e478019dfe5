/* settings_help.c — --help, made from the table of options. */
#include <stdio.h>
#include <string.h>

#include "settings_option.h"

enum { COLUMN = 30 };

static const char *const group_titles[] = {
    [GROUP_RELAY] = "The relay",   [GROUP_SINK] = "Any sink",  [GROUP_JSONL] = "A file of JSON lines",
    [GROUP_WEBHOOK] = "A webhook", [GROUP_EXEC] = "A command", [GROUP_STDOUT] = "Standard output",
    [GROUP_NULL] = "Nowhere",
};

static void print_option(const struct option *o)
{
    int used = printf("  --%s%s%s", o->flag, o->argument ? " " : "", o->argument ? o->argument : "");
    if (used >= COLUMN) {
        putchar('\n');
        used = 0;
    }
    printf("%*s%s", COLUMN - used, "", o->help);
    const char *fallback = o->fallback && strcmp(o->fallback, "0") != 0 ? o->fallback : NULL; /* help explains 0 */
    if (fallback && o->variable)
        printf(" ($%s, else %s)", o->variable, fallback);
    else if (fallback)
        printf(" (%s)", fallback);
    else if (o->variable)
        printf(" ($%s)", o->variable);
    putchar('\n');
}

void help_print(void)
{
    puts("Usage: outbox-relay [--db PATH] --jsonl PATH | --webhook URL | --exec CMD | --stdout [OPTION]...\n"
         "       outbox-relay --config FILE\n"
         "Delivers what an application's outbox owes: see outbox-relay(1).");
    enum option_group group = GROUP_NULL;
    for (size_t i = 0; i < relay_option_count; i++) {
        const struct option *o = &relay_options[i];
        if (i == 0 || o->group != group)
            printf("\n%s:\n", group_titles[o->group]);
        group = o->group;
        print_option(o);
    }
    puts("\n  --help, --version           say this, or which version it is\n"
         "\nExit status: 0 done, 2 usage, 100 permanent (mend it first), 111 temporary (start it again).");
}

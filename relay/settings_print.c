/* settings_print.c — --check-config: what was understood, written as a config file, defaults included.
 *
 * Secrets and header values are left out, a URL is its scheme and host: those lines are to be read, not used.
 */
#include <stdio.h>

#include "settings_option.h"

enum { VALUE_SIZE = 4096 };

static void print_options(bool (*wanted)(const struct option *, const struct sink_settings *), const void *settings,
                          const struct sink_settings *sink)
{
    char value[VALUE_SIZE];
    for (size_t i = 0; i < relay_option_count; i++) {
        const struct option *o = &relay_options[i];
        const char *field = (const char *)settings + o->offset;
        if (o->traits & OPTION_IN_FILE && wanted(o, sink) && o->type->format(o, field, value, sizeof value))
            printf("%s%s = %s\n", sink ? "    " : "", option_key(o), value);
    }
}

static bool is_relays(const struct option *o, const struct sink_settings *sink)
{
    (void)sink;
    return o->group == GROUP_RELAY;
}

static bool is_sinks(const struct option *o, const struct sink_settings *sink)
{
    return option_fits(o, sink->kind);
}

void settings_print(const struct relay_settings *settings)
{
    print_options(is_relays, settings, NULL);
    for (int i = 0; i < settings->sink_count; i++) {
        const struct sink_settings *s = &settings->sinks[i];
        printf("sink '%s' {%s\n", s->name, s->registered ? "" : " # keeps no cursor");
        print_options(is_sinks, s, s);
        puts("}");
    }
}

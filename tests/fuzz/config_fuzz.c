/* config_fuzz.c — a config file that is taken is text, and each thing it gives stands in it: the key up to the line that is
 * named, the value up to there too. One that is refused has words that name the file. What it gives is then parsed as the
 * options want it, except for what would open another file. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "settings_given.h"
#include "settings_option.h"

/* Whether text stands in the first n lines, and there are as many. */
static bool stands_in(const uint8_t *data, size_t size, int lines, const char *text)
{
    size_t end = 0;
    for (; end < size && lines > 0; end++)
        lines -= data[end] == '\n';
    return lines <= 1 && memmem(data, end, text, strlen(text)) != NULL;
}

static bool opens_a_file(const struct option_type *type)
{
    return type == &type_secrets || type == &type_certificate || type == &type_key || type == &type_headers ||
           type == &type_url;
}

static void check_given(const struct given_list *list, const uint8_t *data, size_t size, enum sink_kind kind,
                        struct relay_settings *settings)
{
    char message[512];
    for (int i = 0; i < list->count; i++) {
        const struct given *g = &list->items[i];
        CHECK(g->by == GIVEN_BY_FILE && g->line >= 1 && g->text && *g->text);
        CHECK(stands_in(data, size, g->line, option_key(g->option)));
        CHECK(g->option->group == GROUP_RELAY || option_fits(g->option, kind));
        if (opens_a_file(g->option->type))
            continue;
        memset(message, 0, sizeof message);
        void *into = g->option->group == GROUP_RELAY ? (void *)settings : (void *)settings->sinks;
        if (!option_set(g, into, message, sizeof message))
            CHECK(message[0] && strstr(message, option_key(g->option)));
    }
}

static void check_config(const struct config *config, const uint8_t *data, size_t size)
{
    struct relay_settings none = {.db_path = NULL};
    check_given(&config->given, data, size, SINK_NULL, &none);
    settings_free(&none);
    for (int i = 0; i < config->sink_count; i++) {
        const struct config_sink *sink = &config->sinks[i];
        struct relay_settings one = {.sinks = calloc(1, sizeof *one.sinks), .sink_count = 1};
        CHECK(one.sinks && sink->title);
        one.sinks[0].kind = sink->kind;
        for (int k = 0; k < i; k++)
            CHECK(strcmp(sink->title, config->sinks[k].title) != 0);
        int makers = 0;
        for (int k = 0; k < sink->given.count; k++)
            makers += sink->given.items[k].option->traits & OPTION_MAKES_SINK ? 1 : 0;
        CHECK(makers == 1);
        check_given(&sink->given, data, size, sink->kind, &one);
        settings_free(&one);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64], message[1024], no_memory[128];
    struct config config = {.parsed = NULL};

    if (fd < 0)
        fd = memfd_create("config", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    if (config_read(path, &config, message, sizeof message)) {
        CHECK(message[0] == '\0' && fuzz_is_utf8(data, size) && !memchr(data, 0, size));
        check_config(&config, data, size);
    } else {
        snprintf(no_memory, sizeof no_memory, "--config: %s: out of memory", path);
        CHECK(strstr(message, path) && strcmp(message, no_memory) != 0); /* the file itself may speak of memory */
    }
    config_free(&config);
    return 0;
}

/* settings_config.c — the config file, read by libconfuse; see settings_given.h.
 *
 * Every value is taken as text, with the line it stands in; what it means is the options' business. libconfuse by itself
 * takes the last of two equal keys, and a file that ends within a section or a comment as whole: both are errors here,
 * as half of a config is not what the operator wrote.
 */
#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "settings_option.h"
#include "utf8.h"

enum { CONFIG_MAX = 1 << 20, KEYS_MAX = 64 };

/* Stands behind the last line. Where it isn't read as a key of the file itself, something was left open. */
static const char end_key[] = "end-of-file";

/* What libconfuse's callbacks may use: they are handed nothing of ours. */
struct reading {
    const char *path;
    int last_line;
    char *message;
    size_t message_size;
};
static _Thread_local struct reading *reading; /* only while config_read() runs */

/* ---- What libconfuse calls --------------------------------------------------------------------------------------------- */

static void note_error(cfg_t *cfg, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* The first error is the one that counts. */
static void note_error(cfg_t *cfg, const char *format, va_list args)
{
    char words[256];
    if (reading->message[0])
        return;
    vsnprintf(words, sizeof words, format, args);
    if (cfg->line > reading->last_line)
        snprintf(reading->message, reading->message_size,
                 "%s:%d: the file ends too early: a value, a quote or a brace is missing", reading->path,
                 reading->last_line);
    else
        snprintf(reading->message, reading->message_size, "%s:%d: %s; see CONFIGURATION FILE in outbox-relay(1)",
                 reading->path, cfg->line, words);
}

/* A value, before libconfuse keeps it. The key's line is kept as its comment; one that has a comment has been given
 * before, unless this is a further value of the same list. */
static int note_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    char line[16];
    const char *before = cfg_opt_getcomment(opt);
    if (before && cfg_opt_size(opt) <= 1) {
        cfg_error(cfg, "%s is given twice, the first time in line %s", cfg_opt_name(opt), before);
        return -1;
    }
    if (!*value) {
        cfg_error(cfg, "%s is empty", cfg_opt_name(opt));
        return -1;
    }
    snprintf(line, sizeof line, "%d", cfg->line);
    if (!before && cfg_opt_setcomment(opt, line) != CFG_SUCCESS)
        return -1;
    *(const char **)result = value;
    return 0;
}

/* The end key, where nobody but us has written it. */
static int note_end(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    if (cfg->line <= reading->last_line) {
        cfg_error(cfg, "no such option '%s'", cfg_opt_name(opt));
        return -1;
    }
    *(const char **)result = value;
    return 0;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------------- */

static bool complain(const char *path, int line, const char *words)
{
    snprintf(reading->message, reading->message_size, "%s:%d: %s", path, line, words);
    return false;
}

static int count_lines(const char *text, size_t size)
{
    int lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines;
}

/* The whole file, with the end key behind it. Read by ourselves: at a directory libconfuse's scanner would call exit(). */
static bool read_file(const char *path, struct buffer *text)
{
    FILE *file = fopen(path, "re");
    size_t n = 0, bad = 0;
    if (file) {
        char *to = buffer_reserve(text, CONFIG_MAX + 1);
        errno = to ? 0 : ENOMEM;
        n = to ? fread(to, 1, CONFIG_MAX + 1, file) : 0;
    }
    if (!file || errno || ferror(file)) {
        snprintf(reading->message, reading->message_size, "--config: %s: %s", path, strerror(errno));
        if (file)
            fclose(file);
        return false;
    }
    fclose(file);
    buffer_grow(text, n);
    if (n > CONFIG_MAX)
        return complain(path, 1, "over 1 MiB: not a config file");
    if (!utf8_valid(text->data, n, &bad))
        return complain(path, count_lines(text->data, bad), "not UTF-8 text");
    const char *nul = memchr(text->data, 0, n);
    if (nul)
        return complain(path, count_lines(text->data, (size_t)(nul - text->data)), "a NUL byte: not a text file");
    reading->last_line = count_lines(text->data, n);
    if (n > 0 && text->data[n - 1] == '\n')
        reading->last_line--;
    buffer_append_text(text, "\n");
    buffer_append_text(text, end_key);
    buffer_append_text(text, " = true\n");
    if (!buffer_text(text))
        return false;
    const char *torn = config_blank_comments(text->data);
    return !torn ||
           complain(path, count_lines(text->data, (size_t)(torn - text->data)), "${ without its } in the same line");
}

/* The keys of one group of options, each once: jsonl's format and webhook's are one key. Ends with CFG_END. */
static void list_keys(bool of_sinks, cfg_opt_t keys[KEYS_MAX])
{
    const cfg_opt_t end_mark = CFG_STR(end_key, NULL, CFGF_NODEFAULT), end = CFG_END();
    int n = 0;
    keys[n] = end_mark;
    keys[n++].parsecb = note_end;
    for (size_t i = 0; i < relay_option_count && n < KEYS_MAX - 2; i++) {
        const struct option *o = &relay_options[i];
        bool listed = (o->group != GROUP_RELAY) != of_sinks || !(o->traits & OPTION_IN_FILE);
        for (int k = 0; k < n && !listed; k++)
            listed = !strcmp(keys[k].name, option_key(o));
        if (listed)
            continue;
        const cfg_opt_t one = CFG_STR(option_key(o), NULL, CFGF_NODEFAULT);
        keys[n] = one;
        keys[n].flags |= o->traits & OPTION_REPEATS ? CFGF_LIST : CFGF_NONE;
        keys[n++].parsecb = note_value;
    }
    keys[n] = end;
}

static cfg_t *parse(const char *text)
{
    cfg_opt_t of_sinks[KEYS_MAX], of_relay[KEYS_MAX + 1];
    const cfg_opt_t sinks = CFG_SEC("sink", of_sinks, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES), end = CFG_END();
    int n = 0;
    list_keys(true, of_sinks);
    list_keys(false, of_relay);
    while (of_relay[n].name)
        n++;
    of_relay[n] = sinks;
    of_relay[n + 1] = end;
    cfg_t *cfg = cfg_init(of_relay, CFGF_NONE);
    if (!cfg)
        return NULL;
    cfg_set_error_function(cfg, note_error);
    errno = 0;
    int rc = cfg_parse_buf(cfg, text);
    if (rc == CFG_SUCCESS)
        return cfg;
    if (errno == ENOMEM) { /* a section half made: libconfuse's cfg_free() would crash over it, so it is left */
        reading->message[0] = 0;
        return NULL;
    }
    if (rc == CFG_PARSE_ERROR && !reading->message[0]) /* of this libconfuse says nothing */
        complain(reading->path, cfg->line, "an option's name is empty");
    cfg_free(cfg);
    return NULL;
}

/* ---- From libconfuse's values to ours ---------------------------------------------------------------------------------- */

static bool add_values(const struct option *o, cfg_opt_t *opt, struct given_list *list)
{
    const char *line = cfg_opt_getcomment(opt);
    for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
        const struct given g = {o, cfg_opt_getnstr(opt, i), GIVEN_BY_FILE, reading->path, line ? atoi(line) : 0};
        if (!given_add(list, &g))
            return false;
    }
    return true;
}

static bool take_globals(cfg_t *cfg, struct config *config)
{
    for (size_t i = 0; i < relay_option_count; i++) {
        const struct option *o = &relay_options[i];
        if (o->group == GROUP_RELAY && o->traits & OPTION_IN_FILE &&
            !add_values(o, cfg_getopt(cfg, option_key(o)), &config->given))
            return false;
    }
    return true;
}

/* What kind of sink a section is: exactly one key says so. */
static bool find_kind(cfg_t *section, struct config_sink *sink)
{
    int found = 0;
    for (size_t i = 0; i < relay_option_count; i++) {
        const struct option *o = &relay_options[i];
        if (o->traits & OPTION_MAKES_SINK && cfg_opt_size(cfg_getopt(section, option_key(o))) > 0) {
            sink->kind = option_sink_kind(o);
            found++;
        }
    }
    return found == 1;
}

/* Of a fault in no one line: libconfuse knows where the section ends, and no longer where it began. */
static bool complain_of_sink(cfg_t *section, const char *name, const char *words)
{
    snprintf(reading->message, reading->message_size, "%s:%d: sink '%.80s', which ends here: %s%s", reading->path,
             section->line, cfg_title(section), name, words);
    return false;
}

static bool take_sink(cfg_t *section, struct config_sink *sink)
{
    *sink = (struct config_sink){.title = cfg_title(section)};
    if (!find_kind(section, sink))
        return complain_of_sink(
            section, "", "wants exactly one of jsonl = PATH, webhook = URL, exec = CMD, stdout = true, null = true");
    for (cfg_opt_t *opt = section->opts; opt->name; opt++) {
        const struct option *o = option_by_key(opt->name, sink->kind);
        const char *line = cfg_opt_getcomment(opt);
        if (opt->flags & CFGF_LIST && opt->flags & CFGF_MODIFIED && cfg_opt_size(opt) == 0)
            return complain_of_sink(section, opt->name, " is an empty list");
        if (!o && cfg_opt_size(opt) > 0 && strcmp(opt->name, end_key) != 0) {
            snprintf(reading->message, reading->message_size, "%s:%s: %s is an option of another kind of sink",
                     reading->path, line ? line : "", opt->name);
            return false;
        }
        if (o && !add_values(o, opt, &sink->given))
            return false;
    }
    return true;
}

static bool take_all(cfg_t *cfg, struct config *config)
{
    unsigned count = cfg_size(cfg, "sink");
    if (cfg_size(cfg, end_key) == 0)
        return complain(reading->path, reading->last_line,
                        "the file ends too early: a '}' or the end of a comment is missing");
    config->sinks = calloc(count + 1, sizeof *config->sinks);
    if (!config->sinks || !take_globals(cfg, config))
        return false;
    for (unsigned i = 0; i < count; i++) {
        config->sink_count++;
        if (!take_sink(cfg_getnsec(cfg, "sink", i), &config->sinks[i]))
            return false;
    }
    return true;
}

bool config_read(const char *path, struct config *config, char *message, size_t message_size)
{
    struct reading own = {.path = path, .message = message, .message_size = message_size};
    struct buffer text = {0};
    message[0] = 0;
    reading = &own;
    bool done = read_file(path, &text) && (config->parsed = parse(text.data)) && take_all(config->parsed, config);
    reading = NULL;
    buffer_free(&text);
    if (!done && !message[0])
        snprintf(message, message_size, "--config: %s: out of memory", path);
    return done;
}

void config_free(struct config *config)
{
    given_free(&config->given);
    for (int i = 0; i < config->sink_count; i++)
        given_free(&config->sinks[i].given);
    free(config->sinks);
    if (config->parsed)
        cfg_free(config->parsed);
    *config = (struct config){0};
}

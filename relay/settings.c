/* settings.c — settings_load(): who overrules whom, which sink an option is for, and what must fit together.
 *
 * Reading the command line and the file is settings_arguments.c's and settings_config.c's work, understanding one value
 * settings_type.c's. The invariant: each option of each sink is set exactly once, from the highest that gave it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumer.h"
#include "segment.h"
#include "settings.h"
#include "settings_header.h"
#include "settings_option.h"
#include "settings_secret.h"
#include "settings_tls.h"
#include "settings_url.h"

/* A sink in the making. */
struct draft {
    const char *name;
    enum sink_kind kind;
    const struct given_list *file; /* NULL: the command line made it */
    struct given_list given;       /* what counts, gathered from all sides */
};

struct loading {
    struct relay_settings *settings;
    struct given_list flags; /* the environment's are among them, where no flag overrules it */
    struct config config;
    struct draft *drafts;
    int draft_count;
    char *message;
    size_t message_size;
};

static bool no_memory(struct loading *l)
{
    snprintf(l->message, l->message_size, "out of memory");
    return false;
}

/* ---- Who overrules whom ------------------------------------------------------------------------------------------------ */

/* OUTBOX_DB set to nothing is as good as not set, as for outboxctl; a secret set to nothing is a mistake that would send
 * unsigned, so it goes on to be refused. */
static bool add_environment(struct loading *l)
{
    for (size_t i = 0; i < relay_option_count; i++) {
        const struct option *o = &relay_options[i];
        const char *text = o->variable ? getenv(o->variable) : NULL;
        const struct given g = {.option = o, .text = text, .by = GIVEN_BY_ENVIRONMENT};
        if (text && (*text || o->group != GROUP_RELAY) && !given_find(&l->flags, o) && !given_add(&l->flags, &g))
            return no_memory(l);
    }
    return true;
}

/* Lower's values of options that higher does not have, behind what is there. */
static bool add_others(struct given_list *to, const struct given_list *lower, const struct given_list *higher)
{
    for (int i = 0; i < lower->count; i++)
        if (!given_find(higher, lower->items[i].option) && !given_add(to, &lower->items[i]))
            return false;
    return true;
}

/* Every option's default in settings, but for those given. */
static bool set_defaults(const struct given_list *given, bool (*wanted)(const struct option *, const struct draft *),
                         const struct draft *draft, void *settings, struct loading *l)
{
    for (size_t i = 0; i < relay_option_count; i++) {
        const struct option *o = &relay_options[i];
        const struct given g = {.option = o, .text = o->fallback, .by = GIVEN_BY_DEFAULT};
        if (o->fallback && wanted(o, draft) && !given_find(given, o) &&
            !option_set(&g, settings, l->message, l->message_size))
            return false;
    }
    return true;
}

static bool set_all(const struct given_list *given, void *settings, struct loading *l)
{
    for (int i = 0; i < given->count; i++)
        if (!option_set(&given->items[i], settings, l->message, l->message_size))
            return false;
    return true;
}

/* ---- The relay's own --------------------------------------------------------------------------------------------------- */

static bool is_relays(const struct option *o, const struct draft *draft)
{
    (void)draft;
    return o->group == GROUP_RELAY;
}

static bool set_globals(struct loading *l)
{
    struct given_list given = {0};
    bool done = true;
    for (int i = 0; i < l->flags.count && done; i++)
        if (l->flags.items[i].option->group == GROUP_RELAY)
            done = given_add(&given, &l->flags.items[i]);
    done = done && add_others(&given, &l->config.given, &l->flags);
    done = done ? set_all(&given, l->settings, l) && set_defaults(&given, is_relays, NULL, l->settings, l)
                : no_memory(l);
    given_free(&given);
    return done;
}

/* ---- Which sinks there are, and whose an option is --------------------------------------------------------------------- */

static bool draft_sinks(struct loading *l)
{
    l->drafts = calloc((size_t)l->config.sink_count + relay_option_count, sizeof *l->drafts);
    if (!l->drafts)
        return no_memory(l);
    for (int i = 0; i < l->config.sink_count; i++) {
        const struct config_sink *s = &l->config.sinks[i];
        l->drafts[l->draft_count++] = (struct draft){.name = s->title, .kind = s->kind, .file = &s->given};
    }
    for (int i = 0; i < l->flags.count; i++) {
        const struct option *o = l->flags.items[i].option;
        if (o->traits & OPTION_MAKES_SINK)
            l->drafts[l->draft_count++] = (struct draft){.name = o->flag, .kind = option_sink_kind(o)};
    }
    if (l->draft_count > 0)
        return true;
    snprintf(l->message, l->message_size,
             l->settings->config_path
                 ? "no sink: %s has no 'sink NAME { … }' section; write one, or give --jsonl PATH, "
                   "--webhook URL or --stdout"
                 : "no sink: give --jsonl PATH, --webhook URL or --stdout, or --config FILE",
             l->settings->config_path);
    return false;
}

/* A flag that makes a sink is for that one; any other must fit exactly one sink, wherever that was given. */
static struct draft *find_owner(struct loading *l, const struct given *g, int *fitting)
{
    struct draft *owner = NULL;
    *fitting = 0;
    for (int i = 0; i < l->draft_count; i++) {
        struct draft *d = &l->drafts[i];
        if (!option_for(g->option, d->kind) || (g->option->traits & OPTION_MAKES_SINK && d->file))
            continue;
        owner = d;
        ++*fitting;
    }
    return owner;
}

static bool complain_of_owner(struct loading *l, const struct given *g, int fitting)
{
    if (fitting > 1)
        return given_complain(g, l->message, l->message_size,
                              "would fit %d sinks; use --config and give each section its own", fitting);
    return given_complain(g, l->message, l->message_size, "is for a sink that is not given; add %s",
                          option_sink_kind(g->option) == SINK_JSONL ? "--jsonl PATH" : "--webhook URL");
}

static bool hand_out_flags(struct loading *l)
{
    for (int i = 0; i < l->flags.count; i++) {
        const struct given *g = &l->flags.items[i];
        int fitting = 0;
        if (g->option->group == GROUP_RELAY)
            continue;
        struct draft *owner = find_owner(l, g, &fitting);
        if (fitting == 0 && g->by == GIVEN_BY_ENVIRONMENT)
            continue; /* meant for another program's or another day's webhook */
        if (fitting != 1)
            return complain_of_owner(l, g, fitting);
        struct given owned = *g;
        owned.option = option_for(g->option, owner->kind);
        if (!given_add(&owner->given, &owned))
            return no_memory(l);
    }
    return true;
}

/* ---- One sink ---------------------------------------------------------------------------------------------------------- */

static bool is_sinks(const struct option *o, const struct draft *draft)
{
    return option_fits(o, draft->kind);
}

/* The consumer is the one given, else the name: a section's title, or the flag that made the sink. */
static bool name_sink(struct loading *l, const struct draft *d, struct sink_settings *s)
{
    s->registered = d->kind != SINK_STDOUT || d->file || s->consumer;
    s->name = strdup(d->name); /* NOLINT(clang-analyzer-core.NonNullParamChecker): a draft has a name */
    if (!s->consumer)
        s->consumer = strdup(d->name);
    if (!s->name || !s->consumer)
        return no_memory(l);
    if (consumer_name_is_good(s->consumer))
        return true;
    snprintf(
        l->message, l->message_size,
        "%s: sink '%.80s': the title is the consumer's name: 1 to %d letters, digits, dots, '_' or '-', no dot first; "
        "or give it a consumer = NAME",
        l->settings->config_path, s->name, CONSUMER_NAME_MAX);
    return false;
}

static bool check_client(struct loading *l, const struct sink_settings *s)
{
    const struct webhook_settings *w = &s->webhook;
    char why[512] = "client-key is for a client-cert; give that too";
    bool good = w->client_cert
                    ? tls_pair_check(w->client_cert, w->client_key ? w->client_key : w->client_cert, why, sizeof why)
                    : !w->client_key;
    if (!good)
        snprintf(l->message, l->message_size, "sink '%s': %s", s->name, why);
    return good;
}

static bool check_webhook(struct loading *l, const struct sink_settings *s)
{
    if (s->webhook.batch_count > 1 && s->webhook.format != FORMAT_CLOUDEVENTS && s->webhook.format != FORMAT_NATIVE) {
        snprintf(l->message, l->message_size,
                 "sink '%s': in this format a request carries one event; leave webhook-batch out, or choose "
                 "webhook-format cloudevents or native",
                 s->name);
        return false;
    }
    const char *clash = event_header_clash(&s->webhook);
    if (clash) {
        snprintf(l->message, l->message_size, "sink '%s': header %s is given as webhook-header and as event-header",
                 s->name, clash);
        return false;
    }
    if (s->webhook.batch_count > 1 && s->webhook.event_headers) {
        snprintf(
            l->message, l->message_size,
            "sink '%s': the headers of several events are not one request's; leave out event-header or webhook-batch",
            s->name);
        return false;
    }
    if (s->webhook.allowed_count > 0 && !s->webhook.public_only) {
        snprintf(l->message, l->message_size,
                 "sink '%s': allow-address makes exceptions to public-only, and without that every address is allowed; "
                 "add public-only",
                 s->name);
        return false;
    }
    bool plain;
    if (!check_client(l, s))
        return false;
    if (s->webhook.allow_http)
        return true;
    if (!url_is_plain_public(s->webhook.url, &plain))
        return no_memory(l);
    if (!plain)
        return true;
    snprintf(
        l->message, l->message_size,
        "sink '%s': %s is plain http to a public address, where anybody on the way reads and changes events; use https, or "
        "say allow-http",
        s->name, s->webhook.url_shown);
    return false;
}

static bool build_sink(struct loading *l, struct draft *d, struct sink_settings *s)
{
    s->kind = d->kind;
    if (d->file) {
        struct given_list flags = d->given;
        d->given = (struct given_list){0};
        bool done = add_others(&d->given, &flags, &(struct given_list){0}) && add_others(&d->given, d->file, &flags);
        given_free(&flags);
        if (!done)
            return no_memory(l);
    }
    return set_all(&d->given, s, l) && set_defaults(&d->given, is_sinks, d, s, l) && name_sink(l, d, s) &&
           (d->kind != SINK_WEBHOOK || check_webhook(l, s));
}

/* Retention deletes whatever is called like a full file of its own. */
static bool check_files(struct loading *l, const struct sink_settings *a, const struct sink_settings *b)
{
    const char *path = a->jsonl.path, *other = b->jsonl.path;
    if (!path || !other)
        return true;
    if (!strcmp(path, other) || stream_same(path, other) == STREAM_SAME) {
        snprintf(l->message, l->message_size, "sinks '%s' and '%s' write one file, %s; give each its own", a->name,
                 b->name, other);
        return false;
    }
    if (stream_same_names(path, other) != STREAM_SAME)
        return true;
    snprintf(l->message, l->message_size,
             "sinks '%s' and '%s' write %s and %s, whose full files would have the same names; give one another name",
             a->name, b->name, path, other);
    return false;
}

/* Two sinks with one cursor, or one file, would each find the other's work in its way. */
static bool check_pairs(struct loading *l)
{
    const struct relay_settings *all = l->settings;
    for (int i = 0; i < all->sink_count; i++)
        for (int k = 0; k < i; k++) {
            const struct sink_settings *a = &all->sinks[k], *b = &all->sinks[i];
            if (a->consumer && b->consumer && !strcmp(a->consumer, b->consumer)) {
                snprintf(l->message, l->message_size,
                         "sinks '%s' and '%s' have one consumer, %s; give each its own name", a->name, b->name,
                         a->consumer);
                return false;
            }
            if (!check_files(l, a, b))
                return false;
        }
    return true;
}

static bool build_sinks(struct loading *l)
{
    struct relay_settings *all = l->settings;
    all->sinks = calloc((size_t)l->draft_count, sizeof *all->sinks);
    if (!all->sinks)
        return no_memory(l);
    for (int i = 0; i < l->draft_count; i++) {
        all->sink_count++;
        if (!build_sink(l, &l->drafts[i], &all->sinks[i]))
            return false;
    }
    return check_pairs(l);
}

/* ---- All of it --------------------------------------------------------------------------------------------------------- */

static bool read_config(struct loading *l)
{
    const struct given *config = given_find(&l->flags, option_by_flag("config", strlen("config")));
    return !config || config_read(config->text, &l->config, l->message, l->message_size);
}

/* A value quoted in a message may hold anything; one line stays one line. */
static void make_one_line(char *message)
{
    for (char *p = message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

enum settings_result settings_load(struct relay_settings *settings, int argc, char **argv, char *message,
                                   size_t message_size)
{
    struct loading l = {.settings = settings, .message = message, .message_size = message_size};
    *settings = (struct relay_settings){0};
    message[0] = 0;
    enum settings_result result = arguments_read(argc, argv, &l.flags, message, message_size);
    if (result == SETTINGS_OK) {
        bool good = add_environment(&l) && read_config(&l) && set_globals(&l) && draft_sinks(&l) &&
                    hand_out_flags(&l) && build_sinks(&l);
        result = good ? SETTINGS_OK : SETTINGS_BAD;
    }
    for (int i = 0; i < l.draft_count; i++)
        given_free(&l.drafts[i].given);
    free(l.drafts);
    given_free(&l.flags);
    config_free(&l.config);
    make_one_line(message);
    return result;
}

static void free_sink(struct sink_settings *s)
{
    free(s->name);
    free(s->consumer);
    free(s->filter);
    free(s->transform);
    free(s->before_transform);
    free(s->jsonl.path);
    free(s->exec.command);
    free(s->webhook.url);
    free(s->webhook.url_shown);
    free(s->webhook.allowed);
    free(s->webhook.ca_file);
    free(s->webhook.client_cert);
    free(s->webhook.client_key);
    headers_clear(&s->webhook);
    secrets_clear(&s->webhook);
}

void settings_free(struct relay_settings *settings)
{
    for (int i = 0; i < settings->sink_count; i++)
        free_sink(&settings->sinks[i]);
    free(settings->sinks);
    free(settings->db_path);
    free(settings->config_path);
    *settings = (struct relay_settings){0};
}

/* slots.c — starts, replaces and joins pipelines; see slots.h. When, and what a signal means, is relay.c's.
 *
 * Invariant: two pipelines of one consumer never run together, as the second would wait for the first one's lock.
 */
#include "slots.h"

#include <stdlib.h>
#include <string.h>

#include "durable.h"
#include "exit_codes.h"
#include "log.h"
#include "pipeline.h"
#include "settings_equal.h"

enum { START_AGAIN_MS = 1000 };

/* One reading of the settings. */
struct generation {
    struct relay_settings settings;
    int slot_count; /* that use it */
};

/* One sink's place. */
struct slot {
    struct slot *next;
    struct generation *generation;
    const struct sink_settings *settings;
    struct pipeline *pipeline; /* NULL: not started yet, or ended */
    enum pipeline_state state; /* RUNNING until it has ended */
    bool late;                 /* it could not be started, which was said */
    bool kept;                 /* by the reload under way */
    bool leaving;              /* gone from the settings, or replaced: forgotten when it has ended */
};

struct slots {
    const char *db_path;
    struct ledger *ledger;
    struct durable durable;
    int64_t once_seq;
    int notify_fd;
    struct generation *newest; /* NULL: none was taken yet */
    struct slot *first;
    bool stopping;
};

static const struct sink_ops *ops_of(enum sink_kind kind)
{
    switch (kind) {
    case SINK_JSONL: return &sink_jsonl;
    case SINK_WEBHOOK: return &sink_webhook;
    case SINK_EXEC: return &sink_exec;
    case SINK_STDOUT: return &sink_stdout;
    case SINK_NULL: break;
    }
    return &sink_null;
}

struct slots *slots_new(const char *db_path, struct ledger *ledger, int64_t once_seq, int notify_fd)
{
    struct slots *slots = calloc(1, sizeof *slots);

    if (!slots)
        return NULL;
    slots->db_path = db_path;
    slots->ledger = ledger;
    slots->once_seq = once_seq;
    slots->notify_fd = notify_fd;
    return slots;
}

static void generation_release(const struct slots *slots, struct generation *g)
{
    if (!g || g->slot_count > 0 || g == slots->newest)
        return;
    settings_free(&g->settings);
    free(g);
}

static void slot_remove(struct slots *slots, struct slot **at)
{
    struct slot *slot = *at;

    *at = slot->next;
    slot->generation->slot_count--;
    generation_release(slots, slot->generation);
    free(slot);
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    while (slots->first)
        slot_remove(slots, &slots->first);
    struct generation *newest = slots->newest;
    slots->newest = NULL;
    generation_release(slots, newest);
    free(slots);
}

const struct relay_settings *slots_settings(const struct slots *slots)
{
    return &slots->newest->settings;
}

/* ---- Settings, first and again ------------------------------------------------------------------------------------ */

static struct slot *find_unchanged(const struct slots *slots, const struct sink_settings *settings)
{
    for (struct slot *s = slots->first; s; s = s->next)
        if (s->pipeline && !s->leaving && settings_equal(s->settings, settings))
            return s;
    return NULL;
}

/* False: out of memory. */
static bool slot_add(struct slot **at, struct generation *generation, const struct sink_settings *settings)
{
    struct slot *slot = calloc(1, sizeof *slot);

    if (!slot)
        return false;
    *slot = (struct slot){.generation = generation, .settings = settings, .state = PIPELINE_RUNNING};
    generation->slot_count++;
    *at = slot;
    return true;
}

/* Slots for those of the settings that none goes on with. False: out of memory; *first is to be freed all the same. */
static bool add_changed(struct slots *slots, struct generation *fresh, struct slot **first)
{
    struct slot **at = first;

    for (struct slot *s = slots->first; s; s = s->next)
        s->kept = false;
    for (int i = 0; i < fresh->settings.sink_count; i++) {
        struct slot *unchanged = find_unchanged(slots, &fresh->settings.sinks[i]);
        if (unchanged)
            unchanged->kept = true;
        else if (slot_add(at, fresh, &fresh->settings.sinks[i]))
            at = &(*at)->next;
        else
            return false;
    }
    return true;
}

static void turn_over(struct slots *slots, struct slot *added)
{
    struct slot **at = &slots->first;

    for (; *at; at = &(*at)->next) {
        struct slot *s = *at;
        s->leaving = !s->kept;
        if (s->pipeline && s->kept)
            pipeline_reopen(s->pipeline);
        else if (s->pipeline)
            pipeline_stop(s->pipeline);
    }
    *at = added;
}

bool slots_take(struct slots *slots, struct relay_settings *settings)
{
    struct generation *fresh = calloc(1, sizeof *fresh), *old = slots->newest;
    struct slot *added = NULL;

    if (!fresh)
        return false;
    fresh->settings = *settings;
    if (!add_changed(slots, fresh, &added)) {
        for (struct slot *next; added; added = next) {
            next = added->next;
            free(added);
        }
        free(fresh);
        return false;
    }
    *settings = (struct relay_settings){0};
    turn_over(slots, added);
    slots->newest = fresh;
    generation_release(slots, old);
    return true;
}

/* ---- Starting, stopping, joining ---------------------------------------------------------------------------------- */

static void slot_start(struct slots *slots, struct slot *slot)
{
    const struct pipeline_options options = {
        .settings = slot->settings,
        .ops = ops_of(slot->settings->kind),
        .db_path = slots->db_path,
        .ledger = slots->ledger,
        .durable = &slots->durable,
        .once = slots->newest->settings.once,
        .once_seq = slots->once_seq,
        .notify_fd = slots->notify_fd,
    };

    slot->pipeline = pipeline_start(&options);
    if (slot->pipeline) {
        slot->late = false;
        return;
    }
    if (!slot->late)
        log_write(LOG_LEVEL_ERROR, slot->settings->consumer, "not started: out of memory, descriptors or threads%s",
                  options.once ? "" : "; trying again");
    slot->late = true;
    if (options.once)
        slot->state = PIPELINE_TEMPORARY;
}

static bool is_wanted(const struct slots *slots, const struct slot *s)
{
    return !s->pipeline && s->state == PIPELINE_RUNNING && !slots->stopping;
}

/* A consumer that is being replaced ends first: its successor needs its lock. */
static bool has_predecessor(const struct slots *slots, const struct slot *slot)
{
    for (const struct slot *s = slots->first; s; s = s->next)
        if (s != slot && s->leaving && !strcmp(s->settings->consumer, slot->settings->consumer))
            return true;
    return false;
}

void slots_start(struct slots *slots)
{
    for (struct slot *s = slots->first; s; s = s->next)
        if (is_wanted(slots, s) && !has_predecessor(slots, s))
            slot_start(slots, s);
}

int slots_patience_ms(const struct slots *slots)
{
    for (const struct slot *s = slots->first; s; s = s->next)
        if (s->late && !s->pipeline && s->state == PIPELINE_RUNNING)
            return START_AGAIN_MS;
    return -1;
}

void slots_stop(struct slots *slots)
{
    slots->stopping = true;
    for (struct slot *s = slots->first; s; s = s->next)
        if (s->pipeline)
            pipeline_stop(s->pipeline);
}

bool slots_stopping(const struct slots *slots)
{
    return slots->stopping;
}

bool slots_running(const struct slots *slots)
{
    for (const struct slot *s = slots->first; s; s = s->next)
        if (s->pipeline || is_wanted(slots, s))
            return true;
    return false;
}

void slots_join(struct slots *slots)
{
    for (struct slot **at = &slots->first; *at;) {
        struct slot *s = *at;
        if (s->pipeline && pipeline_state(s->pipeline) != PIPELINE_RUNNING) {
            s->state = pipeline_join(s->pipeline);
            s->pipeline = NULL;
            /* One that can't go on in this process (stdout's reader is gone) is no reason for the others to end. */
            if (s->state == PIPELINE_TEMPORARY && !slots->newest->settings.once && !slots->stopping &&
                slots_running(slots))
                log_write(LOG_LEVEL_WARN, s->settings->consumer,
                          "the other sinks go on without it; to begin it again: restart, or SIGHUP");
        }
        if (s->leaving && !s->pipeline)
            slot_remove(slots, at);
        else
            at = &s->next;
    }
}

int slots_exit_code(const struct slots *slots)
{
    int code = EXIT_DONE;

    for (const struct slot *s = slots->first; s; s = s->next) {
        if (s->state == PIPELINE_BROKEN)
            return EXIT_PERMANENT;
        if (s->state == PIPELINE_TEMPORARY)
            code = EXIT_TEMPORARY;
    }
    return code;
}

/* relay.c — the supervisor; see relay.h.
 *
 * It starts, stops and joins; it never touches an event. Signals arrive through a descriptor, so nothing here runs in a
 * handler. A sink's settings live as long as the generation of settings they came with: a reload leaves unchanged
 * pipelines on the old one.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "database.h"
#include "descriptors.h"
#include "exit_codes.h"
#include "ledger.h"
#include "log.h"
#include "pipeline.h"
#include "relay.h"
#include "settings_equal.h"
#include "source.h"

enum { MESSAGE_SIZE = 1024, START_AGAIN_MS = 1000 };

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

struct relay {
    int argc;
    char **argv;
    struct generation *generation; /* the newest */
    struct slot *slots;
    struct ledger *ledger;
    struct durable durable;
    char *db_path; /* absolute */
    int64_t once_seq;
    int signal_fd, notify_fd;
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

/* ---- Slots -------------------------------------------------------------------------------------------------------- */

static struct generation *generation_new(struct relay_settings *settings)
{
    struct generation *g = calloc(1, sizeof *g);
    if (g) {
        g->settings = *settings;
        memset(settings, 0, sizeof *settings);
    }
    return g;
}

static void generation_free(struct generation *g)
{
    settings_free(&g->settings);
    free(g);
}

static void generation_release(const struct relay *r, struct generation *g)
{
    if (g->slot_count == 0 && g != r->generation)
        generation_free(g);
}

static bool slot_add(struct relay *r, const struct sink_settings *settings)
{
    struct slot *slot = calloc(1, sizeof *slot), **at = &r->slots;
    if (!slot)
        return false;
    *slot = (struct slot){.generation = r->generation, .settings = settings, .state = PIPELINE_RUNNING, .kept = true};
    r->generation->slot_count++;
    while (*at)
        at = &(*at)->next;
    *at = slot;
    return true;
}

static void slot_remove(struct relay *r, struct slot **at)
{
    struct slot *slot = *at;
    *at = slot->next;
    slot->generation->slot_count--;
    generation_release(r, slot->generation);
    free(slot);
}

static void slot_start(struct relay *r, struct slot *slot)
{
    const struct pipeline_options options = {
        .settings = slot->settings,
        .ops = ops_of(slot->settings->kind),
        .db_path = r->db_path,
        .ledger = r->ledger,
        .durable = &r->durable,
        .once = r->generation->settings.once,
        .once_seq = r->once_seq,
        .notify_fd = r->notify_fd,
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

/* A consumer that is being replaced ends first: its successor needs its lock. */
static bool has_predecessor(const struct relay *r, const struct slot *slot)
{
    for (const struct slot *s = r->slots; s; s = s->next)
        if (s != slot && s->leaving && !strcmp(s->settings->consumer, slot->settings->consumer))
            return true;
    return false;
}

static void start_ready(struct relay *r)
{
    for (struct slot *s = r->slots; s; s = s->next)
        if (!s->pipeline && s->state == PIPELINE_RUNNING && !r->stopping && !has_predecessor(r, s))
            slot_start(r, s);
}

/* How long the supervisor may sleep: what could not be started is tried again. */
static int patience_ms(const struct relay *r)
{
    for (const struct slot *s = r->slots; s; s = s->next)
        if (s->late && !s->pipeline && s->state == PIPELINE_RUNNING)
            return START_AGAIN_MS;
    return -1;
}

static void stop_all(struct relay *r)
{
    r->stopping = true;
    for (struct slot *s = r->slots; s; s = s->next)
        if (s->pipeline)
            pipeline_stop(s->pipeline);
}

static bool any_running(const struct relay *r)
{
    for (const struct slot *s = r->slots; s; s = s->next)
        if (s->pipeline || (s->state == PIPELINE_RUNNING && !r->stopping))
            return true;
    return false;
}

static void join_ended(struct relay *r)
{
    for (struct slot **at = &r->slots; *at;) {
        struct slot *s = *at;
        if (s->pipeline && pipeline_state(s->pipeline) != PIPELINE_RUNNING) {
            s->state = pipeline_join(s->pipeline);
            s->pipeline = NULL;
            /* One that can't go on in this process (stdout's reader is gone) is no reason for the others to end. */
            if (s->state == PIPELINE_TEMPORARY && !r->generation->settings.once && !r->stopping && any_running(r))
                log_write(LOG_LEVEL_WARN, s->settings->consumer,
                          "the other sinks go on without it; to begin it again: restart, or SIGHUP");
        }
        if (s->leaving && !s->pipeline)
            slot_remove(r, at);
        else
            at = &s->next;
    }
}

static int exit_code(const struct relay *r)
{
    int code = EXIT_DONE;
    for (const struct slot *s = r->slots; s; s = s->next) {
        if (s->state == PIPELINE_BROKEN)
            return EXIT_PERMANENT;
        if (s->state == PIPELINE_TEMPORARY)
            code = EXIT_TEMPORARY;
    }
    return code;
}

/* ---- Settings, first and again ------------------------------------------------------------------------------------ */

/* What can only be checked against the database. EXIT_DONE, or one line in message. */
static int check_settings(const struct relay_settings *settings, struct relay *r, char *message, size_t message_size)
{
    sqlite3 *db = NULL;
    int code = database_open_reader(settings->db_path, &db, NULL, message, message_size);
    if (code != EXIT_DONE)
        return code;
    for (int i = 0; i < settings->sink_count && code == EXIT_DONE; i++)
        if (!source_check_expressions(db, &settings->sinks[i], message, message_size))
            code = EXIT_USAGE;
    if (code == EXIT_DONE && !r->db_path) {
        r->once_seq = database_last_seq(db);
        r->db_path = strdup(database_path(db));
        if (r->once_seq < 0 || !r->db_path) {
            snprintf(message, message_size, "database %s: %s", settings->db_path, sqlite3_errmsg(db));
            code = EXIT_TEMPORARY;
        }
    } else if (code == EXIT_DONE && strcmp(r->db_path, database_path(db)) != 0) {
        snprintf(message, message_size, "another database needs a restart");
        code = EXIT_USAGE;
    }
    sqlite3_close(db);
    return code;
}

static struct slot *find_unchanged(struct relay *r, const struct sink_settings *settings)
{
    for (struct slot *s = r->slots; s; s = s->next)
        if (s->pipeline && !s->leaving && s->generation != r->generation && settings_equal(s->settings, settings))
            return s;
    return NULL;
}

/* Unchanged sinks go on and reopen their files; the others end and begin anew, broken ones too. */
static void apply_settings(struct relay *r)
{
    const struct relay_settings *settings = &r->generation->settings;
    for (struct slot *s = r->slots; s; s = s->next)
        s->kept = false;
    for (int i = 0; i < settings->sink_count; i++) {
        struct slot *unchanged = find_unchanged(r, &settings->sinks[i]);
        if (unchanged) {
            unchanged->kept = true;
            pipeline_reopen(unchanged->pipeline);
        } else if (!slot_add(r, &settings->sinks[i])) {
            log_write(LOG_LEVEL_ERROR, settings->sinks[i].consumer, "not started: out of memory");
        }
    }
    for (struct slot *s = r->slots; s; s = s->next) {
        s->leaving = !s->kept;
        if (s->leaving && s->pipeline)
            pipeline_stop(s->pipeline);
    }
}

static void reload(struct relay *r)
{
    struct relay_settings settings = {0};
    char message[MESSAGE_SIZE] = "";
    bool good = settings_load(&settings, r->argc, r->argv, message, sizeof message) == SETTINGS_OK &&
                check_settings(&settings, r, message, sizeof message) == EXIT_DONE &&
                descriptors_reserve(&settings, message, sizeof message);
    struct generation *fresh = good ? generation_new(&settings) : NULL;
    if (!fresh) {
        log_write(LOG_LEVEL_ERROR, NULL, "the settings stay as they are: %s", message);
        settings_free(&settings);
        return;
    }
    struct generation *old = r->generation;
    old->slot_count++; /* held: the last of its pipelines may have ended before we are through */
    r->generation = fresh;
    log_setup(fresh->settings.log_level, fresh->settings.log_format);
    log_write(LOG_LEVEL_INFO, NULL, "settings read again");
    apply_settings(r);
    join_ended(r);
    old->slot_count--;
    generation_release(r, old);
}

/* ---- Running ------------------------------------------------------------------------------------------------------ */

static void handle_signal(struct relay *r)
{
    struct signalfd_siginfo info;
    if (read(r->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        if (!r->stopping)
            reload(r);
    } else if (r->stopping) {
        _exit(EXIT_TEMPORARY); /* asked twice; every crash is safe, so this one is */
    } else {
        log_write(LOG_LEVEL_INFO, NULL, "stopping: finishing what is in flight");
        stop_all(r);
    }
}

static void supervise(struct relay *r)
{
    start_ready(r);
    while (any_running(r)) {
        struct pollfd fds[] = {{.fd = r->signal_fd, .events = POLLIN}, {.fd = r->notify_fd, .events = POLLIN}};
        uint64_t count;
        int ready = poll(fds, 2, patience_ms(r));
        if (ready < 0)
            continue;
        if (fds[1].revents && read(r->notify_fd, &count, sizeof count) < 0)
            continue;
        if (fds[0].revents)
            handle_signal(r);
        join_ended(r);
        start_ready(r);
    }
}

/* Signals come through the descriptor only; threads inherit the mask. A pipe without a reader and a file at its limit
 * are errors of a write, not the end of the process. */
static int take_signals(sigset_t *handled)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(handled);
    sigaddset(handled, SIGTERM);
    sigaddset(handled, SIGINT);
    sigaddset(handled, SIGHUP);
    sigprocmask(SIG_BLOCK, handled, NULL);
    return signalfd(-1, handled, SFD_CLOEXEC);
}

/* NOLINTBEGIN(clang-analyzer-unix.Malloc): once an address within r is passed on, the analyzer forgets what r holds. */
static int start(struct relay *r, sigset_t *handled)
{
    char message[MESSAGE_SIZE] = "";
    struct relay_settings *settings = &r->generation->settings;
    r->signal_fd = take_signals(handled);
    r->notify_fd = eventfd(0, EFD_CLOEXEC);
    if (r->signal_fd < 0 || r->notify_fd < 0) {
        log_write(LOG_LEVEL_ERROR, NULL, "no descriptors left");
        return EXIT_TEMPORARY;
    }
    int code = check_settings(settings, r, message, sizeof message);
    if (code == EXIT_DONE && !descriptors_reserve(settings, message, sizeof message))
        code = EXIT_PERMANENT;
    if (code == EXIT_DONE)
        code = ledger_open(r->db_path, &r->ledger, message, sizeof message);
    for (int i = 0; code == EXIT_DONE && i < settings->sink_count; i++)
        if (!slot_add(r, &settings->sinks[i])) {
            snprintf(message, sizeof message, "out of memory");
            code = EXIT_TEMPORARY;
        }
    if (code != EXIT_DONE)
        log_write(LOG_LEVEL_ERROR, NULL, "%s", message);
    return code;
}
/* NOLINTEND(clang-analyzer-unix.Malloc) */

static void free_relay(struct relay *r)
{
    while (r->slots)
        slot_remove(r, &r->slots);
    ledger_close(r->ledger); /* the last connection: SQLite empties the WAL */
    if (r->signal_fd >= 0)
        close(r->signal_fd);
    if (r->notify_fd >= 0)
        close(r->notify_fd);
    generation_free(r->generation); /* its slots are gone, and those of the ones before it */
    free(r->db_path);
}

int relay_run(struct relay_settings *settings, int argc, char **argv)
{
    struct relay r = {.argc = argc, .argv = argv, .signal_fd = -1, .notify_fd = -1};
    sigset_t handled;
    r.generation = generation_new(settings);
    if (!r.generation) {
        log_write(LOG_LEVEL_ERROR, NULL, "out of memory");
        return EXIT_TEMPORARY;
    }
    int code = start(&r, &handled);
    if (code == EXIT_DONE) {
        supervise(&r);
        code = exit_code(&r);
        /* What somebody has to mend keeps the janitor from working too, and it would try for long. */
        if (r.generation->settings.once && !r.stopping && code != EXIT_PERMANENT) {
            sigprocmask(SIG_UNBLOCK, &handled, NULL); /* everything is delivered: a signal may end it anywhere */
            ledger_reclaim(r.ledger);
        }
    }
    free_relay(&r);
    return code;
}

/* relay.c — the supervisor; see relay.h.
 *
 * Settings are checked against the database, signals obeyed, the end waited for; which pipelines run on which settings
 * is slots.c's, and no event is ever touched. Signals arrive through a descriptor, so nothing here runs in a handler.
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
#include "relay.h"
#include "slots.h"
#include "source.h"

enum { MESSAGE_SIZE = 1024 };

struct relay {
    int argc;
    char **argv;
    struct ledger *ledger;
    struct slots *slots;
    char *db_path; /* absolute */
    int64_t once_seq;
    int signal_fd, notify_fd;
};

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
        r->once_seq = database_newest_event(db);
        r->db_path = strdup(database_path(db));
        if (r->once_seq < 0 || !r->db_path) {
            snprintf(message, message_size, "database %s: %s", settings->db_path, sqlite3_errmsg(db));
            code = r->once_seq < 0 && !database_error_is_temporary((int)-r->once_seq) ? EXIT_PERMANENT : EXIT_TEMPORARY;
        }
    } else if (code == EXIT_DONE && strcmp(r->db_path, database_path(db)) != 0) {
        snprintf(message, message_size, "another database needs a restart");
        code = EXIT_USAGE;
    }
    sqlite3_close(db);
    return code;
}

static void reload(struct relay *r)
{
    struct relay_settings settings = {0};
    char message[MESSAGE_SIZE] = "out of memory";
    if (settings_load(&settings, r->argc, r->argv, message, sizeof message) == SETTINGS_OK &&
        check_settings(&settings, r, message, sizeof message) == EXIT_DONE &&
        descriptors_reserve(&settings, message, sizeof message) && slots_take(r->slots, &settings)) {
        const struct relay_settings *taken = slots_settings(r->slots);
        log_setup(taken->log_level, taken->log_format);
        log_write(LOG_LEVEL_INFO, NULL, "settings read again");
        return;
    }
    log_write(LOG_LEVEL_ERROR, NULL, "the settings stay as they are: %s", message);
    settings_free(&settings);
}

/* ---- Running ------------------------------------------------------------------------------------------------------ */

static void handle_signal(struct relay *r)
{
    struct signalfd_siginfo info;
    if (read(r->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        if (!slots_stopping(r->slots))
            reload(r);
    } else if (slots_stopping(r->slots)) {
        _exit(EXIT_TEMPORARY); /* asked twice; every crash is safe, so this one is */
    } else {
        log_write(LOG_LEVEL_INFO, NULL, "stopping: finishing what is in flight");
        slots_stop(r->slots);
    }
}

static void supervise(struct relay *r)
{
    slots_start(r->slots);
    while (slots_running(r->slots)) {
        struct pollfd fds[] = {{.fd = r->signal_fd, .events = POLLIN}, {.fd = r->notify_fd, .events = POLLIN}};
        uint64_t count;
        int ready = poll(fds, 2, slots_patience_ms(r->slots));
        if (ready < 0)
            continue;
        if (fds[1].revents && read(r->notify_fd, &count, sizeof count) < 0)
            continue;
        if (fds[0].revents)
            handle_signal(r);
        slots_join(r->slots);
        slots_start(r->slots);
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

/* Takes the settings over where it answers EXIT_DONE. */
static int start(struct relay *r, struct relay_settings *settings, sigset_t *handled)
{
    char message[MESSAGE_SIZE] = "";
    struct ledger *ledger = NULL;
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
        code = ledger_open(r->db_path, &ledger, message, sizeof message);
    r->ledger = ledger;
    if (code == EXIT_DONE) {
        r->slots = slots_new(r->db_path, r->ledger, r->once_seq, r->notify_fd);
        if (!r->slots || !slots_take(r->slots, settings)) {
            snprintf(message, sizeof message, "out of memory");
            code = EXIT_TEMPORARY;
        }
    }
    if (code != EXIT_DONE)
        log_write(LOG_LEVEL_ERROR, NULL, "%s", message);
    return code;
}

static void free_relay(struct relay *r)
{
    slots_free(r->slots);
    ledger_close(r->ledger); /* the last connection: SQLite empties the WAL */
    if (r->signal_fd >= 0)
        close(r->signal_fd);
    if (r->notify_fd >= 0)
        close(r->notify_fd);
    free(r->db_path);
}

/* Everything is delivered: a signal may end it anywhere. What somebody has to mend decides the exit code, not what the
 * next run will do. */
static int reclaim(const struct relay *r, const sigset_t *handled, int code)
{
    sigprocmask(SIG_UNBLOCK, handled, NULL);
    enum ledger_result result = ledger_reclaim(r->ledger);
    if (result == LEDGER_LATER)
        log_write(LOG_LEVEL_WARN, NULL, "not all that nobody needs is reclaimed; the next run goes on with it");
    return result == LEDGER_BROKEN ? EXIT_PERMANENT : code;
}

int relay_run(struct relay_settings *settings, int argc, char **argv)
{
    struct relay r = {.argc = argc, .argv = argv, .signal_fd = -1, .notify_fd = -1};
    sigset_t handled;
    int code = start(&r, settings, &handled);
    if (code == EXIT_DONE) {
        supervise(&r);
        code = slots_exit_code(r.slots);
        /* What somebody has to mend mostly keeps the janitor from working too, and was said. */
        if (slots_settings(r.slots)->once && !slots_stopping(r.slots) && code != EXIT_PERMANENT)
            code = reclaim(&r, &handled, code);
    }
    free_relay(&r);
    return code;
}

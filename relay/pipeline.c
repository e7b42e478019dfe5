/* pipeline.c — a pipeline's life, stage by stage; see pipeline.h. Delivering itself is pipeline_run.c.
 *
 * Each stage is a function that answers the next one. The lock is held from LOCK to the end, through every new claim:
 * what the lease token guards against is a seek, and a holder that was thought dead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim.h"
#include "clock.h"
#include "database.h"
#include "exit_codes.h"
#include "log.h"
#include "pipeline_run.h"
#include "standby.h"

static const char sql_former_sources[] = "SELECT value FROM main.outbox_meta WHERE name = 'former_sources'";

enum { RETRY_US = 1000000, PAUSED_LOOK_MS = 60000 };

static enum stage broken(struct pipeline *p)
{
    log_write(LOG_LEVEL_ERROR, p->options.settings->consumer, "%s", p->reason);
    return STAGE_BROKEN;
}

/* A fault that may pass: said once, tried again after a while; with --once it is the end. */
static enum stage later(struct pipeline *p, enum stage again)
{
    if (!p->trouble_said || p->options.once)
        log_write(LOG_LEVEL_WARN, p->options.settings->consumer, "%s%s", p->reason,
                  p->options.once ? "" : "; trying again");
    p->trouble_said = true;
    if (p->options.once)
        return STAGE_TEMPORARY;
    return pipeline_rest(p, clock_monotonic_us() + RETRY_US) ? STAGE_DONE : again;
}

static enum stage open_database(struct pipeline *p)
{
    int code = database_open_reader(p->options.db_path, &p->db, &p->schema, p->reason, sizeof p->reason);
    if (code != EXIT_DONE)
        return code == EXIT_PERMANENT ? broken(p) : later(p, STAGE_DATABASE);
    bool temporary = false;
    p->source = source_open(p->db, p->options.settings, &temporary, p->reason, sizeof p->reason);
    if (p->source) {
        source_use_wake(p->source, p->wake);
        source_use_durable(p->source, p->options.durable);
        return STAGE_LOCK;
    }
    sqlite3_close(p->db);
    p->db = NULL;
    return temporary ? later(p, STAGE_DATABASE) : broken(p);
}

/* A webhook's receiver and a command can't be asked what they have; a file can. */
static void open_trail(struct pipeline *p)
{
    char path[4096];
    enum sink_kind kind = p->options.settings->kind;
    if (kind != SINK_WEBHOOK && kind != SINK_EXEC)
        return;
    snprintf(path, sizeof path, "%s.%s.trail", database_path(p->db), p->options.settings->consumer);
    p->trail = trail_open(path, p->options.settings->consumer);
    ledger_use_trail(p->consumer, p->trail);
}

static enum stage take_lock(struct pipeline *p)
{
    if (!p->consumer)
        return STAGE_CLAIM;
    char path[4096];
    int length = snprintf(path, sizeof path - 1, "%s.%s.lock", database_path(p->db), p->options.settings->consumer);
    if (length >= (int)sizeof path - 1) /* its trail is one longer */ {
        snprintf(p->reason, sizeof p->reason, "the path of its lock file is too long");
        return broken(p);
    }
    switch (standby_wait(&p->lock, path, p->options.settings->consumer, !p->options.once, p->wake, &p->stop, p->reason,
                         sizeof p->reason)) {
    case STANDBY_HELD: open_trail(p); return STAGE_CLAIM;
    case STANDBY_STOPPED: return STAGE_DONE;
    case STANDBY_TAKEN:
    case STANDBY_LATER: return later(p, STAGE_LOCK);
    case STANDBY_BROKEN: return broken(p);
    }
    return STAGE_BROKEN; /* unreachable */
}

/* ---- Claim -------------------------------------------------------------------------------------------------------- */

/* The source may be another since the last claim: ids, and what a stream may end in, hang on it. */
static bool read_identity(struct pipeline *p)
{
    sqlite3_stmt *st = NULL;
    if (schema_check(p->db, &p->schema, p->reason, sizeof p->reason) != OUTBOX_OK)
        return false;
    free(p->former_sources);
    p->former_sources = NULL;
    int rc = sqlite3_prepare_v2(p->db, sql_former_sources, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        p->former_sources = text ? strdup(text) : NULL;
        rc = text && !p->former_sources ? SQLITE_NOMEM : SQLITE_DONE;
    }
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        snprintf(p->reason, sizeof p->reason, "reading outbox_meta: %s", sqlite3_errstr(rc));
    return rc == SQLITE_DONE;
}

static enum ledger_result claim_cursor(struct pipeline *p)
{
    free(p->cursor.position);
    p->cursor = (struct cursor){0};
    if (p->consumer)
        return ledger_claim(p->consumer, !p->options.once, &p->cursor, &p->lease_token, p->reason, sizeof p->reason);
    switch (claim_begin(p->db, p->options.settings, &p->cursor.acked_seq, p->reason, sizeof p->reason)) {
    case CLAIM_OK: return LEDGER_OK;
    case CLAIM_LATER: return LEDGER_LATER;
    case CLAIM_BROKEN: break;
    }
    return LEDGER_BROKEN;
}

static enum stage claim(struct pipeline *p)
{
    p->options.ops->close(p->sink); /* of the claim before this one: its cursor no longer counts */
    p->sink = NULL;
    switch (claim_cursor(p)) {
    case LEDGER_OK: break;
    case LEDGER_LATER: return later(p, STAGE_CLAIM);
    case LEDGER_BROKEN: return broken(p);
    case LEDGER_INTERRUPTED: return STAGE_DONE;
    }
    if (!read_identity(p))
        return later(p, STAGE_CLAIM);
    source_expect(p->source, p->schema.source, p->lease_token, p->cursor.acked_seq);
    trail_begin(p->trail, p->schema.source, p->lease_token, p->cursor.acked_seq);
    return STAGE_CHECK;
}

/* ---- Paused ------------------------------------------------------------------------------------------------------- */

static enum stage check(struct pipeline *p)
{
    bool said = false;
    for (;;) {
        enum source_result result = source_look(p->source, 0); /* the cursor is judged after the sink has answered */
        if (result == SOURCE_OK)
            return STAGE_OPEN;
        snprintf(p->reason, sizeof p->reason, "%s", source_message(p->source));
        if (result == SOURCE_STALE)
            return STAGE_CLAIM;
        if (result == SOURCE_LATER)
            return later(p, STAGE_CHECK);
        if (result != SOURCE_PAUSED)
            return broken(p);
        if (!said)
            log_write(LOG_LEVEL_WARN, p->options.settings->consumer, "%s; to go on: outboxctl consumers resume %s",
                      p->reason, p->options.settings->consumer);
        said = true;
        if (p->options.once)
            return STAGE_TEMPORARY;
        if (pipeline_pause(p, PAUSED_LOOK_MS))
            return STAGE_DONE;
    }
}

static enum stage pause_sink(struct pipeline *p)
{
    p->context.once = false; /* else it would see all through that was read */
    enum sink_result result = pipeline_finish(p);
    p->options.ops->close(p->sink);
    p->sink = NULL;
    return result == SINK_BROKEN ? STAGE_BROKEN : result == SINK_LATER ? STAGE_CLAIM : STAGE_CHECK;
}

/* ---- Open --------------------------------------------------------------------------------------------------------- */

/* After a fault: until the sink wants to be opened again. */
static enum stage wait_to_open(struct pipeline *p)
{
    int64_t due_us = p->options.ops->due(p->sink);
    if (p->options.once || due_us == INT64_MAX) {
        if (p->reason[0])
            log_write(LOG_LEVEL_ERROR, p->options.settings->consumer, "%s", p->reason);
        pipeline_flush(p); /* what was delivered before the fault is not to be delivered again */
        return STAGE_TEMPORARY;
    }
    return pipeline_rest(p, due_us) ? STAGE_DONE : STAGE_OPEN;
}

static bool create_sink(struct pipeline *p)
{
    p->context = (struct sink_context){
        .settings = p->options.settings,
        .db_path = database_path(p->db),
        .source = p->schema.source,
        .former_sources = p->former_sources,
        .once = p->options.once,
        .db = p->db,
        .trail = p->trail,
        .reason = p->reason,
    };
    p->sink = p->options.ops->create(&p->context);
    if (!p->sink)
        snprintf(p->reason, sizeof p->reason, "out of memory");
    return p->sink != NULL;
}

/* Where the sink says it is must be a place in this database, even if there is nothing to read. */
static enum stage check_cursor(struct pipeline *p)
{
    if (source_look(p->source, p->read_seq) != SOURCE_REWOUND)
        return STAGE_DELIVER; /* anything else the first read finds out */
    snprintf(p->reason, sizeof p->reason, "%s", source_message(p->source));
    return broken(p);
}

/* Comes here for the first time, and after each SINK_LATER: only then is there a sink. */
static enum stage open_sink(struct pipeline *p)
{
    if (p->sink) {
        enum stage next = wait_to_open(p);
        if (next != STAGE_OPEN)
            return next;
    } else if (!create_sink(p)) {
        return later(p, STAGE_CLAIM);
    }
    p->context.last_seq = database_last_seq(p->db);
    if (p->context.last_seq < 0) {
        snprintf(p->reason, sizeof p->reason, "reading the outbox: %s", sqlite3_errmsg(p->db));
        return later(p, STAGE_CLAIM);
    }
    struct cursor answer = p->cursor;
    p->reason[0] = 0;
    switch (p->options.ops->open(p->sink, &answer)) {
    case SINK_OK: pipeline_run_begin(p, answer.acked_seq); return check_cursor(p);
    case SINK_LATER: return STAGE_OPEN;
    case SINK_BROKEN: return broken(p);
    }
    return STAGE_BROKEN; /* unreachable */
}

/* ---- The end ------------------------------------------------------------------------------------------------------ */

static enum stage finish(struct pipeline *p)
{
    enum sink_result result = pipeline_finish(p);
    if (result == SINK_BROKEN)
        return STAGE_BROKEN;
    if (!p->options.once)
        return STAGE_DONE; /* what could not be acknowledged is delivered again at the next start */
    int64_t left = p->options.ops->retrying(p->sink);
    if (result == SINK_OK && left == 0 && p->reached_seq >= p->options.once_seq)
        return STAGE_DONE;
    if (left > 0)
        log_write(LOG_LEVEL_WARN, p->options.settings->consumer, "%" PRId64 " events are left to be tried again", left);
    else
        log_write(LOG_LEVEL_WARN, p->options.settings->consumer, "delivered up to %" PRId64 " of %" PRId64,
                  p->reached_seq, p->options.once_seq);
    return STAGE_TEMPORARY;
}

/* The lock goes last: whoever takes over finds everything settled. */
static void clean_up(struct pipeline *p)
{
    read_ahead_stop(p->ahead);
    p->options.ops->close(p->sink);
    source_close(p->source);
    sqlite3_close(p->db);
    if (p->consumer)
        ledger_use_trail(p->consumer, NULL);
    trail_close(p->trail);
    lock_release(&p->lock);
    free(p->cursor.position);
    free(p->former_sources);
}

static enum pipeline_state live(struct pipeline *p)
{
    enum stage stage = STAGE_DATABASE;
    for (;;) {
        switch (stage) {
        case STAGE_DATABASE: stage = open_database(p); break;
        case STAGE_LOCK: stage = take_lock(p); break;
        case STAGE_CLAIM: stage = claim(p); break;
        case STAGE_CHECK: stage = check(p); break;
        case STAGE_OPEN: stage = open_sink(p); break;
        case STAGE_DELIVER: stage = pipeline_run(p); break;
        case STAGE_PAUSE: stage = pause_sink(p); break;
        case STAGE_FINISH: stage = finish(p); break;
        case STAGE_DONE: return p->options.once && p->stop ? PIPELINE_TEMPORARY : PIPELINE_DONE;
        case STAGE_TEMPORARY: return PIPELINE_TEMPORARY;
        case STAGE_BROKEN: return PIPELINE_BROKEN;
        }
    }
}

static void *thread_main(void *arg)
{
    struct pipeline *p = arg;
    enum pipeline_state state = live(p);
    clean_up(p);
    p->state = (int)state;
    const uint64_t one = 1;
    if (p->options.notify_fd >= 0 && write(p->options.notify_fd, &one, sizeof one) < 0) {
        /* the counter is full: it is readable already */
    }
    return NULL;
}

struct pipeline *pipeline_start(const struct pipeline_options *options)
{
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->options = *options;
    /* A webhook's is of requests, retries among them: it minds that itself. */
    rate_init(&p->rate, options->settings->kind == SINK_WEBHOOK ? 0 : options->settings->rate, clock_monotonic_us());
    p->lock.fd = -1;
    p->wake = wake_open(options->db_path);
    if (!p->wake)
        goto free_pipeline;
    if (options->settings->registered) {
        p->consumer = ledger_join(options->ledger, options->settings, p->wake);
        if (!p->consumer)
            goto close_wake;
    }
    if (pthread_create(&p->thread, NULL, thread_main, p) != 0)
        goto leave_ledger;
    return p;

leave_ledger:
    ledger_leave(p->consumer);
close_wake:
    wake_close(p->wake);
free_pipeline:
    free(p);
    return NULL;
}

void pipeline_stop(struct pipeline *p)
{
    p->stop = true;
    if (p->consumer)
        ledger_interrupt(p->consumer);
    wake_poke(p->wake);
}

void pipeline_reopen(struct pipeline *p)
{
    p->reopen = true;
    wake_poke(p->wake);
}

enum pipeline_state pipeline_state(const struct pipeline *p)
{
    return (enum pipeline_state)p->state;
}

enum pipeline_state pipeline_join(struct pipeline *p)
{
    pthread_join(p->thread, NULL);
    enum pipeline_state state = pipeline_state(p);
    ledger_leave(p->consumer); /* not in the thread: pipeline_stop() may come after its end */
    wake_close(p->wake);
    free(p);
    return state;
}

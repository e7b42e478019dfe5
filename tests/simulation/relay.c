/* relay.c — see relay.h. Where this is like pipeline_run.c and ledger_thread.c it has to stay like them. */
#include "relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim.h"
#include "database.h"
#include "disk.h"
#include "janitor.h"
#include "receiver.h"
#include "schema.h"
#include "settlement.h"
#include "sinks/jsonl.h"
#include "source.h"
#include "timestamp.h"
#include "world.h"

struct pipe {
    const struct sink_ops *ops;
    struct sink_settings settings;
    struct sink_context context;
    char reason[SINK_REASON_SIZE];
    sqlite3 *db;
    struct schema_info schema;
    struct source *source;

    struct sink *sink;
    bool claimed, open, broken;
    struct cursor cursor;
    int64_t lease_token, read_seq, committed_seq;
    struct settlement_batch posted;
    struct trail *trail; /* the webhook's */
};

static struct pipe pipes[PIPES];
static sqlite3 *ledger;
static struct settlement_writer writer;
static struct janitor janitor;
static bool running;
static char trail_path[128];
static char file_name[] = "file", hook_name[] = "hook", url[] = "http://127.0.0.1:1/";

/* ---- Set-up ------------------------------------------------------------------------------------------------------- */

static void sql(const char *text)
{
    char *error = NULL;
    if (sqlite3_exec(ledger, text, NULL, NULL, &error) != SQLITE_OK)
        world_fail("%s: %s", text, error);
    sqlite3_free(error);
}

static void claim(struct pipe *p)
{
    struct claim claim = {0};
    if (p->ops == &sink_webhook && !p->trail)
        p->trail = trail_open(trail_path, hook_name);
    p->ops->close(p->sink);
    p->sink = NULL;
    sql("BEGIN IMMEDIATE");
    if (claim_take(ledger, &p->settings, p->trail, &claim, p->reason, sizeof p->reason) != CLAIM_OK) {
        sql("ROLLBACK");
        world_fail("claim: %s", p->reason);
        return;
    }
    sql("COMMIT");
    settlement_clear(&p->posted);
    free(p->cursor.position);
    p->cursor = claim.cursor;
    p->lease_token = claim.lease_token;
    p->claimed = true;
    trail_begin(p->trail, p->schema.source, p->lease_token, p->cursor.acked_seq);
    p->committed_seq = p->cursor.acked_seq;
}

bool relay_init(const char *db_path, char *path)
{
    char message[256] = "";
    bool temporary;
    snprintf(trail_path, sizeof trail_path, "%s.%s.trail", db_path, hook_name);
    pipes[TO_FILE].ops = &sink_jsonl;
    pipes[TO_FILE].settings = (struct sink_settings){
        .name = file_name, .consumer = file_name, .kind = SINK_JSONL, .registered = true};
    pipes[TO_FILE].settings.jsonl.path = path;
    pipes[TO_WEBHOOK].ops = &sink_webhook;
    pipes[TO_WEBHOOK].settings = (struct sink_settings){
        .name = hook_name, .consumer = hook_name, .kind = SINK_WEBHOOK, .registered = true};
    bool good = database_open_writer(db_path, &ledger, message, sizeof message) == 0 &&
                settlement_writer_open(&writer, ledger) == SQLITE_OK;
    if (good)
        sql("PRAGMA synchronous = OFF");
    for (int i = 0; i < PIPES && good; i++) {
        good = database_open_reader(db_path, &pipes[i].db, &pipes[i].schema, message, sizeof message) == 0 &&
               (pipes[i].source = source_open(pipes[i].db, &pipes[i].settings, &temporary, message, sizeof message));
    }
    if (!good)
        fprintf(stderr, "simulation: %s\n", message);
    return good;
}

void relay_fini(void)
{
    relay_die();
    for (int i = 0; i < PIPES; i++) {
        source_close(pipes[i].source);
        sqlite3_close(pipes[i].db);
    }
    settlement_writer_fini(&writer);
    sqlite3_close(ledger);
}

void relay_begin(void)
{
    struct jsonl_settings *file = &pipes[TO_FILE].settings.jsonl;
    file->max_size_bytes = 300 + world_below(4000);
    file->keep_count = world_chance(300) ? 2 + world_below(4) : 0;
    pipes[TO_WEBHOOK].settings.webhook = (struct webhook_settings){
        .url = url,
        .url_shown = hook_name,
        .format = FORMAT_NATIVE,
        .batch_count = world_chance(300) ? 4 : 1,
        .concurrency = 1 + (int)world_below(8),
        .timeout_us = 30000000,
        .connect_timeout_us = 5000000,
        .max_attempts = 2 + (int)world_below(5),
        .backoff_min_us = 100000,
        .backoff_max_us = 5000000,
        .skip_dead = world_chance(500),
    };
    pipes[TO_WEBHOOK].settings.rate = world_chance(200) ? 20 : 0;
    janitor_init(&janitor, ledger);
    unlink(trail_path); /* of another schedule, in a database that was the same */
    relay_start();
    for (int i = 0; i < PIPES; i++) /* before the janitor knows only one of them */
        claim(&pipes[i]);
}

int64_t relay_kept_segments(void)
{
    return pipes[TO_FILE].settings.jsonl.keep_count;
}

bool relay_batches(void)
{
    return pipes[TO_WEBHOOK].settings.webhook.batch_count > 1;
}

/* ---- A pipeline's steps --------------------------------------------------------------------------------------------- */

static int64_t last_seq(struct pipe *p)
{
    sqlite3_stmt *st = NULL;
    sqlite3_prepare_v2(p->db, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'change_log'", -1, &st,
                       NULL);
    int64_t seq = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return seq;
}

static void open_sink(struct pipe *p)
{
    if (!p->sink) {
        p->context = (struct sink_context){.settings = &p->settings,
                                           .db_path = database_path(p->db),
                                           .source = p->schema.source,
                                           .db = p->db,
                                           .trail = p->trail,
                                           .reason = p->reason};
        p->sink = p->ops == &sink_jsonl ? jsonl_create(&p->context, &disk_ops) : p->ops->create(&p->context);
    }
    p->context.last_seq = last_seq(p);
    struct cursor cursor = p->cursor;
    switch (p->ops->open(p->sink, &cursor)) {
    case SINK_OK: break;
    case SINK_LATER: return;
    case SINK_BROKEN:
        if (!disk_has_killed())
            world_fail("%s stops for good: %s", p->settings.name, p->reason);
        p->broken = true;
        return;
    }
    p->read_seq = cursor.acked_seq;
    p->open = true;
    source_expect(p->source, p->schema.source, p->lease_token, p->cursor.acked_seq);
}

struct taking {
    struct pipe *pipe;
    enum sink_result result;
};

static bool take(void *arg, const struct source_row *row, bool wanted)
{
    struct taking *t = arg;
    if (wanted)
        t->result = t->pipe->ops->put(t->pipe->sink, row);
    else
        t->pipe->ops->skip(t->pipe->sink, row->event.seq);
    return t->result == SINK_OK;
}

static void read_some(struct pipe *p)
{
    struct taking t = {p, SINK_OK};
    int room = p->ops->room(p->sink), most = 1 + (int)world_below(40);
    bool full;
    if (room <= 0)
        return;
    enum source_result result = source_read(p->source, &p->read_seq, room < most ? room : most, take, &t, &full);
    if (t.result != SINK_OK)
        p->open = false;
    else if (result == SOURCE_STALE)
        p->claimed = p->open = false;
    else if (result != SOURCE_OK)
        world_fail("%s reads: %s", p->settings.name, source_message(p->source));
}

static void remember(struct cursor *cursor, const struct settlement *s)
{
    free(cursor->position);
    cursor->position = s->position ? strdup(s->position) : NULL;
    if (s->acked_seq > cursor->acked_seq)
        cursor->acked_seq = s->acked_seq;
}

static void deliver(struct pipe *p)
{
    struct settlement s = {0};
    enum sink_result result = p->ops->push(p->sink);
    if (disk_has_killed())
        return; /* it is dead, and settles nothing */
    if (p->ops->settle(p->sink, &s)) {
        remember(&p->cursor, &s);
        settlement_add(&p->posted, &s);
    }
    if (result == SINK_BROKEN)
        world_fail("%s stops for good: %s", p->settings.name, p->reason);
    p->open = p->open && result == SINK_OK;
}

void relay_step(int n)
{
    struct pipe *p = &pipes[n];
    if (!running || p->broken)
        return;
    trail_recorded(p->trail, p->committed_seq, !p->posted.any);
    if (!p->claimed)
        claim(p);
    else if (!p->open && (!p->sink || p->ops->due(p->sink) <= world_now_us()))
        open_sink(p);
    else if (p->open && world_chance(500))
        read_some(p);
    else if (p->open)
        deliver(p);
}

/* ---- Ledger and janitor ---------------------------------------------------------------------------------------------- */

void relay_commit(bool then_dies)
{
    bool stale[PIPES] = {false};
    int rc = SQLITE_OK;
    if (!running)
        return;
    sql("BEGIN IMMEDIATE");
    for (int i = 0; i < PIPES && rc == SQLITE_OK; i++)
        if (pipes[i].posted.any && pipes[i].claimed)
            rc = settlement_write(&writer, pipes[i].settings.consumer, pipes[i].lease_token, &pipes[i].posted,
                                  &stale[i]);
    if (rc != SQLITE_OK)
        world_fail("settlement: %s", sqlite3_errmsg(ledger));
    sql(then_dies ? "ROLLBACK" : "COMMIT");
    if (then_dies) {
        relay_die();
        return;
    }
    for (int i = 0; i < PIPES; i++) {
        if (pipes[i].posted.any)
            pipes[i].committed_seq = pipes[i].posted.acked_seq;
        settlement_clear(&pipes[i].posted);
        if (stale[i])
            pipes[i].claimed = pipes[i].open = false;
    }
}

void relay_reclaim(void)
{
    if (running && janitor_slice(&janitor, timestamp_now_us()) >= JANITOR_LATER)
        world_fail("the janitor: %s", janitor.words);
}

/* ---- Life and death ------------------------------------------------------------------------------------------------- */

void relay_die(void)
{
    receiver_cut_off();
    for (int i = 0; i < PIPES; i++) {
        struct pipe *p = &pipes[i];
        if (p->sink)
            p->ops->close(p->sink);
        trail_close(p->trail);
        p->sink = NULL;
        p->trail = NULL;
        p->claimed = p->open = p->broken = false;
        settlement_clear(&p->posted);
        free(p->cursor.position);
        p->cursor = (struct cursor){0};
    }
    running = false;
}

void relay_start(void)
{
    disk_revive();
    running = true;
}

int64_t relay_due_us(void)
{
    int64_t due_us = receiver_due_us();
    for (int i = 0; i < PIPES; i++) {
        int64_t wish_us = pipes[i].sink ? pipes[i].ops->due(pipes[i].sink) : INT64_MAX;
        if (wish_us < due_us)
            due_us = wish_us;
    }
    return due_us;
}

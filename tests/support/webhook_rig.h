/* webhook_rig.h — drives sink_webhook through its ops, against a scripted server, with a pipeline and a ledger of a few
 * lines each over a real database file.
 *
 * The rig's ledger commits at once; rig_kill() throws the sink away as a kill would, and rig_start() begins again from
 * what the database has.
 */
#ifndef TESTS_SUPPORT_WEBHOOK_RIG_H
#define TESTS_SUPPORT_WEBHOOK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "clock.h"
#include "outbox_webhook.h"
#include "schema.h"
#include "scripted_server.h"
#include "sink.h"
#include "timestamp.h"

enum { RIG_DEADLINE_S = 20 };

struct rig {
    char directory[64], db_path[96], url[64], reason[SINK_REASON_SIZE], source[17], consumer[8];
    sqlite3 *db;
    struct sink_settings settings;
    struct sink_context context;
    struct sink *sink;
    struct cursor cursor;
    int64_t read_seq;
    bool disabled;
    int longest_wait_ms;
    enum sink_result last;
    struct server server;
};

static inline void rig_sql(struct rig *rig, const char *format, ...)
{
    va_list args;
    char *message = NULL;

    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sqlite3_exec(rig->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_free(sql);
}

static inline int64_t rig_number(struct rig *rig, const char *sql)
{
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(rig->db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(rig->db));
    int64_t value = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_finalize(st);
    return value;
}

/* One event by plain SQL: key NULL is unordered. */
static inline void rig_emit(struct rig *rig, const char *key, const char *payload)
{
    rig_sql(rig, "INSERT INTO outbox_events(topic, key, payload, ordering_key) VALUES ('orders', %Q, %Q, %Q)", key,
            payload, key);
}

static inline struct rig *rig_new(server_script *script, void *arg)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/outbox-webhook-test-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    snprintf(rig->db_path, sizeof rig->db_path, "%s/outbox.db", rig->directory);
    assert_int_equal(sqlite3_open(rig->db_path, &rig->db), SQLITE_OK);
    rig_sql(rig, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
    for (int i = 0; schema_migrations[i]; i++)
        assert_int_equal(sqlite3_exec(rig->db, schema_migrations[i], NULL, NULL, NULL), SQLITE_OK);
    rig_sql(rig, "UPDATE outbox_meta SET value = '0123456789abcdef' WHERE name = 'source'");
    rig_sql(rig, "INSERT INTO consumer_offsets(consumer, acked_seq) VALUES ('hook', 0)");
    strcpy(rig->source, "0123456789abcdef");
    strcpy(rig->consumer, "hook");
    assert_true(server_start(&rig->server, 0, script, arg));
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%d/hook?token=canary", rig->server.port);
    rig->settings = (struct sink_settings){
        .name = rig->consumer,
        .consumer = rig->consumer,
        .registered = true,
        .kind = SINK_WEBHOOK,
        .webhook = {.url = rig->url,
                    .url_shown = rig->consumer,
                    .format = FORMAT_CLOUDEVENTS,
                    .batch_count = 1,
                    .concurrency = 8,
                    .timeout_us = 5000000,
                    .connect_timeout_us = 2000000,
                    .max_attempts = 4,
                    .backoff_min_us = 20000,
                    .backoff_max_us = 100000},
    };
    rig->longest_wait_ms = 100;
    rig->context = (struct sink_context){.settings = &rig->settings,
                                         .db_path = rig->db_path,
                                         .source = rig->source,
                                         .db = rig->db,
                                         .reason = rig->reason};
    return rig;
}

static inline void rig_start(struct rig *rig)
{
    sqlite3_stmt *st;

    rig->sink = sink_webhook.create(&rig->context);
    assert_non_null(rig->sink);
    assert_int_equal(sqlite3_prepare_v2(rig->db, "SELECT acked_seq, position FROM consumer_offsets", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    free(rig->cursor.position);
    const char *position = (const char *)sqlite3_column_text(st, 1);
    rig->cursor = (struct cursor){sqlite3_column_int64(st, 0), position ? strdup(position) : NULL};
    sqlite3_finalize(st);
    assert_int_equal(sink_webhook.open(rig->sink, &rig->cursor), SINK_OK);
    rig->read_seq = rig->cursor.acked_seq;
}

static inline void rig_kill(struct rig *rig)
{
    sink_webhook.close(rig->sink);
    rig->sink = NULL;
}

static inline void rig_free(struct rig *rig)
{
    char command[96];

    rig_kill(rig);
    server_stop(&rig->server);
    server_free(&rig->server);
    sqlite3_close(rig->db);
    snprintf(command, sizeof command, "rm -r '%s'", rig->directory);
    assert_int_equal(system(command), 0);
    free(rig->cursor.position);
    free(rig);
}

static inline const char *rig_text(sqlite3_stmt *st, int column, size_t *size)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    *size = (size_t)sqlite3_column_bytes(st, column);
    return text;
}

/* The pipeline's reading: as many as there is room for, each put. */
static inline void rig_read(struct rig *rig)
{
    sqlite3_stmt *st;

    assert_int_equal(
        sqlite3_prepare_v2(rig->db,
                           "SELECT seq, topic, table_name, key, op, revision, payload, headers, ordering_key,"
                           "       created_at FROM change_log WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                           -1, &st, NULL),
        SQLITE_OK);
    sqlite3_bind_int64(st, 1, rig->read_seq);
    sqlite3_bind_int(st, 2, sink_webhook.room(rig->sink));
    while (sqlite3_step(st) == SQLITE_ROW) {
        struct source_row row = {.error = NULL};
        outbox_event *e = &row.event;
        e->seq = sqlite3_column_int64(st, 0);
        e->topic = rig_text(st, 1, &e->topic_size);
        e->table = rig_text(st, 2, &e->table_size);
        e->key = rig_text(st, 3, &e->key_size);
        e->op = (const char *)sqlite3_column_text(st, 4);
        e->revision = sqlite3_column_int64(st, 5);
        e->payload_is_blob = sqlite3_column_type(st, 6) == SQLITE_BLOB;
        e->payload = e->payload_is_blob ? sqlite3_column_blob(st, 6) : rig_text(st, 6, &e->payload_size);
        e->payload_size = (size_t)sqlite3_column_bytes(st, 6);
        e->headers = rig_text(st, 7, &e->headers_size);
        e->ordering_key = rig_text(st, 8, &e->ordering_key_size);
        e->time_us = sqlite3_column_int64(st, 9);
        assert_int_equal(sink_webhook.put(rig->sink, &row), SINK_OK);
        rig->read_seq = e->seq;
    }
    sqlite3_finalize(st);
}

/* The ledger: one settlement, one transaction. */
static inline void rig_settle(struct rig *rig)
{
    static const char *const states[] = {"retry", "waiting", "dead"};
    struct settlement s;

    if (!sink_webhook.settle(rig->sink, &s))
        return;
    assert_true(s.acked_seq >= rig->cursor.acked_seq);
    rig->cursor.acked_seq = s.acked_seq;
    rig->disabled |= s.disable;
    rig_sql(rig, "BEGIN; UPDATE consumer_offsets SET acked_seq = %lld, position = %Q", (long long)s.acked_seq,
            s.position);
    for (int i = 0; i < s.change_count; i++) {
        struct failed_change *c = &s.changes[i];
        if (c->state == FAILED_GONE)
            rig_sql(rig, "DELETE FROM failed_deliveries WHERE seq = %lld", (long long)c->seq);
        else
            rig_sql(
                rig,
                "INSERT INTO failed_deliveries VALUES ('hook', %lld, %Q, %Q, %d, %lld, %d, %Q, %lld) ON CONFLICT DO UPDATE SET"
                " state = excluded.state, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,"
                " last_status = excluded.last_status, last_error = excluded.last_error,"
                " failed_at = iif(%d, excluded.failed_at, failed_at)",
                (long long)c->seq, c->key, states[c->state], c->attempts, (long long)c->next_attempt_at_us,
                c->last_status, c->last_error, (long long)(c->failed_at_us ? c->failed_at_us : timestamp_now_us()),
                c->failed_at_us != 0);
        if (c->state != FAILED_GONE && c->attempt.at_us)
            rig_sql(
                rig,
                "INSERT OR REPLACE INTO failed_attempts VALUES ('hook', %lld, %lld, %d, %d, %Q, %Q, CAST(%Q AS BLOB))",
                (long long)c->seq, (long long)c->attempt.at_us, c->attempts, c->last_status, c->last_error,
                c->attempt.request, c->attempt.answer);
        failed_change_fini(c);
    }
    free(s.changes);
    rig_sql(rig, "COMMIT");
}

static inline void rig_turn(struct rig *rig)
{
    rig_read(rig);
    rig->last = sink_webhook.push(rig->sink);
    rig_settle(rig);
}

static inline void rig_wait(struct rig *rig)
{
    int64_t now = clock_monotonic_us();
    int timeout = clock_poll_ms(sink_webhook.due(rig->sink), now);
    sink_webhook.wait(rig->sink, -1, timeout < 0 || timeout > rig->longest_wait_ms ? rig->longest_wait_ms : timeout);
}

/* Turns until done() or the deadline. */
static inline void rig_until(struct rig *rig, bool (*done)(struct rig *), const char *what)
{
    int64_t deadline = clock_monotonic_us() + RIG_DEADLINE_S * 1000000LL;

    for (rig_turn(rig); !done(rig); rig_turn(rig)) {
        if (clock_monotonic_us() > deadline)
            fail_msg("not within %d s: %s (acked %lld of %lld, %lld to retry, %d requests)", RIG_DEADLINE_S, what,
                     (long long)rig->cursor.acked_seq, (long long)rig->read_seq,
                     (long long)sink_webhook.retrying(rig->sink), server_count(&rig->server));
        rig_wait(rig);
    }
}

static inline bool rig_all_settled(struct rig *rig)
{
    return rig->cursor.acked_seq == rig_number(rig, "SELECT max(seq) FROM change_log");
}

/* Nothing is left but what is dead, or parked behind a dead one. */
static inline bool rig_all_done(struct rig *rig)
{
    return rig_all_settled(rig) && sink_webhook.retrying(rig->sink) == 0;
}

static inline void rig_deliver(struct rig *rig)
{
    rig_until(rig, rig_all_done, "everything delivered, dead or parked");
}

/* Each key's events arrive in seq order, repeats aside; and never two of one key at once. */
static inline void rig_check_order(struct rig *rig)
{
    struct server *s = &rig->server;

    assert_int_equal(s->overlaps, 0);
    for (int i = 0; i < s->request_count; i++)
        for (int j = i + 1; j < s->request_count; j++) {
            const struct server_request *a = &s->requests[i], *b = &s->requests[j];
            if (a->key[0] && strcmp(a->key, b->key) == 0 &&
                atoll(strrchr(b->id, '-') + 1) < atoll(strrchr(a->id, '-') + 1))
                fail_msg("of key %s, %s came after %s", a->key, b->id, a->id);
        }
}

/* A script: one key always fails. And sixty events of which it has each tenth, from the first on. */
static inline void rig_poison(void *arg, const struct server_request *r, struct server_answer *answer)
{
    (void)arg;
    if (strcmp(r->key, "poison") == 0)
        answer->status = 500;
}

static inline void rig_emit_poisoned(struct rig *rig)
{
    char key[16];

    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "k%d", i % 5);
        rig_emit(rig, i % 10 == 0 ? "poison" : key, "{}");
    }
}

/* How often the event came. */
static inline int rig_times(struct rig *rig, int64_t seq)
{
    char id[64];
    int times = 0;

    snprintf(id, sizeof id, "%s-%lld", rig->source, (long long)seq);
    pthread_mutex_lock(&rig->server.lock);
    for (int i = 0; i < rig->server.request_count; i++)
        times += strcmp(rig->server.requests[i].id, id) == 0;
    pthread_mutex_unlock(&rig->server.lock);
    return times;
}

#endif

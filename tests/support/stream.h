/* stream.h — a JSONL stream under test: a database in memory, a directory of its own, a ledger that remembers what it
 * was told, a disk that fails (disk.h). What came of it is read by stream_check.h.
 */
#ifndef TEST_STREAM_H
#define TEST_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "disk.h"
#include "schema.h"
#include "sink.h"
#include "sinks/jsonl.h"
#include "stream_check.h"

/* ---- A stream, its database, its ledger --------------------------------------------------------------------------- */

struct stream {
    char dir[64], path[96], name[8];
    sqlite3 *db;
    struct sink_settings settings;
    struct sink_context context;
    char reason[SINK_REASON_SIZE];
    struct disk disk;
    struct sink *sink;

    int64_t acked_seq;  /* the ledger */
    char position[128]; /* "": NULL */
    bool reclaimed;     /* change_log loses what is acknowledged before each open() */
    bool forgetful;     /* it hears nothing, as if each of its commits came after the crash */
    int64_t keep_each;  /* a filter: only seqs that it divides; 1: all */
    int64_t read_seq;   /* the pipeline's */
    int batch;
    int turns;       /* every other one as under a backlog, when lines are prepared ahead */
    int64_t step_us; /* what the clock does between two pushes */
};

#define STREAM_SOURCE "9f86d081884c7d65"

static inline void stream_sql(struct stream *s, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(s->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static inline void stream_events(struct stream *s, int count)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             "INSERT INTO change_log(topic, key, op, payload, created_at)"
             " SELECT 't', 'k' || i, 'emit', '{\"n\":' || i || ',\"pad\":\"' || hex(zeroblob(i * 7 %% 97)) || '\"}',"
             "        1700000000000000 + abs(random() %% 1000000000) FROM n",
             count);
    stream_sql(s, sql);
    s->context.last_seq = 0;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(s->db, "SELECT max(seq) FROM change_log", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    s->context.last_seq = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
}

static inline int stream_setup(void **state)
{
    struct stream *s = calloc(1, sizeof *s);

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    strcpy(s->dir, "/tmp/outbox-stream-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/events.jsonl", s->dir);
    assert_int_equal(sqlite3_open(":memory:", &s->db), SQLITE_OK);
    stream_sql(s, schema_text);
    disk_init(&s->disk);
    strcpy(s->name, "jsonl");
    s->settings = (struct sink_settings){.name = s->name, .consumer = s->name, .kind = SINK_JSONL};
    s->settings.jsonl = (struct jsonl_settings){.path = s->path, .max_size_bytes = 64 << 20};
    s->context = (struct sink_context){
        .settings = &s->settings, .source = STREAM_SOURCE, .db = s->db, .reason = s->reason};
    s->keep_each = 1;
    s->batch = 7;
    s->step_us = 10000;
    *state = s;
    return 0;
}

static inline void stream_kill(struct stream *s)
{
    sink_jsonl.close(s->sink);
    s->sink = NULL;
}

static inline void stream_clean(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static inline int stream_teardown(void **state)
{
    struct stream *s = *state;
    stream_kill(s);
    stream_clean(s->dir);
    rmdir(s->dir);
    sqlite3_close(s->db);
    free(s);
    return 0;
}

#define stream_test(f) cmocka_unit_test_setup_teardown(f, stream_setup, stream_teardown)

static inline void stream_settle(struct stream *s)
{
    struct settlement told;

    if (!sink_jsonl.settle(s->sink, &told) || s->forgetful)
        return;
    assert_true(told.acked_seq >= s->acked_seq);
    assert_int_equal(told.change_count, 0);
    s->acked_seq = told.acked_seq;
    snprintf(s->position, sizeof s->position, "%s", told.position ? told.position : "");
}

static inline enum sink_result stream_open(struct stream *s)
{
    struct cursor cursor = {.acked_seq = s->acked_seq, .position = s->position[0] ? strdup(s->position) : NULL};

    s->reason[0] = '\0';
    if (s->reclaimed) {
        char sql[80];
        snprintf(sql, sizeof sql, "DELETE FROM change_log WHERE seq <= %" PRId64, s->acked_seq);
        stream_sql(s, sql);
    }
    if (!s->sink)
        s->sink = jsonl_create(&s->context, &s->disk.ops);
    enum sink_result result = sink_jsonl.open(s->sink, &cursor);
    if (result == SINK_OK) {
        s->read_seq = cursor.acked_seq;
        stream_settle(s);
    }
    free(cursor.position);
    return result;
}

/* It can't be opened, and never will be, for a reason that has these words. */
static inline void stream_broken(struct stream *s, const char *words)
{
    assert_int_equal(stream_open(s), SINK_BROKEN);
    if (!strstr(s->reason, words))
        fail_msg("'%s' does not say '%s'", s->reason, words);
}

static inline enum sink_result stream_put(struct stream *s, const struct source_row *row, bool ahead)
{
    void *item = ahead ? sink_jsonl.prepare(s->sink, row) : NULL;
    return ahead ? sink_jsonl.put_prepared(s->sink, item) : sink_jsonl.put(s->sink, row);
}

/* One turn of the pipeline: a batch from the database into the sink. */
static inline enum sink_result stream_turn(struct stream *s)
{
    sqlite3_stmt *stmt;
    enum sink_result result = SINK_OK;
    int room = sink_jsonl.room(s->sink);
    bool ahead = s->turns++ % 2 == 1;

    if (ahead)
        sink_jsonl.prepare_more(s->sink);

    assert_int_equal(sqlite3_prepare_v2(s->db,
                                        "SELECT seq, topic, key, payload, created_at FROM change_log"
                                        " WHERE seq > ? ORDER BY seq LIMIT ?",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(stmt, 1, s->read_seq);
    sqlite3_bind_int(stmt, 2, room < s->batch ? room : s->batch);
    while (result == SINK_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(stmt, 0);
        struct source_row row = {.event = {.seq = seq,
                                           .op = "emit",
                                           .topic = (const char *)sqlite3_column_text(stmt, 1),
                                           .key = (const char *)sqlite3_column_text(stmt, 2),
                                           .payload = sqlite3_column_text(stmt, 3),
                                           .time_us = sqlite3_column_int64(stmt, 4)}};
        row.event.topic_size = (size_t)sqlite3_column_bytes(stmt, 1);
        row.event.key_size = (size_t)sqlite3_column_bytes(stmt, 2);
        row.event.payload_size = (size_t)sqlite3_column_bytes(stmt, 3);
        if (seq % s->keep_each == 0)
            result = stream_put(s, &row, ahead);
        else
            (sink_jsonl.skip)(s->sink, seq); /* cmocka has a macro of this name */
        s->read_seq = seq;
    }
    sqlite3_finalize(stmt);
    if (result == SINK_OK)
        result = sink_jsonl.push(s->sink);
    stream_settle(s);
    s->disk.clock_us += s->step_us;
    return result;
}

/* Delivers all there is, through as many temporary faults as come, and finishes. Stops where the process is dead. */
static inline enum sink_result stream_run(struct stream *s)
{
    enum sink_result result = stream_open(s);

    for (int turns = 0; !s->disk.gone && result != SINK_BROKEN; turns++) {
        if (turns > 20000)
            fail_msg("no end: %s", s->reason);
        if (result == SINK_LATER) {
            int64_t due_us = sink_jsonl.due(s->sink);
            assert_true(due_us <= s->disk.clock_us + 5000000);
            s->disk.clock_us = due_us > s->disk.clock_us ? due_us : s->disk.clock_us;
            result = stream_open(s);
        } else if (s->read_seq < s->context.last_seq) {
            result = stream_turn(s);
        } else if ((result = sink_jsonl.finish(s->sink)) == SINK_OK) {
            stream_settle(s);
            break;
        }
    }
    return result;
}

static inline void stream_deliver(struct stream *s)
{
    if (stream_run(s) != SINK_OK)
        fail_msg("not delivered: %s", s->reason);
}

/* Small segments, so that everything happens often: a rotation in every other batch. */
static inline void stream_rotate_often(struct stream *s)
{
    s->settings.jsonl.max_size_bytes = 2000;
    s->step_us = 600000;
}

/* What was not synced is lost. */
static inline void stream_unplug(struct stream *s)
{
    struct disk *disk = &s->disk;
    bool named = !disk->unsynced_new[0] && !disk->unsynced_from[0];
    int dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY);

    disk->gone = true;
    if (disk->unsynced_new[0])
        unlinkat(dir_fd, disk->unsynced_new, 0);
    if (disk->unsynced_from[0])
        assert_int_equal(renameat(dir_fd, disk->unsynced_to, dir_fd, disk->unsynced_from), 0);
    int fd = openat(dir_fd, "events.jsonl", O_RDWR);
    if (fd >= 0 && named)
        disk_lose(disk, fd);
    if (fd >= 0)
        close(fd);
    close(dir_fd);
}

/* The process is dead; the next one has a disk that works, and that still owes what it owed. */
static inline void stream_bury(struct stream *s)
{
    struct disk *disk = &s->disk;
    struct stat status;

    if (disk->mode == DISK_NO_POWER && disk->gone) {
        stream_unplug(s);
        disk->unsynced_new[0] = disk->unsynced_from[0] = '\0';
        disk->synced_bytes = stat(s->path, &status) == 0 ? status.st_size : 0;
    }
    stream_kill(s);
    disk->mode = DISK_FINE;
    disk->gone = false;
    disk->killed_at = 0;
    disk->clock_us += 1000000;
}

/* As if nothing had been: no files, no cursor. */
static inline void stream_reset(struct stream *s)
{
    stream_kill(s);
    stream_clean(s->dir);
    disk_init(&s->disk);
    s->acked_seq = 0;
    s->position[0] = '\0';
}

/* ---- What came of it ---------------------------------------------------------------------------------------------- */

static inline struct checked stream_check(const struct stream *s)
{
    return check_files(s->dir, s->db);
}

static inline int64_t stream_size(const struct stream *s)
{
    struct stat status;
    assert_int_equal(stat(s->path, &status), 0);
    return status.st_size;
}

/* Every event that the filter lets pass, once. */
static inline void stream_complete(const struct stream *s)
{
    struct checked sum = stream_check(s);

    assert_true(sum.active);
    assert_int_equal(sum.count, s->context.last_seq / s->keep_each);
    assert_int_equal(sum.last, s->context.last_seq / s->keep_each * s->keep_each);
    assert_int_equal(s->acked_seq, s->context.last_seq);
}

#endif

/* exec_rig.h — drives sink_exec through its ops, with a pipeline and a ledger of a few lines each.
 *
 * Events 1 to last_seq are made up as they are read. The ledger commits at once; rig_kill() throws the sink away, and
 * rig_start() begins again from what the ledger has. Commands find the rig's directory in $D. After a failure the rig
 * opens again without waiting for due(), which it only notes.
 */
#ifndef TESTS_SUPPORT_EXEC_RIG_H
#define TESTS_SUPPORT_EXEC_RIG_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "log.h"
#include "sink.h"

enum { RIG_DEADLINE_S = 20, RIG_TEXT_SIZE = 1 << 16 };

/* Takes the seq of the line in $l. */
#define RIG_SEQ "s=${l#*:}; s=${s%%,*}; "
/* Notes each seq in the file seen, then acknowledges it. */
#define RIG_ECHO "while read -r l; do " RIG_SEQ "echo $s >>$D/seen; echo $s; done"

struct rig {
    char dir[64], name[8];
    struct sink_settings settings;
    struct sink_context context;
    char reason[SINK_REASON_SIZE];
    struct sink *sink;
    enum sink_result last; /* of open, put, push or finish */

    int64_t last_seq, read_seq;
    int64_t keep_each; /* a filter: only seqs that it divides */
    int batch;
    size_t pad;        /* bytes in each payload */
    const char *error; /* of each row */
    int64_t delay_us;  /* from the last failure to due() */
    int failures;
    int64_t push_us; /* the longest push */

    int64_t acked_seq; /* the ledger */
    char position[64];
    char text[RIG_TEXT_SIZE]; /* of the last rig_file() */
};

static inline void rig_open(struct rig *rig)
{
    struct cursor cursor = {.acked_seq = rig->acked_seq, .position = rig->position[0] ? rig->position : NULL};

    rig->reason[0] = '\0';
    rig->last = sink_exec.open(rig->sink, &cursor);
    rig->read_seq = cursor.acked_seq;
}

static inline void rig_start(struct rig *rig)
{
    rig->sink = sink_exec.create(&rig->context);
    assert_non_null(rig->sink);
    rig_open(rig);
}

static inline void rig_kill(struct rig *rig)
{
    sink_exec.close(rig->sink);
    rig->sink = NULL;
}

static inline struct rig *rig_new(const char *command, int64_t last_seq)
{
    struct rig *rig = calloc(1, sizeof *rig);

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    signal(SIGPIPE, SIG_IGN); /* as the relay does */
    strcpy(rig->dir, "/tmp/outbox-exec-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    setenv("D", rig->dir, 1);
    strcpy(rig->name, "exec");
    rig->settings = (struct sink_settings){.name = rig->name, .consumer = rig->name, .kind = SINK_EXEC};
    rig->settings.exec = (struct exec_settings){.command = strdup(command), .timeout_us = 30000000};
    rig->context = (struct sink_context){
        .settings = &rig->settings, .source = "9f86d081884c7d65", .reason = rig->reason};
    rig->last_seq = last_seq;
    rig->keep_each = 1;
    rig->batch = 200;
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    char command[128];

    rig_kill(rig);
    snprintf(command, sizeof command, "rm -rf %s", rig->dir);
    assert_int_equal(system(command), 0);
    free(rig->settings.exec.command);
    free(rig);
}

static inline void rig_settle(struct rig *rig)
{
    struct settlement told = {0};

    if (!sink_exec.settle(rig->sink, &told))
        return;
    assert_true(told.acked_seq > rig->acked_seq);
    assert_int_equal(told.change_count, 0);
    rig->acked_seq = told.acked_seq;
    snprintf(rig->position, sizeof rig->position, "%s", told.position);
}

static inline void rig_read(struct rig *rig)
{
    int room = sink_exec.room(rig->sink);
    char *payload = malloc(rig->pad + 3);

    memset(payload, 'x', rig->pad + 2);
    payload[0] = payload[rig->pad + 1] = '"';
    for (int i = 0; i < room && i < rig->batch && rig->read_seq < rig->last_seq && rig->last == SINK_OK; i++) {
        struct source_row row = {.event = {.seq = ++rig->read_seq,
                                           .op = "emit",
                                           .topic = "t",
                                           .topic_size = 1,
                                           .payload = payload,
                                           .payload_size = rig->pad + 2},
                                 .error = rig->error};
        if (rig->read_seq % rig->keep_each == 0)
            rig->last = sink_exec.put(rig->sink, &row);
        else
            (sink_exec.skip)(rig->sink, rig->read_seq); /* cmocka has a macro of this name */
    }
    free(payload);
}

static inline void rig_wait(struct rig *rig)
{
    int timeout_ms = clock_poll_ms(sink_exec.due(rig->sink), clock_monotonic_us());
    sink_exec.wait(rig->sink, -1, timeout_ms < 0 || timeout_ms > 10 ? 10 : timeout_ms);
}

static inline void rig_push(struct rig *rig)
{
    int64_t begin_us = clock_monotonic_us();
    rig->last = sink_exec.push(rig->sink);
    int64_t now_us = clock_monotonic_us();
    rig->push_us = now_us - begin_us > rig->push_us ? now_us - begin_us : rig->push_us;
    rig_settle(rig);
    if (rig->last == SINK_LATER) {
        rig->failures++;
        rig->delay_us = sink_exec.due(rig->sink) - now_us;
    }
}

/* Where the last turn failed, it is opened again; then read, push, settle, wait. */
static inline void rig_turn(struct rig *rig)
{
    if (rig->last == SINK_LATER)
        rig_open(rig);
    if (rig->last == SINK_OK)
        rig_read(rig);
    if (rig->last == SINK_OK)
        rig_push(rig);
    if (rig->last == SINK_OK)
        rig_wait(rig);
}

static inline void rig_until(struct rig *rig, bool (*done)(struct rig *), const char *what)
{
    int64_t deadline_us = clock_monotonic_us() + RIG_DEADLINE_S * INT64_C(1000000);

    while (!done(rig)) {
        if (clock_monotonic_us() > deadline_us)
            fail_msg("not within %d s: %s (acked %lld of %lld, read %lld)", RIG_DEADLINE_S, what,
                     (long long)rig->acked_seq, (long long)rig->last_seq, (long long)rig->read_seq);
        rig_turn(rig);
    }
}

static inline bool rig_all_acked(struct rig *rig)
{
    return rig->acked_seq == rig->last_seq;
}

static inline bool rig_failed(struct rig *rig)
{
    return rig->last == SINK_LATER;
}

/* As the pipeline ends it. */
static inline enum sink_result rig_finish(struct rig *rig)
{
    int64_t deadline_us = clock_monotonic_us() + RIG_DEADLINE_S * INT64_C(1000000);

    while ((rig->last = sink_exec.finish(rig->sink)) == SINK_LATER) {
        rig_push(rig);
        if (rig->last != SINK_OK)
            return rig->last;
        rig_wait(rig);
        if (clock_monotonic_us() > deadline_us)
            fail_msg("finish() has no end");
    }
    rig_settle(rig);
    return rig->last;
}

/* ---- What the command has left behind ----------------------------------------------------------------------------- */

static inline bool rig_has(struct rig *rig, const char *name)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", rig->dir, name);
    return stat(path, &st) == 0 && st.st_size > 0;
}

static inline const char *rig_file(struct rig *rig, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", rig->dir, name);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(rig->text, 1, sizeof rig->text - 1, file) : 0;
    rig->text[n] = '\0';
    if (file)
        fclose(file);
    return rig->text;
}

/* The numbers in a file stand for first to last, each once. */
static inline void rig_holds(struct rig *rig, const char *name, int64_t first, int64_t last)
{
    const char *at = rig_file(rig, name);
    char *end;

    for (int64_t seq = first; seq <= last; seq++, at = end)
        assert_int_equal(strtoll(at, &end, 10), seq);
    assert_string_equal(at, "\n");
}

static inline void rig_touch(struct rig *rig, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", rig->dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("x", file);
    fclose(file);
}

/* The process whose pid is in the file is gone, or waits to be reaped by somebody else. */
static inline bool rig_is_gone(struct rig *rig, const char *name)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", atoi(rig_file(rig, name)));
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    if (file)
        fclose(file);
    return state == 'Z';
}

#endif

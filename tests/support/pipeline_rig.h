/* pipeline_rig.h — a pipeline around a scripted sink, its ledger and its database, for the tests of pipelines.
 *
 * setup: a sink that encodes where it is put; setup_ahead: one for which pages are read ahead.
 */
#ifndef TESTS_PIPELINE_RIG_H
#define TESTS_PIPELINE_RIG_H

#include <pthread.h>
#include <stdbool.h>

#include "ledger_fixture.h"
#include "pipeline.h"

enum { TAKEN_MAX = 8192 };

/* What the sink is to do, and what it saw; shared by the test and the pipeline's thread. */
struct script {
    pthread_mutex_t mutex;
    int room;            /* 0: unlimited */
    int later_at_push;   /* the push, counted from 1, that answers LATER; 0: none */
    int later_at_open;   /* likewise for open */
    int later_at_put;    /* likewise for put */
    bool broken_at_push; /* every push does */
    bool broken_at_finish;
    int changes;      /* that come with each settlement */
    bool never_again; /* due() is INT64_MAX after LATER */
    bool hold;        /* takes, but delivers nothing */
    bool late;        /* settles nothing before finish(), as a file that is synced only then */
    int64_t retrying; /* what it says is left */
    int64_t open_at;  /* the cursor it answers to open(); negative: the one given */

    int opens, puts, pushes, closes, finishes;
    bool failing, in_transaction, once, once_at_finish;
    int64_t opened_at; /* the cursor given */
    int64_t taken[TAKEN_MAX], held[TAKEN_MAX];
    int taken_count, held_count;
    int64_t reached, settled;

    int prepared;          /* by another thread, and neither put nor discarded yet */
    pthread_t at_home;     /* the thread that opened the sink */
    bool prepared_at_home; /* by that thread */
};

static struct script *script_of_next_sink;

struct sink {
    struct script *script;
    const struct sink_context *context;
};

static inline struct sink *fake_create(const struct sink_context *context)
{
    struct sink *s = calloc(1, sizeof *s);
    s->script = script_of_next_sink;
    s->context = context;
    return s;
}

static inline enum sink_result fake_open(struct sink *s, struct cursor *cursor)
{
    struct script *x = s->script;
    pthread_mutex_lock(&x->mutex);
    x->opened_at = cursor->acked_seq;
    x->at_home = pthread_self();
    x->once = s->context->once;
    x->failing = ++x->opens == x->later_at_open;
    x->held_count = 0;
    if (x->open_at >= 0)
        cursor->acked_seq = x->open_at;
    x->reached = x->settled = cursor->acked_seq;
    snprintf(s->context->reason, SINK_REASON_SIZE, "the script says so");
    pthread_mutex_unlock(&x->mutex);
    return x->failing ? SINK_LATER : SINK_OK;
}

static inline int fake_room(const struct sink *s)
{
    pthread_mutex_lock(&s->script->mutex);
    int room = s->script->room ? s->script->room - s->script->held_count : 100000;
    pthread_mutex_unlock(&s->script->mutex);
    return room;
}

static inline enum sink_result take_seq(struct script *x, int64_t seq)
{
    pthread_mutex_lock(&x->mutex);
    x->failing = ++x->puts == x->later_at_put;
    if (!x->failing)
        x->held[x->held_count++] = seq;
    pthread_mutex_unlock(&x->mutex);
    return x->failing ? SINK_LATER : SINK_OK;
}

static inline enum sink_result fake_put(struct sink *s, const struct source_row *row)
{
    return take_seq(s->script, row->event.seq);
}

static inline void fake_skip(struct sink *s, int64_t seq)
{
    pthread_mutex_lock(&s->script->mutex);
    s->script->reached = seq;
    pthread_mutex_unlock(&s->script->mutex);
}

static inline enum sink_result fake_push(struct sink *s)
{
    struct script *x = s->script;
    enum sink_result result = SINK_OK;
    pthread_mutex_lock(&x->mutex);
    x->in_transaction = x->in_transaction || !sqlite3_get_autocommit(s->context->db);
    x->failing = x->held_count > 0 && ++x->pushes == x->later_at_push;
    snprintf(s->context->reason, SINK_REASON_SIZE, "the script says so");
    if (x->broken_at_push) {
        result = SINK_BROKEN;
    } else if (x->failing) {
        result = SINK_LATER;
    } else if (!x->hold) {
        for (int i = 0; i < x->held_count; i++)
            x->taken[x->taken_count++] = x->reached = x->held[i];
        x->held_count = 0;
    }
    pthread_mutex_unlock(&x->mutex);
    return result;
}

static inline int64_t fake_due(const struct sink *s)
{
    return s->script->failing && !s->script->never_again ? clock_monotonic_us() + 5000 : INT64_MAX;
}

/* So many failed deliveries, which no other settlement has. */
static inline struct failed_change *changes_of(int64_t settled, int count)
{
    struct failed_change *changes = calloc((size_t)count, sizeof *changes);
    for (int i = 0; i < count; i++)
        changes[i] = (struct failed_change){.seq = settled * 100000 + i, .state = FAILED_RETRY, .attempts = i};
    return changes;
}

static inline bool fake_settle(struct sink *s, struct settlement *out)
{
    pthread_mutex_lock(&s->script->mutex);
    bool any = s->script->settled != s->script->reached && (!s->script->late || s->script->finishes > 0);
    if (any)
        out->acked_seq = s->script->settled = s->script->reached;
    if (any && s->script->changes)
        out->changes = changes_of(out->acked_seq, out->change_count = s->script->changes);
    pthread_mutex_unlock(&s->script->mutex);
    return any;
}

static inline enum sink_result fake_finish(struct sink *s)
{
    pthread_mutex_lock(&s->script->mutex);
    s->script->finishes++;
    s->script->once_at_finish = s->context->once;
    bool left = s->script->held_count > 0 && !s->script->hold, broken = s->script->broken_at_finish;
    pthread_mutex_unlock(&s->script->mutex);
    return broken ? SINK_BROKEN : left ? SINK_LATER : SINK_OK;
}

static inline int64_t fake_retrying(const struct sink *s)
{
    return s->script->retrying;
}

static inline void fake_close(struct sink *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->script->mutex);
    s->script->closes++;
    pthread_mutex_unlock(&s->script->mutex);
    free(s);
}

static const struct sink_ops fake = {
    .kind = "fake",
    .create = fake_create,
    .open = fake_open,
    .room = fake_room,
    .put = fake_put,
    .skip = fake_skip,
    .push = fake_push,
    .due = fake_due,
    .settle = fake_settle,
    .finish = fake_finish,
    .retrying = fake_retrying,
    .close = fake_close,
};

static inline void *fake_prepare(struct sink *s, const struct source_row *row)
{
    struct script *x = s->script;
    int64_t *item = malloc(sizeof *item);
    *item = row->event.seq;
    pthread_mutex_lock(&x->mutex);
    x->prepared++;
    x->prepared_at_home |= pthread_equal(x->at_home, pthread_self());
    pthread_mutex_unlock(&x->mutex);
    return item;
}

static inline void fake_discard(struct sink *s, void *item)
{
    pthread_mutex_lock(&s->script->mutex);
    s->script->prepared--;
    pthread_mutex_unlock(&s->script->mutex);
    free(item);
}

static inline enum sink_result fake_put_prepared(struct sink *s, void *item)
{
    enum sink_result result = take_seq(s->script, *(int64_t *)item);
    fake_discard(s, item);
    return result;
}

static inline void fake_prepare_more(struct sink *s)
{
    (void)s;
}

struct bench {
    struct fixture *f;
    struct sink_ops ops;
    struct ledger *ledger;
    struct sink_settings settings;
    struct script script;
    struct pipeline *pipeline;
    int64_t wanted; /* by has_taken() */
};

static inline int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    b->ops = fake;
    b->settings = settings_of(strdup("c"));
    b->script.open_at = -1;
    pthread_mutex_init(&b->script.mutex, NULL);
    script_of_next_sink = &b->script;
    *state = b;
    return ledger_fixture_open(&b->f, &b->ledger);
}

/* Every backlog is then one of several pages. */
static inline int setup_ahead(void **state)
{
    int failed = setup(state);
    struct bench *b = *state;
    if (failed)
        return failed;
    b->ops.prepare = fake_prepare;
    b->ops.put_prepared = fake_put_prepared;
    b->ops.discard = fake_discard;
    b->ops.prepare_more = fake_prepare_more;
    b->settings.read_batch = 7;
    return 0;
}

static inline void start(struct bench *b, bool once)
{
    const struct pipeline_options options = {
        .settings = &b->settings,
        .ops = &b->ops,
        .db_path = b->f->path,
        .ledger = b->ledger,
        .once = once,
        .once_seq = database_last_seq(outbox_db(b->f->ob)),
        .notify_fd = -1,
    };
    b->pipeline = pipeline_start(&options);
    assert_non_null(b->pipeline);
}

static inline enum pipeline_state join(struct bench *b)
{
    struct pipeline *p = b->pipeline;
    b->pipeline = NULL;
    return pipeline_join(p);
}

static inline enum pipeline_state stop(struct bench *b)
{
    pipeline_stop(b->pipeline);
    return join(b);
}

static inline int teardown(void **state)
{
    struct bench *b = *state;
    if (b->pipeline)
        stop(b);
    int rc = ledger_fixture_close(b->f, b->ledger);
    assert_int_equal(b->script.prepared, 0);
    assert_false(b->script.prepared_at_home);
    pthread_mutex_destroy(&b->script.mutex);
    free(b->settings.consumer);
    free(b);
    return rc;
}

static inline bool has_taken(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->script.mutex);
    bool has = b->script.taken_count >= b->wanted;
    pthread_mutex_unlock(&b->script.mutex);
    return has;
}

static inline void await_taken(struct bench *b, int64_t count)
{
    b->wanted = count;
    assert_true(comes_true(has_taken, b));
}

static inline bool is_over(void *arg)
{
    return pipeline_state(((struct bench *)arg)->pipeline) != PIPELINE_RUNNING;
}

static inline bool is_closed(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->script.mutex);
    bool closed = b->script.closes > 0;
    pthread_mutex_unlock(&b->script.mutex);
    return closed;
}

static inline bool is_holding(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->script.mutex);
    bool holding = b->script.held_count > 0;
    pthread_mutex_unlock(&b->script.mutex);
    return holding;
}

static inline bool is_full(void *arg)
{
    struct bench *b = arg;
    pthread_mutex_lock(&b->script.mutex);
    bool full = b->script.held_count >= b->script.room;
    pthread_mutex_unlock(&b->script.mutex);
    return full;
}

static inline bool is_acked(void *arg)
{
    struct bench *b = arg;
    return fixture_int(b->f, "SELECT max(acked_seq) FROM consumer_offsets") >= b->wanted;
}

static inline int64_t acked(struct bench *b)
{
    return fixture_int(b->f, "SELECT acked_seq FROM consumer_offsets WHERE consumer = 'c'");
}

/* 1 to count, each once, in order. */
static inline void assert_taken(struct bench *b, int count)
{
    assert_int_equal(b->script.taken_count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(b->script.taken[i], i + 1);
}

#define BOTH(test)                                                                                                     \
    {#test, test, setup, teardown, NULL},                                                                              \
    {                                                                                                                  \
#test ", read ahead", test, setup_ahead, teardown, NULL                                                        \
    }

#endif

/* ledger.c — what pipelines and the supervisor call; see ledger.h. The writing is done by ledger_thread.c.
 *
 * Every function here only changes the shared state and wakes the thread, or waits for what the thread will say.
 */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "database.h"
#include "exit_codes.h"
#include "ledger_state.h"

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void destroy(struct ledger *l)
{
    settlement_writer_fini(&l->writer);
    wal_keeper_fini(&l->keeper);
    sqlite3_close(l->db);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

int ledger_open(const char *db_path, struct ledger **out, char *message, size_t message_size)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l) {
        snprintf(message, message_size, "out of memory");
        return EXIT_TEMPORARY;
    }
    int code = database_open_writer(db_path, &l->db, message, message_size);
    if (code != EXIT_DONE) {
        free(l);
        return code;
    }
    pthread_mutex_init(&l->mutex, NULL);
    init_condition(&l->work);
    init_condition(&l->done);
    wal_keeper_init(&l->keeper, l->db);
    janitor_init(&l->janitor, l->db);
    if (settlement_writer_open(&l->writer, l->db) != SQLITE_OK) {
        snprintf(message, message_size, "database %s: %s", db_path, sqlite3_errmsg(l->db));
        code = EXIT_PERMANENT;
    } else if (pthread_create(&l->thread, NULL, ledger_thread, l) != 0) {
        snprintf(message, message_size, "no thread for the ledger");
        code = EXIT_TEMPORARY;
    }
    if (code == EXIT_DONE)
        *out = l;
    else
        destroy(l);
    return code;
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->mutex);
    l->stopping = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    destroy(l);
}

enum ledger_result ledger_reclaim(struct ledger *l)
{
    pthread_mutex_lock(&l->mutex);
    l->reclaim_wanted = true;
    l->reclaim_failures = 0;
    l->reclaim_at_us = 0;
    l->reclaim_result = LEDGER_BROKEN; /* where the ledger ends before it is done */
    pthread_cond_signal(&l->work);
    while (l->reclaim_wanted && !l->ended)
        pthread_cond_wait(&l->done, &l->mutex);
    enum ledger_result result = l->reclaim_result;
    pthread_mutex_unlock(&l->mutex);
    return result;
}

struct ledger_consumer *ledger_join(struct ledger *l, const struct sink_settings *settings, struct wake *wake)
{
    struct ledger_consumer *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->ledger = l;
    c->settings = settings;
    c->wake = wake;
    pthread_mutex_lock(&l->mutex);
    c->next = l->consumers;
    l->consumers = c;
    pthread_mutex_unlock(&l->mutex);
    return c;
}

void ledger_leave(struct ledger_consumer *c)
{
    if (!c)
        return;
    struct ledger *l = c->ledger;
    pthread_mutex_lock(&l->mutex);
    while (c->busy)
        pthread_cond_wait(&l->done, &l->mutex);
    struct ledger_consumer **at = &l->consumers;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    pthread_mutex_unlock(&l->mutex);
    settlement_clear(&c->posted);
    free(c);
}

enum ledger_result ledger_claim(struct ledger_consumer *c, bool patient, struct cursor *cursor, int64_t *lease_token,
                                char *reason, size_t reason_size)
{
    struct ledger *l = c->ledger;
    pthread_mutex_lock(&l->mutex);
    while (c->busy)
        pthread_cond_wait(&l->done, &l->mutex);
    settlement_clear(&c->posted);
    c->patient = patient;
    c->stage = CLAIM_WANTED;
    pthread_cond_signal(&l->work);
    while (c->busy || (c->stage == CLAIM_WANTED && !c->interrupted && !l->ended))
        pthread_cond_wait(&l->done, &l->mutex);
    enum ledger_result result = c->stage == CLAIM_ANSWERED ? c->claim_result
                                : l->ended                 ? LEDGER_BROKEN
                                                           : LEDGER_INTERRUPTED;
    snprintf(reason, reason_size, "%s", c->stage == CLAIM_ANSWERED ? c->reason : l->reason);
    c->stage = CLAIM_NONE;
    if (result == LEDGER_OK) {
        *cursor = c->claim.cursor;
        *lease_token = c->lease_token = c->claim.lease_token;
        c->recorded_seq = cursor->acked_seq;
        c->stale = false;
    }
    pthread_mutex_unlock(&l->mutex);
    return result;
}

bool ledger_post(struct ledger_consumer *c, const struct settlement *settlement)
{
    pthread_mutex_lock(&c->ledger->mutex);
    bool known = c->posted.any; /* and the thread sleeps until it may commit */
    bool kept = settlement_add(&c->posted, settlement);
    if (!known)
        pthread_cond_signal(&c->ledger->work);
    pthread_mutex_unlock(&c->ledger->mutex);
    return kept;
}

enum ledger_result ledger_flush(struct ledger_consumer *c, int timeout_ms)
{
    struct ledger *l = c->ledger;
    int64_t until_us = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    int rc = 0;
    pthread_mutex_lock(&l->mutex);
    while ((c->posted.any || c->busy) && !c->stale && !l->ended && rc == 0) {
        l->hurry = true;
        pthread_cond_signal(&l->work);
        rc = pthread_cond_timedwait(&l->done, &l->mutex, &until);
    }
    bool left = c->posted.any || c->busy;
    enum ledger_result result = c->stale || (left && l->ended) ? LEDGER_BROKEN : left ? LEDGER_LATER : LEDGER_OK;
    pthread_mutex_unlock(&l->mutex);
    return result;
}

enum ledger_standing ledger_standing(struct ledger_consumer *c)
{
    pthread_mutex_lock(&c->ledger->mutex);
    enum ledger_standing standing = c->ledger->ended ? LEDGER_ENDED : c->stale ? LEDGER_STALE : LEDGER_HELD;
    pthread_mutex_unlock(&c->ledger->mutex);
    return standing;
}

void ledger_use_trail(struct ledger_consumer *c, struct trail *trail)
{
    pthread_mutex_lock(&c->ledger->mutex);
    c->trail = trail;
    pthread_mutex_unlock(&c->ledger->mutex);
}

bool ledger_recorded(struct ledger_consumer *c, int64_t *acked_seq)
{
    pthread_mutex_lock(&c->ledger->mutex);
    bool all = !c->stale && !c->ledger->ended && !c->posted.any && !c->busy;
    *acked_seq = c->recorded_seq;
    pthread_mutex_unlock(&c->ledger->mutex);
    return all;
}

int ledger_backlog(struct ledger_consumer *c)
{
    pthread_mutex_lock(&c->ledger->mutex);
    int count = c->posted.change_count;
    pthread_mutex_unlock(&c->ledger->mutex);
    return count;
}

void ledger_interrupt(struct ledger_consumer *c)
{
    pthread_mutex_lock(&c->ledger->mutex);
    c->interrupted = true;
    pthread_cond_broadcast(&c->ledger->done);
    pthread_mutex_unlock(&c->ledger->mutex);
}

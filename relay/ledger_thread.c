/* ledger_thread.c — gathers, commits, claims, reclaims; see ledger.h.
 *
 * The thread moves what is posted into `writing`, lets go of the mutex, writes, and takes the mutex again to say how it
 * went. A settlement is in `posted` or in `writing` until it is committed or its token is gone: never in neither.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "database.h"
#include "ledger_state.h"
#include "log.h"
#include "timestamp.h"

enum {
    COMMIT_EVERY_US = 50000,     /* when busy */
    RETRY_MIN_US = 20000,        /* after a failed transaction, doubling to … */
    RETRY_MAX_US = 2000000,      /* … this */
    TROUBLE_SILENT_US = 5000000, /* a busy writer is nothing to speak of before that */
    RECLAIM_SOON_US = 1000000,   /* after acknowledgements */
    RECLAIM_PAUSE_US = 2000,     /* between two slices: others get the lock */
    RECLAIM_IDLE_US = 60000000,  /* history and retain end without anybody's doing */
    RECLAIM_RETRIES = 20         /* ledger_reclaim() */
};

/* ---- How transactions went ---------------------------------------------------------------------------------------- */

static void poke_all(struct ledger *l)
{
    for (struct ledger_consumer *c = l->consumers; c; c = c->next)
        wake_poke(c->wake);
}

/* This process will never write the database again. Holds the mutex. */
static void end(struct ledger *l, const char *reason, const char *detail)
{
    if (l->ended)
        return;
    l->ended = true;
    snprintf(l->reason, sizeof l->reason, "%s%s", reason, detail);
    poke_all(l);
    pthread_cond_broadcast(&l->done);
}

/* Rolls back, decides whether to try again, and says so once. rc is what failed. */
static void failed(struct ledger *l, int rc)
{
    char words[SINK_REASON_SIZE / 2];
    snprintf(words, sizeof words, "%s", database_error_words(l->db, rc));
    database_roll_back(l->db);
    if ((rc & 0xff) == SQLITE_FULL)
        wal_keeper_relieve(&l->keeper);
    int64_t now = clock_monotonic_us();
    if (!database_error_is_temporary(rc)) {
        pthread_mutex_lock(&l->mutex);
        end(l, "the database cannot be written: ", words);
        pthread_mutex_unlock(&l->mutex);
        return;
    }
    if (!l->retry_us)
        l->trouble_since_us = now;
    if (!l->trouble_said && ((rc & 0xff) != SQLITE_BUSY || now - l->trouble_since_us > TROUBLE_SILENT_US)) {
        log_write(LOG_LEVEL_WARN, NULL, "acknowledgements wait, the database cannot be written now: %s", words);
        l->trouble_said = true;
    }
    l->retry_us = !l->retry_us ? RETRY_MIN_US : l->retry_us * 2 < RETRY_MAX_US ? l->retry_us * 2 : RETRY_MAX_US;
    l->commit_at_us = now + l->retry_us;
}

static void succeeded(struct ledger *l)
{
    if (l->trouble_said)
        log_write(LOG_LEVEL_INFO, NULL, "acknowledgements are recorded again");
    l->retry_us = 0;
    l->trouble_said = false;
    l->commit_at_us = clock_monotonic_us() + COMMIT_EVERY_US;
    wal_keeper_tend(&l->keeper); /* what it could not do now it does after the next commit */
}

/* Begins a transaction, unless the file was replaced: an acknowledgement in another database would be a lie there. */
static int begin(struct ledger *l)
{
    if (database_moved(l->db))
        return SQLITE_READONLY_DBMOVED;
    int rc = database_roll_back(l->db);
    return rc == SQLITE_OK ? sqlite3_exec(l->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) : rc;
}

/* ---- Settlements -------------------------------------------------------------------------------------------------- */

/* Chains up those that have posted something and moves it into `writing`. Holds the mutex. */
static struct ledger_consumer *take_posted(struct ledger *l)
{
    struct ledger_consumer *chain = NULL;
    for (struct ledger_consumer *c = l->consumers; c; c = c->next)
        if (c->posted.any && !c->stale) {
            c->writing = c->posted;
            c->posted = (struct settlement_batch){0};
            c->busy = true;
            c->missed = false;
            c->next_writing = chain;
            chain = c;
        }
    l->hurry = false;
    return chain;
}

/* One transaction for all. A consumer whose token is gone is marked, the others are written all the same. */
static int write_chain(struct ledger *l, struct ledger_consumer *chain)
{
    int rc = begin(l);
    for (struct ledger_consumer *c = chain; c && rc == SQLITE_OK; c = c->next_writing)
        rc = settlement_write(&l->writer, c->settings->consumer, c->lease_token, &c->writing, &c->missed);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(l->db, "COMMIT", NULL, NULL, NULL);
    return rc;
}

/* What failed may have become too much. */
static void count_failures(struct ledger *l, struct ledger_consumer *chain)
{
    for (struct ledger_consumer *c = chain; c; c = c->next_writing)
        if (!c->missed && c->writing.change_count)
            failed_alarm_note(&c->alarm, l->db, c->settings->consumer, c->writing.change_count);
}

/* Holds the mutex. */
static void release_chain(struct ledger *l, struct ledger_consumer *chain, bool committed)
{
    for (struct ledger_consumer *c = chain; c; c = c->next_writing) {
        c->busy = false;
        if (committed && !c->missed && c->writing.acked_seq > c->recorded_seq)
            c->recorded_seq = c->writing.acked_seq;
        if (committed && c->missed) {
            c->stale = true;
            settlement_clear(&c->posted);
            wake_poke(c->wake);
        }
        /* Without memory to keep it the cursor must not pass it: the pipeline begins again from what is committed. */
        if (!committed && !settlement_put_back(&c->posted, &c->writing)) {
            c->stale = true;
            settlement_clear(&c->posted);
            wake_poke(c->wake);
        }
        settlement_clear(&c->writing);
    }
    pthread_cond_broadcast(&l->done);
}

static void commit_posted(struct ledger *l)
{
    struct ledger_consumer *chain = take_posted(l);
    pthread_mutex_unlock(&l->mutex);
    int rc = chain ? write_chain(l, chain) : SQLITE_OK;
    /* Crash here: what is committed is committed; what is not is delivered again, or found in the file by its seq. */
    if (rc == SQLITE_OK) {
        succeeded(l);
        count_failures(l, chain);
    } else {
        failed(l, rc);
    }
    pthread_mutex_lock(&l->mutex);
    release_chain(l, chain, rc == SQLITE_OK);
    int64_t soon = clock_monotonic_us() + RECLAIM_SOON_US;
    if (rc == SQLITE_OK && l->reclaim_said != RECLAIM_BROKEN && soon < l->reclaim_at_us)
        l->reclaim_at_us = soon;
}

/* ---- Claims ------------------------------------------------------------------------------------------------------- */

static void say_claim(const struct sink_settings *settings, const struct claim *claim)
{
    if (claim->trail_count)
        log_write(LOG_LEVEL_INFO, settings->consumer,
                  "delivered already, though not recorded, and not delivered again: %lld",
                  (long long)claim->trail_count);
    if (claim->is_new)
        log_write(LOG_LEVEL_INFO, settings->consumer, "new consumer; events waiting for it: %s%lld",
                  claim->waiting_more ? "about " : "", (long long)claim->waiting_count);
    else if (settings->start != START_OLDEST)
        log_write(LOG_LEVEL_WARN, settings->consumer,
                  "--from is for new consumers, this one goes on after %lld; to move it: outboxctl consumers seek",
                  (long long)claim->cursor.acked_seq);
}

/* Runs one claim in a transaction of its own. Without the mutex; c is busy. */
static enum ledger_result run_claim(struct ledger *l, struct ledger_consumer *c)
{
    int rc = begin(l);
    enum claim_result result = CLAIM_LATER;
    if (rc == SQLITE_OK) {
        result = claim_take(l->db, c->settings, c->trail, &c->claim, c->reason, sizeof c->reason);
        rc = result == CLAIM_OK ? sqlite3_exec(l->db, "COMMIT", NULL, NULL, NULL) : sqlite3_extended_errcode(l->db);
    }
    if (result == CLAIM_OK && rc == SQLITE_OK) {
        succeeded(l);
        say_claim(c->settings, &c->claim);
        return LEDGER_OK;
    }
    if (result == CLAIM_OK) /* the COMMIT failed */
        free(c->claim.cursor.position);
    if (result == CLAIM_BROKEN) { /* this consumer's own trouble */
        database_roll_back(l->db);
        return LEDGER_BROKEN;
    }
    snprintf(c->reason, sizeof c->reason, "the database cannot be written now: %s", sqlite3_errmsg(l->db));
    failed(l, rc == SQLITE_OK ? SQLITE_BUSY : rc);
    return LEDGER_LATER;
}

static void serve_claim(struct ledger *l, struct ledger_consumer *c)
{
    c->busy = true;
    pthread_mutex_unlock(&l->mutex);
    enum ledger_result result = run_claim(l, c);
    pthread_mutex_lock(&l->mutex);
    c->busy = false;
    if (result != LEDGER_LATER || (!c->patient && l->trouble_said)) {
        c->stage = CLAIM_ANSWERED;
        c->claim_result = result;
    }
    pthread_cond_broadcast(&l->done);
}

/* ---- The thread --------------------------------------------------------------------------------------------------- */

static struct ledger_consumer *first_claim(struct ledger *l)
{
    struct ledger_consumer *c = l->consumers;
    while (c && c->stage != CLAIM_WANTED)
        c = c->next;
    return c;
}

static bool is_posted(const struct ledger *l)
{
    for (const struct ledger_consumer *c = l->consumers; c; c = c->next)
        if (c->posted.any && !c->stale)
            return true;
    return false;
}

/* Says once what keeps the janitor from working, and that it works again when it has swept all: with a page damaged in the
 * middle of change_log much of its work still succeeds. Nobody's deliveries depend on it. */
static void say_reclaim(struct ledger *l, enum janitor_result result, int64_t began_us)
{
    int error = l->janitor.error & 0xff;
    if (result == JANITOR_CLEAN || result == JANITOR_MORE)
        l->reclaim_trouble_since_us = 0;
    else if (!l->reclaim_trouble_since_us)
        l->reclaim_trouble_since_us = began_us;
    bool long_enough = error != SQLITE_BUSY || began_us - l->reclaim_trouble_since_us > TROUBLE_SILENT_US;
    if (result == JANITOR_CLEAN && l->reclaim_said != RECLAIM_GOES_ON) {
        log_write(LOG_LEVEL_INFO, NULL, "the janitor reclaims again");
        l->reclaim_said = RECLAIM_GOES_ON;
    } else if (result == JANITOR_LATER && l->reclaim_said == RECLAIM_GOES_ON && long_enough) {
        log_write(LOG_LEVEL_WARN, NULL, "reclaiming waits, the database cannot be written now: %s", l->janitor.words);
        l->reclaim_said = RECLAIM_WAITS;
    } else if (result == JANITOR_BROKEN && l->reclaim_said != RECLAIM_BROKEN) {
        log_write(LOG_LEVEL_ERROR, NULL, "cannot reclaim what nobody needs any more: %s%s", l->janitor.words,
                  error == SQLITE_CORRUPT ? "; PRAGMA integrity_check in the sqlite3 shell says where" : "");
        l->reclaim_said = RECLAIM_BROKEN;
    }
}

/* Whoever waits in ledger_reclaim() hears of it. Holds the mutex. */
static void answer_reclaim(struct ledger *l, enum ledger_result result)
{
    l->reclaim_wanted = false;
    l->reclaim_result = result;
    pthread_cond_broadcast(&l->done);
}

static void reclaim(struct ledger *l)
{
    pthread_mutex_unlock(&l->mutex);
    int64_t began_us = clock_monotonic_us();
    enum janitor_result result = janitor_slice(&l->janitor, timestamp_now_us());
    if (result == JANITOR_MORE)
        wal_keeper_tend(&l->keeper);
    else if (result == JANITOR_LATER && (l->janitor.error & 0xff) == SQLITE_FULL)
        wal_keeper_relieve(&l->keeper);
    say_reclaim(l, result, began_us);
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&l->mutex);
    l->reclaim_failures = result == JANITOR_LATER ? l->reclaim_failures + 1 : 0;
    switch (result) {
    case JANITOR_CLEAN:
        l->reclaim_at_us = now_us + RECLAIM_IDLE_US;
        answer_reclaim(l, LEDGER_OK);
        break;
    case JANITOR_MORE: l->reclaim_at_us = now_us + (now_us - began_us) + RECLAIM_PAUSE_US; break;
    case JANITOR_LATER:
        l->reclaim_at_us = now_us + RECLAIM_SOON_US;
        if (l->reclaim_failures > RECLAIM_RETRIES)
            answer_reclaim(l, LEDGER_LATER);
        break;
    case JANITOR_BROKEN: /* it may be mended while we run */
        l->reclaim_at_us = now_us + RECLAIM_IDLE_US;
        answer_reclaim(l, LEDGER_BROKEN);
        break;
    }
}

/* Sleeps until there may be something to do. Holds the mutex. */
static void sleep_until(struct ledger *l, int64_t at_us)
{
    struct timespec at = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
    pthread_cond_timedwait(&l->work, &l->mutex, &at);
}

void *ledger_thread(void *arg)
{
    struct ledger *l = arg;
    pthread_mutex_lock(&l->mutex);
    while (!l->stopping && !l->ended) {
        int64_t now_us = clock_monotonic_us();
        struct ledger_consumer *wants = first_claim(l);
        bool posted = is_posted(l);
        bool may_write = now_us >= l->commit_at_us || (!l->retry_us && (l->hurry || wants));
        if (wants && may_write)
            serve_claim(l, wants);
        else if (posted && may_write)
            commit_posted(l);
        else if (now_us >= l->reclaim_at_us)
            reclaim(l);
        else
            sleep_until(l,
                        (wants || posted) && l->commit_at_us < l->reclaim_at_us ? l->commit_at_us : l->reclaim_at_us);
    }
    end(l, "the ledger has stopped", "");
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

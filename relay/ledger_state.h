/* ledger_state.h — what ledger.c (called by pipelines) and ledger_thread.c (the writer) share. Nobody else includes it.
 *
 * One mutex guards it all but what is marked as the thread's own. It is never held during a statement.
 */
#ifndef RELAY_LEDGER_STATE_H
#define RELAY_LEDGER_STATE_H

#include <pthread.h>

#include "claim.h"
#include "failed_alarm.h"
#include "janitor.h"
#include "ledger.h"
#include "settlement.h"
#include "wal.h"

/* What was said last about reclaiming. */
enum reclaim_standing { RECLAIM_GOES_ON, RECLAIM_WAITS, RECLAIM_BROKEN };

enum claim_stage { CLAIM_NONE, CLAIM_WANTED, CLAIM_ANSWERED };

struct ledger_consumer {
    struct ledger *ledger;
    struct ledger_consumer *next;
    const struct sink_settings *settings;
    struct wake *wake;

    struct trail *trail; /* the pipeline's, but for the thread's look at it during a claim */

    int64_t lease_token;
    int64_t recorded_seq; /* the cursor last committed */
    bool stale, interrupted;
    struct settlement_batch posted; /* by the pipeline */

    /* In the transaction under way: the thread's own until `busy` is false again. */
    bool busy, missed; /* missed: no row has this token */
    struct settlement_batch writing;
    struct ledger_consumer *next_writing;
    struct failed_alarm alarm; /* the thread's own, always */

    enum claim_stage stage;
    bool patient;
    enum ledger_result claim_result;
    struct claim claim;
    char reason[SINK_REASON_SIZE];
};

struct ledger {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work; /* for the thread: posted, wanted, stopping */
    pthread_cond_t done; /* for pipelines: answered, committed, ended */
    struct ledger_consumer *consumers;
    bool stopping, ended;
    bool hurry; /* somebody waits for a commit */
    bool reclaim_wanted;
    int reclaim_failures;              /* in a row */
    enum ledger_result reclaim_result; /* when it is not wanted any more */
    char reason[SINK_REASON_SIZE];     /* why it ended */

    /* The thread's own. */
    sqlite3 *db;
    struct settlement_writer writer;
    struct wal_keeper keeper;
    struct janitor janitor;
    int64_t commit_at_us, reclaim_at_us; /* not before */
    int64_t retry_us;                    /* the present pause after failures; 0: the last transaction went well */
    int64_t trouble_since_us;
    bool trouble_said;
    int64_t reclaim_trouble_since_us; /* 0: none */
    enum reclaim_standing reclaim_said;
};

void *ledger_thread(void *ledger);

#endif

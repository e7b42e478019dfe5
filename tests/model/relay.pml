/* relay.pml — cursor, janitor, dead letters and crash: one relay with a JSONL sink and a webhook, N events.
 *
 * Every step is a transaction, a system call or a request, and atomic; a crash may come between any two. Events are 0 to
 * N-1; a cursor names the first event not acknowledged. The receiver refuses POISON for good, any other may fail at first.
 *
 * I1 nothing is acknowledged that a power cut can take        I2 what the webhook's cursor passed was received or is failed
 * I3 what left outbox was acknowledged by both                I4 what is failed is still in change_log, poison passed is failed
 * I5 no line is written twice                                 live: it all drains, dead letters alone stay
 *
 * design error                fails       what it is
 * ACK_BEFORE_SYNC             I1 I5       a line is acknowledged when it is written
 * WATERMARK_BY_MAXIMUM        I2 I4       the cursor is the highest event settled, not the first that isn't
 * JANITOR_AT_EITHER           I3 I4 live  outbox goes as far as the furthest consumer
 * DEAD_IN_SECOND_TRANSACTION  I2 I4       the cursor passes an event before it stands in failed_deliveries
 * HISTORY_BY_AGE_ALONE        I4 live     change_log loses what a failed delivery still names
 * CURSOR_IS_BELIEVED          I5          after a crash the file goes on where the cursor stands, not where it ends itself
 */
#define N      3
#define POISON 1
#define CRASHES 2

byte head;                         /* the database: events committed, 0 to head-1 … */
bit owed[N], logged[N];            /* … in outbox, in change_log */
byte ackF, ackW;                   /* … consumer_offsets.acked_seq of the file and the webhook */
bit above[N];                      /* … the webhook's position: settled above ackW */
bit failed[N];                     /* … failed_deliveries, retry or dead */
byte lines, synced;                /* the file, whole, and what of it is on stable storage */
bit got[N], twice;                 /* the receiver's log; a line went to the wrong place */
byte at, durable;                  /* memory: the next event to write, what jsonl.c may tell the ledger */
bit settled[N], aside[N], gone[N]; /* … delivered; to go to failed_deliveries; to leave it */
byte crashes;
byte i;

#define MIN(a, b) (a < b -> a : b)
#define MAX(a, b) (a > b -> a : b)

/* upsert.c: row, change_log and outbox in one transaction */
#define COMMIT atomic { head < N -> owed[head] = 1; logged[head] = 1; head++ }
/* jsonl.c push(): what source.c has read goes to the file */
#define WRITE  atomic { at < head && owed[at] -> twice = twice || (at != lines); lines++; at++ }
/* jsonl_file.c jsonl_file_sync() */
#define SYNC   atomic { synced < lines -> synced = lines; durable = lines }
/* settlement.c settlement_write(), for the file; it never goes back: max() */
#ifdef ACK_BEFORE_SYNC
#define ACK_FILE atomic { ackF < lines -> ackF = lines }
#else
#define ACK_FILE atomic { ackF < durable -> ackF = durable }
#endif
/* webhook_send.c, webhook_answer.c: 2xx, a failure that may pass, a refusal */
#define MAY_SEND(k) k < head && owed[k] && k >= ackW && !settled[k] && !aside[k]
#define ANSWER(k) \
    :: atomic { MAY_SEND(k) && k != POISON -> got[k] = 1; settled[k] = 1 } \
    :: atomic { MAY_SEND(k) && !failed[k]  -> aside[k] = 1 }
/* reread.c, then webhook_answer.c: a retry is read from change_log */
#define RETRY(k) :: atomic { failed[k] && k != POISON && !gone[k] && logged[k] -> got[k] = 1; gone[k] = 1 }
/* window.c: the cursor is the first event not settled */
inline advance()
{
    i = 0;
    do
    :: i < N ->
#ifdef WATERMARK_BY_MAXIMUM
        if :: settled[i] -> ackW = MAX(ackW, i + 1) :: else fi;
#else
        if :: settled[i] && ackW == i -> ackW = i + 1 :: else fi;
#endif
        above[i] = settled[i] && i >= ackW;
        i++
    :: else -> break
    od
}
/* settlement.c settlement_write(), for the webhook: cursor, position and failed deliveries in one transaction */
#define CHANGED (aside[0] || aside[1] || aside[2] || gone[0] || gone[1] || gone[2] || (settled[ackW % N] && ackW < N))
inline put_failed()
{
    i = 0;
    do
    :: i < N ->
        if :: aside[i] -> aside[i] = 0; settled[i] = 1; failed[i] = 1 :: else fi;
        if :: gone[i]  -> gone[i] = 0; failed[i] = 0 :: else fi;
        i++
    :: else -> break
    od
}
#ifdef DEAD_IN_SECOND_TRANSACTION
#define ACK_WEBHOOK atomic { CHANGED -> \
    settled[0] = settled[0] || aside[0]; settled[1] = settled[1] || aside[1]; settled[2] = settled[2] || aside[2]; advance() } \
    :: atomic { CHANGED -> put_failed() }
#else
#define ACK_WEBHOOK atomic { CHANGED -> put_failed(); advance() }
#endif
/* janitor.c find_owed(): the oldest first, up to the slowest consumer */
#ifdef JANITOR_AT_EITHER
#define ACKED MAX(ackF, ackW)
#else
#define ACKED MIN(ackF, ackW)
#endif
#define DROP_OWED(k) :: atomic { owed[k] && k < ACKED -> owed[k] = 0 }
/* janitor.c find_logged(): below what is in outbox, and not named by a failed delivery */
#ifdef HISTORY_BY_AGE_ALONE
#define NAMED(k) false
#else
#define NAMED(k) failed[k]
#endif
#define BELOW(k) (!owed[0] && (k < 1 || !owed[1]) && (k < 2 || !owed[2]))
#define DROP_LOGGED(k) :: atomic { k < head && logged[k] && BELOW(k) && !NAMED(k) -> logged[k] = 0 }
/* Killed, or unplugged: of the lines that were not synced any may be left. jsonl_recover.c believes the file, claim.c
 * the cursor and the position. */
#ifdef CURSOR_IS_BELIEVED
#define RESUME ackF
#else
#define RESUME MAX(ackF, lines)
#endif
inline crash()
{
    crashes++;
    do :: lines > synced -> lines-- :: break od;
    synced = lines; /* write_again() and a sync, before anything is believed */
    at = RESUME; durable = lines;
    i = 0;
    do
    :: i < N -> settled[i] = above[i]; aside[i] = 0; gone[i] = 0; i++
    :: else -> break
    od
}

active proctype world()
{
    do
    :: COMMIT
    :: WRITE
    :: SYNC
    :: ACK_FILE
    ANSWER(0) ANSWER(1) ANSWER(2)
    RETRY(0) RETRY(1) RETRY(2)
    :: ACK_WEBHOOK
    DROP_OWED(0) DROP_OWED(1) DROP_OWED(2)
    DROP_LOGGED(0) DROP_LOGGED(1) DROP_LOGGED(2)
    :: atomic { crashes < CRASHES -> crash() }
    od
}

#define KEPT(k)   (k >= ackW || got[k] || failed[k])
#define OWED(k)   (k >= head || owed[k] || (k < ackF && k < ackW))
#define NAMES(k)  ((!failed[k] || logged[k]) && (k != POISON || k >= ackW || failed[k]))
#define GONE(k)   (!owed[k] && (logged[k] == (k == POISON)) && (failed[k] == (k == POISON)) && (k == POISON || got[k]))

ltl I1 { [] (ackF <= synced) }
ltl I2 { [] (KEPT(0) && KEPT(1) && KEPT(2)) }
ltl I3 { [] (OWED(0) && OWED(1) && OWED(2)) }
ltl I4 { [] (NAMES(0) && NAMES(1) && NAMES(2)) }
ltl I5 { [] (!twice) }
ltl live { <> (head == N && lines == N && GONE(0) && GONE(1) && GONE(2)) }

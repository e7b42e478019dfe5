/* lease.pml — two relays, one consumer: a lock that dies with its holder, a token that rises at every claim and every seek,
 * and the token in the WHERE of every write. A relay may be killed (and is started again), stopped and continued; an
 * operator moves the cursor, and may remove the lock file, which he must not.
 *
 * L1 never two at work at once, as long as nobody removes the lock file
 * L2 a write is the last claimant's, with no seek since: any other changes nothing
 * L3 the cursor passes nothing that was not delivered since an operator asked for it (again)
 * live: everything is delivered and acknowledged, whoever is killed, or stopped for a while
 *
 * design error         fails    what it is
 * NO_FENCE             L2 L3    the write's WHERE names the consumer alone
 * TOKEN_UNRAISED_SEEK  L2 L3    a seek leaves the token as it is
 * LEASE_BY_WALL_CLOCK  L1       the lease ends by the clock, whether or not its holder has
 * LOCK_IS_NEVER_FREED  live     a lock that outlives its holder (a file with a pid in it)
 */
#define N       2
#define RELAYS  2
#define KILLS   2
#define SEEKS   1
#define FREE    255

byte acked, token;          /* the row in consumer_offsets: the first event not acknowledged, lease_token */
bit delivered[N];           /* since it was last asked for */
byte holder = FREE;         /* of the lock on the file that has the name now */
bit removed;                /* the lock file was, once */
byte kills, seeks, stops;
bit working[RELAYS], stopped[RELAYS];
byte claimant = FREE;       /* who claimed last; FREE where a seek came since */
bit stray;                  /* somebody else has written */

#define RUNS(me) (!stopped[me])

#ifdef TOKEN_UNRAISED_SEEK
#define RAISE_AT_SEEK skip
#else
#define RAISE_AT_SEEK token++
#endif

proctype relay(byte me)
{
    byte mine, at;
    bit dead = 0;
wait:
    if /* standby.c standby_wait(), lock.c lock_try() */
    :: atomic { RUNS(me) && holder == FREE -> holder = me }
#ifdef LEASE_BY_WALL_CLOCK
    :: atomic { RUNS(me) && holder != me && holder != FREE && stopped[holder] -> holder = me } /* its time is over */
#endif
    fi;
claim:
    /* claim.c claim_take(), in the ledger's write transaction: the token rises, the cursor is read */
    atomic { RUNS(me) -> token++; mine = token; at = acked; claimant = me; working[me] = 1 }
work:
    do
    :: atomic { RUNS(me) && at < N -> delivered[at] = 1; at++ } /* a sink's put(), push() */
    /* settlement.c settlement_write(): acked_seq = max(), WHERE lease_token = ?2 */
#ifdef NO_FENCE
    :: atomic { RUNS(me) && at > acked ->
#else
    :: atomic { RUNS(me) && at > acked && token == mine ->
#endif
           stray = stray || claimant != me; acked = at }
#ifndef NO_FENCE
    /* ledger_thread.c release_chain(), pipeline_run.c: stale, so it claims again if it still holds the lock */
    :: atomic { RUNS(me) && token != mine && holder == me -> working[me] = 0; goto claim }
    :: atomic { RUNS(me) && token != mine && holder != me -> working[me] = 0; goto wait }
#endif
    :: atomic { kills < KILLS -> kills++; working[me] = 0; stopped[me] = 0;
#ifndef LOCK_IS_NEVER_FREED
           if :: holder == me -> holder = FREE :: else fi; /* the kernel drops it */
#endif
           goto wait } /* systemd starts it again */
    :: atomic { acked == N && at == N && token == mine && seeks == SEEKS -> break }
    od;
    atomic { working[me] = 0; if :: holder == me -> holder = FREE :: else fi } /* SIGTERM */
}

active proctype operator()
{
    byte me;
    do
    :: atomic { seeks < SEEKS -> seeks++; /* consumers_seek.c move(), target_wake() */
           acked = 0; delivered[0] = 0; delivered[1] = 0; claimant = FREE; RAISE_AT_SEEK }
    :: atomic { !removed && holder != FREE -> removed = 1; holder = FREE } /* rm DB.CONSUMER.lock: the next makes a new one */
    :: atomic { stops < 1 -> stops++; select(me : 0 .. 1); stopped[me] = 1 } /* SIGSTOP, a laptop's lid */
    :: atomic { stopped[0] || stopped[1] -> stopped[0] = 0; stopped[1] = 0 }
    :: atomic { seeks == SEEKS && !stopped[0] && !stopped[1] -> break }
    od
}

init { atomic { run relay(0); run relay(1) } }

#define PASSED(k) (k >= acked || delivered[k])
ltl L1 { [] (removed || !(working[0] && working[1])) }
ltl L2 { [] (!stray) }
ltl L3 { [] (PASSED(0) && PASSED(1)) }
ltl live { <> [] (acked == N) }

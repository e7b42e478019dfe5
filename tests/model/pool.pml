/* pool.pml — group commit: T threads that call outbox_pool_run(), one of them twice, the pool's own thread, and the closing.
 * A transaction may come to nothing at its commit (a full disk, a deferred constraint); then every member runs alone.
 *
 * P1 never two transactions at once on the one connection      P2 OK is answered only where the work is committed
 * P3 what is not answered OK is not committed                  P4 nobody is answered twice
 * live: every call returns, and so does the closing
 *
 * design error            fails    what it is
 * WRITES_BESIDE           P1       a caller who finds nobody in line writes, though the thread may
 * ANSWERED_ALONE_TOO      P4       members that run alone are answered then, and again with the group
 * ANSWER_BEFORE_COMMIT    P2       members are answered when they have run
 * GROUP_FAILS_AS_ONE      P3       after a failed commit those whose work is committed alone are told of the first failure
 * HAND_OVER_IS_SILENT     live     who has written himself does not wake the thread for those who came meanwhile
 * CLOSE_IS_SILENT         live     closing does not wake the thread
 */
#define T     3
#define CALLS (me == 0 -> 2 : 1)
#define NOBODY 255

bit waits[T];            /* pool->first …: in line */
bit in_group[T];         /* taken by the thread */
bit writing, closing;    /* under the lock */
bit signalled;           /* the condition to_do: a signal lasts only where somebody waits for it */
bit sleeps;              /* … the thread does */
byte open;               /* transactions begun and not ended */
bit ran[T], committed[T];
byte answered[T], code[T]; /* 0: none yet, 1: OK, 2: failed */
byte failures;
byte returned;
bit ended, closed;

#define SIGNAL if :: sleeps -> signalled = 1 :: else fi
#define ANY_WAITS (waits[0] || waits[1] || waits[2])
#ifdef WRITES_BESIDE
#define TAKEN 0
#else
#define TAKEN writing
#endif
#define ANSWER(who, what) code[who] = what; answered[who]++

/* pool.c run_alone(), the transaction; `good` is how its commit went */
inline alone(who)
{
    atomic { open++ };
    atomic { ran[who] = 1;
        if
        :: committed[who] = 1; ANSWER(who, 1)
        :: failures < 2 -> failures++; ANSWER(who, 2)
        fi };
    atomic { open-- }
}

proctype caller(byte me)
{
    byte calls = 0;
    bit myself;
    do
    :: calls < CALLS ->
        atomic { answered[me] = 0; code[me] = 0; committed[me] = 0; ran[me] = 0; calls++;
            if /* line_up() */
            :: closing -> break /* IS_TOO_LATE */
            :: !closing && !TAKEN && !ANY_WAITS -> writing = 1; myself = 1 /* `crowded` only ever chooses the other */
            :: !closing -> waits[me] = 1; myself = 0; if :: !writing -> SIGNAL :: else fi
            fi };
        if
        :: myself -> alone(me);
#ifdef HAND_OVER_IS_SILENT
            atomic { writing = 0 }
#else
            atomic { writing = 0; if :: ANY_WAITS || closing -> SIGNAL :: else fi } /* hand_over() */
#endif
        :: !myself -> answered[me] > 0 /* sem_wait() */
        fi
    :: calls == CALLS -> break
    od;
    returned++
}

byte w;
#define EACH(step) w = 0; do :: w < T -> if :: in_group[w] -> step :: else fi; w++ :: w == T -> break od

active proctype writer()
{
next:
    atomic { /* next_group() */
        if
        :: !writing && ANY_WAITS -> writing = 1;
            in_group[0] = waits[0]; in_group[1] = waits[1]; in_group[2] = waits[2];
            waits[0] = 0; waits[1] = 0; waits[2] = 0
        :: !writing && !ANY_WAITS && closing -> goto over
        :: else -> sleeps = 1
        fi };
    if
    :: sleeps -> atomic { signalled -> signalled = 0; sleeps = 0; goto next }
    :: !sleeps
    fi;
    atomic { open++ };
    EACH(ran[w] = 1);
#ifdef ANSWER_BEFORE_COMMIT
    atomic { EACH(ANSWER(w, 1)) };
#endif
    if /* run_together() */
    :: atomic { EACH(committed[w] = 1; code[w] = 1); open-- }
    :: atomic { failures < 2 -> failures++; open-- }; /* rolled back: each runs alone, its answer kept until all have */
       EACH(atomic { open++ }; atomic { if :: committed[w] = 1; code[w] = 1 :: failures < 2 -> failures++; code[w] = 2 fi; open-- })
#ifdef ANSWERED_ALONE_TOO
       ; EACH(answered[w]++)
#endif
#ifdef GROUP_FAILS_AS_ONE
       ; atomic { EACH(code[w] = 2) }
#endif
    fi;
    atomic { writing = 0 }; /* hand_over(), then sem_post() to each */
#ifndef ANSWER_BEFORE_COMMIT
    EACH(atomic { in_group[w] = 0; answered[w]++ });
#else
    atomic { EACH(in_group[w] = 0) };
#endif
    goto next;
over:
    ended = 1
}

active proctype closer()
{
    atomic { closing = 1;
#ifndef CLOSE_IS_SILENT
        SIGNAL
#endif
    };
    ended -> closed = 1
}

init { atomic { run caller(0); run caller(1); run caller(2) } }

#define HONEST(k) (answered[k] == 0 || code[k] != 1 || committed[k])
#define TOLD(k)   (answered[k] == 0 || code[k] != 2 || !committed[k])
ltl P1 { [] (open <= 1) }
ltl P2 { [] (HONEST(0) && HONEST(1) && HONEST(2)) }
ltl P3 { [] (TOLD(0) && TOLD(1) && TOLD(2)) }
ltl P4 { [] (answered[0] <= 1 && answered[1] <= 1 && answered[2] <= 1) }
ltl live { <> (returned == T && closed) }

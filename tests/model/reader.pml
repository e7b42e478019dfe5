/* reader.pml — a reader of files across rotation and retention. The relay appends N lines, S to a file, seals full files by
 * renaming them and deletes the oldest; the reader is not registered with it, so gaps happen, and may be killed.
 *
 * File f holds the lines f*S to f*S+S-1, whatever it is called; the line before k is k-1, as its prev says. A cursor names
 * the first line not acknowledged. The reader's steps are those of stream_place.c: open the active file, read the names one
 * by one, then choose.
 *
 * C1 when the cursor is at the end, each line was processed or lies in a gap that was told
 * C2 the durable cursor never passes a line that is neither     C3 what is told as a gap is gone
 * live, weakly fair: the reader comes to the end
 *
 * design error        fails       what it is
 * PATH_CURSOR         C2          the place is an offset in the live file, and a smaller file is read from its start
 * GAP_IS_SILENT       C1 C2       what is missing is passed over
 * CURSOR_BEFORE_WORK  C2          the cursor is saved, then the line is processed
 * NAMES_FIRST         C3          the names are read before the active file is opened
 * GAP_AT_FIRST_SIGHT  C3          a gap is told that was found once: a name may have changed while names were read
 */
#define N       4
#define S       2
#define FILES   3
#define NONE    255
#define CRASHES 2

mtype = { absent, current, sealed, deleted };
mtype name[FILES] = absent;
byte written;          /* lines, synced */
byte cursor;           /* durable: consumer_offsets, or the reader's own database */
bit done[N], told[N];  /* the application's work; the gaps it was told of */
bit lied;              /* it was told of a line that was there */
byte offset;           /* PATH_CURSOR: durable too */

active proctype relay()
{
    byte now = 0;
    atomic { name[0] = current };
    do /* jsonl_file.c append, rotate(), create(); retention.c: the oldest, never the newest */
    :: atomic { name[now] == current && written < N && written < (now + 1) * S -> written++ }
    :: atomic { name[now] == current && written == (now + 1) * S -> name[now] = sealed }
    :: atomic { name[now] == sealed && now + 1 < FILES -> now++; name[now] = current }
    :: atomic { name[0] == sealed && name[1] == sealed -> name[0] = deleted }
    :: atomic { now == FILES - 1 -> break }
    od
}

byte at;              /* memory: the first line not handed out */
byte opened, file;    /* the active file, as a descriptor; the one chosen */
byte first, gap;      /* the first line in it from `at` on; where the last look found a gap to end */
byte crashes;

#define LIVE (name[0] == current -> 0 : (name[1] == current -> 1 : (name[2] == current -> 2 : NONE)))
#define READ_NAME(f) atomic { file = ((file == NONE && name[f] == sealed && (f + 1) * S > at) -> f : file) }
#define THERE(k) (k < written && name[(k) / S] != deleted)

inline open_active() { atomic { opened = LIVE } }
inline read_names() { file = NONE; READ_NAME(0); READ_NAME(1); READ_NAME(2) }

inline hand_out() /* reader.c outbox_reader_next(), the application, consumer.c consumer_ack() */
{
#ifdef CURSOR_BEFORE_WORK
    cursor = at + 1; done[at] = 1; at++
#else
    done[at] = 1; cursor = at + 1; at++
#endif
}

inline tell() /* OUTBOX_GAP, then outbox_reader_restart(); the cursor moves with it */
{
    atomic {
        do
        :: at < first ->
            lied = lied || THERE(at);
#ifndef GAP_IS_SILENT
            told[at] = 1;
#endif
            at++
        :: else -> break
        od;
        cursor = at
    }
}

active proctype reader()
{
    gap = NONE;
again:
    if
    :: atomic { cursor == N -> goto ended }
    :: atomic { crashes < CRASHES -> crashes++; at = cursor; gap = NONE; goto again }
#ifdef PATH_CURSOR
    :: atomic { LIVE != NONE && written >= LIVE * S && offset > written - LIVE * S -> offset = 0; goto again }
    :: atomic { LIVE != NONE && written > LIVE * S + offset -> at = LIVE * S + offset; offset++ }; hand_out(); goto again
#else
    :: cursor < N -> skip
#endif
    fi;
#ifdef NAMES_FIRST
    read_names(); open_active();
#else
    open_active(); read_names();
#endif
    atomic { /* stream_place.c find_in(), judge() */
        if
        :: file != NONE && name[file] == deleted -> goto again /* ENOENT: the next look tells why */
        :: file == NONE && opened == NONE -> goto again
        :: file == NONE && opened != NONE -> file = opened
        :: file != NONE && name[file] != deleted -> skip
        fi;
        first = (at > file * S -> at : file * S);
        if
        :: first >= written || first >= (file + 1) * S -> goto again /* PLACE_END */
        :: else
        fi
    };
    if
    :: first == at -> hand_out(); gap = NONE
#if defined(GAP_AT_FIRST_SIGHT) || defined(NAMES_FIRST)
    :: first > at -> tell()
#else
    :: first > at && gap == first -> tell(); gap = NONE
    :: first > at && gap != first -> gap = first
#endif
    fi;
    goto again;
ended:
    skip
}

#define KNOWN(k)  (done[k] || told[k])
#define PASSED(k) (k >= cursor || KNOWN(k))
ltl C1 { [] (cursor < N || (KNOWN(0) && KNOWN(1) && KNOWN(2) && KNOWN(3))) }
ltl C2 { [] (PASSED(0) && PASSED(1) && PASSED(2) && PASSED(3)) }
ltl C3 { [] (!lied) }
ltl live { <> (cursor == N) }

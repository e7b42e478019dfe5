/* reader.c — a reader of a stream's files under test, which keeps a ledger of what it was handed.
 *
 *     reader STATE_DB STREAM LEDGER [LAST]
 *
 * The cursor is consumer `r` of STATE_DB, a database of its own. Each seq is a line of LEDGER, written before the next
 * event is asked for; every tenth is acknowledged (`ACK seq`, after the call returned). A gap is a line `GAP last first`
 * and the end, exit code 3. Having been handed LAST it acknowledges and ends with 0. An outage is waited out: a line
 * `WAIT reason`, once per reason.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "outbox.h"

enum { ACK_EVERY = 10, RETRY_MS = 20 };

static void note(int ledger, const char *word, int64_t seq)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%s%s%" PRId64 "\n", word, *word ? " " : "", seq);
    if (write(ledger, line, (size_t)n) != n)
        exit(2);
}

static int tell_gap(const outbox_reader *reader, int ledger)
{
    int64_t last = 0, first = 0;
    outbox_reader_gap(reader, &last, &first);
    dprintf(ledger, "GAP %" PRId64 " %" PRId64 "\n", last, first);
    return 3;
}

static void wait_out(outbox *ob, int ledger, char said[256])
{
    if (strcmp(said, outbox_errmsg(ob)) != 0)
        dprintf(ledger, "WAIT %s\n", outbox_errmsg(ob));
    snprintf(said, 256, "%s", outbox_errmsg(ob));
    nanosleep(&(struct timespec){0, RETRY_MS * 1000000}, NULL);
}

static int read_on(outbox *ob, outbox_reader *reader, int ledger, int64_t last)
{
    char said[256] = "";

    for (int n = 1;;) {
        const outbox_event *event;
        int code = outbox_reader_next(reader, -1, &event);
        if (code == OUTBOX_GAP)
            return tell_gap(reader, ledger);
        if (code == OUTBOX_IO || code == OUTBOX_CORRUPT) {
            wait_out(ob, ledger, said);
            continue;
        }
        if (code != OUTBOX_OK)
            return 1;
        int64_t seq = event->seq;
        note(ledger, "", seq);
        if (n++ % ACK_EVERY == 0 || seq == last) {
            if (outbox_reader_ack(reader, seq) != OUTBOX_OK)
                return 1;
            note(ledger, "ACK", seq);
        }
        if (seq == last)
            return 0;
    }
}

int main(int argc, char **argv)
{
    sqlite3 *db;
    outbox *ob;
    outbox_reader *reader;

    if (argc < 4)
        return 2;
    outbox_reader_options options = {.size = sizeof options, .jsonl = argv[2]};
    int ledger = open(argv[3], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (ledger < 0 || sqlite3_open(argv[1], &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
        return 2;
    if (outbox_attach(db, NULL, &ob) != OUTBOX_OK || outbox_reader_open(ob, "r", &options, &reader) != OUTBOX_OK) {
        fprintf(stderr, "reader: %s\n", outbox_errmsg(NULL));
        return 2;
    }
    int code = read_on(ob, reader, ledger, argc > 4 ? atoll(argv[4]) : 0);
    if (code == 1)
        fprintf(stderr, "reader: %s\n", outbox_errmsg(ob));
    outbox_reader_close(reader);
    outbox_close(ob);
    sqlite3_close(db);
    return code;
}

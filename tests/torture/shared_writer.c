/* shared_writer.c — one of many writers of the same table, in C: `shared_writer DB NAME SECONDS`.
 *
 * Counts up rows of `things` that all share, by compare-and-swap: read n and the revision, write n + 1 at that revision,
 * look again where somebody was faster. Prints `OK TOKEN` for each write whose commit returned; the token is in the row,
 * and so in the event. Anything but a conflict ends it with exit code 1 and words: with a busy timeout there is nothing
 * else to go wrong.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "outbox.h"

enum { KEYS = 10, BUSY_TIMEOUT_MS = 20000 };

static int64_t monotonic_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* n and revision of the row. */
static int look(outbox *ob, const char *id, int64_t *n, int64_t *revision)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(outbox_db(ob), "SELECT n, revision FROM things WHERE id = ?1", -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
        rc = sqlite3_step(st);
        *n = sqlite3_column_int64(st, 0);
        *revision = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_ROW ? OUTBOX_OK : OUTBOX_ERROR;
}

static int count_up(outbox *ob, const char *id, const char *token)
{
    int64_t n = 0, revision = 0;
    int code;
    do {
        code = look(ob, id, &n, &revision);
        outbox_value row[] = {outbox_text("id", id), outbox_int("n", n + 1), outbox_text("token", token)};
        if (code == OUTBOX_OK)
            code = outbox_upsert(ob, "things", row, 3, revision, NULL, NULL);
    } while (code == OUTBOX_CONFLICT);
    return code;
}

int main(int argc, char **argv)
{
    outbox_open_options options = {.size = sizeof options, .busy_timeout_ms = BUSY_TIMEOUT_MS};
    outbox *ob;
    char id[16], token[64];
    if (argc != 4)
        return fputs("usage: shared_writer DB NAME SECONDS\n", stderr), 2;
    if (outbox_open(argv[1], &options, &ob) != OUTBOX_OK)
        return fprintf(stderr, "%s: %s\n", argv[2], outbox_errmsg(NULL)), 1;
    int64_t end = monotonic_s() + strtol(argv[3], NULL, 10);
    unsigned seed = 0;
    for (const char *p = argv[2]; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    int code = OUTBOX_OK;
    for (long i = 1; code == OUTBOX_OK && monotonic_s() < end; i++) {
        snprintf(id, sizeof id, "k%d", rand_r(&seed) % KEYS);
        snprintf(token, sizeof token, "%s.%ld", argv[2], i);
        code = count_up(ob, id, token);
        if (code == OUTBOX_OK && printf("OK %s\n", token) < 0)
            code = OUTBOX_IO;
    }
    if (code != OUTBOX_OK)
        fprintf(stderr, "%s: %s\n", argv[2], outbox_errmsg(ob));
    outbox_close(ob);
    return code != OUTBOX_OK;
}

/* cas_writer.c — adds one to counters under compare-and-swap, again where somebody was faster.
 *
 *     cas_writer DB KEYS ROUNDS
 *
 * Prints `KEY REVISION` for each write after the call returned. Ends with 0 when all were made.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outbox.h"

static int add_one(outbox *ob, const char *key, int64_t *revision)
{
    for (;;) {
        const char *row;
        int64_t n = 0;
        *revision = 0;
        int code = outbox_get(ob, "counters", key, &row, revision);
        if (code == OUTBOX_OK)
            n = strtoll(strstr(row, "\"n\":") + 4, NULL, 10);
        else if (code != OUTBOX_NOT_FOUND)
            return code;
        outbox_value values[] = {outbox_text("id", key), outbox_int("n", n + 1)};
        code = outbox_upsert(ob, "counters", values, 2, *revision, NULL, revision);
        if (code != OUTBOX_CONFLICT)
            return code;
    }
}

int main(int argc, char **argv)
{
    outbox *ob;
    outbox_open_options options = {.size = sizeof options, .busy_timeout_ms = 60000};
    if (argc != 4)
        return 2;
    if (outbox_open(argv[1], &options, &ob) != OUTBOX_OK) {
        fprintf(stderr, "%s\n", outbox_errmsg(NULL));
        return 1;
    }
    unsigned key = (unsigned)getpid();
    for (int i = 0; i < atoi(argv[3]); i++) {
        char text[16];
        int64_t revision;
        key = key * 1103515245u + 12345u;
        snprintf(text, sizeof text, "k%u", key / 65536 % (unsigned)atoi(argv[2]));
        if (add_one(ob, text, &revision) != OUTBOX_OK) {
            fprintf(stderr, "%s\n", outbox_errmsg(ob));
            return 1;
        }
        printf("%s %" PRId64 "\n", text, revision);
    }
    outbox_close(ob);
    return 0;
}

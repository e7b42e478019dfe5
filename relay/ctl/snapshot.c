/* snapshot.c — `snapshot`: every row of some tables as of one seq, as a reader that begins anew is given them.
 *
 * It is that reader, without a cursor: a listener that begins with a snapshot, and ends where events would follow.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "event_text.h"

static int print_rows(outbox *ob, outbox_reader *reader)
{
    struct buffer out = {0};
    const outbox_event *event;
    int code = OUTBOX_OK, exit_code = EXIT_DONE;
    while (exit_code == EXIT_DONE && (code = outbox_reader_next(reader, 0, &event)) == OUTBOX_OK && event->op &&
           !strcmp(event->op, "row")) {
        buffer_clear(&out);
        event_text_append(&out, event, false);
        exit_code = ctl_print(&out);
        if (ferror(stdout))
            break;
    }
    buffer_free(&out);
    return code == OUTBOX_OK || code == OUTBOX_DONE ? exit_code : ctl_fail(ob, code);
}

static int snapshot(outbox *ob, const char *const *tables)
{
    outbox_reader_options options = {.size = sizeof options, .from = OUTBOX_FROM_NOW, .snapshot_tables = tables};
    outbox_reader *reader = NULL;
    int code = outbox_reader_open(ob, NULL, &options, &reader);
    if (code == OUTBOX_OK)
        code = outbox_reader_restart(reader, OUTBOX_FROM_SNAPSHOT);
    int exit_code = code == OUTBOX_OK ? print_rows(ob, reader) : ctl_fail(ob, code);
    outbox_reader_close(reader);
    return exit_code;
}

int ctl_snapshot(struct ctl *ctl, int argc, char **argv)
{
    sqlite3 *db = NULL;
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, NULL, 0, 0, INT_MAX, &argc, argv, &code))
        return code;
    code = ctl_open_reader(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    argv[argc] = NULL; /* behind the operands stand options, or the end that argv has anyway */
    int result = outbox_attach(db, NULL, &ob);
    code = result == OUTBOX_OK ? snapshot(ob, argc ? (const char *const *)argv : NULL) : ctl_fail(NULL, result);
    outbox_close(ob);
    sqlite3_close(db);
    return code;
}

/* tail.c — `tail`: an outbox_reader of a stream's files for the shell, with a durable cursor.
 *
 * Batch by batch: lines are gathered, given away, and then acknowledged: what standard output has taken, or what a
 * command ended well with. So whatever ends this program, nothing is lost, and at most one batch is given away again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "batch_command.h"
#include "ctl.h"
#include "cursors.h"
#include "event_text.h"
#include "follow.h"
#include "query.h"
#include "settings_value.h"
#include "stream_place.h"

static const char sql_exists[] = "SELECT count(*) FROM main.consumer_offsets WHERE consumer = ?1";

static const char sql_place[] = "UPDATE main.consumer_offsets SET acked_seq = ?2, position = NULL,"
                                "       lease_token = coalesce(lease_token, 0) + 1 WHERE consumer = ?1";

enum { BATCH_COUNT = 500, BATCH_BYTES = 1 << 20 };

struct tail {
    const char *file, *consumer, *from, *command; /* from and command may be NULL */
    int64_t from_seq;                             /* where from is one, else 0 */
    bool follow;
    const char *db_path;
    struct cursors cursors;
    outbox *ob; /* of cursors */
    outbox_reader *reader;
    struct follow stop;
    struct buffer lines;
    int64_t last_seq; /* of lines */
};

/* ---- Where it begins ---- */

static int check_from(struct tail *t)
{
    if (!t->from || !strcmp(t->from, "start") || !strcmp(t->from, "now"))
        return EXIT_DONE;
    if (value_number(t->from, &t->from_seq) && t->from_seq >= 1)
        return EXIT_DONE;
    ctl_say("tail: --from wants start, now or a seq from 1 up, not %s", t->from);
    return EXIT_USAGE;
}

/* Whether --from SEQ lies in the stream, or just behind it. */
static int check_place(const struct tail *t)
{
    struct stream_path path;
    struct event_line line = {0};
    int64_t begin = -1, end = -1;
    int code = EXIT_DONE;
    if (!stream_path_init(&path, t->file) || !stream_place_begin(&path, &line, &begin) ||
        !stream_place_end(&path, &line, &end)) {
        ctl_say("%s: %s", t->file, strerror(errno));
        code = EXIT_TEMPORARY;
    } else if (end < 0) {
        ctl_say("tail: %s has no line yet, so it cannot be read from %lld", t->file, (long long)t->from_seq);
        code = EXIT_PERMANENT;
    } else if (t->from_seq <= begin) {
        ctl_say("tail: %s no longer has %lld: it begins after %lld", t->file, (long long)t->from_seq, (long long)begin);
        code = EXIT_PERMANENT;
    } else if (t->from_seq > end + 1) {
        ctl_say("tail: %lld is not there yet: the last one in %s is %lld", (long long)t->from_seq, t->file,
                (long long)end);
        code = EXIT_USAGE;
    }
    event_line_free(&line);
    stream_path_fini(&path);
    return code;
}

static int open_once(struct tail *t)
{
    outbox_reader_options options = {.size = sizeof options, .jsonl = t->file};
    options.from = t->from && !strcmp(t->from, "now") ? OUTBOX_FROM_NOW : OUTBOX_FROM_START;
    int code = outbox_reader_open(t->ob, t->consumer, &options, &t->reader);
    return code == OUTBOX_OK ? EXIT_DONE : ctl_fail(t->ob, code);
}

/* A new consumer that begins at a seq is registered at the start, and moved before anything was read. */
static int open_reader(struct tail *t)
{
    sqlite3 *db = outbox_db(t->ob);
    int64_t exists = 0;
    query_int(db, &exists, sql_exists, "t", t->consumer); /* where the table is missing it is new as well */
    if (exists && t->from)
        ctl_say("tail: %s goes on where it was; --from is for a new one (outboxctl --db %s consumers seek %s moves it)",
                t->consumer, t->db_path, t->consumer);
    bool place = !exists && t->from_seq;
    int code = place ? check_place(t) : EXIT_DONE;
    if (code == EXIT_DONE)
        code = open_once(t);
    if (code != EXIT_DONE || !place)
        return code;
    outbox_reader_close(t->reader);
    t->reader = NULL;
    /* Crash here: it is registered, and begins at the stream's start. */
    int rc = query_run(db, NULL, sql_place, "ti", t->consumer, t->from_seq - 1);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "consumer_offsets");
    return open_once(t);
}

/* ---- Reading ---- */

static int explain(const struct tail *t, int code)
{
    int exit_code = ctl_fail(t->ob, code);
    if (code == OUTBOX_GAP)
        ctl_say("outboxctl snapshot%s prints the tables as they are; outboxctl --db %s consumers seek %s start goes on "
                "with what is still there",
                t->cursors.own ? " of the database that writes this stream" : "", t->db_path, t->consumer);
    return code == OUTBOX_CORRUPT ? EXIT_TEMPORARY : exit_code; /* the relay mends it */
}

/* Gathers what is there, at most a batch. */
static int gather(struct tail *t)
{
    const outbox_event *event;
    int code = OUTBOX_OK;
    buffer_clear(&t->lines);
    for (int i = 0; i < BATCH_COUNT && t->lines.size < BATCH_BYTES; i++) {
        code = outbox_reader_next(t->reader, 0, &event);
        if (code != OUTBOX_OK)
            break;
        event_text_append(&t->lines, event, true);
        t->last_seq = event->seq;
    }
    if (!buffer_ok(&t->lines)) {
        ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
        return EXIT_TEMPORARY;
    }
    /* What comes before a fault is given away first: the next look says it again. */
    return code == OUTBOX_OK || code == OUTBOX_DONE || t->lines.size ? EXIT_DONE : explain(t, code);
}

static int say_stopped(enum follow_result result)
{
    if (result == FOLLOW_FAILED)
        ctl_say("standard output: %s", strerror(errno));
    return result == FOLLOW_FAILED ? EXIT_TEMPORARY : EXIT_DONE;
}

/* Gives the batch away and acknowledges it. *on: it was taken. */
static int give_away(struct tail *t, bool *on)
{
    enum follow_result result = FOLLOW_ON;
    int exit_code = EXIT_DONE;
    *on = false;
    if (t->command)
        exit_code = batch_command_run(t->command, &t->lines);
    else
        result = follow_write(&t->stop, &t->lines);
    if (exit_code != EXIT_DONE || result != FOLLOW_ON)
        return exit_code != EXIT_DONE ? exit_code : say_stopped(result);
    /* Crash here: it was taken and is not acknowledged: it is given away again. */
    int code = outbox_reader_ack(t->reader, t->last_seq);
    cursors_tend(&t->cursors);
    *on = code == OUTBOX_OK;
    return code == OUTBOX_OK ? EXIT_DONE : ctl_fail(t->ob, code);
}

static int run(struct tail *t)
{
    bool on = true;
    int code = EXIT_DONE;
    if (!follow_begin_fd(&t->stop, outbox_reader_fd(t->reader)))
        return say_stopped(FOLLOW_FAILED);
    while (code == EXIT_DONE && on && !follow_stopped(&t->stop)) {
        code = gather(t);
        if (code != EXIT_DONE)
            break;
        if (t->lines.size) {
            code = give_away(t, &on);
        } else {
            enum follow_result result = t->follow ? follow_poll(&t->stop) : FOLLOW_STOP;
            on = result == FOLLOW_ON;
            code = say_stopped(result);
        }
    }
    follow_end(&t->stop);
    return code;
}

int ctl_tail(struct ctl *ctl, int argc, char **argv)
{
    struct tail t = {.db_path = ctl->db_path};
    const struct option_spec options[] = {{"consumer", OPTION_TEXT, &t.consumer},
                                          {"from", OPTION_TEXT, &t.from},
                                          {"follow", OPTION_FLAG, &t.follow},
                                          {"exec", OPTION_TEXT, &t.command}};
    int code;
    if (!arguments_read(ctl, options, 4, 1, 1, &argc, argv, &code))
        return code;
    if (!t.consumer) {
        ctl_say("tail: wants --consumer NAME: its cursor is kept under that name");
        return EXIT_USAGE;
    }
    t.file = argv[0];
    code = check_from(&t);
    if (code == EXIT_DONE)
        code = cursors_open(ctl, &t.cursors);
    t.ob = t.cursors.ob;
    if (code == EXIT_DONE)
        code = open_reader(&t);
    if (code == EXIT_DONE)
        code = run(&t);
    outbox_reader_close(t.reader);
    cursors_close(&t.cursors);
    buffer_free(&t.lines);
    return code;
}

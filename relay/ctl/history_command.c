/* history_command.c — `history`: every revision of one row that change_log still has: a line each for people, with what
 * changed; a JSON object each for programs, with the whole images.
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "fields.h"
#include "history_change.h"
#include "json_scan.h"
#include "json_write.h"
#include "row_history.h"
#include "table.h"
#include "text.h"
#include "timestamp.h"

static const char *text_of(sqlite3_stmt *st, enum row_history_column column)
{
    return (const char *)sqlite3_column_text(st, column);
}

/* An image as the object it is; what plain SQL has put there and is none, as a string. */
static void append_image(struct buffer *out, const char *name, const char *image)
{
    if (!image)
        return;
    field_name(out, name);
    if (!json_splice(out, image, strlen(image), NULL)) {
        struct buffer line = {0};
        text_escape(&line, image, strlen(image));
        json_write_text(out, line.data, line.size);
        buffer_free(&line);
    }
}

static void append_json(sqlite3_stmt *st, struct buffer *out)
{
    field_open(out, '{');
    field_int(out, "seq", sqlite3_column_int64(st, HISTORY_SEQ));
    field_int(out, "revision", sqlite3_column_int64(st, HISTORY_REVISION));
    field_text(out, "op", text_of(st, HISTORY_OP));
    field_time(out, "time", sqlite3_column_int64(st, HISTORY_CREATED_AT));
    field_text(out, "topic", text_of(st, HISTORY_TOPIC));
    append_image(out, "before", text_of(st, HISTORY_BEFORE));
    append_image(out, "after", text_of(st, HISTORY_AFTER));
    append_image(out, "headers", text_of(st, HISTORY_HEADERS));
    field_close(out, '}');
    buffer_append_byte(out, '\n');
}

static void add_row(struct text_table *table, sqlite3_stmt *st)
{
    char time[TIMESTAMP_SIZE];
    struct buffer change = {0};
    timestamp_format(time, sqlite3_column_int64(st, HISTORY_CREATED_AT));
    history_change(&change, text_of(st, HISTORY_BEFORE), text_of(st, HISTORY_AFTER));
    table_int(table, sqlite3_column_int64(st, HISTORY_SEQ));
    table_int(table, sqlite3_column_int64(st, HISTORY_REVISION));
    table_text(table, text_of(st, HISTORY_OP));
    table_text(table, time);
    table_text(table, buffer_text(&change));
    buffer_free(&change);
}

static int print_rows(const struct ctl *ctl, sqlite3 *db, sqlite3_stmt *st, int *rows)
{
    static const struct text_column columns[] = {
        {"SEQ", true}, {"REVISION", true}, {"OP", false}, {"TIME", false}, {"CHANGE", false}};
    struct text_table table;
    struct buffer out = {0};
    int rc, code = EXIT_DONE;
    table_init(&table, columns, sizeof columns / sizeof *columns);
    while (code == EXIT_DONE && (rc = sqlite3_step(st)) == SQLITE_ROW && !ferror(stdout)) {
        ++*rows;
        if (!ctl->json) {
            add_row(&table, st);
            continue;
        }
        buffer_clear(&out);
        append_json(st, &out);
        code = ctl_print(&out);
    }
    if (code == EXIT_DONE && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = ctl_fail_sqlite(db, rc, "change_log");
    if (code == EXIT_DONE && !ctl->json && *rows > 0) {
        out.failed = !table_render(&table, &out, text_colour(stdout));
        code = ctl_print(&out);
    }
    table_fini(&table);
    buffer_free(&out);
    return code;
}

static int history(const struct ctl *ctl, outbox *ob, const char *table, const char *key)
{
    sqlite3_stmt *st = NULL;
    int rows = 0, code = row_history(ob, table, key, &st);
    if (code != OUTBOX_OK)
        return ctl_fail(ob, code);
    code = print_rows(ctl, outbox_db(ob), st, &rows);
    sqlite3_finalize(st);
    if (code != EXIT_DONE || rows > 0)
        return code;
    ctl_say("table %s, key %s: nothing in change_log (never written, or older than history: outboxctl status)", table,
            key);
    return EXIT_NEGATIVE;
}

int ctl_history(struct ctl *ctl, int argc, char **argv)
{
    sqlite3 *db = NULL;
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, NULL, 0, 2, 2, &argc, argv, &code))
        return code;
    code = ctl_open_reader(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    int result = outbox_attach(db, NULL, &ob);
    code = result == OUTBOX_OK ? history(ctl, ob, argv[0], argv[1]) : ctl_fail(NULL, result);
    outbox_close(ob);
    sqlite3_close(db);
    return code;
}

/* status.c — `status`: prints what status_report.h gathers and finds. */
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "fields.h"
#include "settings_value.h"
#include "status_report.h"
#include "text.h"

static const char *const level_names[] = {
    [FINDING_NOTE] = "note", [FINDING_WARNING] = "warning", [FINDING_ALARM] = "alarm"};
static const char *const level_colours[] = {
    [FINDING_NOTE] = "", [FINDING_WARNING] = "\033[33m", [FINDING_ALARM] = "\033[31m"};

static void append_version(struct buffer *out, int v)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", v / 1000000, v / 1000 % 1000, v % 1000);
    buffer_append_text(out, text);
}

/* As `set` takes it. */
static void append_kept(struct buffer *out, const char *name, int64_t us, bool forever)
{
    char text[VALUE_TEXT_SIZE];
    buffer_append_text(out, name);
    value_format_duration(us < 0 ? 0 : us, text); /* plain SQL can store anything */
    buffer_append_text(out, forever ? "forever" : text);
}

static void append_limit(struct buffer *out, const char *name, int64_t limit)
{
    buffer_append_text(out, name);
    if (limit == INT64_MAX)
        buffer_append_text(out, "never");
    else
        text_append_int(out, limit);
}

static void append_summary(struct buffer *out, const struct status *s)
{
    char max_payload[VALUE_TEXT_SIZE];
    buffer_append_text(out, "database  ");
    text_escape(out, s->path, strlen(s->path));
    buffer_append_text(out, ", ");
    text_append_bytes(out, s->database_bytes);
    buffer_append_text(out, ", WAL ");
    text_append_bytes(out, s->wal_bytes);
    buffer_append_text(out, "\nsource    ");
    text_escape(out, s->source, strlen(s->source));
    buffer_append_text(out, ", schema ");
    text_append_int(out, s->schema_version);
    buffer_append_text(out, ", SQLite ");
    append_version(out, s->sqlite_version);
    buffer_append_text(out, "\nevents    last seq ");
    text_append_int(out, s->last_seq);
    buffer_append_text(out, "; ");
    text_append_int(out, s->outbox_rows);
    buffer_append_text(out, " in outbox, ");
    text_append_int(out, s->change_log_rows);
    buffer_append_text(out, " in change_log");
    append_kept(out, "\nkept      history ", s->history_us, s->history_forever);
    append_kept(out, ", retain ", s->retain_us, s->retain_forever);
    value_format_size(s->max_payload_bytes < 0 ? 0 : s->max_payload_bytes, max_payload);
    buffer_append_text(out, ", max-payload ");
    buffer_append_text(out, max_payload);
    append_limit(out, "\nalarms    dead-alarm ", s->failed_limits.dead);
    append_limit(out, ", failed-alarm ", s->failed_limits.all);
    buffer_append_byte(out, '\n');
}

static void append_findings(struct buffer *out, const struct findings *f, bool colour)
{
    for (int i = 0; i < f->count; i++) {
        const struct finding *item = &f->items[i];
        buffer_append_byte(out, '\n');
        buffer_append_text(out, colour ? level_colours[item->level] : "");
        buffer_append_text(out, level_names[item->level]);
        buffer_append_text(out, colour && item->level != FINDING_NOTE ? "\033[0m: " : ": ");
        text_escape(out, item->text, strlen(item->text));
        if (item->command[0]) {
            buffer_append_text(out, "\n    ");
            text_escape(out, item->command, strlen(item->command));
        }
    }
    buffer_append_text(out, f->count ? "\n" : "");
}

static void append_text(struct buffer *out, const struct status *s, const struct findings *f)
{
    bool colour = text_colour(stdout);
    append_summary(out, s);
    if (s->consumers.count) {
        buffer_append_byte(out, '\n');
        if (!consumer_list_render(&s->consumers, s->now_us, out, colour))
            out->failed = true;
    }
    append_findings(out, f, colour);
}

static void append_json(struct buffer *out, const struct status *s, const struct findings *f)
{
    field_open(out, '{');
    field_text(out, "database", s->path);
    field_text(out, "source", s->source);
    field_int(out, "schema_version", s->schema_version);
    field_int(out, "last_seq", s->last_seq);
    field_int(out, "outbox_rows", s->outbox_rows);
    field_int(out, "change_log_rows", s->change_log_rows);
    field_int(out, "database_bytes", s->database_bytes);
    field_int(out, "wal_bytes", s->wal_bytes);
    field_bool(out, "wal", s->wal);
    field_int_or_null(out, "history_us", s->history_us, s->history_forever);
    field_int_or_null(out, "retain_us", s->retain_us, s->retain_forever);
    field_int(out, "max_payload_bytes", s->max_payload_bytes);
    field_int_or_null(out, "dead_alarm", s->failed_limits.dead, s->failed_limits.dead == INT64_MAX);
    field_int_or_null(out, "failed_alarm", s->failed_limits.all, s->failed_limits.all == INT64_MAX);
    field_int(out, "sqlite_version", s->sqlite_version);
    field_name(out, "consumers");
    field_open(out, '[');
    for (int i = 0; i < s->consumers.count; i++)
        consumer_append_json(&s->consumers.items[i], out);
    field_close(out, ']');
    field_name(out, "findings");
    field_open(out, '[');
    for (int i = 0; i < f->count; i++) {
        field_open(out, '{');
        field_text(out, "level", level_names[f->items[i].level]);
        field_text(out, "text", f->items[i].text);
        field_text(out, "command", f->items[i].command[0] ? f->items[i].command : NULL);
        field_close(out, '}');
    }
    field_close(out, ']');
    field_close(out, '}');
    buffer_append_byte(out, '\n');
}

static int print(const struct ctl *ctl, const struct status *s)
{
    struct buffer out = {0};
    struct findings *findings = malloc(sizeof *findings);
    if (findings) {
        status_judge(s, findings);
        (ctl->json ? append_json(&out, s, findings) : append_text(&out, s, findings));
    }
    out.failed |= !findings;
    int code = ctl_print(&out);
    if (code == EXIT_DONE && findings && findings->alarm)
        code = EXIT_NEGATIVE;
    free(findings);
    buffer_free(&out);
    return code;
}

int ctl_status(struct ctl *ctl, int argc, char **argv)
{
    sqlite3 *db = NULL;
    struct status s;
    int code;
    if (!arguments_read(ctl, NULL, 0, 0, 0, &argc, argv, &code))
        return code;
    code = ctl_open_reader(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    int rc = status_gather(db, &s);
    code = rc == SQLITE_OK ? print(ctl, &s) : ctl_fail_sqlite(db, rc, "status");
    status_free(&s);
    sqlite3_close(db);
    return code;
}

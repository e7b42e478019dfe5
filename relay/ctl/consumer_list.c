/* consumer_list.c — see consumer_list.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "consumer_list.h"
#include "cursors.h"
#include "fields.h"
#include "lock.h"
#include "table.h"
#include "text.h"

static const char sql_consumers[] =
    "SELECT c.consumer, c.reads, c.state, coalesce(c.acked_seq, 0), coalesce(c.updated_at, 0),"
    "       CASE WHEN c.reads IS NULL"
    "            THEN (SELECT count(*) FROM main.outbox WHERE seq > coalesce(c.acked_seq, 0)) ELSE 0 END,"
    "       CASE WHEN c.reads IS NULL"
    "            THEN (SELECT created_at FROM main.outbox_events WHERE seq > coalesce(c.acked_seq, 0)"
    "                   ORDER BY seq LIMIT 1) END,"
    "       count(*) FILTER (WHERE f.state = 'retry'),"
    "       count(*) FILTER (WHERE f.state = 'waiting'),"
    "       count(*) FILTER (WHERE f.state = 'dead'),"
    "       min(f.failed_at) FILTER (WHERE f.state IN ('retry', 'waiting')),"
    "       min(f.failed_at) FILTER (WHERE f.state = 'dead'),"
    "       c.kind"
    "  FROM main.consumer_offsets AS c LEFT JOIN main.failed_deliveries AS f ON f.consumer = c.consumer"
    " GROUP BY c.consumer ORDER BY c.consumer";

static const char sql_cursors[] =
    "SELECT consumer, reads, state, coalesce(acked_seq, 0), coalesce(updated_at, 0), 0, NULL, 0, 0, 0, NULL, NULL, kind"
    "  FROM main.consumer_offsets ORDER BY consumer";

enum { LOCK_PATH_SIZE = 4096 + 80 };

static char *column_copy(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text ? strdup(text) : NULL;
}

/* A shared lock through a descriptor for reading, let go at once: the holder's name in the file stays, a second look
 * beside this one sees the truth, and no lock_watch takes the close for the holder's end. */
static void look_at_lock(struct consumer *c, const char *db_path)
{
    char path[LOCK_PATH_SIZE];
    int n = snprintf(path, sizeof path, "%s.%s.lock", db_path, c->name);
    if (n < 0 || (size_t)n >= sizeof path)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return; /* never held, or not ours to see */
    c->held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    if (c->held)
        lock_holder(path, c->holder, sizeof c->holder);
}

static bool add(struct consumer_list *list, sqlite3_stmt *st, const char *db_path)
{
    struct consumer *more = realloc(list->items, ((size_t)list->count + 1) * sizeof *more);
    if (!more)
        return false;
    list->items = more;
    struct consumer *c = &more[list->count++];
    *c = (struct consumer){.name = column_copy(st, 0),
                           .reads = column_copy(st, 1),
                           .state = column_copy(st, 2),
                           .acked_seq = sqlite3_column_int64(st, 3),
                           .updated_at_us = sqlite3_column_int64(st, 4),
                           .behind = sqlite3_column_int64(st, 5),
                           .oldest_us = sqlite3_column_int64(st, 6),
                           .retry = sqlite3_column_int64(st, 7),
                           .waiting = sqlite3_column_int64(st, 8),
                           .dead = sqlite3_column_int64(st, 9),
                           .failing_since_us = sqlite3_column_int64(st, 10),
                           .dead_since_us = sqlite3_column_int64(st, 11),
                           .kind = column_copy(st, 12)};
    if (!c->name)
        return false;
    look_at_lock(c, db_path);
    return true;
}

int consumer_list_load(sqlite3 *db, struct consumer_list *list)
{
    const char *db_path = sqlite3_db_filename(db, "main");
    sqlite3_stmt *st = NULL;
    bool readers;
    *list = (struct consumer_list){0};
    int rc = cursors_ask(db, &readers);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, readers ? sql_cursors : sql_consumers, -1, &st, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        rc = add(list, st, db_path) ? SQLITE_OK : SQLITE_NOMEM;
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void consumer_list_free(struct consumer_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].reads);
        free(list->items[i].state);
        free(list->items[i].kind);
    }
    free(list->items);
    *list = (struct consumer_list){0};
}

bool consumer_list_render(const struct consumer_list *list, int64_t now_us, struct buffer *out, bool colour)
{
    static const struct text_column columns[] = {
        {"CONSUMER", false}, {"KIND", false},   {"ACKED", true}, {"BEHIND", true}, {"OLDEST", true},
        {"RETRY", true},     {"WAITING", true}, {"DEAD", true},  {"STATE", false}, {"HELD BY", false}};
    struct text_table table;
    struct buffer age = {0};
    table_init(&table, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < list->count; i++) {
        const struct consumer *c = &list->items[i];
        buffer_clear(&age);
        if (c->oldest_us)
            text_append_duration(&age, now_us - c->oldest_us);
        table_text(&table, c->name);
        table_text(&table, c->kind);
        table_int(&table, c->acked_seq);
        if (c->reads)
            table_text(&table, NULL);
        else
            table_int(&table, c->behind);
        table_text(&table, buffer_text(&age));
        table_int(&table, c->retry);
        table_int(&table, c->waiting);
        table_int(&table, c->dead);
        table_text(&table, c->state ? c->state : "active");
        table_text(&table, c->held ? c->holder : NULL);
    }
    bool ok = table_render(&table, out, colour);
    table_fini(&table);
    buffer_free(&age);
    return ok;
}

void consumer_append_json(const struct consumer *c, struct buffer *out)
{
    field_open(out, '{');
    field_text(out, "consumer", c->name);
    field_text(out, "kind", c->kind);
    field_text(out, "reads", c->reads);
    field_int(out, "acked_seq", c->acked_seq);
    if (!c->reads)
        field_int(out, "behind", c->behind);
    field_time(out, "oldest_unacked_at", c->oldest_us);
    field_time(out, "updated_at", c->updated_at_us);
    field_text(out, "state", c->state ? c->state : "active");
    field_bool(out, "held", c->held);
    field_text(out, "holder", c->held ? c->holder : NULL);
    field_name(out, "failed");
    field_open(out, '{');
    field_int(out, "retry", c->retry);
    field_int(out, "waiting", c->waiting);
    field_int(out, "dead", c->dead);
    field_close(out, '}');
    field_time(out, "failing_since", c->failing_since_us);
    field_time(out, "dead_since", c->dead_since_us);
    field_close(out, '}');
}

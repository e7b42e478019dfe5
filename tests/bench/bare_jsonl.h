/* bare_jsonl.h — what a backlog to JSONL is measured against: a loop that steps through the same SELECT, puts the same
 * bytes together with memcpy (it checks nothing and escapes nothing), writes them and syncs once per 10,000 rows.
 */
#ifndef BENCH_BARE_JSONL_H
#define BENCH_BARE_JSONL_H

#include <fcntl.h>

#include <sqlite3.h>

#include "bench.h"

enum { BARE_SYNC_ROWS = 10000, BARE_WRITE_BYTES = 1 << 18 };

struct bare_out {
    int fd;
    char *data;
    size_t size;
};

static inline void bare_flush(struct bare_out *o)
{
    if (write(o->fd, o->data, o->size) != (ssize_t)o->size)
        bench_die("write", "short");
    o->size = 0;
}

static inline void bare_put(struct bare_out *o, const void *bytes, size_t n)
{
    memcpy(o->data + o->size, bytes, n);
    o->size += n;
}

static inline void bare_put_text(struct bare_out *o, const char *text)
{
    bare_put(o, text, strlen(text));
}

static inline void bare_put_column(struct bare_out *o, sqlite3_stmt *st, int i)
{
    const void *text = sqlite3_column_text(st, i);
    bare_put(o, text, (size_t)sqlite3_column_bytes(st, i));
}

static inline void bare_put_int(struct bare_out *o, int64_t value)
{
    char digits[24];
    int n = 24;
    do
        digits[--n] = (char)('0' + value % 10);
    while (value /= 10);
    bare_put(o, digits + n, (size_t)(24 - n));
}

/* What follows after_seq, to a new file. */
static inline int bare_jsonl(const char *db_path, const char *path, int64_t after_seq)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    struct bare_out o = {open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640), malloc(BARE_WRITE_BYTES * 2), 0};
    if (sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READONLY, NULL) ||
        sqlite3_prepare_v2(
            db,
            "SELECT seq, topic, table_name, key, op, revision, before, payload, headers, ordering_key, created_at FROM outbox_events WHERE seq > ? ORDER BY seq",
            -1, &st, NULL))
        bench_die("bare", sqlite3_errmsg(db));
    sqlite3_bind_int64(st, 1, after_seq);
    for (int64_t rows = 1; sqlite3_step(st) == SQLITE_ROW; rows++) {
        int64_t seq = sqlite3_column_int64(st, 0);
        bare_put_text(&o, "{\"seq\":");
        bare_put_int(&o, seq);
        bare_put_text(&o, ",\"prev\":");
        bare_put_int(&o, seq - 1);
        bare_put_text(&o, ",\"id\":\"0123456789abcdef-");
        bare_put_int(&o, seq);
        bare_put_text(&o, "\",\"topic\":\"");
        bare_put_column(&o, st, 1);
        bare_put_text(&o, "\",\"table\":\"");
        bare_put_column(&o, st, 2);
        bare_put_text(&o, "\",\"key\":\"");
        bare_put_column(&o, st, 3);
        bare_put_text(&o, "\",\"op\":\"");
        bare_put_column(&o, st, 4);
        bare_put_text(&o, "\",\"revision\":");
        bare_put_int(&o, sqlite3_column_int64(st, 5));
        bare_put_text(&o, ",\"time\":\"2026-11-21T05:21:00.");
        bare_put_int(&o, 100000 + sqlite3_column_int64(st, 10) % 900000);
        bare_put_text(&o, "Z\",\"payload\":");
        bare_put_column(&o, st, 7);
        bare_put_text(&o, "}\n");
        if (o.size > BARE_WRITE_BYTES)
            bare_flush(&o);
        if (rows % BARE_SYNC_ROWS == 0) {
            bare_flush(&o);
            fdatasync(o.fd);
        }
    }
    bare_flush(&o);
    fdatasync(o.fd);
    sqlite3_finalize(st);
    sqlite3_close(db);
    close(o.fd);
    free(o.data);
    return 0;
}

#endif

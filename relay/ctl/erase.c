/* erase.c — `erase`: the data of one key is forgotten, in the database and in the streams that are named.
 *
 * The rows first, in one transaction, then the streams' lines, then the write-ahead log. From the commit on nothing
 * writes the data anew: a stream that a relay has to write again comes from change_log, and what everybody has is read
 * by nobody any more. Whatever ends it in between, the same command again does the rest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "erase.h"
#include "fields.h"
#include "segment.h"

struct erase {
    struct erase_key key;
    struct erase_rows rows;
};

static int step(sqlite3 *db, void *arg, struct report *report)
{
    struct erase *e = arg;
    char detail[80];
    int code = erase_rows(&e->rows, db, report);
    if (code == EXIT_DONE && !e->rows.count && !e->rows.file_count) {
        ctl_say("nothing is there of %s, key %s", e->key.name, e->key.key);
        return EXIT_NEGATIVE;
    }
    snprintf(detail, sizeof detail, "events: %" PRId64 ", streams: %d", e->rows.count, e->rows.file_count);
    return code == EXIT_DONE ? operation_record(db, "erase", NULL, 0, e->key.key, detail) : code;
}

/* ---- What no transaction holds ---- */

static void tell_files(const struct erase *e, const struct erase_files *f, struct report *report)
{
    if (e->rows.file_count)
        report_say(report, "lines of it, in %" PRId64 " files: %" PRId64 ", of which %" PRId64 " lose their data",
                   f->files, f->lines, f->emptied);
    if (e->rows.jsonl_writers > e->rows.file_count)
        report_say(report, "this database feeds %" PRId64 " JSONL streams, and %d of them are named here",
                   e->rows.jsonl_writers, e->rows.file_count);
    if (f->untouched || f->unreadable || f->undecided)
        report_say(report,
                   "not complete: files that are not touched: %" PRId64 ", lines that can't be read: %" PRId64
                   ", lines with this key that may be another table's: %" PRId64,
                   f->untouched, f->unreadable, f->undecided);
    field_int(&report->fields, "files", f->files);
    field_int(&report->fields, "lines", f->lines);
    field_int(&report->fields, "lines_emptied", f->emptied);
    field_int(&report->fields, "files_untouched", f->untouched);
    field_int(&report->fields, "lines_unreadable", f->unreadable);
    field_int(&report->fields, "lines_undecided", f->undecided);
}

static int begin_wal_anew(sqlite3 *db, struct report *report)
{
    bool gone;
    int rc = erase_wal(db, &gone);
    if (rc != SQLITE_OK)
        return ctl_fail_sqlite(db, rc, "the write-ahead log");
    if (!gone)
        report_say(report,
                   "a reader keeps the write-ahead log as it is, with the data in it: end that reader (outboxctl "
                   "status), and run this again");
    field_bool(&report->fields, "wal_emptied", gone);
    return gone ? EXIT_DONE : EXIT_TEMPORARY;
}

static int rest(sqlite3 *db, void *arg, bool keep, struct report *report)
{
    const struct erase *e = arg;
    struct erase_files files = {.key = &e->key, .keep = keep};
    int rc = e->rows.file_count ? erase_log_init(&files.log, db, &e->key) : SQLITE_OK;
    int code = rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(db, rc, "the schema");
    for (int i = 0; code == EXIT_DONE && i < e->rows.file_count; i++)
        code = erase_files(&files, e->rows.files[i]);
    tell_files(e, &files, report);
    if (keep) {
        int wal = begin_wal_anew(db, report);
        code = code == EXIT_DONE ? wal : code;
    }
    report->empty = code == EXIT_DONE && !e->rows.count && !files.lines && !files.undecided;
    if (report->empty)
        report_say(report, "nothing is there of %s, key %s", e->key.name, e->key.key);
    bool complete = !report->empty && !files.untouched && !files.unreadable && !files.undecided;
    return code == EXIT_DONE && !complete ? EXIT_NEGATIVE : code;
}

/* ---- The command ---- */

/* Leaves each stream in files once, whatever it is called: what is done to its lines is counted. */
static int look_at_files(struct erase_rows *r)
{
    int count = 0, code = EXIT_DONE;
    for (int i = 0; code == EXIT_DONE && i < r->file_count; i++) {
        int same = 0;
        code = erase_files_look(r->files[i]);
        while (same < count && stream_same(r->files[same], r->files[i]) != STREAM_SAME)
            same++;
        if (same == count)
            r->files[count++] = r->files[i];
    }
    r->file_count = count;
    return code;
}

int ctl_erase(struct ctl *ctl, int argc, char **argv)
{
    enum { FILES_MAX = 1000 };
    struct consent consent = {0};
    struct erase e = {0};
    const struct option_spec options[] = {{"owed", OPTION_FLAG, &e.rows.owed},
                                          {"dry-run", OPTION_FLAG, &consent.dry_run},
                                          {"yes", OPTION_FLAG, &consent.yes}};
    int code;
    if (!arguments_read(ctl, options, 3, 2, 2 + FILES_MAX, &argc, argv, &code))
        return code;
    if (!*argv[0]) { /* a key may be empty: that is not the same as none */
        ctl_say("erase: the name of a table or topic is empty");
        return EXIT_USAGE;
    }
    e.key = (struct erase_key){argv[0], argv[1]};
    e.rows.files = argv + 2;
    e.rows.file_count = argc - 2;
    e.rows.key = &e.key;
    code = look_at_files(&e.rows);
    if (code == EXIT_DONE)
        code = erase_rows_find(&e.rows, ctl);
    if (code == EXIT_DONE)
        code = operation_run_with(ctl, &consent, step, rest, &e);
    buffer_free(&e.rows.seqs);
    return code;
}

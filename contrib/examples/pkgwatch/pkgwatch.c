/* pkgwatch.c — keeps a table of the host's Debian packages, and so turns every upgrade into an event.
 *
 *     pkgwatch [--db PATH] [--file FILE]        # default: packages.db, /var/lib/dpkg/status; "-" is standard input
 *
 * An example of an application on liboutbox, made to be copied. It shows:
 *
 *   - a table of its own beside the outbox: all it needs is a PRIMARY KEY and a revision column;
 *   - typed values, and OUTBOX_SKIP_UNCHANGED: a row that is already so makes no event;
 *   - many writes in one transaction: one sync for 500 packages, and all of them or none;
 *   - which failures concern one row and which concern everything.
 *
 * Run again after a crash it goes on where it was: what was committed is unchanged then, the rest is written.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <outbox.h>

#define TABLE "packages"

static const char sql_create[] = "CREATE TABLE IF NOT EXISTS packages(\n"
                                 "    name           TEXT NOT NULL,\n"
                                 "    architecture   TEXT NOT NULL,\n"
                                 "    version        TEXT,\n"
                                 "    status         TEXT,\n"
                                 "    section        TEXT,\n"
                                 "    installed_size INTEGER, -- KiB\n"
                                 "    maintainer     TEXT,\n"
                                 "    description    TEXT,\n"
                                 "    revision       INTEGER NOT NULL DEFAULT 1,\n"
                                 "    PRIMARY KEY (name, architecture))";

/* What the table holds at the start, each still to be found in the file. Private to this connection. */
static const char sql_known[] = "CREATE TEMP TABLE known(name, architecture, state, PRIMARY KEY (name, architecture));"
                                "INSERT INTO known SELECT name, architecture, 'gone' FROM main.packages";

/* Says what a package of the file is to us: 'new', 'found', or 'twice' (met before in this very file). */
static const char sql_meet[] = "INSERT INTO known(name, architecture, state) VALUES (?1, ?2, 'new')"
                               " ON CONFLICT DO UPDATE SET state = iif(state = 'gone', 'found', 'twice')"
                               " RETURNING state";

/* The keys of what is gone, in the form that outbox_delete() takes: a composite key is a JSON array. */
static const char sql_gone[] = "SELECT json_array(name, architecture) FROM known WHERE state = 'gone'";

enum { WRITES_PER_TRANSACTION = 500 };

/* One paragraph of the file. Fields that it doesn't have are NULL. */
struct package {
    char *name, *architecture, *version, *status, *section, *installed_size, *maintainer, *description;
};

struct watch {
    outbox *ob;
    sqlite3_stmt *meet;
    int pending; /* writes in the open transaction */
    long packages, added, changed, removed, unchanged, refused;
};

/* ---- The file: paragraphs of "Field: value", a blank line after each ---- */

static char **field_of(struct package *p, const char *line, size_t name_size)
{
    const struct {
        const char *name;
        char **value;
    } fields[] = {
        {"Package", &p->name},          {"Architecture", &p->architecture}, {"Version", &p->version},
        {"Status", &p->status},         {"Section", &p->section},           {"Installed-Size", &p->installed_size},
        {"Maintainer", &p->maintainer}, {"Description", &p->description},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strlen(fields[i].name) == name_size && memcmp(fields[i].name, line, name_size) == 0)
            return fields[i].value;
    return NULL;
}

static void package_clear(struct package *p)
{
    free(p->name);
    free(p->architecture);
    free(p->version);
    free(p->status);
    free(p->section);
    free(p->installed_size);
    free(p->maintainer);
    free(p->description);
    *p = (struct package){0};
}

/* A line that begins with a blank continues the field above; of a description only the first line is kept. */
static bool take_line(struct package *p, const char *line)
{
    const char *colon = strchr(line, ':');
    char **field = colon && *line != ' ' ? field_of(p, line, (size_t)(colon - line)) : NULL;
    if (!field || *field)
        return true;
    *field = strdup(colon + 1 + strspn(colon + 1, " \t"));
    return *field;
}

/* The next paragraph. False: the end of the file, or errno says what went wrong. */
static bool package_read(FILE *file, char **line, size_t *capacity, struct package *p)
{
    ssize_t size;
    package_clear(p);
    errno = 0;
    while ((size = getline(line, capacity, file)) >= 0) {
        while (size > 0 && strchr("\r\n", (*line)[size - 1]))
            (*line)[--size] = '\0';
        if (size > 0 && !take_line(p, *line))
            return false;
        if (size == 0 && p->name)
            return true;
        if (size == 0)
            package_clear(p); /* a paragraph about something else */
    }
    return p->name && !ferror(file); /* the last one may lack its blank line */
}

/* ---- The table ---- */

static bool complain(const struct watch *w, const char *what)
{
    fprintf(stderr, "pkgwatch: %s: %s\n", what, outbox_errmsg(w->ob));
    return false;
}

static bool complain_sqlite(const struct watch *w, const char *what)
{
    fprintf(stderr, "pkgwatch: %s: %s\n", what, sqlite3_errmsg(outbox_db(w->ob)));
    return false;
}

static bool begin_if_needed(struct watch *w)
{
    return w->pending > 0 || outbox_begin(w->ob) == OUTBOX_OK || complain(w, "begin");
}

static bool commit_if(struct watch *w, bool due)
{
    if (!due || w->pending == 0)
        return true;
    w->pending = 0;
    return outbox_commit(w->ob) == OUTBOX_OK || complain(w, "commit");
}

/* These concern the one row that was written: nothing of it is there, and the transaction goes on. Anything else (a full
 * disk, a lock that isn't given) would happen to the next row too. */
static bool concerns_one_row(int code)
{
    return code == OUTBOX_INVALID || code == OUTBOX_CONSTRAINT || code == OUTBOX_TOOBIG;
}

static int upsert(struct watch *w, const struct package *p)
{
    const outbox_write_options options = {.size = sizeof options, .flags = OUTBOX_SKIP_UNCHANGED};
    const outbox_value row[] = {
        outbox_text("name", p->name),
        outbox_text("architecture", p->architecture ? p->architecture : ""),
        outbox_text("version", p->version),
        outbox_text("status", p->status),
        outbox_text("section", p->section),
        p->installed_size ? outbox_int("installed_size", strtoll(p->installed_size, NULL, 10))
                          : outbox_null("installed_size"),
        outbox_text("maintainer", p->maintainer),
        outbox_text("description", p->description),
    };
    /* Any revision: the file is the truth, whoever wrote the row last. */
    return outbox_upsert(w->ob, TABLE, row, sizeof row / sizeof *row, OUTBOX_ANY_REVISION, &options, NULL);
}

enum meeting { MEETING_FAILED, MEETING_NEW, MEETING_FOUND, MEETING_TWICE };

static enum meeting meet(struct watch *w, const struct package *p)
{
    enum meeting result = MEETING_FAILED;
    sqlite3_bind_text(w->meet, 1, p->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(w->meet, 2, p->architecture ? p->architecture : "", -1, SQLITE_STATIC);
    if (sqlite3_step(w->meet) == SQLITE_ROW) {
        const char *state = (const char *)sqlite3_column_text(w->meet, 0);
        result = !strcmp(state, "new") ? MEETING_NEW : !strcmp(state, "found") ? MEETING_FOUND : MEETING_TWICE;
    }
    sqlite3_reset(w->meet);
    return result;
}

static bool record(struct watch *w, const struct package *p)
{
    if (!begin_if_needed(w))
        return false;
    w->pending++;
    enum meeting meeting = meet(w, p);
    if (meeting == MEETING_FAILED)
        return complain_sqlite(w, p->name);
    if (meeting == MEETING_TWICE)
        return true; /* another version in the same list: the first one counts */
    w->packages++;
    int code = upsert(w, p);
    if (concerns_one_row(code)) {
        complain(w, p->name);
        w->refused++;
        return true;
    }
    if (code != OUTBOX_OK)
        return complain(w, p->name);
    if (outbox_last_seq(w->ob) == 0)
        w->unchanged++;
    else if (meeting == MEETING_NEW)
        w->added++;
    else
        w->changed++;
    return commit_if(w, w->pending == WRITES_PER_TRANSACTION);
}

static bool read_file(struct watch *w, FILE *file, const char *name)
{
    struct package p = {0};
    char *line = NULL;
    size_t capacity = 0;
    bool ok = true;
    while (ok && package_read(file, &line, &capacity, &p))
        ok = record(w, &p);
    if (ok && errno) {
        fprintf(stderr, "pkgwatch: %s: %s\n", name, strerror(errno));
        ok = false;
    }
    package_clear(&p);
    free(line);
    return ok && commit_if(w, true);
}

/* Only after the whole file was read: half a file would look like half the packages gone. */
static bool remove_gone(struct watch *w)
{
    sqlite3_stmt *gone = NULL;
    int rc = sqlite3_prepare_v2(outbox_db(w->ob), sql_gone, -1, &gone, NULL);
    bool ok = true;
    while (ok && rc == SQLITE_OK && (rc = sqlite3_step(gone)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(gone, 0);
        rc = SQLITE_OK;
        ok = begin_if_needed(w);
        if (!ok)
            break;
        w->pending++;
        int code = outbox_delete(w->ob, TABLE, key, OUTBOX_ANY_REVISION, NULL);
        if (code == OUTBOX_OK)
            w->removed++;
        else if (code != OUTBOX_NOT_FOUND) /* another pkgwatch was faster: as well */
            ok = complain(w, key);
        ok = ok && commit_if(w, w->pending == WRITES_PER_TRANSACTION);
    }
    sqlite3_finalize(gone);
    if (ok && rc != SQLITE_DONE)
        ok = complain_sqlite(w, "known");
    return ok && commit_if(w, true);
}

static bool prepare(struct watch *w)
{
    sqlite3 *db = outbox_db(w->ob);
    return (sqlite3_exec(db, sql_create, NULL, NULL, NULL) == SQLITE_OK &&
            sqlite3_exec(db, sql_known, NULL, NULL, NULL) == SQLITE_OK &&
            sqlite3_prepare_v2(db, sql_meet, -1, &w->meet, NULL) == SQLITE_OK) ||
           complain_sqlite(w, TABLE);
}

static bool watch(struct watch *w, FILE *file, const char *name)
{
    if (!prepare(w) || !read_file(w, file, name))
        return false;
    if (w->packages == 0) {
        fprintf(stderr, "pkgwatch: %s: no package in it; nothing is removed\n", name);
        return false;
    }
    if (!remove_gone(w))
        return false;
    printf("%ld packages: %ld added, %ld changed, %ld removed, %ld unchanged", w->packages, w->added, w->changed,
           w->removed, w->unchanged);
    if (w->refused)
        printf(", %ld refused", w->refused);
    printf("\n");
    return w->refused == 0;
}

/* ---- The command line ---- */

static bool parse(int argc, char **argv, const char **db, const char **file)
{
    for (int i = 1; i < argc; i++) {
        const char **value = !strcmp(argv[i], "--db") ? db : !strcmp(argv[i], "--file") ? file : NULL;
        if (!value || i + 1 == argc)
            return false;
        *value = argv[++i];
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *db = "packages.db", *name = "/var/lib/dpkg/status";
    struct watch w = {0};
    if (!parse(argc, argv, &db, &name)) {
        fprintf(stderr, "usage: pkgwatch [--db PATH] [--file FILE]\n");
        return 2;
    }
    FILE *file = strcmp(name, "-") ? fopen(name, "r") : stdin;
    if (!file) {
        fprintf(stderr, "pkgwatch: %s: %s\n", name, strerror(errno));
        return 1;
    }
    if (outbox_open(db, NULL, &w.ob) != OUTBOX_OK) {
        complain(&w, db); /* without a handle, outbox_errmsg() has the words of the open */
        fclose(file);
        return 1;
    }
    bool ok = watch(&w, file, name);
    sqlite3_finalize(w.meet);
    outbox_close(w.ob); /* rolls back what is still open */
    fclose(file);
    return ok ? 0 : 1;
}

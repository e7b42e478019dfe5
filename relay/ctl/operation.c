/* operation.c — see operation.h. */
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cursors.h"
#include "fields.h"
#include "operation.h"
#include "query.h"
#include "timestamp.h"

static const char sql_record[] = "INSERT INTO main.outbox_audit(at, actor, action, consumer, seq, key, detail)"
                                 " VALUES (?1, ?2, ?3, ?4, nullif(?5, 0), ?6, ?7)";

enum { LINE_SIZE = 1024, ACTOR_SIZE = 200 };

void report_say(struct report *r, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    buffer_append_text(&r->words, line);
    buffer_append_byte(&r->words, '\n');
}

static void report_free(struct report *r)
{
    buffer_free(&r->words);
    buffer_free(&r->fields);
    buffer_free(&r->json);
}

void operation_actor(char *text, size_t size)
{
    char host[64] = "localhost";
    const struct passwd *user = getpwuid(getuid());
    gethostname(host, sizeof host - 1);
    if (user)
        snprintf(text, size, "%s@%s", user->pw_name, host);
    else
        snprintf(text, size, "uid %ld@%s", (long)getuid(), host);
}

int operation_record(sqlite3 *db, const char *action, const char *consumer, int64_t seq, const char *key,
                     const char *detail)
{
    char actor[ACTOR_SIZE];
    bool readers;
    int rc = cursors_ask(db, &readers);
    if (rc == SQLITE_OK && readers)
        return EXIT_DONE;
    operation_actor(actor, sizeof actor);
    if (rc == SQLITE_OK)
        rc = query_run(db, NULL, sql_record, "itttitt", timestamp_now_us(), actor, action, consumer, seq, key, detail);
    return rc == SQLITE_OK ? EXIT_DONE : ctl_fail_sqlite(db, rc, "outbox_audit");
}

/* What a command does, in its two parts. */
struct parts {
    operation_step *step;
    operation_rest *rest; /* NULL: none */
    void *arg;
};

/* What will be printed, while it may still fail. */
static bool compose(const struct ctl *ctl, struct report *report)
{
    buffer_clear(&report->json);
    if (ctl->json) {
        field_open(&report->json, '{');
        buffer_append(&report->json, report->fields.data, report->fields.size);
        field_bool(&report->json, "dry_run", report->dry_run);
        field_close(&report->json, '}');
        buffer_append_byte(&report->json, '\n');
    }
    return buffer_text(&report->words) && buffer_ok(&report->fields) && buffer_ok(&report->json);
}

/* One transaction around the step, kept or rolled back. */
static int transact(const struct ctl *ctl, outbox *ob, const struct parts *parts, bool keep, struct report *report)
{
    int code = outbox_begin(ob);
    if (code != OUTBOX_OK)
        return ctl_fail(ob, code);
    int exit_code = parts->step(outbox_db(ob), parts->arg, report);
    if (exit_code == EXIT_DONE && !compose(ctl, report)) {
        ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
        exit_code = EXIT_TEMPORARY;
    }
    if (exit_code != EXIT_DONE || !keep || report->empty) {
        outbox_rollback(ob);
        return exit_code;
    }
    code = outbox_commit(ob);
    return code == OUTBOX_OK ? EXIT_DONE : ctl_fail(ob, code);
}

/* Both parts. *rest_code is of the second: what it did is told, also where it could not do all. */
static int perform(const struct ctl *ctl, outbox *ob, const struct parts *parts, bool keep, struct report *report,
                   int *rest_code)
{
    *rest_code = EXIT_DONE;
    int code = transact(ctl, ob, parts, keep, report);
    if (code != EXIT_DONE || report->empty || !parts->rest)
        return code;
    /* Crash here: the step is kept and the rest is not done; the same command again does it. */
    *rest_code = parts->rest(outbox_db(ob), parts->arg, keep, report);
    if (compose(ctl, report))
        return EXIT_DONE;
    ctl_say("%s", outbox_strerror(OUTBOX_NOMEM));
    return EXIT_TEMPORARY;
}

static int tell(const struct ctl *ctl, const struct report *report)
{
    const char *words = report->words.data;
    if (ctl->json)
        return ctl_print(&report->json);
    for (const char *end; words && (end = strchr(words, '\n')); words = end + 1)
        ctl_say("%.*s", (int)(end - words), words);
    if (report->dry_run)
        ctl_say("a dry run: nothing was changed");
    return EXIT_DONE;
}

/* Whether the answer on the terminal is yes. */
static bool ask(void)
{
    char answer[16] = "";
    fflush(stdout);
    fputs("outboxctl: go on? [y/N] ", stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Tells what would be done, and asks. EXIT_DONE: it was agreed to; *agreed false with EXIT_DONE: it has ended here. */
static int agree(const struct ctl *ctl, const struct consent *consent, outbox *ob, const struct parts *parts,
                 bool *agreed)
{
    struct report report = {.dry_run = consent->dry_run};
    int rest_code;
    *agreed = consent->yes && !consent->dry_run;
    if (*agreed)
        return EXIT_DONE;
    int code = perform(ctl, ob, parts, false, &report, &rest_code);
    bool asking = !consent->dry_run && !report.empty;
    if (code == EXIT_DONE && asking && !isatty(STDIN_FILENO)) {
        ctl_say("%s: this needs --yes where there is nobody to ask; --dry-run tells what it would do",
                ctl->command->name);
        code = EXIT_USAGE;
    } else if (code == EXIT_DONE) {
        code = tell(ctl, &report);
    }
    if (code == EXIT_DONE && (!asking || rest_code > EXIT_NEGATIVE))
        code = rest_code;
    if (code == EXIT_DONE && asking) {
        *agreed = ask();
        if (!*agreed)
            ctl_say("nothing was changed");
        code = *agreed ? EXIT_DONE : EXIT_NEGATIVE;
    }
    report_free(&report);
    return code;
}

static int run(const struct ctl *ctl, const struct consent *consent, outbox *ob, const struct parts *parts)
{
    struct report report = {0};
    bool agreed;
    int rest_code, code = agree(ctl, consent, ob, parts, &agreed);
    if (code == EXIT_DONE && agreed) {
        code = perform(ctl, ob, parts, true, &report, &rest_code);
        if (code == EXIT_DONE)
            code = tell(ctl, &report);
        if (code == EXIT_DONE)
            code = rest_code;
    }
    report_free(&report);
    return code;
}

int operation_run_with(struct ctl *ctl, const struct consent *consent, operation_step *step, operation_rest *rest,
                       void *arg)
{
    const struct parts parts = {step, rest, arg};
    outbox *ob = NULL;
    int code = ctl_open(ctl, &ob);
    if (code == EXIT_DONE)
        code = run(ctl, consent, ob, &parts);
    outbox_close(ob);
    return code;
}

int operation_run(struct ctl *ctl, const struct consent *consent, operation_step *step, void *arg)
{
    return operation_run_with(ctl, consent, step, NULL, arg);
}

int operation_run_on_cursors(struct ctl *ctl, const struct consent *consent, operation_step *step, void *arg)
{
    const struct parts parts = {step, NULL, arg};
    struct cursors cursors = {0};
    int code = cursors_open_existing(ctl, &cursors);
    if (code == EXIT_DONE)
        code = run(ctl, consent, cursors.ob, &parts);
    cursors_close(&cursors);
    return code;
}

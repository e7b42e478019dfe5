/* oom_ctl_test.c — each command of outboxctl out of memory, interrupted and forbidden: it says so on one line, with the
 * code of a fault that may pass, and has changed nothing; or it has done and printed what it always does.
 */
#include "fail_alloc.h"
#include "fixture.h"
#include "stream_writer.h"

int ctl_main(int argc, char **argv);

#define main ctl_main
#include "ctl/main.c"
#undef main

static const char sql_scene[] =
    "DELETE FROM outbox; DELETE FROM change_log; DELETE FROM consumer_offsets; DELETE FROM failed_deliveries;"
    "DELETE FROM outbox_audit; DELETE FROM things; DELETE FROM sqlite_sequence;"
    "UPDATE outbox_meta SET value = '9f86d081884c7d65' WHERE name = 'source';"
    "UPDATE outbox_meta SET value = NULL WHERE name IN ('former_sources', 'history');"
    "UPDATE outbox_meta SET value = 1000000 WHERE name = 'max_payload';"
    "INSERT INTO things VALUES ('a', 'one', 2), ('b', 'two', 1);"
    "INSERT INTO change_log(topic, table_name, key, op, revision, before, payload, created_at) VALUES"
    "  ('things', 'things', 'a', 'insert', 1, NULL, '{\"id\":\"a\",\"note\":\"none\",\"revision\":1}', 1),"
    "  ('things', 'things', 'a', 'update', 2, '{\"id\":\"a\",\"note\":\"none\",\"revision\":1}',"
    "   '{\"id\":\"a\",\"note\":\"one\",\"revision\":2}', 2),"
    "  ('things', 'things', 'b', 'insert', 1, NULL, '{\"id\":\"b\",\"note\":\"two\",\"revision\":1}', 3);"
    "INSERT INTO change_log(topic, key, op, payload, headers, created_at)"
    "  SELECT 't', 'k', 'emit', '{\"n\":1}', '{\"a\":\"b\"}', 1000 + value FROM json_each('[4,5,6,7,8]');"
    "INSERT INTO outbox SELECT seq FROM change_log WHERE seq > 3;"
    "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token, kind, updated_at) VALUES"
    "  ('c', 5, 4, 'webhook', 7), ('slow', 3, 1, 'stdout', 7);"
    "INSERT INTO failed_deliveries(consumer, seq, key, state, attempts, next_attempt_at, last_status, last_error,"
    "  failed_at) VALUES ('c', 4, 't/k', 'dead', 2, NULL, 400, 'bad', 1), ('c', 5, 't/k', 'waiting', 0, NULL, NULL,"
    "  NULL, 1);"
    "INSERT INTO failed_attempts(consumer, seq, at, attempt, status, error, request, answer)"
    "  VALUES ('c', 4, 5, 2, 400, 'bad', 'req', x'62616421')";

/* All that a command may change, but for times and drawn names. */
static const char sql_state[] =
    "SELECT (SELECT group_concat(seq) FROM outbox) || '/' || (SELECT group_concat(seq || op || coalesce(key, '-') ||"
    " coalesce(payload, '-')) FROM change_log) || '/' || (SELECT group_concat(concat, ';') FROM (SELECT consumer || ',' ||"
    " coalesce(acked_seq, '-') || ',' || lease_token || ',' || coalesce(state, '-') AS concat FROM consumer_offsets"
    " ORDER BY consumer)) || '/' || coalesce((SELECT group_concat(consumer || seq || state || attempts) FROM"
    " failed_deliveries), '-') || '/' || (SELECT count(*) FROM outbox_audit) || '/' || (SELECT group_concat(id || note ||"
    " revision) FROM things) || '/' || (SELECT group_concat(name || CASE name WHEN 'source' THEN value = '9f86d081884c7d65'"
    " WHEN 'former_sources' THEN value IS NULL ELSE value END) FROM outbox_meta WHERE value IS NOT NULL) || '/' ||"
    " (SELECT count(*) FROM sqlite_schema)";

enum { TEXT = 1 << 16 };

struct scene {
    struct fixture *f;
    struct stream_writer stream;
    int out, err; /* files for what is printed and said */
    char before[TEXT], after[TEXT], wanted[TEXT], printed[TEXT], printed_wanted[TEXT], said[TEXT];
};

enum {
    VARIES = 1 /* what is printed has times or drawn names in it */,
    FILES = 2 /* ends in the path of a stream */,
    CAPTURED = 4
};

struct command_case {
    const char *line; /* the arguments, parted by spaces; those of JSON have none */
    int is, code;     /* code: the one expected */
    enum fault fault;
};

static void set_scene(struct scene *s, const struct command_case *c)
{
    if (c->is & CAPTURED)
        assert_ok(s->f, outbox_release(s->f->ob, "things"));
    sql_on(outbox_db(s->f->ob), sql_scene);
    if (c->is & CAPTURED)
        assert_ok(s->f, outbox_capture(s->f->ob, "things", NULL));
}

static void keep(struct scene *s, char text[TEXT])
{
    snprintf(text, TEXT, "%s", fixture_text(s->f, sql_state));
}

static void take(int fd, char text[TEXT])
{
    ssize_t n = pread(fd, text, TEXT - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
}

/* The program's main() with its standard output and error taken. */
static int run_command(struct scene *s, const struct command_case *c, long k, bool for_good, bool *met)
{
    char line[512], *argv[32] = {NULL}, *rest = line;
    char program[] = "outboxctl", option[] = "--db";
    int argc = 0, saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    snprintf(line, sizeof line, "%s%s%s", c->line, c->is & FILES ? " " : "", c->is & FILES ? s->stream.path : "");
    argv[argc++] = program;
    argv[argc++] = option;
    argv[argc++] = s->f->path;
    for (char *word; argc < 31 && (word = strsep(&rest, " "));)
        argv[argc++] = word;
    fflush(stdout);
    assert_int_equal(ftruncate(s->out, 0) | ftruncate(s->err, 0), 0);
    lseek(s->out, 0, SEEK_SET);
    lseek(s->err, 0, SEEK_SET);
    dup2(s->out, STDOUT_FILENO);
    dup2(s->err, STDERR_FILENO);
    if (k)
        alloc_arm(k, for_good);
    int code = ctl_main(argc, argv);
    *met = k && alloc_disarm();
    fflush(stdout);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    take(s->out, s->printed);
    take(s->err, s->said);
    return code;
}

static void run_kth(struct scene *s, const struct command_case *c, long k, bool for_good, bool *met)
{
    set_scene(s, c);
    keep(s, s->before);
    long ours = alloc_ours;
    int code = run_command(s, c, k, for_good, met);
    keep(s, s->after);
    bool done = code == c->code;
    const char *words = done ? s->wanted : s->before;
    bool may_pass = c->fault != FAULT_DENIED;
    if (!done && (!*met || code != (may_pass ? EXIT_TEMPORARY : EXIT_PERMANENT)))
        fail_msg("%s: fault %ld%s: %d, said %s", c->line, k, for_good ? " and all after" : "", code, s->said);
    if (strcmp(s->after, words))
        fail_msg("%s: fault %ld: %d, and there is\n%s\nand not\n%s\nsaid %s", c->line, k, code, s->after, words,
                 s->said);
    if (!done && !(c->is & FILES) &&
        (strncmp(s->said, "outboxctl: ", 11) || strchr(s->said, '\n') != strrchr(s->said, '\n')))
        fail_msg("%s: fault %ld: not one line: '%s'", c->line, k, s->said);
    if (done && !(c->is & VARIES) && strcmp(s->printed, s->printed_wanted))
        fail_msg("%s: fault %ld: printed\n%s\nand not\n%s", c->line, k, s->printed, s->printed_wanted);
    if (alloc_ours != ours)
        fail_msg("%s: fault %ld: %ld blocks leak", c->line, k, alloc_ours - ours);
}

static void does_it_or_says_why_not(void **state)
{
    const struct command_case *c = *state;
    struct scene *s = calloc(1, sizeof *s);
    void *fixture = NULL;
    bool met;
    assert_non_null(s);
    fault_choose(c->fault);
    assert_int_equal(fixture_setup(&fixture), 0);
    s->f = fixture;
    char path[128];
    snprintf(path, sizeof path, "%s/out", s->f->dir);
    s->out = open(path, O_RDWR | O_CREAT, 0600);
    snprintf(path, sizeof path, "%s/err", s->f->dir);
    s->err = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(s->out >= 0 && s->err >= 0);
    fixture_sql(s->f, "PRAGMA synchronous = OFF;"
                      "CREATE TABLE things(id TEXT PRIMARY KEY, note TEXT, revision INTEGER NOT NULL DEFAULT 1)");
    set_scene(s, c);
    writer_init(&s->stream, s->f->dir);
    writer_write(&s->stream, 5);
    writer_rotate(&s->stream);
    writer_write(&s->stream, 3);
    run_command(s, c, 0, false, &met); /* what is allocated once is */
    set_scene(s, c);
    if (run_command(s, c, 0, false, &met) != c->code)
        fail_msg("%s: %s", c->line, s->said);
    keep(s, s->wanted);
    strcpy(s->printed_wanted, s->printed);
    const char *every = getenv("OOM_EVERY");
    int step = every ? atoi(every) : c->fault == FAULT_MEMORY ? 211 : 97;
    for (int for_good = 0; for_good < 2; for_good++) {
        met = true;
        for (long k = 1; met; k += k < 16 ? 1 : step)
            run_kth(s, c, k, for_good, &met);
    }
    writer_fini(&s->stream);
    close(s->out);
    close(s->err);
    assert_int_equal(fixture_teardown(&fixture), 0);
    free(s);
    sqlite3_shutdown();
}

static const struct command_case commands_tried[] = {
    {.line = "status", .is = VARIES},
    {.line = "--json status", .is = VARIES},
    {.line = "consumers", .is = VARIES},
    {.line = "consumers seek c 4 --yes"},
    {.line = "consumers pause c"},
    {.line = "consumers remove slow --yes"},
    {.line = "failed list", .is = VARIES},
    {.line = "--json failed show 4 --consumer c", .is = VARIES},
    {.line = "failed show 4", .is = VARIES},
    {.line = "failed retry --all --yes"},
    {.line = "--json failed discard 4 --consumer c --reason wrong --yes"},
    {.line = "replay --consumer c --from 2 --to 3 --yes"},
    {.line = "erase things a --owed --dry-run"},
    {.line = "erase things a --owed --dry-run", .is = FILES},
    {.line = "new-source --yes", .is = VARIES},
    {.line = "set history 3d"},
    {.line = "upsert things {\"id\":\"c\",\"note\":\"three\"}"},
    {.line = "get things a"},
    {.line = "delete things b --revision 1"},
    {.line = "emit t k {} --headers {\"a\":\"b\"}"},
    {.line = "events --limit 5"},
    {.line = "history things a", .is = VARIES},
    {.line = "--json history things a", .is = VARIES},
    {.line = "snapshot", .is = VARIES},
    {.line = "verify", .is = VARIES}, /* a table that may not be read is a note */
    {.line = "verify", .is = VARIES | CAPTURED},
    {.line = "--json verify", .is = FILES | VARIES, .code = EXIT_NEGATIVE},
    {.line = "init", .is = VARIES},
};

enum { TRIED = sizeof commands_tried / sizeof *commands_tried };

int main(void)
{
    static struct command_case cases[TRIED * 3];
    static char names[TRIED * 3][128];
    struct CMUnitTest tests[TRIED * 3];
    static const char *const how[] = {"out of memory", "interrupted", "forbidden"};
    for (size_t i = 0; i < TRIED * 3; i++) {
        cases[i] = commands_tried[i / 3];
        cases[i].fault = (enum fault)(i % 3);
        snprintf(names[i], sizeof names[i], "%s, %s", cases[i].line, how[i % 3]);
        tests[i] = (struct CMUnitTest){names[i], does_it_or_says_why_not, NULL, NULL, &cases[i]};
    }
    return alloc_take_sqlite() ? _cmocka_run_group_tests("oom_ctl", tests, TRIED * 3, NULL, NULL) : 1;
}

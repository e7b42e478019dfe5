/* verify.c — `verify`: the command, and how findings are told; see verify.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "fields.h"
#include "text.h"
#include "verify.h"

enum { WORDS_SIZE = 1024 };

static void print_finding(const struct verify *v, bool problem, const char *kind, int64_t first, int64_t last,
                          const char *words)
{
    struct buffer out = {0};
    if (v->json) {
        field_open(&out, '{');
        field_text(&out, "what", v->what);
        field_text(&out, problem ? "problem" : "note", kind);
        if (first)
            field_int(&out, "first", first);
        if (first)
            field_int(&out, "last", last);
        field_text(&out, "text", words);
        field_close(&out, '}');
    } else {
        text_escape(&out, v->what, strlen(v->what));
        buffer_append_text(&out, problem ? ": " : ": note: ");
        text_escape(&out, words, strlen(words));
    }
    buffer_append_byte(&out, '\n');
    ctl_print(&out);
    buffer_free(&out);
}

void verify_problem(struct verify *v, const char *kind, int64_t first, int64_t last, const char *format, ...)
{
    char words[WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    print_finding(v, true, kind, first, last, words);
    v->problems++;
}

void verify_note(struct verify *v, const char *kind, int64_t first, int64_t last, const char *format, ...)
{
    char words[WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    print_finding(v, false, kind, first, last, words);
}

static void print_conclusion(const struct verify *v, int64_t first, int64_t last, int64_t events)
{
    struct buffer out = {0};
    field_open(&out, '{');
    field_text(&out, "what", v->what);
    field_bool(&out, "complete", v->problems == 0);
    if (first)
        field_int(&out, "first", first);
    if (first)
        field_int(&out, "last", last);
    field_int(&out, "events", events);
    field_int(&out, "problems", v->problems);
    field_close(&out, '}');
    buffer_append_byte(&out, '\n');
    ctl_print(&out);
    buffer_free(&out);
}

void verify_conclude(struct verify *v, int64_t first, int64_t last, int64_t events)
{
    if (v->json)
        print_conclusion(v, first, last, events);
    else if (v->problems)
        printf("%s: incomplete, problems: %" PRId64 "\n", v->what, v->problems);
    else if (first)
        printf("%s: complete from %" PRId64 " to %" PRId64 ", events: %" PRId64 "\n", v->what, first, last, events);
    else
        printf("%s: complete, and empty\n", v->what);
}

void run_add(struct run *r, int64_t seq)
{
    if (r->first && seq != r->last + 1)
        run_end(r);
    if (!r->first)
        r->first = seq;
    r->last = seq;
}

void run_end(struct run *r)
{
    if (r->first == r->last && r->first)
        verify_problem(r->verify, r->kind, r->first, r->last, "%" PRId64 " %s", r->first, r->text);
    else if (r->first)
        verify_problem(r->verify, r->kind, r->first, r->last, "%" PRId64 " to %" PRId64 " %s", r->first, r->last,
                       r->text);
    r->first = 0;
}

int ctl_verify(struct ctl *ctl, int argc, char **argv)
{
    struct verify database = {.what = "database"}, stream = {0};
    const struct option_spec options[] = {{"filtered", OPTION_FLAG, &stream.filtered}};
    sqlite3 *db = NULL;
    int code;
    if (!arguments_read(ctl, options, 1, 0, 1, &argc, argv, &code))
        return code;
    code = ctl_open_reader(ctl, &db);
    database.json = stream.json = ctl->json;
    if (code == EXIT_DONE)
        code = verify_database(&database, db);
    if (code == EXIT_DONE && argc)
        code = verify_stream(&stream, db, argv[0]);
    sqlite3_close(db);
    if (code != EXIT_DONE)
        return code;
    return database.problems || stream.problems ? EXIT_NEGATIVE : EXIT_DONE;
}

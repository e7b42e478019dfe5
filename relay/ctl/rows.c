/* rows.c — upsert, get, delete and emit: the library's writes, from the shell. */
#include <stdio.h>

#include "ctl.h"
#include "fields.h"

/* What a write did, for programs. revision and seq: 0 is left out (an unchanged row made no event). */
static int print_write(const outbox *ob, const char *about, const char *name, int64_t revision)
{
    struct buffer out = {0};
    field_open(&out, '{');
    field_text(&out, about, name);
    field_text(&out, "key", outbox_last_key(ob));
    if (revision)
        field_int(&out, "revision", revision);
    field_int(&out, "seq", outbox_last_seq(ob));
    field_close(&out, '}');
    buffer_append_byte(&out, '\n');
    int code = ctl_print(&out);
    buffer_free(&out);
    return code;
}

static int upsert(const struct ctl *ctl, outbox *ob, const char *table, const struct buffer *row, int64_t expected)
{
    int64_t revision;
    int code = outbox_upsert_json(ob, table, row->data, (ptrdiff_t)row->size, expected, NULL, &revision);
    if (code != OUTBOX_OK)
        return ctl_fail(ob, code);
    if (ctl->json)
        return print_write(ob, "table", table, revision);
    printf("%lld\n", (long long)revision);
    return EXIT_DONE;
}

int ctl_upsert(struct ctl *ctl, int argc, char **argv)
{
    int64_t expected = OUTBOX_ANY_REVISION;
    const struct option_spec options[] = {{"revision", OPTION_INT, &expected}};
    struct buffer row = {0};
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, options, 1, 2, 2, &argc, argv, &code))
        return code;
    if (!arguments_text(&row, argv[1]))
        code = EXIT_TEMPORARY;
    else
        code = ctl_open(ctl, &ob);
    if (code == EXIT_DONE)
        code = upsert(ctl, ob, argv[0], &row, expected);
    outbox_close(ob);
    buffer_free(&row);
    return code;
}

int ctl_get(struct ctl *ctl, int argc, char **argv)
{
    sqlite3 *db = NULL;
    outbox *ob = NULL;
    const char *row;
    int code;
    if (!arguments_read(ctl, NULL, 0, 2, 2, &argc, argv, &code))
        return code;
    code = ctl_open_reader(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    code = outbox_attach(db, NULL, &ob);
    if (code == OUTBOX_OK)
        code = outbox_get(ob, argv[0], argv[1], &row, NULL);
    if (code == OUTBOX_OK) {
        puts(row);
        code = EXIT_DONE;
    } else {
        code = ctl_fail(ob, code);
    }
    outbox_close(ob);
    sqlite3_close(db);
    return code;
}

int ctl_delete(struct ctl *ctl, int argc, char **argv)
{
    int64_t expected = OUTBOX_ANY_REVISION;
    const struct option_spec options[] = {{"revision", OPTION_INT, &expected}};
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, options, 1, 2, 2, &argc, argv, &code))
        return code;
    code = ctl_open(ctl, &ob);
    if (code != EXIT_DONE)
        return code;
    code = outbox_delete(ob, argv[0], argv[1], expected, NULL);
    if (code != OUTBOX_OK)
        code = ctl_fail(ob, code);
    else
        code = ctl->json ? print_write(ob, "table", argv[0], 0) : EXIT_DONE;
    outbox_close(ob);
    return code;
}

static int emit(const struct ctl *ctl, outbox *ob, const char *topic, const char *key, const struct buffer *payload,
                const outbox_write_options *options)
{
    int64_t seq;
    int code = outbox_emit(ob, topic, *key ? key : NULL, payload->data, (ptrdiff_t)payload->size, options, &seq);
    if (code != OUTBOX_OK)
        return ctl_fail(ob, code);
    if (ctl->json)
        return print_write(ob, "topic", topic, 0);
    printf("%lld\n", (long long)seq);
    return EXIT_DONE;
}

int ctl_emit(struct ctl *ctl, int argc, char **argv)
{
    outbox_write_options o = {.size = sizeof o};
    bool blob = false;
    const struct option_spec options[] = {{"blob", OPTION_FLAG, &blob},
                                          {"ordering-key", OPTION_TEXT, &o.ordering_key},
                                          {"headers", OPTION_TEXT, &o.headers}};
    struct buffer payload = {0};
    outbox *ob = NULL;
    int code;
    if (!arguments_read(ctl, options, 3, 3, 3, &argc, argv, &code))
        return code;
    o.flags = blob ? OUTBOX_BLOB : 0;
    if (!arguments_text(&payload, argv[2]))
        code = EXIT_TEMPORARY;
    else
        code = ctl_open(ctl, &ob);
    if (code == EXIT_DONE)
        code = emit(ctl, ob, argv[0], argv[1], &payload, &o);
    outbox_close(ob);
    buffer_free(&payload);
    return code;
}

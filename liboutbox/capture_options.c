/* capture_options.c — what is to be captured: from the caller's struct or JSON, checked against the table, and back. */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "handle.h"
#include "json_scan.h"
#include "json_write.h"
#include "utf8.h"

enum { ALL_OPS = OUTBOX_CAPTURE_INSERT | OUTBOX_CAPTURE_UPDATE | OUTBOX_CAPTURE_DELETE };

static const struct op_name {
    const char *name;
    int flag;
} op_names[] = {
    {"insert", OUTBOX_CAPTURE_INSERT}, {"update", OUTBOX_CAPTURE_UPDATE}, {"delete", OUTBOX_CAPTURE_DELETE}};

enum { OP_NAMES = sizeof op_names / sizeof *op_names };

void capture_fini(struct capture *c)
{
    free(c->topic);
    free(c->excluded);
    free(c->watched);
    free(c->unique);
    sqlite3_free(c->conflicts);
    *c = (struct capture){0};
}

static int no_memory(outbox *ob)
{
    return fail(ob, OUTBOX_NOMEM, "out of memory");
}

static int begin(outbox *ob, struct table *t, struct capture *c)
{
    *c = (struct capture){.table = t, .ordering_key = -1, .ops = ALL_OPS, .without_rowid = t->without_rowid};
    c->excluded = calloc((size_t)t->column_count, sizeof *c->excluded);
    c->unique = calloc((size_t)t->column_count, sizeof *c->unique);
    return c->excluded && c->unique ? OUTBOX_OK : no_memory(ob);
}

static int set_topic(outbox *ob, struct capture *c, const char *topic)
{
    if (!*topic)
        return fail(ob, OUTBOX_INVALID, "capture %s: topic is empty; leave it out for the table's name",
                    c->table->name);
    if (!utf8_valid(topic, strlen(topic), NULL))
        return fail(ob, OUTBOX_INVALID, "capture %s: topic is malformed UTF-8", c->table->name);
    free(c->topic);
    c->topic = strdup(topic);
    return c->topic ? OUTBOX_OK : no_memory(ob);
}

static int find_column(outbox *ob, const struct capture *c, const char *option, const char *name, int *column)
{
    for (int i = 0; i < c->table->column_count; i++)
        if (!sqlite3_stricmp(c->table->columns[i].name, name)) {
            *column = i;
            return OUTBOX_OK;
        }
    return fail(ob, OUTBOX_INVALID, "capture %s: %s: the table has no column %s", c->table->name, option, name);
}

static int set_ordering_key(outbox *ob, struct capture *c, const char *name)
{
    return find_column(ob, c, "ordering_key", name, &c->ordering_key);
}

static int exclude(outbox *ob, struct capture *c, const char *name)
{
    int column = 0, code = find_column(ob, c, "exclude", name, &column);
    if (code != OUTBOX_OK)
        return code;
    if (c->table->columns[column].key_place || column == c->table->revision)
        return fail(ob, OUTBOX_INVALID, "capture %s: exclude: %s names the row; it cannot be left out", c->table->name,
                    name);
    c->excluded[column] = true;
    return OUTBOX_OK;
}

static int watch(outbox *ob, struct capture *c, const char *name)
{
    int column = 0, code = find_column(ob, c, "only_if_changed", name, &column);
    if (code != OUTBOX_OK)
        return code;
    if (column == c->table->revision)
        return fail(ob, OUTBOX_INVALID, "capture %s: only_if_changed: %s changes with every update", c->table->name,
                    name);
    if (!c->watched)
        c->watched = calloc((size_t)c->table->column_count, sizeof *c->watched);
    if (!c->watched)
        return no_memory(ob);
    c->watched[column] = true;
    return OUTBOX_OK;
}

static int add_op(outbox *ob, struct capture *c, const char *name)
{
    for (int i = 0; i < OP_NAMES; i++)
        if (!strcmp(op_names[i].name, name)) {
            c->ops |= op_names[i].flag;
            return OUTBOX_OK;
        }
    return fail(ob, OUTBOX_INVALID, "capture %s: ops: %s is none of insert, update, delete", c->table->name, name);
}

int capture_from_options(outbox *ob, struct table *t, const outbox_capture_options *given, struct capture *c)
{
    outbox_capture_options o = {.size = sizeof o};
    int code = begin(ob, t, c);
    if (code != OUTBOX_OK || !given)
        return code;
    if (options_check(given, sizeof o) != OUTBOX_OK)
        return fail(ob, OUTBOX_INVALID, "capture options: size is not set, or an option this library does not know is");
    memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    if (o.ops & ~ALL_OPS)
        return fail(ob, OUTBOX_INVALID, "capture options: unknown op in 0x%x", (unsigned)o.ops);
    c->ops = o.ops ? o.ops : ALL_OPS;
    if (o.topic)
        code = set_topic(ob, c, o.topic);
    if (code == OUTBOX_OK && o.ordering_key)
        code = set_ordering_key(ob, c, o.ordering_key);
    for (int i = 0; code == OUTBOX_OK && o.exclude && o.exclude[i]; i++)
        code = exclude(ob, c, o.exclude[i]);
    for (int i = 0; code == OUTBOX_OK && o.only_if_changed && o.only_if_changed[i]; i++)
        code = watch(ob, c, o.only_if_changed[i]);
    return code;
}

/* ---- JSON ---- */

typedef int set_text(outbox *, struct capture *, const char *);

static const struct option {
    const char *name;
    bool list;
    set_text *set;
} known_options[] = {{"topic", false, set_topic},
                     {"ordering_key", false, set_ordering_key},
                     {"exclude", true, exclude},
                     {"ops", true, add_op},
                     {"only_if_changed", true, watch}};

static int set_one(outbox *ob, struct capture *c, const struct option *option, const struct json_value *value)
{
    struct buffer text = {0};
    int code;
    if (value->type != JSON_STRING)
        return fail(ob, OUTBOX_INVALID, "capture %s: %s: %s", c->table->name, option->name,
                    option->list ? "not an array of strings" : "not a string");
    json_unescape(&text, value);
    const char *plain = buffer_text(&text);
    if (!plain)
        code = no_memory(ob);
    else if (strlen(plain) != text.size)
        code = fail(ob, OUTBOX_INVALID, "capture %s: %s: a name holds a NUL", c->table->name, option->name);
    else
        code = option->set(ob, c, plain);
    buffer_free(&text);
    return code;
}

static int set_option(outbox *ob, struct capture *c, const struct json_value *name, const struct json_value *value)
{
    const struct option *option = NULL;
    for (size_t i = 0; i < sizeof known_options / sizeof *known_options; i++)
        if (strlen(known_options[i].name) == name->size && !memcmp(known_options[i].name, name->text, name->size))
            option = &known_options[i];
    if (!option)
        return fail(ob, OUTBOX_INVALID,
                    "capture %s: no option is called %.*s; they are topic, ordering_key, exclude, ops, only_if_changed",
                    c->table->name, (int)(name->size < 100 ? name->size : 100), name->text);
    if (!option->list)
        return value->type == JSON_NULL ? OUTBOX_OK : set_one(ob, c, option, value);
    struct json_walk walk;
    struct json_value element;
    if (value->type != JSON_ARRAY || !json_walk_begin(&walk, value->text, value->size))
        return fail(ob, OUTBOX_INVALID, "capture %s: %s: not an array of strings", c->table->name, option->name);
    if (option->set == add_op)
        c->ops = 0;
    int code = OUTBOX_OK;
    while (code == OUTBOX_OK && json_walk_element(&walk, &element))
        code = set_one(ob, c, option, &element);
    if (code == OUTBOX_OK && !c->ops)
        code = fail(ob, OUTBOX_INVALID, "capture %s: ops: empty; outbox_release captures nothing", c->table->name);
    return code;
}

int capture_from_json(outbox *ob, struct table *t, const char *json, size_t size, struct capture *c)
{
    struct json_error error;
    struct json_walk walk;
    struct json_value whole, name, value;
    int code = begin(ob, t, c);
    if (code != OUTBOX_OK)
        return code;
    if (!json_check(json, size, &error))
        return fail(ob, OUTBOX_INVALID, "capture %s: options are not JSON: %s at byte %zu", t->name, error.reason,
                    error.offset);
    if (!json_value_of(json, size, &whole) || whole.type != JSON_OBJECT || !json_walk_begin(&walk, json, size))
        return fail(ob, OUTBOX_INVALID, "capture %s: options are JSON, but not an object", t->name);
    while (code == OUTBOX_OK && json_walk_member(&walk, &name, &value))
        code = set_option(ob, c, &name, &value);
    return code;
}

static void write_name(struct buffer *b, const char *name)
{
    buffer_append_byte(b, b->size > 1 ? ',' : '{');
    json_write_text(b, name, strlen(name));
    buffer_append_byte(b, ':');
}

static void write_columns(struct buffer *b, const char *option, const struct capture *c, const bool *columns)
{
    int n = 0;
    for (int i = 0; columns && i < c->table->column_count; i++) {
        if (!columns[i])
            continue;
        if (!n)
            write_name(b, option);
        buffer_append_byte(b, n++ ? ',' : '[');
        json_write_text(b, c->table->columns[i].name, strlen(c->table->columns[i].name));
    }
    if (n)
        buffer_append_byte(b, ']');
}

void capture_write_json(struct buffer *b, const struct capture *c)
{
    buffer_clear(b);
    if (c->topic) {
        write_name(b, "topic");
        json_write_text(b, c->topic, strlen(c->topic));
    }
    if (c->ordering_key >= 0) {
        const char *name = c->table->columns[c->ordering_key].name;
        write_name(b, "ordering_key");
        json_write_text(b, name, strlen(name));
    }
    write_columns(b, "exclude", c, c->excluded);
    write_columns(b, "only_if_changed", c, c->watched);
    if (c->ops != ALL_OPS) {
        write_name(b, "ops");
        for (int i = 0, n = 0; i < OP_NAMES; i++) {
            if (!(c->ops & op_names[i].flag))
                continue;
            buffer_append_byte(b, n++ ? ',' : '[');
            json_write_text(b, op_names[i].name, strlen(op_names[i].name));
        }
        buffer_append_byte(b, ']');
    }
    buffer_append_text(b, b->size ? "}" : "{}");
}

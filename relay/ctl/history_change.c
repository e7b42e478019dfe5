/* history_change.c — see history_change.h. */
#include <string.h>
#include <strings.h>

#include "history_change.h"
#include "json_scan.h"

enum { SHOWN_BYTES = 60 }; /* of one value */

/* A string's value comes without its quotes. */
static void append_value(struct buffer *b, const struct json_value *v)
{
    size_t size = v->size < SHOWN_BYTES ? v->size : SHOWN_BYTES;
    while (size > 0 && size < v->size && ((unsigned char)v->text[size] & 0xc0) == 0x80)
        size--; /* not within a character */
    if (v->type == JSON_STRING)
        buffer_append_byte(b, '"');
    buffer_append(b, v->text, size);
    if (size < v->size)
        buffer_append_text(b, "…");
    if (v->type == JSON_STRING)
        buffer_append_byte(b, '"');
}

static bool same(const struct json_value *a, const struct json_value *b)
{
    return a->type == b->type && a->size == b->size && !memcmp(a->text, b->text, a->size);
}

static bool begin(struct json_walk *walk, const char *image)
{
    return image && json_check(image, strlen(image), NULL) && json_walk_begin(walk, image, strlen(image));
}

/* The member of that name; images of one row nearly always have the same columns in the same order. */
static bool find(const char *image, const struct json_value *name, struct json_value *value)
{
    struct json_walk walk;
    struct json_value found;
    if (!begin(&walk, image))
        return false;
    while (json_walk_member(&walk, &found, value))
        if (same(&found, name))
            return true;
    return false;
}

static void append_name(struct buffer *b, size_t from, const struct json_value *name)
{
    if (b->size > from)
        buffer_append_text(b, ", ");
    buffer_append(b, name->text, name->size);
    buffer_append_byte(b, ' ');
}

void history_change(struct buffer *b, const char *before, const char *after)
{
    struct json_walk walk;
    struct json_value name, old, value;
    size_t from = b->size;
    const char *image = after ? after : before;
    if (!begin(&walk, image))
        return;
    while (json_walk_member(&walk, &name, &value)) {
        bool had = before && after && find(before, &name, &old);
        if ((had && same(&old, &value)) || (name.size == 8 && !strncasecmp(name.text, "revision", 8)))
            continue;
        append_name(b, from, &name);
        if (had) {
            append_value(b, &old);
            buffer_append_text(b, " -> ");
        }
        append_value(b, &value);
    }
}

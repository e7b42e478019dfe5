/* fields.c — see fields.h. */
#include <string.h>

#include "fields.h"
#include "json_write.h"
#include "timestamp.h"

static void separate(struct buffer *b)
{
    if (b->size && !b->failed && !strchr("{[:\n", b->data[b->size - 1]))
        buffer_append_byte(b, ',');
}

void field_open(struct buffer *b, char bracket)
{
    separate(b);
    buffer_append_byte(b, bracket);
}

void field_close(struct buffer *b, char bracket)
{
    buffer_append_byte(b, bracket);
}

void field_name(struct buffer *b, const char *name)
{
    separate(b);
    json_write_text(b, name, strlen(name));
    buffer_append_byte(b, ':');
}

void field_text(struct buffer *b, const char *name, const char *text)
{
    if (!text)
        return;
    field_name(b, name);
    json_write_text(b, text, strlen(text));
}

void field_int(struct buffer *b, const char *name, int64_t value)
{
    field_name(b, name);
    json_write_int(b, value);
}

void field_int_or_null(struct buffer *b, const char *name, int64_t value, bool null)
{
    field_name(b, name);
    if (null)
        buffer_append_text(b, "null");
    else
        json_write_int(b, value);
}

void field_bool(struct buffer *b, const char *name, bool value)
{
    field_name(b, name);
    buffer_append_text(b, value ? "true" : "false");
}

void field_time(struct buffer *b, const char *name, int64_t us)
{
    char text[TIMESTAMP_SIZE];
    if (!us)
        return;
    timestamp_format(text, us);
    field_text(b, name, text);
}

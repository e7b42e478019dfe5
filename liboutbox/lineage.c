/* lineage.c — see lineage.h. Text that is not of that form knows nothing and explains nothing. */
#include <string.h>

#include "json_scan.h"
#include "lineage.h"

struct former {
    struct json_value source;
    int64_t last_seq, next_seq;
};

static bool is_named(const struct json_value *name, const char *text)
{
    return name->size == strlen(text) && !memcmp(name->text, text, name->size);
}

static bool read_former(const struct json_value *object, struct former *out)
{
    struct json_walk walk;
    struct json_value name, value;
    *out = (struct former){.last_seq = -1, .next_seq = -1};
    if (object->type != JSON_OBJECT || !json_walk_begin(&walk, object->text, object->size))
        return false;
    while (json_walk_member(&walk, &name, &value)) {
        if (is_named(&name, "source") && value.type == JSON_STRING)
            out->source = value;
        else if (is_named(&name, "last_seq") && value.type == JSON_INTEGER)
            json_int64(&value, &out->last_seq);
        else if (is_named(&name, "next_seq") && value.type == JSON_INTEGER)
            json_int64(&value, &out->next_seq);
    }
    return out->source.text && out->last_seq >= 0 && out->next_seq > out->last_seq;
}

static bool begin(struct json_walk *walk, const char *former_sources)
{
    struct json_value whole;
    size_t size = former_sources ? strlen(former_sources) : 0;
    return size && json_check(former_sources, size, NULL) && json_value_of(former_sources, size, &whole) &&
           whole.type == JSON_ARRAY && json_walk_begin(walk, former_sources, size);
}

bool lineage_explains(const char *former_sources, int64_t last, int64_t next)
{
    struct json_walk walk;
    struct json_value element;
    struct former f;
    if (!begin(&walk, former_sources))
        return false;
    while (json_walk_element(&walk, &element)) {
        /* Each hole that last reaches carries it further: two sources may follow each other with no event between. */
        if (read_former(&element, &f) && f.last_seq <= last && f.next_seq - 1 > last)
            last = f.next_seq - 1;
        if (next <= last + 1)
            return true;
    }
    return false;
}

bool lineage_knows(const char *former_sources, const char *source)
{
    struct json_walk walk;
    struct json_value element;
    struct former f;
    if (!begin(&walk, former_sources))
        return false;
    while (json_walk_element(&walk, &element))
        if (read_former(&element, &f) && is_named(&f.source, source))
            return true;
    return false;
}

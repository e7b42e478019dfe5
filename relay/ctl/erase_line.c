/* erase_line.c — see erase.h.
 *
 * A line keeps its length: JSON lets blanks stand between its parts, and what a member loses, blanks fill. A value that
 * is shorter than null goes with its name and its comma.
 *
 * A line is written by one call, and yet a kill can end that between two pages, a power cut between two sectors. Both
 * leave the line's beginning, up to its time, which is the same in the old line and the new; of a CloudEvent also what
 * stands behind its data. Of the rest everything is to be erased, so nothing is lost by writing it from scratch.
 */
#include "erase.h"

#include <string.h>

#include <sqlite3.h>

#include "json_scan.h"

static const struct {
    const char *name, *emptied;
} members[] = {
    {"payload", "\"payload\":null"}, {"payload_base64", "\"payload\":null"},
    {"before", "\"before\":null"},   {"headers", "\"headers\":{}"},
    {"data", "\"data\":null"},       {"data_base64", "\"data\":null"},
    {"traceparent", NULL}, /* what is left of a CloudEvent's headers; an attribute is never empty */
};

static const char cloudevent_begins[] = "{\"specversion\":";

static bool is_cloudevent(const char *text, size_t size)
{
    return size >= sizeof cloudevent_begins - 1 && !memcmp(text, cloudevent_begins, sizeof cloudevent_begins - 1);
}

/* ---- Whose it is ---- */

static bool is(const char *text, size_t size, const char *wanted)
{
    return text && size == strlen(wanted) && !memcmp(text, wanted, size);
}

/* Whether the partition key is SCOPE/KEY, as it is where the caller gave no ordering key. */
static bool is_partition(const outbox_event *e, const char *scope, size_t scope_size, const char *key)
{
    return e->ordering_key && e->ordering_key_size == scope_size + 1 + strlen(key) &&
           !sqlite3_strnicmp(e->ordering_key, scope, (int)scope_size) && e->ordering_key[scope_size] == '/' &&
           !memcmp(e->ordering_key + scope_size + 1, key, strlen(key));
}

/* What a CloudEvent says of itself that the log has no more. A partition key alone is no proof: callers give ordering
 * keys that look like another table's, so that its events keep one order. But where it is the topic's own, the topic has
 * the table's name. */
static enum erase_line guess(const struct erase_key *k, const struct erase_log *log, const outbox_event *e, bool emit)
{
    bool partition = is_partition(e, k->name, strlen(k->name), k->key);
    if (emit && !e->ordering_key) /* without a key: an empty one has a partition */
        return ERASE_OTHER;
    if (emit || partition)
        return emit && partition ? ERASE_OURS : ERASE_UNDECIDED;
    return !log->is_table || (e->topic && is_partition(e, e->topic, e->topic_size, k->key)) ? ERASE_OTHER
                                                                                            : ERASE_UNDECIDED;
}

/* A CloudEvent has no table, and a key that is empty is not there, as if the event had none; a row's event has one. */
static enum erase_line whose_cloudevent(const struct erase_key *k, const struct erase_log *log,
                                        const struct event_line *line)
{
    const outbox_event *e = &line->event;
    bool emit = e->op && strcmp(e->op, "emit") == 0, topic = is(e->topic, e->topic_size, k->name);
    if (e->key ? !is(e->key, e->key_size, k->key) : *k->key != '\0')
        return ERASE_OTHER;
    if (topic && (e->key || !emit))
        return ERASE_OURS;
    if (emit && !topic) /* nor is it of any table */
        return ERASE_OTHER;
    enum erase_line result = log->ask(log->arg, k, line);
    return result == ERASE_UNDECIDED ? guess(k, log, e, emit) : result;
}

static enum erase_line whose(const struct erase_key *k, const struct erase_log *log, const struct event_line *line,
                             bool cloudevent)
{
    const outbox_event *e = &line->event;
    if (cloudevent)
        return whose_cloudevent(k, log, line);
    if (!is(e->key, e->key_size, k->key))
        return ERASE_OTHER;
    bool table = e->table && e->table_size == strlen(k->name) &&
                 !sqlite3_strnicmp(e->table, k->name, (int)e->table_size);
    return table || is(e->topic, e->topic_size, k->name) ? ERASE_OURS : ERASE_OTHER;
}

/* ---- A whole line ---- */

static void blank(char *from, const char *end)
{
    memset(from, ' ', (size_t)(end - from));
}

/* The member from..end goes, and one of the commas around it, if there are any. */
static void remove_member(char *line, char *from, char *end, const char *line_end)
{
    char *before = from - 1, *behind = end;
    blank(from, end);
    while (before > line && *before == ' ')
        before--;
    while (behind < line_end && *behind == ' ')
        behind++;
    if (*before == ',')
        *before = ' ';
    else if (behind < line_end && *behind == ',')
        *behind = ' ';
}

static void empty_member(char *line, const char *line_end, char *from, char *end, const char *emptied)
{
    size_t size = emptied ? strlen(emptied) : 0;
    if (!size || (size_t)(end - from) < size) {
        remove_member(line, from, end, line_end);
        return;
    }
    memcpy(from, emptied, size);
    blank(from + size, end);
}

static void empty_members(char *line, const char *text, size_t size)
{
    struct json_walk walk;
    struct json_value name, value;
    json_walk_begin(&walk, text, size);
    while (json_walk_member(&walk, &name, &value))
        for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
            if (!is(name.text, name.size, members[i].name))
                continue;
            size_t end = (size_t)(value.text - text) + value.size + (value.type == JSON_STRING);
            empty_member(line, line + size, line + (name.text - text) - 1, line + end, members[i].emptied);
        }
}

/* ---- Half a line ---- */

/* The parts that are the same before and after. */
struct frame {
    size_t head;                 /* bytes of the line's beginning, up to its time */
    const char *tail, *tail_end; /* what stands behind a CloudEvent's data */
};

static const char *find(const char *text, const char *end, const char *what)
{
    return text < end ? memmem(text, (size_t)(end - text), what, strlen(what)) : NULL;
}

/* Behind the members of a CloudEvent's tail that tell nothing of the data, from text on. */
static const char *tail_end(const char *text, const char *end)
{
    static const char *const kept[] = {",\"sequence\":\"", ",\"prev\":\"", ",\"partitionkey\":\"", ",\"op\":\"",
                                       ",\"revision\":\""};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        size_t size = strlen(kept[i]);
        if ((size_t)(end - text) < size || memcmp(text, kept[i], size) != 0)
            continue;
        const char *at = text + size;
        while (at < end && *at != '"')
            at += *at == '\\' && at + 1 < end ? 2 : 1;
        if (at >= end)
            break;
        text = at + 1;
    }
    return text;
}

/* No text in an event holds these words as they are: its quotes are escaped. A CloudEvent's data may, but stands before
 * the last of them. */
static bool find_frame(const char *text, size_t size, struct frame *f)
{
    static const char time_begins[] = ",\"time\":\"", tail_begins[] = ",\"sequence\":\"";
    const char *end = text + size, *time = find(text, end, time_begins);
    const char *time_end = time ? find(time + sizeof time_begins - 1, end, "\"") : NULL;
    if (!time_end)
        return false;
    f->head = (size_t)(time_end + 1 - text);
    f->tail = f->tail_end = end;
    if (!is_cloudevent(text, size))
        return true;
    for (const char *at = time_end; (at = find(at, end, tail_begins)); at++)
        f->tail = at;
    f->tail_end = tail_end(f->tail, end);
    return f->tail < end;
}

static void append_blanks(struct buffer *out, size_t n)
{
    char *to = buffer_reserve(out, n);
    if (to && n) {
        blank(to, to + n);
        buffer_grow(out, n);
    }
}

static enum erase_line mend(const struct erase_key *k, const struct erase_log *log, const char *text, size_t size,
                            struct buffer *out)
{
    struct frame f;
    struct event_line line = {0};
    enum erase_line result = ERASE_UNREADABLE;
    bool cloudevent = is_cloudevent(text, size);
    if (!find_frame(text, size, &f))
        return ERASE_UNREADABLE;
    size_t tail = (size_t)(f.tail_end - f.tail);
    buffer_append(out, text, f.head);
    buffer_append(out, f.tail, tail);
    buffer_append_byte(out, '}');
    if (buffer_ok(out) && event_line_parse(&line, out->data, out->size))
        result = whose(k, log, &line, cloudevent);
    bool memory = buffer_ok(out) && buffer_ok(&line.decoded);
    bool payload = line.event.op && strcmp(line.event.op, "delete") != 0;
    event_line_free(&line);
    buffer_clear(out);
    if (memory && result == ERASE_UNDECIDED)
        result = ERASE_UNREADABLE; /* and of no use as it is, whosever it was */
    if (!memory || result != ERASE_OURS)
        return memory ? result : ERASE_NO_MEMORY;
    if (f.head + tail + 1 > size)
        return ERASE_UNREADABLE; /* cut, and not by us */
    const char *emptied = cloudevent ? ",\"data\":null" : ",\"payload\":null";
    size_t room = size - f.head - tail - 1;
    buffer_append(out, text, f.head);
    if (payload && strlen(emptied) <= room) {
        buffer_append_text(out, emptied);
        room -= strlen(emptied);
    }
    append_blanks(out, room);
    buffer_append(out, f.tail, tail);
    buffer_append_byte(out, '}');
    return buffer_ok(out) ? ERASE_OURS : ERASE_NO_MEMORY;
}

enum erase_line erase_line(const struct erase_key *k, const struct erase_log *log, const struct event_line *parsed,
                           const char *text, size_t size, struct buffer *out)
{
    struct buffer whole = {0};
    buffer_clear(out);
    enum erase_line result = parsed ? whose(k, log, parsed, is_cloudevent(text, size))
                                    : mend(k, log, text, size, &whole);
    if (result == ERASE_OURS || result == ERASE_UNDECIDED) {
        buffer_append(out, parsed ? text : whole.data, size);
        if (buffer_ok(out))
            empty_members(out->data, parsed ? text : whole.data, size);
        else
            result = ERASE_NO_MEMORY;
    }
    if (result == ERASE_UNDECIDED && !memcmp(out->data, text, size))
        result = ERASE_OTHER; /* whosever it is, it says nothing any more */
    buffer_free(&whole);
    return result;
}

/* emit.c — outbox_emit: a message that belongs to no row. */
#include "handle.h"
#include "json_scan.h"
#include "owe.h"
#include "transaction.h"
#include "utf8.h"

static int check_names(outbox *ob, const char *topic, const char *key)
{
    size_t offset;
    if (!topic)
        return fail(ob, OUTBOX_MISUSE, "topic is NULL");
    if (!*topic)
        return fail(ob, OUTBOX_INVALID, "topic is empty");
    if (!utf8_valid(topic, strlen(topic), &offset))
        return fail(ob, OUTBOX_INVALID, "topic: malformed UTF-8 at byte %zu", offset);
    if (key && !utf8_valid(key, strlen(key), &offset))
        return fail(ob, OUTBOX_INVALID, "topic %s: key: malformed UTF-8 at byte %zu", topic, offset);
    return OUTBOX_OK;
}

/* Fills in size where it is -1. */
static int check_payload(outbox *ob, struct change *c, ptrdiff_t size)
{
    struct json_error error;
    if (size < -1 || (size > 0 && !c->payload))
        return fail(ob, OUTBOX_MISUSE, "payload: size %td does not fit its pointer", size);
    if (!c->payload)
        return OUTBOX_OK;
    if (size == -1 && c->payload_is_blob)
        return fail(ob, OUTBOX_INVALID, "payload: a BLOB needs its size");
    c->payload_size = size == -1 ? strlen(c->payload) : (size_t)size;
    if (!c->payload_is_blob && !json_check(c->payload, c->payload_size, &error))
        return fail(ob, OUTBOX_INVALID, "topic %s: payload is not JSON: %s at byte %zu (bytes go with OUTBOX_BLOB)",
                    c->topic, error.reason, error.offset);
    return OUTBOX_OK;
}

/* Inside the scope: the limit is the database's, so it is only known here. */
static int emit(outbox *ob, struct scope *scope, const struct change *c, int64_t *seq)
{
    if ((int64_t)c->payload_size > ob->max_payload_bytes)
        return fail(ob, OUTBOX_TOOBIG, "topic %s: the payload is %zu bytes, max-payload is %lld", c->topic,
                    c->payload_size, (long long)ob->max_payload_bytes);
    int64_t rowid = sqlite3_last_insert_rowid(ob->db);
    int code = scope_protect(ob, scope);
    if (code == OUTBOX_OK)
        code = owe(ob, c, seq);
    sqlite3_set_last_insert_rowid(ob->db, rowid);
    return code;
}

int outbox_emit(outbox *ob, const char *topic, const char *key, const void *payload, ptrdiff_t size,
                const outbox_write_options *options, int64_t *seq)
{
    outbox_write_options o;
    struct scope scope;
    int64_t event = 0;
    int code = handle_enter(ob);
    if (code == OUTBOX_OK)
        code = check_names(ob, topic, key);
    if (code == OUTBOX_OK)
        code = write_options_read(ob, options, &o);
    if (code != OUTBOX_OK)
        return code;
    if (o.topic || (o.flags & OUTBOX_SKIP_UNCHANGED))
        return fail(ob, OUTBOX_INVALID, "outbox_emit takes its topic as a parameter, and no OUTBOX_SKIP_UNCHANGED");
    struct change change = {.op = "emit",
                            .topic = topic,
                            .key = key,
                            .key_size = key ? strlen(key) : 0,
                            .payload = payload,
                            .payload_is_blob = (o.flags & OUTBOX_BLOB) != 0,
                            .options = &o};
    code = check_payload(ob, &change, size);
    buffer_forgive(&ob->last_key);
    if (code == OUTBOX_OK && !buffer_reserve(&ob->last_key, change.key_size + 1)) /* after COMMIT nothing may fail */
        code = fail(ob, OUTBOX_NOMEM, "out of memory");
    if (code == OUTBOX_OK)
        code = scope_enter(ob, &scope);
    if (code != OUTBOX_OK)
        return code;
    code = scope_leave(ob, &scope, emit(ob, &scope, &change, &event));
    if (code != OUTBOX_OK)
        return code;
    ob->last_seq = event;
    buffer_clear(&ob->last_key);
    buffer_append(&ob->last_key, key ? key : "", change.key_size);
    buffer_text(&ob->last_key);
    if (seq)
        *seq = event;
    return OUTBOX_OK;
}

/* mod_consumer.c — consumers in SQL: who holds which, and how far it is.
 *
 * A connection that takes a consumer (outbox_take, or the first outbox_read) holds it, as an outbox_reader does, until
 * it is closed or outbox_leave() is called: through any number of reads, acknowledgements and transactions. While it
 * does, every other connection's take is BUSY. The cursor is in the database: an acknowledgement inside a transaction is
 * committed or rolled back with it.
 */
#include <stdlib.h>
#include <string.h>

#include "mod_outbox.h"
#include "reader.h"

struct held {
    struct held *next;
    outbox_reader *reader;
    char name[]; /* the consumer's */
};

static struct held **find(struct module *m, const char *name)
{
    struct held **h = &m->held;
    while (*h && strcmp((*h)->name, name) != 0)
        h = &(*h)->next;
    return h;
}

static void drop(struct held **place)
{
    struct held *h = *place;
    *place = h->next;
    outbox_reader_close(h->reader);
    free(h);
}

bool held_release(struct module *m, const char *name)
{
    struct held **h = find(m, name);
    if (!*h)
        return false;
    drop(h);
    return true;
}

void held_release_all(struct module *m)
{
    while (m->held)
        drop(&m->held);
}

void held_failed(struct module *m, const char *name, int code)
{
    char words[MESSAGE_SIZE];
    if (code != OUTBOX_STALE)
        return;
    sqlite3_snprintf(sizeof words, words, "%s", outbox_errmsg(m->ob));
    held_release(m, name);
    sqlite3_snprintf(sizeof m->words, m->words, "%s", words);
}

/* Registering writes, and has to be committed whatever becomes of the caller's transaction. */
static int open_reader(struct module *m, const char *name, int from, outbox_reader **out)
{
    outbox_reader_options options = {.size = sizeof options, .from = from};
    if (!sqlite3_get_autocommit(m->db) || sqlite3_txn_state(m->db, NULL) == SQLITE_TXN_WRITE)
        return fail(m->ob, OUTBOX_MISUSE,
                    "consumer %s is not held yet, and cannot be taken inside a transaction: SELECT outbox_take('%s') "
                    "before it",
                    name, name);
    return outbox_reader_open(m->ob, name, &options, out);
}

int held_take(struct module *m, const char *name, int from, outbox_reader **out)
{
    struct held **place = find(m, name);
    if (!*place) {
        struct held *h = calloc(1, sizeof *h + strlen(name) + 1);
        if (!h)
            return fail(m->ob, OUTBOX_NOMEM, "out of memory");
        memcpy(h->name, name, strlen(name) + 1);
        int code = open_reader(m, name, from, &h->reader);
        if (code != OUTBOX_OK) {
            free(h);
            return code;
        }
        *place = h;
    }
    *out = (*place)->reader;
    return OUTBOX_OK;
}

outbox_reader *held_find(struct module *m, const char *name)
{
    struct held *h = *find(m, name);
    return h ? h->reader : NULL;
}

/* ---- Functions ---- */

static int read_from(struct call *c, int *from)
{
    const char *text;
    int code = argument_text(c, 1, "from", false, &text);
    if (code != OUTBOX_OK || !text || !strcmp(text, "start"))
        return code;
    if (strcmp(text, "now") != 0)
        return fail(c->ob, OUTBOX_INVALID, "from: '%s' is neither 'start' nor 'now'", text);
    *from = OUTBOX_FROM_NOW;
    return OUTBOX_OK;
}

/* outbox_take(consumer [, from]) gives the seq up to which it has acknowledged. */
int function_take(struct call *c)
{
    const char *name;
    outbox_reader *reader = NULL;
    int from = OUTBOX_FROM_START;
    int64_t acked = 0;
    int code = argument_text(c, 0, "consumer", true, &name);
    if (code == OUTBOX_OK)
        code = read_from(c, &from);
    if (code == OUTBOX_OK)
        code = held_take(c->m, name, from, &reader);
    if (code != OUTBOX_OK)
        return code;
    code = reader_acked(reader, &acked);
    held_failed(c->m, name, code);
    if (code == OUTBOX_OK)
        sqlite3_result_int64(c->context, acked);
    return code;
}

static int find_held(struct call *c, const char **name, outbox_reader **reader)
{
    int code = argument_text(c, 0, "consumer", true, name);
    if (code != OUTBOX_OK)
        return code;
    *reader = held_find(c->m, *name);
    if (!*reader)
        return fail(c->ob, OUTBOX_MISUSE, "consumer %s is not held by this connection: read with outbox_read('%s')",
                    *name, *name);
    return OUTBOX_OK;
}

/* outbox_ack(consumer, seq) gives seq. Of nothing, as max(seq) of no events is, there is nothing to acknowledge: NULL. */
int function_ack(struct call *c)
{
    const char *name;
    outbox_reader *reader;
    int64_t seq = -1;
    int code = find_held(c, &name, &reader);
    if (code == OUTBOX_OK)
        code = argument_int(c, 1, "seq", &seq);
    if (code != OUTBOX_OK || sqlite3_value_type(c->args[1]) == SQLITE_NULL)
        return code;
    if (seq < 0)
        return fail(c->ob, OUTBOX_INVALID, "seq: %lld is none", (long long)seq);
    code = outbox_reader_ack(reader, seq);
    held_failed(c->m, name, code);
    if (code == OUTBOX_OK)
        sqlite3_result_int64(c->context, seq);
    return code;
}

/* outbox_wait(consumer, milliseconds): 1 as soon as there is an event that was not read, 0 after that time. */
int function_wait(struct call *c)
{
    const char *name;
    outbox_reader *reader;
    int64_t ms = 0;
    bool any = false;
    int code = find_held(c, &name, &reader);
    if (code == OUTBOX_OK)
        code = argument_int(c, 1, "milliseconds", &ms);
    if (code == OUTBOX_OK && (ms < 0 || ms > INT32_MAX))
        code = fail(c->ob, OUTBOX_INVALID, "milliseconds: %lld is out of range", (long long)ms);
    if (code == OUTBOX_OK && sqlite3_txn_state(c->m->db, NULL) != SQLITE_TXN_NONE)
        code = fail(c->ob, OUTBOX_MISUSE,
                    "outbox_wait inside a transaction or a statement that reads: nothing new can "
                    "be seen there");
    if (code != OUTBOX_OK)
        return code;
    code = reader_wait(reader, (int)ms, &any);
    held_failed(c->m, name, code);
    if (code == OUTBOX_OK)
        sqlite3_result_int(c->context, any);
    return code;
}

/* outbox_leave(consumer): 1, or 0 where it was not held. */
int function_leave(struct call *c)
{
    const char *name;
    int code = argument_text(c, 0, "consumer", true, &name);
    if (code == OUTBOX_OK)
        sqlite3_result_int(c->context, held_release(c->m, name));
    return code;
}

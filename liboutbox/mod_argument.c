/* mod_argument.c — what SQL hands to a function, as the library wants it. */
#include <math.h>
#include <string.h>

#include "mod_outbox.h"
#include "value.h"

/* Above 2^53 a REAL may stand for several integers. */
static bool whole(double real, int64_t *out)
{
    if (!(fabs(real) <= 9007199254740992.0) || (double)(int64_t)real != real)
        return false;
    *out = (int64_t)real;
    return true;
}

static int missing(struct call *c, const char *name, bool needed, const char **out)
{
    if (needed)
        return fail(c->ob, OUTBOX_INVALID, "%s is NULL", name);
    *out = NULL;
    return OUTBOX_OK;
}

static int plain_text(struct call *c, int i, const char *name, const char **out)
{
    const char *text = (const char *)sqlite3_value_text(c->args[i]);
    if (!text)
        return fail(c->ob, OUTBOX_NOMEM, "out of memory");
    if (strlen(text) != (size_t)sqlite3_value_bytes(c->args[i]))
        return fail(c->ob, OUTBOX_INVALID, "%s: there is a NUL in it", name);
    *out = text;
    return OUTBOX_OK;
}

int argument_text(struct call *c, int i, const char *name, bool needed, const char **out)
{
    switch (i < c->n ? sqlite3_value_type(c->args[i]) : SQLITE_NULL) {
    case SQLITE_NULL: return missing(c, name, needed, out);
    case SQLITE_TEXT: return plain_text(c, i, name, out);
    default: return fail(c->ob, OUTBOX_INVALID, "%s: give it as text", name);
    }
}

static int rendered(struct call *c, const outbox_value *v, const char **out)
{
    buffer_clear(&c->text);
    value_write(&c->text, v);
    *out = buffer_text(&c->text);
    return *out ? OUTBOX_OK : fail(c->ob, OUTBOX_NOMEM, "out of memory");
}

int argument_key(struct call *c, int i, bool needed, const char **out)
{
    int64_t integer;
    outbox_value v;
    switch (sqlite3_value_type(c->args[i])) {
    case SQLITE_NULL: return missing(c, "key", needed, out);
    case SQLITE_TEXT: return plain_text(c, i, "key", out);
    case SQLITE_INTEGER: v = outbox_int(NULL, sqlite3_value_int64(c->args[i])); break;
    case SQLITE_FLOAT: /* 42 is 42.0 to a host without integers */
        v = whole(sqlite3_value_double(c->args[i]), &integer) ? outbox_int(NULL, integer)
                                                              : outbox_real(NULL, sqlite3_value_double(c->args[i]));
        break;
    default: v = outbox_blob(NULL, sqlite3_value_blob(c->args[i]), (size_t)sqlite3_value_bytes(c->args[i])); break;
    }
    return rendered(c, &v, out);
}

int argument_int(struct call *c, int i, const char *name, int64_t *out)
{
    switch (i < c->n ? sqlite3_value_type(c->args[i]) : SQLITE_NULL) {
    case SQLITE_NULL: return OUTBOX_OK;
    case SQLITE_INTEGER: *out = sqlite3_value_int64(c->args[i]); return OUTBOX_OK;
    case SQLITE_FLOAT:
        if (whole(sqlite3_value_double(c->args[i]), out))
            return OUTBOX_OK;
        break;
    default: break;
    }
    return fail(c->ob, OUTBOX_INVALID, "%s: not a whole number", name);
}

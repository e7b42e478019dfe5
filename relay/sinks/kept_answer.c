/* kept_answer.c — see kept_answer.h. Leaves to others: reading the answer (http_request.c), and escaping it for a terminal. */
#include "kept_answer.h"

#include <string.h>

#include "settings.h"

enum {
    SECRET_MIN = 4,   /* shorter ones would mask half of any text */
    BEGINNING_MIN = 4 /* of a secret, at the end */
};

static void mask(char *at, size_t size)
{
    memset(at, '*', size);
}

static void mask_secret(char *bytes, size_t size, const char *secret, size_t length)
{
    if (length < SECRET_MIN)
        return;
    for (char *at = bytes, *found; (found = memmem(at, size - (size_t)(at - bytes), secret, length));
         at = found + length)
        mask(found, length);
    for (size_t part = length - 1; part >= BEGINNING_MIN; part--)
        if (part <= size && !memcmp(bytes + size - part, secret, part)) {
            mask(bytes + size - part, part);
            return;
        }
}

static void mask_text(char *bytes, size_t size, const char *text)
{
    mask_secret(bytes, size, text, strlen(text));
}

/* scheme://user:password@host/path?query: between the first two, and from the slash on; then the query alone, as a
 * receiver may have taken it apart. */
static void mask_url(char *bytes, size_t size, const char *url)
{
    const char *authority = strstr(url, "://");
    if (!authority)
        return;
    authority += 3;
    size_t length = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', length), *rest = authority + length;
    if (at)
        mask_secret(bytes, size, authority, (size_t)(at - authority));
    mask_text(bytes, size, rest);
    const char *query = strchr(rest, '?');
    if (query)
        mask_text(bytes, size, query + 1);
    mask_secret(bytes, size, rest, strcspn(rest, "?#"));
}

static size_t base64_span(const char *bytes, size_t size)
{
    size_t n = 0;
    while (n < size && bytes[n] &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", bytes[n]))
        n++;
    return n;
}

/* Base64 behind a word: a signature, or the user and password that curl made a header of. */
static void mask_behind(char *bytes, size_t size, const char *word)
{
    for (char *at = bytes, *end = bytes + size; (at = memmem(at, (size_t)(end - at), word, strlen(word)));) {
        at += strlen(word);
        mask(at, base64_span(at, (size_t)(end - at)));
    }
}

/* The whole value, and its last word, as "Bearer TOKEN" has one. */
static void mask_header(char *bytes, size_t size, const char *line)
{
    const char *value = line + strcspn(line, ":");
    value += strspn(value, ": \t");
    const char *word = strrchr(value, ' ');
    mask_text(bytes, size, value);
    if (word)
        mask_text(bytes, size, word + 1);
}

void kept_answer_mask(char *bytes, size_t size, const struct webhook_settings *settings)
{
    mask_url(bytes, size, settings->url);
    for (char **line = settings->headers; line && *line; line++)
        mask_header(bytes, size, *line);
    mask_behind(bytes, size, "v1,");
    mask_behind(bytes, size, "Basic ");
}

/* settings_comments.c — comments taken out of the config file before libconfuse sees it; see settings_given.h.
 *
 * libconfuse 3.3 counts three lines for one that ends in a comment, and one too many for a comment between slashes, so
 * every error behind it would name another line. And it takes none between a list's values or a section's name and title.
 *
 * The invariant: what is a comment here is one for libconfuse, and the other way round. So this follows its scanner,
 * 3.3's and its successors' src/lexer.l: what a quote, a variable and a bare word swallow.
 */
#include <string.h>

#include "settings_given.h"

/* Behind the variable at `at`; without any } it is none. One over several lines is a } forgotten: what follows would be
 * part of its name, and its lines go uncounted. */
static char *skip_variable(char *at, const char **torn)
{
    char *end = strchr(at, '}');
    if (!end)
        return at + 1;
    if (!*torn && memchr(at, '\n', (size_t)(end - at)))
        *torn = at;
    return end + 1;
}

/* Behind the quote that ends the string at `at`; a variable in double quotes may hold one itself. */
static char *skip_string(char *at, const char **torn)
{
    const char quote = *at++;
    while (*at && *at != quote) {
        if (quote == '"' && !strncmp(at, "${", 2))
            at = skip_variable(at, torn);
        else
            at += *at == '\\' && at[1] ? 2 : 1;
    }
    return *at ? at + 1 : at;
}

/* Line breaks stay: they are what is counted. */
static char *blank(char *at, const char *end)
{
    for (; at < end; at++)
        if (*at != '\n')
            *at = ' ';
    return at;
}

/* Behind what begins at `at`, which is blank then where it was a comment. */
static char *take_one(char *at, const char **torn)
{
    if (*at == '"' || *at == '\'')
        return skip_string(at, torn);
    if (*at == '#' || !strncmp(at, "//", 2))
        return blank(at, at + strcspn(at, "\n"));
    if (!strncmp(at, "/*", 2)) { /* one without an end is left to libconfuse, which finds none either */
        const char *end = strstr(at + 2, "*/");
        return end ? blank(at, end + 2) : at + strlen(at);
    }
    if (!strncmp(at, "${", 2))
        return skip_variable(at, torn);
    size_t word = strcspn(at, " #\"'\t\n\r={}()+,*"); /* slashes are part of it: https://… */
    return at + (word ? word : 1);
}

const char *config_blank_comments(char *text)
{
    const char *torn = NULL;
    while (*text)
        text = take_one(text, &torn);
    return torn;
}

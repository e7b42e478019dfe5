/* header_fuzz.c — header lines that are taken are one name and one value without a control byte, and no name that the relay
 * or the protocol needs; what is refused is said in one line that does not hold the value. */
#include <ctype.h>
#include <strings.h>

#include "fuzz.h"
#include "settings_header.h"

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return size > 0;
}

/* Names that would change whose message it is, where it ends, or what was signed. */
static bool is_dangerous(const char *name, size_t size)
{
    static const char *const names[] = {
        "host",           "content-length", "transfer-encoding", "connection",  "te",           "trailer",
        "upgrade",        "expect",         "keep-alive",        "traceparent", "content-type", "content-encoding",
        "idempotency-key"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (size == strlen(names[i]) && !strncasecmp(name, names[i], size))
            return true;
    return (size >= 8 && !strncasecmp(name, "webhook-", 8)) || (size >= 3 && !strncasecmp(name, "ce-", 3)) ||
           (size >= 6 && !strncasecmp(name, "proxy-", 6));
}

static void check_taken(const char *line)
{
    const char *colon = strchr(line, ':');
    CHECK(colon && is_token(line, (size_t)(colon - line)) && !is_dangerous(line, (size_t)(colon - line)));
    CHECK(colon[1] == ' ' && colon[2] && !isspace((unsigned char)colon[2]));
    CHECK(!isspace((unsigned char)line[strlen(line) - 1]));
    for (const char *p = colon; *p; p++)
        CHECK(((unsigned char)*p >= 0x20 || *p == '\t') && *p != 0x7F);
}

/* Whether this one line should be taken, said once more. */
static bool is_good(const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon || !is_token(line, (size_t)(colon - line)) || is_dangerous(line, (size_t)(colon - line)) ||
        !strncasecmp(line, "http2-settings:", 15))
        return false;
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t size = strlen(value);
    while (size && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7F)
            return false;
    return size > 0;
}

static void check_one(const char *line)
{
    struct webhook_settings w = {.headers = NULL};
    char why[300] = "";
    bool taken = header_add(line, &w, why, sizeof why);
    CHECK(taken == is_good(line));
    if (taken)
        check_taken(w.headers[0]);
    else
        CHECK(why[0] && !strpbrk(why, "\r\n") && !w.headers);
    const char *colon = strchr(line, ':');
    if (!taken && colon && strlen(colon + 1) >= 16) /* long enough to be nobody's words but the operator's */
        CHECK(!strstr(why, colon + 1));
    headers_clear(&w);
}

static void check_all(const char *text)
{
    struct webhook_settings w = {.headers = NULL};
    char why[300] = "", *copy = strdup(text);
    CHECK(copy != NULL);
    header_add_lines(copy, &w, why, sizeof why);
    for (char **line = w.headers; line && *line; line++) {
        check_taken(*line);
        CHECK(line - w.headers < 64);
    }
    headers_clear(&w);
    free(copy);
}

static void check_event_names(char *text)
{
    struct webhook_settings w = {.headers = NULL};
    char why[300] = "", *rest = NULL;
    int count = 0;
    for (char *name = strtok_r(text, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
        bool good = is_token(name, strlen(name)) && !is_dangerous(name, strlen(name)) &&
                    strcasecmp(name, "http2-settings") != 0 && count < WEBHOOK_EVENT_HEADERS_MAX;
        for (int i = 0; i < count; i++)
            good = good && strcasecmp(w.event_headers[i], name) != 0;
        CHECK(event_header_add(name, &w, why, sizeof why) == good);
        count += good;
        header_add("X-Other: value", &w, why, sizeof why);
    }
    const char *clash = event_header_clash(&w);
    CHECK(!clash || !strcasecmp(clash, "X-Other"));
    headers_clear(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    check_one(text);
    check_all(text);
    check_event_names(text);
    free(text);
    return 0;
}

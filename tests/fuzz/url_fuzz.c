/* url_fuzz.c — what url_check takes is http or https, comes out the same when checked again, and is shown without user,
 * password, path or query; plain http is judged as the shown host is by a second reading of it. */
#include <ctype.h>
#include <strings.h>

#include <arpa/inet.h>

#include "fuzz.h"
#include "settings_url.h"
#include "sinks/address.h"

/* Whether shown, "http://HOST:PORT", is a host of one's own network by its text alone. */
static bool is_inside(const char *shown)
{
    const char *host = strstr(shown, "://") + 3, *end = host[0] == '[' ? strchr(host, ']') : host + strcspn(host, ":");
    char name[512];
    struct sockaddr_storage address;
    CHECK(end != NULL);
    host += host[0] == '[';
    snprintf(name, sizeof name, "%.*s", (int)(end - host), host);
    if (address_parse(name, &address))
        return address_kind((const struct sockaddr *)&address) == ADDRESS_INSIDE;
    size_t size = strlen(name);
    if (*end == ']' || size >= 256)
        return false;
    if (size && name[size - 1] == '.')
        name[size - 1] = '\0';
    const char *dot = strrchr(name, '.');
    static const char *const tops[] = {".localhost", ".local", ".internal", ".test"};
    bool inside = name[0] && !dot;
    for (size_t i = 0; dot && i < sizeof tops / sizeof *tops; i++)
        inside |= dot != name && !strcasecmp(dot, tops[i]);
    size = strlen(name);
    return inside || (size > 10 && !strcasecmp(name + size - 10, ".home.arpa"));
}

static bool is_plain(const char *url)
{
    bool answer;
    CHECK(url_is_plain_public(url, &answer));
    return answer;
}

static void check_good(const char *text, const char *url, const char *shown)
{
    char *url_again = NULL, *shown_again = NULL, why[200];
    const char *host = strstr(shown, "://");
    bool https = !strncmp(url, "https://", 8);

    CHECK(https || !strncmp(url, "http://", 7));
    CHECK(host && !strncmp(url, shown, (size_t)(host - shown) + 3) && host[3]);
    CHECK(!strpbrk(host + 3, "/?#@\\ \t\r\n"));
    for (const char *p = shown; *p; p++)
        CHECK((unsigned char)*p > 0x20 && *p != 0x7F);
    CHECK(url_check(url, &url_again, &shown_again, why, sizeof why));
    /* An escape in a host's name hides an address from curl's first look (4%35 is 45, which is 0.0.0.45), not from those
     * that count: the judgement's, and the one before it connects. */
    CHECK(strchr(text, '%') || (!strcmp(url, url_again) && !strcmp(shown, shown_again)));
    CHECK(is_plain(url) == (!https && !is_inside(shown_again)));
    CHECK(is_plain(url_again) == is_plain(url));
    free(url_again);
    free(shown_again);
    if (strchr(text, '%')) /* shown as it was meant; no host's name has one */
        return;
    CHECK(url_check(shown, &url_again, &shown_again, why, sizeof why) && !strcmp(shown, shown_again));
    CHECK(is_plain(url_again) == is_plain(url));
    free(url_again);
    free(shown_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *url = NULL, *shown = NULL, why[200] = "";

    if (url_check(text, &url, &shown, why, sizeof why)) {
        check_good(text, url, shown);
        free(url);
        free(shown);
    } else {
        CHECK(!url && !shown && why[0] && !strchr(why, '\n'));
        CHECK(!strstr(why, "out of memory"));
    }
    free(text);
    return 0;
}

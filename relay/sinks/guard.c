/* guard.c — two rules: customers' URLs must not lead inside, and what goes out of the house goes encrypted.
 *
 * Leaves to others: what kind of place an address is (address.h), and asking at the right moments (http_request.c).
 */
#include "guard.h"

#include <stdio.h>
#include <strings.h>

static bool is_excepted(const struct webhook_settings *w, const struct sockaddr *a)
{
    for (int i = 0; i < w->allowed_count; i++)
        if (address_in_block(a, &w->allowed[i]))
            return true;
    return false;
}

static bool is_plain(const struct webhook_settings *w)
{
    return strncasecmp(w->url, "https:", 6) != 0;
}

bool guard_allows(const struct webhook_settings *w, const struct sockaddr *a, char *why, size_t why_size)
{
    bool must_be_inside = !w->allow_http && is_plain(w);
    char text[ADDRESS_TEXT_SIZE];

    if (!w->public_only && !must_be_inside)
        return true;
    enum address_kind kind = address_kind(a);
    address_format(a, text);
    if (w->public_only && kind != ADDRESS_PUBLIC && !is_excepted(w, a))
        snprintf(why, why_size, "not connected to %s: it is no public address, and no allow-address names it", text);
    else if (must_be_inside && kind != ADDRESS_INSIDE)
        snprintf(why, why_size, "not connected to %s: it is outside, and plain http needs allow-http", text);
    else
        return true;
    return false;
}

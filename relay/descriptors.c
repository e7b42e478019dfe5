/* descriptors.c — counts what sinks keep open, and asks for as much.
 *
 * Leaves to others: opening anything. The figures are what a relay was seen to have open, rounded up.
 */
#include "descriptors.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>

#include "log.h"
#include "settings.h"

enum {
    FOR_THE_RELAY = 24,
    FOR_A_SINK = 15 /* its lock, wake and connection, curl's own two, and a connection each for what is read again and
                       what is read ahead */
};

int64_t descriptors_needed(const struct relay_settings *settings, int most)
{
    int64_t needed = FOR_THE_RELAY;

    for (int i = 0; i < settings->sink_count; i++) {
        const struct sink_settings *s = &settings->sinks[i];
        int requests = s->kind == SINK_WEBHOOK ? s->webhook.concurrency : 0;
        needed += FOR_A_SINK + (requests < most ? requests : most);
    }
    return needed;
}

/* The limit after this; no more than is needed, as a command inherits it. */
static int64_t raise_limit(int64_t needed)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return INT64_MAX;
    if (limit.rlim_cur < (rlim_t)needed && limit.rlim_cur < limit.rlim_max) {
        struct rlimit higher = {.rlim_cur = limit.rlim_max < (rlim_t)needed ? limit.rlim_max : (rlim_t)needed,
                                .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
            limit = higher;
    }
    return limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

bool descriptors_reserve(struct relay_settings *settings, char *message, size_t message_size)
{
    int64_t needed = descriptors_needed(settings, INT_MAX), allowed = raise_limit(needed);
    int most = 1;

    if (allowed >= needed)
        return true;
    if (allowed < descriptors_needed(settings, 1)) {
        snprintf(message, message_size,
                 "%d sinks need %" PRId64 " descriptors or more, and %" PRId64
                 " are allowed: raise `ulimit -n` (LimitNOFILE= under systemd)",
                 settings->sink_count, descriptors_needed(settings, 1), allowed);
        return false;
    }
    while (descriptors_needed(settings, most + 1) <= allowed)
        most++;
    for (int i = 0; i < settings->sink_count; i++)
        if (settings->sinks[i].webhook.concurrency > most)
            settings->sinks[i].webhook.concurrency = most;
    log_write(LOG_LEVEL_WARN, NULL,
              "%" PRId64 " descriptors are allowed and %" PRId64
              " may be needed: no webhook has more than %d requests under way; raise `ulimit -n`",
              allowed, needed, most);
    return true;
}

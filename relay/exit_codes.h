/* exit_codes.h — what the exit status of both programs means, after daemontools: systemd can tell "restart" from "ask a human". */
#ifndef RELAY_EXIT_CODES_H
#define RELAY_EXIT_CODES_H

enum {
    EXIT_DONE = 0,
    EXIT_NEGATIVE = 1,    /* outboxctl: conflict, not found, incomplete, an alarm */
    EXIT_USAGE = 2,       /* options, config, URLs, secrets, filters */
    EXIT_PERMANENT = 100, /* mend it; restarting will not help */
    EXIT_TEMPORARY = 111  /* try again later */
};

#endif

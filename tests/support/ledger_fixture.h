/* ledger_fixture.h — a database and a ledger over it: what a test of the relay's threads begins and ends with. */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H

#include "ledger.h"
#include "relay_fixture.h"

/* Both are for ledger_fixture_close(). 0, as a setup's answer. */
static inline int ledger_fixture_open(struct fixture **f, struct ledger **ledger)
{
    void *fixture = NULL;
    char message[512];
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    if (fixture_setup(&fixture) != 0)
        return -1;
    *f = fixture;
    int code = ledger_open((*f)->path, ledger, message, sizeof message);
    if (code != EXIT_DONE)
        fprintf(stderr, "setup: %s\n", message);
    return code;
}

static inline int ledger_fixture_close(struct fixture *f, struct ledger *ledger)
{
    void *fixture = f;
    ledger_close(ledger);
    return fixture_teardown(&fixture);
}

#endif

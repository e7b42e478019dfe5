/* relay.h — the supervisor: one ledger, one pipeline per sink, signals, and what the process exits with. */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "settings.h"

/* Runs until stopped, or with once until drained; answers the exit code (exit_codes.h). *settings is the caller's to free
 * afterwards, taken over or not. argc and argv are read again at SIGHUP. To be called before any thread is started: it
 * blocks the signals it handles. */
int relay_run(struct relay_settings *settings, int argc, char **argv);

#endif

/* trouble.h — a fault that lasts: said when it begins, tried again less and less often, said when it is over.
 *
 * Pure but for the log: the time is an argument.
 */
#ifndef RELAY_SINKS_TROUBLE_H
#define RELAY_SINKS_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "sink.h"

struct trouble {
    bool present;
    int64_t delay_us;
    char said[SINK_REASON_SIZE];
};

struct trouble_pace {
    int64_t min_us, max_us; /* the wait doubles from the one to the other */
};

/* Something has failed, again perhaps; logged where the words are new. Returns when to try again. */
int64_t trouble_report(struct trouble *, const struct trouble_pace *, const char *consumer, const char *words,
                       int64_t now_us);

/* It works, as something that could not have worked while the fault lasted shows. */
void trouble_over(struct trouble *, const char *consumer, const char *what);

#endif

/* trouble.c — says a fault once, however often it is met. What failed, and what to do, is its owner's. */
#include "sinks/trouble.h"

#include <stdio.h>
#include <string.h>

int64_t trouble_report(struct trouble *trouble, const struct trouble_pace *pace, const char *consumer,
                       const char *words, int64_t now_us)
{
    if (!trouble->present || strncmp(trouble->said, words, sizeof trouble->said - 1) != 0)
        log_write(LOG_LEVEL_WARN, consumer, "%s; trying again", words);
    snprintf(trouble->said, sizeof trouble->said, "%s", words);

    int64_t delay_us = trouble->present ? 2 * trouble->delay_us : pace->min_us;
    trouble->delay_us = delay_us < pace->max_us ? delay_us : pace->max_us;
    trouble->present = true;
    return now_us + trouble->delay_us;
}

void trouble_over(struct trouble *trouble, const char *consumer, const char *what)
{
    if (trouble->present)
        log_write(LOG_LEVEL_INFO, consumer, "%s: good again", what);
    trouble->present = false;
}

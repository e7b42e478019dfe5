/* settings_equal.h — has a reload changed this sink? */
#ifndef RELAY_SETTINGS_EQUAL_H
#define RELAY_SETTINGS_EQUAL_H

#include <stdbool.h>

#include "settings.h"

/* Whether both describe the same delivery: a pipeline that runs on one need not be restarted for the other. */
bool settings_equal(const struct sink_settings *, const struct sink_settings *);

#endif

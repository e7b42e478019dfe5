/* row_json.h — a row given as a JSON object, as values. */
#ifndef OUTBOX_ROW_JSON_H
#define OUTBOX_ROW_JSON_H

#include "outbox.h"

/* Fills ob->row_values; *n of them. They point into json and into ob->row_text: both stay as they are until the row is
 * written. INVALID: not JSON, not an object, a number out of range; a name twice is found when the columns are. */
int row_from_json(outbox *, const char *table, const char *json, size_t size, int *n);

#endif

/* capture_value.h — plain SQL that writes a row as JSON inside a trigger: the image and the key, as the library's own.
 *
 * Any program that opens the file has to be able to run it: no function of ours, and no json_ function, which SQLite
 * 3.40 refuses in a trigger under trusted_schema = OFF. `row` is what stands before the point: NEW, OLD or an alias.
 */
#ifndef OUTBOX_CAPTURE_VALUE_H
#define OUTBOX_CAPTURE_VALUE_H

#include "capture.h"

/* The whole row as a JSON object, less the columns left out; revision is SQL for what stands as the revision. NULL where
 * a value is odd: more than a number or plain text. */
void capture_write_image(sqlite3_str *, const struct capture *, const char *row, const char *revision);

/* For outbox_odd, which writes the odd ones: for each column a row of VALUES, ", ('IMAGE', 'LABEL', VALUE)". */
void capture_write_values(sqlite3_str *, const struct capture *, const char *row, const char *revision,
                          const char *image);

/* The same where row is one of several: the labels as rows of VALUES, "(NUMBER, 'LABEL')", and the value of the column
 * whose number the SQL text `number` gives. */
void capture_write_labels(sqlite3_str *, const struct capture *);
void capture_write_value_at(sqlite3_str *, const struct capture *, const char *row, const char *number);

/* The key's text form; NULL where a part of the key is. */
void capture_write_key(sqlite3_str *, const struct capture *, const char *row);

/* A single column in the key's text form, for ordering_key. */
void capture_write_plain(sqlite3_str *, const struct column *, const char *row);

/* What was to go in could not be had: no memory. sqlite3_str_finish() gives NULL, whatever else is written. */
void capture_spoil(sqlite3_str *);

#endif

/* table.h — rows of text in aligned columns.
 *
 * Cells are added row by row and escaped as they come (text.h); the widths are known when the last one is in. Lists
 * for programs do not go through here: they are JSON, one object per line.
 */
#ifndef OUTBOXCTL_TABLE_H
#define OUTBOXCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

struct text_column {
    const char *title;
    bool right; /* numbers: aligned to the right */
};

struct text_table {
    const struct text_column *columns; /* borrowed */
    int column_count;
    struct buffer text; /* every cell, one after the other */
    struct buffer ends; /* size_t each: where a cell ends in text */
};

void table_init(struct text_table *, const struct text_column *columns, int column_count);
void table_fini(struct text_table *);

/* The next cell; after the last column's a new row begins. Absent or empty text shows as "-". */
void table_text(struct text_table *, const char *text);
void table_int(struct text_table *, int64_t);

/* Appends title line and rows, each ended by a newline, without trailing blanks. A row begun and not completed is left
 * out. False: out of memory. */
bool table_render(const struct text_table *, struct buffer *out, bool colour);

#endif

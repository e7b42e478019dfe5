/* table.c — see table.h. */
#include <stdlib.h>

#include "table.h"
#include "text.h"

static const char title_on[] = "\033[1m", title_off[] = "\033[0m";

enum { GUTTER = 2 }; /* blanks between two columns */

struct cell {
    const char *text;
    size_t size;
};

void table_init(struct text_table *t, const struct text_column *columns, int column_count)
{
    *t = (struct text_table){.columns = columns, .column_count = column_count};
}

void table_fini(struct text_table *t)
{
    buffer_free(&t->text);
    buffer_free(&t->ends);
}

void table_text(struct text_table *t, const char *text)
{
    const char *shown = text && *text ? text : "-";
    text_escape(&t->text, shown, strlen(shown));
    buffer_append(&t->ends, &t->text.size, sizeof t->text.size);
}

void table_int(struct text_table *t, int64_t value)
{
    text_append_int(&t->text, value);
    buffer_append(&t->ends, &t->text.size, sizeof t->text.size);
}

static int cell_count(const struct text_table *t)
{
    return (int)(t->ends.size / sizeof(size_t));
}

static size_t cell_end(const struct text_table *t, int i)
{
    size_t end = 0;
    if (i >= 0)
        memcpy(&end, t->ends.data + (size_t)i * sizeof end, sizeof end);
    return end;
}

/* Row -1 is the titles. */
static struct cell cell_at(const struct text_table *t, int row, int column)
{
    if (row < 0)
        return (struct cell){t->columns[column].title, strlen(t->columns[column].title)};
    int i = row * t->column_count + column;
    size_t from = cell_end(t, i - 1);
    return (struct cell){t->text.data + from, cell_end(t, i) - from};
}

static void append_blanks(struct buffer *out, int n)
{
    while (n-- > 0)
        buffer_append_byte(out, ' ');
}

static void render_row(const struct text_table *t, int row, const int *widths, struct buffer *out)
{
    for (int column = 0; column < t->column_count; column++) {
        struct cell cell = cell_at(t, row, column);
        int padding = widths[column] - text_width(cell.text, cell.size);
        append_blanks(out, column ? GUTTER : 0);
        if (t->columns[column].right)
            append_blanks(out, padding);
        buffer_append(out, cell.text, cell.size);
        if (!t->columns[column].right && column + 1 < t->column_count)
            append_blanks(out, padding);
    }
}

static void measure(const struct text_table *t, int rows, int *widths)
{
    for (int row = -1; row < rows; row++) {
        for (int column = 0; column < t->column_count; column++) {
            struct cell cell = cell_at(t, row, column);
            int width = text_width(cell.text, cell.size);
            if (width > widths[column])
                widths[column] = width;
        }
    }
}

bool table_render(const struct text_table *t, struct buffer *out, bool colour)
{
    int *widths = calloc((size_t)t->column_count, sizeof *widths);
    if (!widths || !buffer_ok(&t->text) || !buffer_ok(&t->ends)) {
        free(widths);
        return false;
    }
    int rows = cell_count(t) / t->column_count;
    measure(t, rows, widths);
    buffer_append_text(out, colour ? title_on : "");
    render_row(t, -1, widths, out);
    buffer_append_text(out, colour ? title_off : "");
    buffer_append_byte(out, '\n');
    for (int row = 0; row < rows; row++) {
        render_row(t, row, widths, out);
        buffer_append_byte(out, '\n');
    }
    free(widths);
    return buffer_ok(out);
}

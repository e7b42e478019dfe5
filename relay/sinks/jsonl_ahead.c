/* jsonl_ahead.c — two pages of encoded lines; see jsonl_ahead.h. */
#include "sinks/jsonl_ahead.h"

#include "encode.h"

enum {
    PAGE_BYTES = 1024 * 1024,         /* a page ends there, but for one line more: what it has not, the next one has */
    PAGE_KEEPS_BYTES = 2 * PAGE_BYTES /* what a larger event took is given back */
};

bool jsonl_encode(struct buffer *text, const struct sink_context *context, const struct source_row *row, int64_t prev,
                  const char **error)
{
    const struct encode_options options = {.source = context->source, .with_prev = true, .prev = prev};
    size_t before = text->size;

    if (context->settings->jsonl.format == FORMAT_CLOUDEVENTS)
        encode_cloudevent(text, row, &options, error);
    else
        encode_native(text, row, &options, error);
    buffer_append_byte(text, '\n');
    if (buffer_ok(text))
        return true;
    text->size = before;
    buffer_forgive(text);
    return false;
}

void jsonl_ahead_begin(struct jsonl_ahead *a, int64_t put_seq)
{
    const struct ahead_page *other = &a->pages[a->filling];

    a->last_seq = other->gone < other->count ? other->lines[other->count - 1].seq : put_seq;
    a->filling = 1 - a->filling;
    struct ahead_page *page = &a->pages[a->filling];
    page->count = page->gone = 0;
    if (page->text.capacity > PAGE_KEEPS_BYTES)
        buffer_free(&page->text);
    buffer_clear(&page->text);
}

struct ahead_line *jsonl_ahead_add(struct jsonl_ahead *a, const struct sink_context *context,
                                   const struct source_row *row)
{
    struct ahead_page *page = &a->pages[a->filling];
    size_t begin = page->text.size;
    const char *error = NULL;
    char *words = NULL;

    if (page->count == PENDING_LINES || page->text.size >= PAGE_BYTES ||
        !jsonl_encode(&page->text, context, row, a->last_seq, &error))
        return NULL;
    if (error && !(words = strdup(error))) {
        page->text.size = begin;
        return NULL;
    }
    struct ahead_line *line = &page->lines[page->count++];
    *line = (struct ahead_line){page, begin, page->text.size, row->event.seq, a->last_seq, NULL};
    line->error = words;
    a->last_seq = row->event.seq;
    return line;
}

void jsonl_ahead_let_go(struct ahead_line *line)
{
    free(line->error);
    line->error = NULL;
    line->page->gone++;
}

void jsonl_ahead_fini(struct jsonl_ahead *a)
{
    buffer_free(&a->pages[0].text);
    buffer_free(&a->pages[1].text);
}

/* read_ahead.c — the thread, its connection and the two pages; see read_ahead.h.
 *
 * Leaves to others: when to read ahead, and what a result means (pipeline_read.c). The invariant: a page is the thread's
 * while it is asked for, and the pipeline's at all other times; its state alone says so, under the mutex.
 */
#include "read_ahead.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "database.h"
#include "exit_codes.h"

struct page {
    enum page_state state;
    struct page_wish wish;
    char source_id[17];
    struct page_entry *entries;
    int count, capacity, taken;
    int64_t after;
    bool full;
    enum source_result result;
    char message[SINK_REASON_SIZE];
};

struct read_ahead {
    const char *db_path;
    const struct sink_settings *settings;
    const struct sink_ops *ops;
    struct durable *durable;
    struct wake *wake;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool ending;
    struct page pages[2];
    int turn; /* the page to be taken; the other one follows it */

    /* The thread's own. */
    sqlite3 *db;
    struct source *source; /* NULL: not opened yet */
};

/* ---- The thread --------------------------------------------------------------------------------------------------- */

/* As the pipeline's own connection was opened: what could not be then is no news. */
static bool open_source(struct read_ahead *r)
{
    char message[SINK_REASON_SIZE];
    bool temporary;
    if (r->source)
        return true;
    if (database_open_reader(r->db_path, &r->db, NULL, message, sizeof message) == EXIT_DONE)
        r->source = source_open(r->db, r->settings, &temporary, message, sizeof message);
    if (r->source) {
        source_use_durable(r->source, r->durable);
        return true;
    }
    sqlite3_close(r->db);
    r->db = NULL;
    return false;
}

static bool reserve(struct page *page)
{
    if (page->capacity >= page->wish.limit)
        return true;
    struct page_entry *grown = realloc(page->entries, (size_t)page->wish.limit * sizeof *grown);
    if (!grown)
        return false;
    page->entries = grown;
    page->capacity = page->wish.limit;
    return true;
}

/* One call of source_read(). */
struct filling {
    const struct sink_ops *ops;
    struct page *page;
};

/* In the read transaction: encodes, nothing else. */
static bool prepare(void *arg, const struct source_row *row, bool wanted)
{
    struct filling *filling = arg;
    struct page *page = filling->page;
    void *item = wanted ? filling->ops->prepare(page->wish.sink, row) : NULL;
    if (wanted && !item)
        return false;
    page->entries[page->count++] = (struct page_entry){row->event.seq, item};
    return true;
}

static void let_go(const struct read_ahead *r, struct page *page)
{
    for (; page->taken < page->count; page->taken++)
        if (page->entries[page->taken].item)
            r->ops->discard(page->wish.sink, page->entries[page->taken].item);
}

static void read_page(struct read_ahead *r, struct page *page)
{
    struct filling filling = {r->ops, page};
    const struct page_wish *wish = &page->wish;
    page->count = page->taken = 0;
    page->after = wish->after;
    page->full = false;
    page->result = SOURCE_OK;
    if (!open_source(r) || !reserve(page))
        return;
    source_expect(r->source, page->source_id, wish->lease_token, wish->owed_after);
    page->result = source_read(r->source, &page->after, wish->limit, prepare, &filling, &page->full);
    if (page->result == SOURCE_OK)
        return;
    /* Rows before the fault are not known to be durable. */
    snprintf(page->message, sizeof page->message, "%s", source_message(r->source));
    let_go(r, page);
}

static struct page *asked_page(struct read_ahead *r)
{
    for (int i = 0; i < 2; i++)
        if (r->pages[i].state == PAGE_ASKED)
            return &r->pages[i];
    return NULL;
}

static void *run(void *arg)
{
    struct read_ahead *r = arg;
    pthread_mutex_lock(&r->mutex);
    while (!r->ending) {
        struct page *page = asked_page(r);
        if (!page) {
            pthread_cond_wait(&r->changed, &r->mutex);
            continue;
        }
        pthread_mutex_unlock(&r->mutex);
        read_page(r, page);
        pthread_mutex_lock(&r->mutex);
        page->state = PAGE_READY;
        pthread_cond_broadcast(&r->changed);
        wake_poke(r->wake);
    }
    pthread_mutex_unlock(&r->mutex);
    source_close(r->source);
    sqlite3_close(r->db);
    return NULL;
}

/* ---- The pipeline's side ------------------------------------------------------------------------------------------ */

struct read_ahead *read_ahead_start(const char *db_path, const struct sink_settings *settings,
                                    const struct sink_ops *ops, struct durable *durable, struct wake *wake)
{
    struct read_ahead *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct read_ahead){.db_path = db_path, .settings = settings, .ops = ops, .durable = durable, .wake = wake};
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->changed, NULL);
    if (pthread_create(&r->thread, NULL, run, r) == 0)
        return r;
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r);
    return NULL;
}

void read_ahead_stop(struct read_ahead *r)
{
    if (!r)
        return;
    read_ahead_drop(r);
    pthread_mutex_lock(&r->mutex);
    r->ending = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r->pages[0].entries);
    free(r->pages[1].entries);
    free(r);
}

static void set_state(struct read_ahead *r, struct page *page, enum page_state state)
{
    pthread_mutex_lock(&r->mutex);
    page->state = state;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

enum page_state read_ahead_state(struct read_ahead *r)
{
    if (!r)
        return PAGE_NONE;
    pthread_mutex_lock(&r->mutex);
    enum page_state state = r->pages[r->turn].state;
    pthread_mutex_unlock(&r->mutex);
    return state;
}

bool read_ahead_may_ask(struct read_ahead *r)
{
    pthread_mutex_lock(&r->mutex);
    bool free_place = r->pages[0].state == PAGE_NONE || r->pages[1].state == PAGE_NONE;
    bool may = free_place && !asked_page(r);
    pthread_mutex_unlock(&r->mutex);
    return may;
}

void read_ahead_ask(struct read_ahead *r, const struct page_wish *wish)
{
    struct page *page = &r->pages[read_ahead_state(r) == PAGE_NONE ? r->turn : 1 - r->turn];
    page->wish = *wish;
    snprintf(page->source_id, sizeof page->source_id, "%s", wish->source_id);
    page->wish.source_id = page->source_id;
    set_state(r, page, PAGE_ASKED);
}

struct page_end read_ahead_end(const struct read_ahead *r)
{
    const struct page *page = &r->pages[r->turn];
    return (struct page_end){page->result, page->message, page->after, page->count, page->full};
}

bool read_ahead_take(struct read_ahead *r, struct page_entry *entry)
{
    struct page *page = &r->pages[r->turn];
    if (page->taken == page->count)
        return false;
    *entry = page->entries[page->taken++];
    return true;
}

void read_ahead_turn(struct read_ahead *r)
{
    set_state(r, &r->pages[r->turn], PAGE_NONE);
    r->turn = 1 - r->turn;
}

void read_ahead_drop(struct read_ahead *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->mutex);
    while (asked_page(r))
        pthread_cond_wait(&r->changed, &r->mutex);
    for (int i = 0; i < 2; i++) {
        if (r->pages[i].state == PAGE_READY)
            let_go(r, &r->pages[i]);
        r->pages[i].state = PAGE_NONE;
    }
    pthread_mutex_unlock(&r->mutex);
}

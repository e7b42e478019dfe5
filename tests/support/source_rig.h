/* source_rig.h — a source over a database of its own, and what was read from it as one text. */
#ifndef TESTS_SOURCE_RIG_H
#define TESTS_SOURCE_RIG_H

#include <stdbool.h>

#include "relay_fixture.h"
#include "source.h"
#include "wal_syncs.h"

struct reading {
    struct fixture *f;
    struct sink_settings settings;
    struct schema_info info;
    sqlite3 *db;
    struct source *source;
    int64_t after;
    bool full;
    int refuse_at; /* the row, counted from 1, that is not taken; 0: none */
    int rows;
    char got[4096]; /* "1:{…} 2- 3!reason " wanted, filtered, failed */
};

static inline bool take(void *arg, const struct source_row *row, bool wanted)
{
    struct reading *r = arg;
    size_t used = strlen(r->got);
    if (++r->rows == r->refuse_at)
        return false;
    assert_false(sqlite3_get_autocommit(r->db));
    if (row->error)
        snprintf(r->got + used, sizeof r->got - used, "%lld!%s ", (long long)row->event.seq, row->error);
    else if (!wanted)
        snprintf(r->got + used, sizeof r->got - used, "%lld- ", (long long)row->event.seq);
    else
        snprintf(r->got + used, sizeof r->got - used, "%lld:%.*s ", (long long)row->event.seq,
                 (int)row->event.payload_size, row->event.payload ? (const char *)row->event.payload : "");
    return true;
}

static inline int setup_reading(void **state)
{
    struct reading *r = calloc(1, sizeof *r);
    void *fixture = NULL;
    sync_error = 0;
    int rc = fixture_setup(&fixture);
    r->f = fixture;
    r->settings = settings_of(strdup("c"));
    *state = r;
    return rc;
}

static inline void close_source(struct reading *r)
{
    source_close(r->source);
    sqlite3_close(r->db);
    r->source = NULL;
    r->db = NULL;
}

static inline int teardown_reading(void **state)
{
    struct reading *r = *state;
    void *fixture = r->f;
    close_source(r);
    int rc = fixture_teardown(&fixture);
    free(r->settings.consumer);
    free(r);
    return rc;
}

/* Opens the source as it is now, at lease token 1. */
static inline void open_source(struct reading *r, int64_t owed_after)
{
    char message[512] = "";
    bool temporary;
    close_source(r);
    fixture_sql(r->f, "INSERT INTO consumer_offsets(consumer, acked_seq, lease_token) VALUES('c', 0, 1)"
                      " ON CONFLICT DO NOTHING");
    r->db = open_reader(r->f, &r->info);
    r->source = source_open(r->db, &r->settings, &temporary, message, sizeof message);
    if (!r->source)
        fail_msg("%s", message);
    source_expect(r->source, r->info.source, 1, owed_after);
}

static inline enum source_result read_some(struct reading *r, int limit)
{
    r->got[0] = 0;
    r->rows = 0;
    enum source_result result = source_read(r->source, &r->after, limit, take, r, &r->full);
    assert_true(sqlite3_get_autocommit(r->db)); /* no read transaction outlives the read */
    return result;
}

/* The second of the rows is not taken, and is the first one of the next read. */
static inline void refuse_the_second(struct reading *r, const char *then)
{
    r->refuse_at = 2;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_int_equal(r->after, 1);
    assert_true(r->full);
    r->refuse_at = 0;
    assert_int_equal(read_some(r, 10), SOURCE_OK);
    assert_string_equal(r->got, then);
}

#define source_test(f) cmocka_unit_test_setup_teardown(f, setup_reading, teardown_reading)

#endif

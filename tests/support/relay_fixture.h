/* relay_fixture.h — what tests of the relay's parts need beyond fixture.h: a reading connection, settings, time. */
#ifndef TESTS_RELAY_FIXTURE_H
#define TESTS_RELAY_FIXTURE_H

#include <time.h>

#include "clock.h"
#include "database.h"
#include "exit_codes.h"
#include "fixture.h"
#include "log.h"
#include "settings.h"

/* Emits count events with key K and payload {"n":i}, all in one transaction. */
static inline void emit_events(struct fixture *f, const char *key, int count)
{
    assert_ok(f, outbox_begin(f->ob));
    for (int i = 0; i < count; i++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"n\":%d}", i);
        assert_ok(f, outbox_emit(f->ob, "t", key, payload, -1, NULL, NULL));
    }
    assert_ok(f, outbox_commit(f->ob));
}

static inline sqlite3 *open_reader(struct fixture *f, struct schema_info *info)
{
    sqlite3 *db = NULL;
    char message[512] = "";
    if (database_open_reader(f->path, &db, info, message, sizeof message) != EXIT_DONE)
        fail_msg("%s", message);
    return db;
}

/* A consumer of kind null: neither its before nor its payload is touched. */
static inline struct sink_settings settings_of(char *consumer)
{
    return (struct sink_settings){
        .name = consumer, .consumer = consumer, .registered = true, .kind = SINK_NULL, .read_batch = 1000};
}

static inline void sleep_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Whether condition(arg) comes true within ten seconds. */
static inline bool comes_true(bool (*condition)(void *), void *arg)
{
    int64_t deadline_us = clock_monotonic_us() + 10000000;
    while (!condition(arg)) {
        if (clock_monotonic_us() > deadline_us)
            return false;
        sleep_a_moment();
    }
    return true;
}

#endif

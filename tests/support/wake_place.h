/* wake_place.h — a folder of its own for each test of the wake-up, and ways to look at what fires. Include cmocka first. */
#ifndef TESTS_WAKE_PLACE_H
#define TESTS_WAKE_PLACE_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "wake.h"

/* Less than the slow poll of 5 s, so that it is not what saves a test. */
enum { DEADLINE_MS = 3000 };

struct place {
    char folder[64], db[96], wal[96];
    struct wake *wake;
};

static inline int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    strcpy(place->folder, "/tmp/outbox-wake-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->db, sizeof place->db, "%s/app.db", place->folder);
    snprintf(place->wal, sizeof place->wal, "%s/app.db-wal", place->folder);
    *state = place;
    return 0;
}

static inline int remove_place(void **state)
{
    struct place *place = *state;
    char command[100];
    wake_close(place->wake);
    snprintf(command, sizeof command, "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline bool quiet_for(const struct place *place, int ms)
{
    struct pollfd fd = {.fd = wake_fd(place->wake), .events = POLLIN};
    return poll(&fd, 1, ms) == 0;
}

/* Finds all there is, until nothing more fires. */
static inline void settle(struct place *place)
{
    int64_t deadline_ms = now_ms() + DEADLINE_MS;

    do {
        wake_drain(place->wake);
        wake_found(place->wake);
        assert_true(now_ms() < deadline_ms);
    } while (!quiet_for(place, 100));
}

/* Drains until all the bits of what have fired, or the deadline. */
static inline bool fires(struct place *place, int what)
{
    int64_t deadline_ms = now_ms() + DEADLINE_MS;
    int fired = 0;

    while ((fired & what) != what && now_ms() < deadline_ms)
        fired |= wake_wait(place->wake, (int)(deadline_ms - now_ms()));
    return (fired & what) == what;
}

static inline void write_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static inline void open_wake(struct place *place)
{
    place->wake = wake_open(place->db);
    assert_non_null(place->wake);
}

#endif

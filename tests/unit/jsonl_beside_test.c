/* jsonl_beside_test.c — the file's sync runs beside its writing: nothing waits for it, and nothing is acknowledged
 * before it.
 */
#include "stream.h"

#include <poll.h>
#include <pthread.h>

/* A disk whose syncs end when the test lets them. */
static struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    int begun, ended, error;
    bool others_only;         /* who writes the file may sync it at any time; it only counts */
    pthread_t writer;         /* where others_only */
    int under_way, overtaken; /* syncs beside; calls of the writer's that should have waited for one */
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_gate(bool open, int error)
{
    pthread_mutex_lock(&gate.mutex);
    gate.open = open;
    gate.error = error;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

/* A call of the writer's that must not come while a sync runs beside. */
static void look_for_overtaking(void)
{
    pthread_mutex_lock(&gate.mutex);
    gate.overtaken += gate.under_way;
    gate.open = gate.open || gate.under_way; /* it has been seen: the test goes on */
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

static int rename_past_gate(void *arg, int dir_fd, const char *from, const char *to)
{
    look_for_overtaking();
    return disk_rename_at(arg, dir_fd, from, to);
}

static int sync_at_gate(void *arg, int fd)
{
    struct disk *disk = arg;
    struct stat status;

    if (gate.others_only && pthread_equal(gate.writer, pthread_self())) {
        look_for_overtaking();
        return disk_sync_data(disk, fd);
    }
    assert_int_equal(fstat(fd, &status), 0);
    pthread_mutex_lock(&gate.mutex);
    gate.begun++;
    gate.under_way++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    int error = gate.error;
    gate.error = 0;
    gate.ended++;
    gate.under_way--;
    disk->syncs_after_failure += status.st_ino == disk->failed_inode;
    if (error)
        disk->failed_inode = status.st_ino;
    else
        disk->synced_bytes = status.st_size;
    pthread_mutex_unlock(&gate.mutex);
    errno = error;
    return error ? -1 : 0;
}

static int setup(void **state)
{
    int rc = stream_setup(state);
    struct stream *s = *state;
    s->disk.ops.sync_data = sync_at_gate;
    s->disk.ops.beside = true;
    gate.begun = gate.ended = gate.under_way = gate.overtaken = 0;
    gate.others_only = false;
    set_gate(false, 0);
    return rc;
}

static int teardown(void **state)
{
    set_gate(true, 0);
    return stream_teardown(state);
}

static void await_begin(int count)
{
    pthread_mutex_lock(&gate.mutex);
    while (gate.begun < count)
        pthread_cond_wait(&gate.changed, &gate.mutex);
    pthread_mutex_unlock(&gate.mutex);
}

static int count_of(const int *syncs)
{
    pthread_mutex_lock(&gate.mutex);
    int count = *syncs;
    pthread_mutex_unlock(&gate.mutex);
    return count;
}

static void lines_are_written_while_a_sync_runs_and_acknowledged_after_it(void **state)
{
    struct stream *s = *state;

    stream_events(s, 28);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK); /* 7 lines, and the sync begins */
    await_begin(1);
    int64_t size = stream_size(s);
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_true(stream_size(s) > size);
    assert_int_equal(count_of(&gate.begun), 1); /* one at a time */
    assert_int_equal(s->acked_seq, 0);

    set_gate(true, 0);
    sink_jsonl.wait(s->sink, -1, 10000); /* its end is something to be woken for */
    assert_int_equal(count_of(&gate.ended), 1);
    set_gate(false, 0);
    assert_int_equal(stream_turn(s), SINK_OK); /* the rest; and what that sync has covered is acknowledged */
    assert_int_equal(s->acked_seq, 7);
    assert_string_equal(s->position, "{\"seq\":7,\"after\":0}");
    s->disk.clock_us += 1000000; /* the next one is due */
    assert_int_equal(stream_turn(s), SINK_OK);
    await_begin(2);
    set_gate(true, 0);
    assert_int_equal(sink_jsonl.finish(s->sink), SINK_OK);
    stream_settle(s);
    stream_complete(s);
}

static void a_sync_that_fails_beside_takes_back_what_was_written_since(void **state)
{
    struct stream *s = *state;

    stream_events(s, 35);
    set_gate(true, 0);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    sink_jsonl.wait(s->sink, -1, 10000);
    set_gate(false, 0);
    assert_int_equal(stream_turn(s), SINK_OK);
    assert_int_equal(s->acked_seq, 7);
    s->disk.clock_us += 1000000;
    assert_int_equal(stream_turn(s), SINK_OK);
    await_begin(2);
    assert_int_equal(stream_turn(s), SINK_OK); /* behind the sync that is going to fail */
    set_gate(true, EIO);
    sink_jsonl.wait(s->sink, -1, 10000);
    assert_int_equal(stream_turn(s), SINK_LATER);
    assert_non_null(strstr(s->reason, "syncing"));
    assert_int_equal(s->acked_seq, 7);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(stream_check(s).segments, 1); /* up to 7: sealed */
    assert_int_equal(s->disk.syncs_after_failure, 0);
}

static void a_file_is_not_renamed_while_its_sync_runs(void **state)
{
    struct stream *s = *state;

    s->settings.jsonl.max_size_bytes = 2000;
    s->step_us = 600000;
    stream_events(s, 400);
    set_gate(true, 0);
    stream_deliver(s); /* disk_rename_at() looks whether all of it is durable */
    stream_complete(s);
    assert_true(stream_check(s).segments > 3);
}

/* Opens the gate when whoever waits for it has been seen to sleep, or not to wait. */
static void *fail_when_waited_for(void *arg)
{
    char path[64], line[512];
    bool over = false;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", *(const int *)arg);
    for (int looks = 0; !over && looks < 5000; looks++) {
        FILE *file = fopen(path, "r");
        const char *name_end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        bool sleeps = name_end && name_end[2] == 'S';
        if (file)
            fclose(file);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        over = sleeps && looks > 20;
        over = over || count_of(&gate.overtaken) > 0;
    }
    set_gate(true, EIO);
    return NULL;
}

/* The kernel tells of what it could not write once, and only that sync hears it: a second one, of whoever does not wait
 * for the first, says that all is well, and the segment would be trusted for ever. */
static void a_rotation_waits_for_the_sync_beside_and_hears_that_it_failed(void **state)
{
    struct stream *s = *state;
    pthread_t opener;
    int here = gettid();

    s->settings.jsonl.max_size_bytes = 2000;
    s->disk.ops.rename_at = rename_past_gate;
    gate.others_only = true;
    gate.writer = pthread_self();
    stream_events(s, 28);
    assert_int_equal(stream_open(s), SINK_OK);
    s->disk.clock_us += 2000000;
    assert_int_equal(stream_turn(s), SINK_OK); /* 7 lines, and the sync begins */
    await_begin(1);
    assert_int_equal(pthread_create(&opener, NULL, fail_when_waited_for, &here), 0);
    enum sink_result result = SINK_OK;
    while (result == SINK_OK && s->read_seq < 28)
        result = stream_turn(s); /* until the file is full */
    assert_int_equal(pthread_join(opener, NULL), 0);
    assert_int_equal(gate.overtaken, 0);
    assert_int_equal(result, SINK_LATER);
    assert_non_null(strstr(s->reason, "syncing"));
    assert_int_equal(s->acked_seq, 0);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.syncs_after_failure, 0);
}

/* Something else went wrong while the sync ran, and the file is opened anew: that the sync failed must not be forgotten. */
static void a_fault_meanwhile_does_not_hide_that_the_sync_failed(void **state)
{
    struct stream *s = *state;

    stream_events(s, 28);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK); /* 7 lines, and the sync begins */
    await_begin(1);
    s->disk.mode = DISK_FAILS;
    s->disk.at = s->disk.calls + 1;
    s->disk.error = ENOSPC;
    assert_int_equal(stream_turn(s), SINK_LATER);
    assert_non_null(strstr(s->reason, "writing"));
    s->disk.mode = DISK_FINE;
    set_gate(true, EIO);
    stream_deliver(s);
    stream_complete(s);
    assert_int_equal(s->disk.syncs_after_failure, 0);
}

static void a_reopening_waits_for_the_sync_and_loses_nothing(void **state)
{
    struct stream *s = *state;

    stream_events(s, 14);
    assert_int_equal(stream_open(s), SINK_OK);
    assert_int_equal(stream_turn(s), SINK_OK);
    await_begin(1);
    sink_jsonl.reopen(s->sink);
    set_gate(true, 0);
    assert_int_equal(stream_turn(s), SINK_LATER);
    stream_deliver(s);
    stream_complete(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(lines_are_written_while_a_sync_runs_and_acknowledged_after_it),
        TEST(a_sync_that_fails_beside_takes_back_what_was_written_since),
        TEST(a_file_is_not_renamed_while_its_sync_runs),
        TEST(a_rotation_waits_for_the_sync_beside_and_hears_that_it_failed),
        TEST(a_fault_meanwhile_does_not_hide_that_the_sync_failed),
        TEST(a_reopening_waits_for_the_sync_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

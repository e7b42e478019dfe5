/* simulation.c — schedules: what may happen to a relay, in any order, and then peace.
 *
 *     simulation [COUNT [SEED]]      COUNT schedules from SEED on; 1,000 from 1
 *
 * Each schedule is drawn from its seed: writers, kills at any call of the disk, power cuts, disks that fail, receivers
 * that refuse, hang, lie and go away, clocks that jump. First the promises must hold at every step (nothing reclaimed that
 * somebody needs, nothing acknowledged that is not there, order per key, no two of one key under way together); then the
 * faults end, and all must be delivered by itself: every event once in the files, in order, and at the receiver or dead
 * by rule. A schedule that fails says its seed, which repeats it.
 */
#include <curl/curl.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "log.h"
#include "outbox.h"
#include "receiver.h"
#include "relay.h"
#include "world.h"

enum { STEPS_MAX = 400, PEACE_STEPS_MAX = 60000, COUNT_DEFAULT = 1000 };

static char dir[64], stream_dir[80], stream_path[96], db_path[80];
static outbox *app;
static int last_seq; /* committed */

/* ---- The application ---------------------------------------------------------------------------------------------- */

/* Of a query that stands in this file: prepared once. */
static int64_t number(const char *sql)
{
    static struct {
        const char *sql;
        sqlite3_stmt *st;
    } known[16];
    int i = 0;
    while (known[i].sql && known[i].sql != sql)
        i++;
    if (!known[i].sql && sqlite3_prepare_v2(outbox_db(app), known[i].sql = sql, -1, &known[i].st, NULL) != SQLITE_OK)
        world_fail("%s: %s", sql, sqlite3_errmsg(outbox_db(app)));
    int64_t value = sqlite3_step(known[i].st) == SQLITE_ROW ? sqlite3_column_int64(known[i].st, 0) : -1;
    sqlite3_reset(known[i].st);
    return value;
}

static void run(const char *sql)
{
    if (sqlite3_exec(outbox_db(app), sql, NULL, NULL, NULL) != SQLITE_OK)
        world_fail("%s: %s", sql, sqlite3_errmsg(outbox_db(app)));
}

static const char padding[] =
    "a line is whole or it is not there, and a name tells the truth; what is acknowledged is on the"
    " disk, and nobody waits for somebody else";

static void write_events(int count)
{
    bool together = world_chance(300), undone = together && world_chance(200);
    int first = last_seq;
    if (together && outbox_begin(app) != OUTBOX_OK)
        world_fail("begin: %s", outbox_errmsg(app));
    for (int i = 0; i < count && last_seq < EVENTS_MAX; i++) {
        char payload[200], key[16];
        int which = (int)world_below(KEYS + 1) - 1; /* -1: unordered */
        int64_t seq = 0;
        int pad = (int)world_below(120);
        snprintf(payload, sizeof payload, "{\"n\":%d,\"pad\":\"%.*s\"}", i, pad, padding);
        snprintf(key, sizeof key, "k%d", which);
        if (outbox_emit(app, "t", which < 0 ? NULL : key, payload, -1, NULL, &seq) != OUTBOX_OK || seq != last_seq + 1)
            world_fail("emit: %s, seq %d", outbox_errmsg(app), (int)seq);
        receiver_expect(++last_seq, which);
    }
    if (together && (undone ? outbox_rollback(app) : outbox_commit(app)) != OUTBOX_OK)
        world_fail("commit: %s", outbox_errmsg(app));
    while (undone && last_seq > first)
        last_seq--;
}

static void begin_database(void)
{
    run("DELETE FROM change_log; DELETE FROM outbox; DELETE FROM consumer_offsets; DELETE FROM failed_deliveries;"
        "DELETE FROM failed_attempts; UPDATE sqlite_sequence SET seq = 0;");
    run(world_chance(500) ? "UPDATE outbox_meta SET value = 0 WHERE name = 'history'"
                          : "UPDATE outbox_meta SET value = 604800000000 WHERE name = 'history'");
    last_seq = 0;
}

/* ---- What must hold at every step ----------------------------------------------------------------------------------- */

/* What nobody owes any more has been acknowledged by both, and what is acknowledged has arrived or stepped aside. */
static void check_acknowledgements(void)
{
    bool aside[EVENTS_MAX + 1] = {false}, owed[EVENTS_MAX + 1] = {false};
    sqlite3_stmt *st = NULL;
    sqlite3_prepare_v2(outbox_db(app),
                       "SELECT f.seq, c.seq IS NULL FROM failed_deliveries AS f"
                       " LEFT JOIN change_log AS c ON c.seq = f.seq",
                       -1, &st, NULL);
    while (sqlite3_step(st) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(st, 0);
        aside[seq] = true;
        if (sqlite3_column_int(st, 1))
            world_fail("event %d is to be tried again, and is no longer in change_log", (int)seq);
    }
    sqlite3_finalize(st);
    sqlite3_prepare_v2(outbox_db(app), "SELECT seq FROM outbox", -1, &st, NULL);
    while (sqlite3_step(st) == SQLITE_ROW)
        owed[sqlite3_column_int64(st, 0)] = true;
    sqlite3_finalize(st);
    int64_t file = number("SELECT acked_seq FROM consumer_offsets WHERE consumer = 'file'");
    int64_t hook = number("SELECT acked_seq FROM consumer_offsets WHERE consumer = 'hook'");
    for (int64_t seq = 1; seq <= last_seq; seq++) {
        if (!owed[seq] && (seq > file || seq > hook))
            world_fail("event %d is reclaimed, the cursors are at %d and %d", (int)seq, (int)file, (int)hook);
        if (seq <= hook && !receiver_has(seq) && !aside[seq])
            world_fail("event %d is acknowledged, and was never at the receiver", (int)seq);
    }
}

/* ---- What is in the files ---------------------------------------------------------------------------------------------- */

static int is_segment(const struct dirent *entry)
{
    return strncmp(entry->d_name, "events.", 7) == 0 && strlen(entry->d_name) > 20;
}

/* The seqs of one file's whole lines, appended; reads lines as any reader would. False: a line that is none. */
static bool read_file(const char *name, int *seqs, int *count)
{
    char path[400], line[4096];
    snprintf(path, sizeof path, "%s/%s", stream_dir, name);
    FILE *file = fopen(path, "r");
    bool good = true;
    while (file && good && fgets(line, sizeof line, file)) {
        size_t size = strlen(line);
        int seq = 0, prev = 0;
        good = size > 2 && strcmp(line + size - 2, "}\n") == 0 &&
               sscanf(line, "{\"seq\":%d,\"prev\":%d,", &seq, &prev) == 2 && prev == seq - 1 && *count < 2 * EVENTS_MAX;
        if (good)
            seqs[(*count)++] = seq;
    }
    if (file)
        fclose(file);
    return good;
}

/* All seqs in the stream, in the order of its files. False: a line that is none (before recovery: a torn end). */
static bool read_stream(int *seqs, int *count)
{
    struct dirent **names;
    bool good = true;
    *count = 0;
    int n = scandir(stream_dir, &names, is_segment, alphasort);
    for (int i = 0; i < n; i++) {
        int before = *count, first = 0, last = 0;
        good &= read_file(names[i]->d_name, seqs, count);
        if (sscanf(names[i]->d_name, "events.%d-%d.jsonl", &first, &last) != 2 || *count == before ||
            seqs[before] != first || seqs[*count - 1] != last) {
            world_fail("segment %s does not hold what its name says", names[i]->d_name);
            good = false;
        }
        free(names[i]);
    }
    free(names);
    return read_file("events.jsonl", seqs, count) && good;
}

/* After a power cut: every line that was acknowledged is still there. */
static void check_power_cut(void)
{
    static int seqs[2 * EVENTS_MAX + 1];
    int count;
    int64_t acked = number("SELECT coalesce(max(acked_seq), 0) FROM consumer_offsets WHERE consumer = 'file'");
    read_stream(seqs, &count);
    int last = 0;
    for (int i = 0; i < count; i++)
        last = seqs[i] > last ? seqs[i] : last;
    if (last < acked)
        world_fail("acknowledged up to %d, and the disk has %d", (int)acked, last);
}

static void check_files_at_the_end(void)
{
    static int seqs[2 * EVENTS_MAX + 1];
    int count;
    if (!read_stream(seqs, &count))
        world_fail("a line that is none, after seq %d", count ? seqs[count - 1] : 0);
    for (int i = 1; i < count; i++)
        if (seqs[i] != seqs[i - 1] + 1)
            world_fail("%d follows %d in the files", seqs[i], seqs[i - 1]);
    if (count && seqs[count - 1] != last_seq)
        world_fail("the files end with %d, the log with %d", seqs[count - 1], last_seq);
    if (last_seq && (!count || (seqs[0] != 1 && !relay_kept_segments())))
        world_fail("the files begin with %d", count ? seqs[0] : 0);
}

/* ---- A schedule --------------------------------------------------------------------------------------------------------- */

static void die(bool of_power)
{
    relay_die();
    if (of_power) {
        disk_cut_power();
        check_power_cut();
    }
    if (world_chance(700))
        relay_start();
}

static void trouble_step(void)
{
    switch (world_below(12)) {
    case 0: receiver_trouble(world_chance(500) ? 0 : (int)world_below(600)); break;
    case 1: receiver_is_down(world_chance(500)); break;
    case 2: receiver_hates(world_chance(500) ? -1 : (int)world_below(KEYS)); break;
    case 3: disk_trouble(world_chance(600) ? 0 : (int)world_below(150)); break;
    case 4: disk_kill_in(1 + (int)world_below(20)); break;
    case 5: die(false); break;
    case 6: die(true); break;
    case 7: relay_commit(true); break;
    case 8: world_step_clock((int64_t)world_below(2000000000) - 1000000000); break;
    case 9: world_pass((int64_t)world_below(100000000)); break;
    default: relay_start(); break;
    }
}

static void pass_until_due(void)
{
    int64_t due_us = relay_due_us(), now_us = world_now_us();
    if (due_us != INT64_MAX && due_us > now_us && world_chance(700))
        world_pass(due_us - now_us);
    else
        world_pass(world_below(world_chance(50) ? 2000000 : 5000));
}

static void any_step(bool peace)
{
    uint32_t what = world_below(100);
    if (what < 10 && !peace)
        write_events(1 + (int)world_below(6));
    else if (what < 14 && !peace)
        trouble_step();
    else if (what < 55)
        relay_step(world_chance(500) ? TO_FILE : TO_WEBHOOK);
    else if (what < 68)
        relay_commit(false);
    else if (what < 70)
        relay_reclaim();
    else
        pass_until_due();
    if (disk_has_killed())
        die(world_chance(300));
}

static bool is_drained(void)
{
    return number("SELECT count(*) = 2 FROM consumer_offsets WHERE acked_seq = (SELECT seq FROM sqlite_sequence"
                  " WHERE name = 'change_log')") &&
           !number("SELECT count(*) FROM failed_deliveries AS f WHERE state <> 'dead' AND NOT EXISTS(SELECT 1 FROM"
                   " failed_deliveries AS d WHERE d.key = f.key AND d.state = 'dead' AND d.seq < f.seq)");
}

/* The faults end, and nobody helps. */
static void make_peace(void)
{
    receiver_trouble(0);
    receiver_is_down(false);
    receiver_hates(-1);
    disk_trouble(0);
    disk_kill_in(0);
    relay_start();
    int steps = 0;
    while (!world_failure() && (steps % 16 || !is_drained()) && steps < PEACE_STEPS_MAX) {
        any_step(true);
        steps++;
    }
    if (steps >= PEACE_STEPS_MAX)
        world_fail("not drained in peace: file at %d, hook at %d of %d, %d stepped aside",
                   (int)number("SELECT acked_seq FROM consumer_offsets WHERE consumer = 'file'"),
                   (int)number("SELECT acked_seq FROM consumer_offsets WHERE consumer = 'hook'"), last_seq,
                   (int)number("SELECT count(*) FROM failed_deliveries"));
}

static const char *run_schedule(uint64_t seed)
{
    world_begin(seed);
    disk_begin(stream_dir);
    begin_database();
    relay_begin();
    receiver_begin(relay_batches());
    int steps = 20 + (int)world_below(STEPS_MAX);
    for (int i = 0; i < steps && !world_failure(); i++) {
        any_step(false);
        if (i % 16 == 0)
            check_acknowledgements();
    }
    if (!world_failure() && last_seq == 0)
        write_events(1);
    if (!world_failure())
        make_peace();
    if (!world_failure())
        check_acknowledgements();
    if (!world_failure())
        check_files_at_the_end();
    relay_die();
    return world_failure();
}

/* ---- All of them --------------------------------------------------------------------------------------------------------- */

static bool set_up(void)
{
    /* In memory where that is a directory: it is no disk that is tested. */
    snprintf(dir, sizeof dir, "%s/outbox-simulation-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        return false;
    snprintf(stream_dir, sizeof stream_dir, "%s/stream", dir);
    snprintf(stream_path, sizeof stream_path, "%s/events.jsonl", stream_dir);
    snprintf(db_path, sizeof db_path, "%s/sim.db", dir);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || mkdir(stream_dir, 0700) != 0 ||
        outbox_open(db_path, NULL, &app) != OUTBOX_OK)
        return false;
    run("PRAGMA synchronous = OFF");
    return relay_init(db_path, stream_path);
}

static void tear_down(void)
{
    char command[128];
    relay_fini();
    outbox_close(app);
    curl_global_cleanup();
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0)
        fprintf(stderr, "simulation: %s is left behind\n", dir);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : COUNT_DEFAULT, failed = 0;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (!set_up())
        return fprintf(stderr, "simulation: no place for it\n"), 2;
    for (uint64_t seed = first; seed < first + (uint64_t)count; seed++) {
        const char *failure = run_schedule(seed);
        if (failure) {
            printf("seed %llu: %s\n", (unsigned long long)seed, failure);
            failed++;
        }
    }
    tear_down();
    printf("%ld schedules from seed %llu: %ld failed\n", count, (unsigned long long)first, failed);
    return failed != 0;
}

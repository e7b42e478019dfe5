/* exec_test.c — the exec sink with commands that work and commands that don't. */
#include "exec_rig.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "sinks/exec_child.h"

/* ---- Acknowledging ------------------------------------------------------------------------------------------------ */

static void each_line_is_acknowledged_by_its_seq(void **state)
{
    (void)state;
    struct rig *rig = rig_new(RIG_ECHO, 50);

    rig_start(rig);
    rig_until(rig, rig_all_acked, "50 acknowledgements");
    assert_int_equal(rig_finish(rig), SINK_OK);
    rig_holds(rig, "seen", 1, 50);
    assert_int_equal(rig->failures, 0);
    rig_free(rig);
}

static void one_seq_acknowledges_everything_up_to_it(void **state)
{
    (void)state;
    struct rig *rig = rig_new("while read -r l; do " RIG_SEQ "[ $((s % 500)) != 0 ] || echo $s; done", 3000);

    rig_start(rig);
    rig_until(rig, rig_all_acked, "six acknowledgements of 500");
    assert_int_equal(rig_finish(rig), SINK_OK);
    rig_free(rig);
}

static void exit_0_after_the_end_acknowledges_all_that_was_sent(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat >$D/lines", 20);

    rig_start(rig);
    rig_turn(rig);
    assert_int_equal(rig->acked_seq, 0);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->acked_seq, 20);
    assert_non_null(strstr(rig_file(rig, "lines"), "\n{\"seq\":20,\"prev\":19,\"id\":\"9f86d081884c7d65-20\","));
    rig_free(rig);
}

static void exit_0_before_the_end_acknowledges_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new("head -n 3 >/dev/null", 10);

    rig_start(rig);
    rig_until(rig, rig_failed, "its end");
    assert_int_equal(rig->acked_seq, 0);
    rig_free(rig);
}

/* Waits until it is told to go on, so that finish() finds all lines in the pipe and none of them read. */
#define RIG_LATE "until [ -e $D/go ]; do sleep 0.01; done; "

static enum sink_result finish_before_it_reads(struct rig *rig)
{
    rig->context.once = true;
    rig_start(rig);
    rig_turn(rig);
    sink_exec.finish(rig->sink);
    rig_push(rig);
    rig_touch(rig, "go");
    return rig_finish(rig);
}

static void exit_0_with_lines_unread_acknowledges_nothing(void **state)
{
    (void)state;
    static const char *const commands[] = {RIG_LATE "exit 0", RIG_LATE "read -r l; exit 0"};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct rig *rig = rig_new(commands[i], 3);
        assert_int_equal(finish_before_it_reads(rig), SINK_LATER);
        assert_int_equal(rig->acked_seq, 0);
        rig_free(rig);
    }
}

static void exit_0_of_one_that_acknowledges_adds_nothing(void **state)
{
    (void)state;
    static const char *const commands[] = {RIG_LATE "read -r l; echo 1; exit 0", RIG_LATE "cat >/dev/null; echo 1"};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct rig *rig = rig_new(commands[i], 3);
        assert_int_equal(finish_before_it_reads(rig), SINK_LATER);
        assert_int_equal(rig->acked_seq, 1);
        rig_free(rig);
    }
}

static void one_that_acknowledged_is_known_when_it_starts_again(void **state)
{
    (void)state;
    struct rig *rig = rig_new("[ -e $D/second ] || { read -r l; echo 1; exit 3; }; cat >/dev/null", 3);

    rig_start(rig);
    rig_until(rig, rig_failed, "its end");
    assert_int_equal(rig->acked_seq, 1);
    rig_touch(rig, "second");
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_LATER);
    assert_int_equal(rig->acked_seq, 1);
    rig_free(rig);
}

static void what_one_stopped_with_exit_0_has_not_acknowledged_is_sent_again(void **state)
{
    (void)state;
    struct rig *rig = rig_new("trap 'exit 0' TERM; " RIG_LATE "while read -r l; do " RIG_SEQ
                              "echo $s >>$D/seen; echo $s;"
                              "  [ -e $D/second ] || [ $s -lt 5 ] || kill -TERM $$; done",
                              12);

    assert_int_equal(finish_before_it_reads(rig), SINK_LATER);
    assert_int_equal(rig->acked_seq, 5);
    rig_touch(rig, "second");
    rig_until(rig, rig_all_acked, "the rest");
    rig_holds(rig, "seen", 1, 12);
    rig_free(rig);
}

/* One that ends by itself, as head does, has often read ahead to the last line. */
static void one_that_prints_nothing_may_end_before_its_input_does(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat >/dev/null", 3);

    rig_start(rig);
    rig_turn(rig);
    int64_t begin_us = clock_monotonic_us();
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_in_range(clock_monotonic_us() - begin_us, 50000, 5000000);
    assert_int_equal(rig->acked_seq, 3);
    rig_free(rig);
}

static void another_exit_after_the_end_acknowledges_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat >/dev/null; exit 1", 10);

    rig_start(rig);
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_LATER);
    assert_int_equal(rig->acked_seq, 0);
    rig_free(rig);
}

static void another_exit_loses_nothing_where_all_is_acknowledged(void **state)
{
    (void)state;
    struct rig *rig = rig_new(RIG_ECHO "; exit 1", 10);

    rig_start(rig);
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->acked_seq, 10);
    rig_free(rig);
}

static void what_it_printed_before_it_died_counts(void **state)
{
    (void)state;
    struct rig *rig = rig_new("for i in 1 2 3 4 5; do read -r l; " RIG_SEQ "echo $s; done; kill -9 $$", 10);

    rig_start(rig);
    rig_until(rig, rig_failed, "its death");
    assert_int_equal(rig->acked_seq, 5);
    rig_free(rig);
}

static void what_it_printed_can_be_heard_after_its_end(void **state)
{
    (void)state;
    struct exec_child child;
    int status = -1;

    exec_child_init(&child);
    assert_true(exec_child_start(&child, "echo 1; echo 2; exit 3"));
    for (int i = 0; i < 4000 && !exec_child_ended(&child, &status); i++)
        usleep(5000);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_true(exec_child_listen(&child));
    assert_string_equal(exec_child_line(&child), "1");
    assert_string_equal(exec_child_line(&child), "2");
    assert_null(exec_child_line(&child));
    assert_false(exec_child_listen(&child));
    exec_child_close(&child, 0);
}

static void that_it_has_closed_its_input_ends_the_wait(void **state)
{
    (void)state;
    struct exec_child child;

    exec_child_init(&child);
    assert_true(exec_child_start(&child, "exec <&-; exec sleep 1000"));
    int64_t begin_us = clock_monotonic_us();
    exec_child_wait(&child, false, -1, 10000);
    assert_true(clock_monotonic_us() - begin_us < 9000000);
    for (int i = 0; i < 1000 && exec_child_reads(&child); i++)
        usleep(5000);
    assert_false(exec_child_reads(&child));
    exec_child_close(&child, 5000);
}

static void a_number_without_its_line_end_is_no_acknowledgement(void **state)
{
    (void)state;
    struct rig *rig = rig_new("read -r l; read -r l; printf '1\\n2'; exit 3", 10);

    rig_start(rig);
    rig_until(rig, rig_failed, "its end");
    assert_int_equal(rig->acked_seq, 1);
    rig_free(rig);
}

/* ---- Sending again ------------------------------------------------------------------------------------------------ */

static void what_is_not_acknowledged_is_sent_again(void **state)
{
    (void)state;
    struct rig *rig = rig_new(
        "n=0; while read -r l; do " RIG_SEQ "echo $s >>$D/seen; n=$((n + 1));"
        "  [ -e $D/second ] || [ $n -le 5 ] || { [ $n -lt 7 ] || exit 3; continue; }; echo $s; done",
        12);

    rig_start(rig);
    rig_until(rig, rig_failed, "its end within the seventh");
    assert_int_equal(rig->acked_seq, 5);
    rig_touch(rig, "second");
    rig_until(rig, rig_all_acked, "the rest");
    assert_string_equal(rig_file(rig, "seen"), "1\n2\n3\n4\n5\n6\n7\n6\n7\n8\n9\n10\n11\n12\n");
    rig_free(rig);
}

static bool has_two_hundred(struct rig *rig)
{
    return rig->acked_seq >= 200;
}

/* Each line is printed, each third seq passes the filter; the command dies, then the relay. */
static void prev_is_the_line_before_through_filters_and_restarts(void **state)
{
    (void)state;
    struct rig *rig = rig_new("n=0; while read -r l; do " RIG_SEQ "p=${l#*prev\\\":}; echo $s ${p%%,*} >>$D/seen;"
                              "  echo $s; n=$((n + 1)); [ $n -lt 20 ] || exit 3; done",
                              400);

    rig->keep_each = 3;
    rig->batch = 5;
    rig_start(rig);
    rig_until(rig, has_two_hundred, "half of them");
    rig_kill(rig);
    assert_true(rig->acked_seq >= 200);
    rig_start(rig);
    rig_until(rig, rig_all_acked, "the rest");
    long long last = 0, seq, prev, count = 0;
    int used;
    for (const char *at = rig_file(rig, "seen"); sscanf(at, "%lld %lld %n", &seq, &prev, &used) == 2; at += used) {
        assert_true(seq <= last || prev == last); /* a repeat, or the next one */
        assert_int_equal(prev, seq - 3);
        last = seq > last ? seq : last;
        count++;
    }
    assert_int_equal(last, 399);
    assert_true(count >= 133);
    assert_true(rig->failures >= 6);
    rig_free(rig);
}

static void failures_back_off_until_an_acknowledgement(void **state)
{
    (void)state;
    static const int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct rig *rig = rig_new("[ -e $D/ready ] || exec $D/nonesuch 2>/dev/null; read -r l; echo 1; exit 3", 2);

    rig_start(rig);
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        rig->last = SINK_OK;
        if (i > 0)
            rig_open(rig);
        rig_until(rig, rig_failed, "exit 127");
        assert_in_range(rig->delay_us, seconds[i] * 1000000 - 500000, seconds[i] * 1000000);
    }
    rig_touch(rig, "ready");
    rig_turn(rig);
    rig_until(rig, rig_failed, "exit 3 after an acknowledgement");
    assert_int_equal(rig->acked_seq, 1);
    assert_in_range(rig->delay_us, 500000, 1000000);
    rig_free(rig);
}

/* ---- The end ------------------------------------------------------------------------------------------------------ */

static const char slow_start[] = "until [ -e $D/go ]; do sleep 0.01; done; while read -r l; do " RIG_SEQ
                                 "echo $s >>$D/seen; done";

static void to_stop_only_the_line_begun_is_completed(void **state)
{
    (void)state;
    struct rig *rig = rig_new(slow_start, 100);

    rig->pad = 3000;
    rig_start(rig);
    for (int i = 0; i < 3; i++)
        rig_turn(rig);
    sink_exec.finish(rig->sink);
    rig_touch(rig, "go");
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_in_range(rig->acked_seq, 10, 30); /* a pipe's 64 KiB */
    rig_holds(rig, "seen", 1, rig->acked_seq);
    rig_free(rig);
}

static void once_sends_everything_first(void **state)
{
    (void)state;
    struct rig *rig = rig_new(slow_start, 100);

    rig->pad = 3000;
    rig->context.once = true;
    rig_start(rig);
    for (int i = 0; i < 3; i++)
        rig_turn(rig);
    rig_touch(rig, "go");
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->acked_seq, 100);
    rig_holds(rig, "seen", 1, 100);
    rig_free(rig);
}

static void once_waits_as_long_as_acknowledgements_come(void **state)
{
    (void)state;
    struct rig *rig = rig_new("while read -r l; do sleep 0.25; " RIG_SEQ "echo $s; done", 8);

    rig->settings.exec.timeout_us = 1000000;
    rig->context.once = true;
    rig_start(rig);
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->acked_seq, 8);
    rig_free(rig);
}

/* ---- What the command is given ------------------------------------------------------------------------------------ */

static void it_inherits_no_descriptor_no_signal_and_no_group(void **state)
{
    (void)state;
    struct rig *rig = rig_new(
        "ls /proc/self/fd >$D/fds; while read -r k v; do case $k in Sig[BI]*) echo $k $v >>$D/signals; esac;"
        "done </proc/self/status;"
        "cut -d' ' -f5 /proc/$$/stat >$D/group; echo $$ >$D/pid; cat >/dev/null",
        1);
    int stray = open("/dev/null", O_RDONLY); /* as one from the relay's own parent */
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    rig_start(rig);
    sigprocmask(SIG_SETMASK, &before, NULL);
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_OK);
    close(stray);
    assert_string_equal(rig_file(rig, "fds"), "0\n1\n2\n3\n"); /* 3 is what ls reads */
    /* 32 and 33 are glibc's: nobody else can set them, and some parents leave them ignored. */
    unsigned long long blocked, ignored, glibcs = 3ULL << 31;
    assert_int_equal(sscanf(rig_file(rig, "signals"), "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & ~glibcs, 0);
    int group = atoi(rig_file(rig, "group"));
    assert_int_equal(group, atoi(rig_file(rig, "pid")));
    rig_free(rig);
}

static void its_environment_is_the_relays_without_the_secrets(void **state)
{
    (void)state;
    struct rig *rig = rig_new("env >$D/env; cat >/dev/null", 1);

    setenv("OUTBOX_WEBHOOK_SECRET", "canary", 1);
    setenv("OUTBOX_WEBHOOK_SECRETS", "another", 1);
    rig_start(rig);
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_string_equal(getenv("OUTBOX_WEBHOOK_SECRET"), "canary");
    unsetenv("OUTBOX_WEBHOOK_SECRET");
    unsetenv("OUTBOX_WEBHOOK_SECRETS");
    const char *environment = rig_file(rig, "env");
    assert_null(strstr(environment, "canary"));
    assert_non_null(strstr(environment, "OUTBOX_WEBHOOK_SECRETS=another\n"));
    assert_non_null(strstr(environment, rig->dir));
    rig_free(rig);
}

static void an_event_that_cannot_be_encoded_goes_with_its_error(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat >$D/lines", 2);

    rig->error = "no such column";
    rig_start(rig);
    rig_turn(rig);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_non_null(strstr(rig_file(rig, "lines"), "\"error\":\"no such column\"}\n{\"seq\":2,\"prev\":1,"));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_acknowledged_by_its_seq),
        cmocka_unit_test(one_seq_acknowledges_everything_up_to_it),
        cmocka_unit_test(exit_0_after_the_end_acknowledges_all_that_was_sent),
        cmocka_unit_test(exit_0_before_the_end_acknowledges_nothing),
        cmocka_unit_test(exit_0_with_lines_unread_acknowledges_nothing),
        cmocka_unit_test(exit_0_of_one_that_acknowledges_adds_nothing),
        cmocka_unit_test(one_that_acknowledged_is_known_when_it_starts_again),
        cmocka_unit_test(what_one_stopped_with_exit_0_has_not_acknowledged_is_sent_again),
        cmocka_unit_test(one_that_prints_nothing_may_end_before_its_input_does),
        cmocka_unit_test(another_exit_after_the_end_acknowledges_nothing),
        cmocka_unit_test(another_exit_loses_nothing_where_all_is_acknowledged),
        cmocka_unit_test(what_it_printed_before_it_died_counts),
        cmocka_unit_test(what_it_printed_can_be_heard_after_its_end),
        cmocka_unit_test(that_it_has_closed_its_input_ends_the_wait),
        cmocka_unit_test(a_number_without_its_line_end_is_no_acknowledgement),
        cmocka_unit_test(what_is_not_acknowledged_is_sent_again),
        cmocka_unit_test(prev_is_the_line_before_through_filters_and_restarts),
        cmocka_unit_test(failures_back_off_until_an_acknowledgement),
        cmocka_unit_test(to_stop_only_the_line_begun_is_completed),
        cmocka_unit_test(once_sends_everything_first),
        cmocka_unit_test(once_waits_as_long_as_acknowledgements_come),
        cmocka_unit_test(it_inherits_no_descriptor_no_signal_and_no_group),
        cmocka_unit_test(its_environment_is_the_relays_without_the_secrets),
        cmocka_unit_test(an_event_that_cannot_be_encoded_goes_with_its_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

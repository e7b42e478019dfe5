/* exec_misbehave_test.c — commands that print junk, never read, never answer, never end, or leave something behind: they
 * hold up nobody, and nothing passes for acknowledged.
 */
#include "exec_rig.h"

static void junk_acknowledges_nothing_and_does_no_harm(void **state)
{
    (void)state;
    struct rig *rig = rig_new(
        "read -r first; printf 'hello\\n\\n-1\\n1x\\n 1\\n+1\\n99999999999999999999999\\n1\\0002\\n';"
        "head -c 200 /dev/zero | tr '\\0' 1; echo; echo $D >$D/junk; until [ -e $D/go ]; do sleep 0.01;"
        "done; " RIG_ECHO,
        5);
    rig_start(rig);
    for (int i = 0; !rig_has(rig, "junk") && i < 2000; i++)
        rig_turn(rig);
    for (int i = 0; i < 5; i++)
        rig_turn(rig);
    assert_int_equal(rig->acked_seq, 0);
    rig_touch(rig, "go");
    rig_until(rig, rig_all_acked, "acknowledgements after the junk");
    assert_int_equal(rig->failures, 0);
    rig_free(rig);
}

static void an_endless_line_keeps_nobody_busy_for_ever(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat /dev/zero", 5);

    rig_start(rig);
    for (int i = 0; i < 50; i++)
        rig_turn(rig);
    assert_true(rig->push_us < 1000000);
    assert_int_equal(rig->acked_seq, 0);
    rig_free(rig);
}

static void an_acknowledgement_of_what_was_never_sent_ends_it(void **state)
{
    (void)state;
    struct rig *rig = rig_new("echo $$ >$D/pid; read -r l; echo 1; echo 4; echo 2; exec sleep 1000", 3);

    rig_start(rig);
    rig_until(rig, rig_failed, "its end");
    assert_int_equal(rig->acked_seq, 1);
    assert_true(rig_is_gone(rig, "pid"));
    rig_free(rig);
}

static void an_acknowledgement_that_comes_again_is_nothing_new(void **state)
{
    (void)state;
    struct rig *rig = rig_new("while read -r l; do " RIG_SEQ "echo $s; echo $s; echo 0; echo 1; done", 10);

    rig_start(rig);
    rig_until(rig, rig_all_acked, "acknowledgements");
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->failures, 0);
    rig_free(rig);
}

static void one_that_never_reads_blocks_nobody(void **state)
{
    (void)state;
    struct rig *rig = rig_new("echo $$ >$D/pid; exec sleep 1000", 1000);

    rig->pad = 1000;
    rig->settings.exec.timeout_us = 200000;
    rig_start(rig);
    for (int i = 0; i < 20; i++)
        rig_turn(rig);
    assert_int_equal(rig->read_seq, 200); /* the first batch is more than a pipe takes */
    assert_int_equal(sink_exec.room(rig->sink), 0);
    assert_true(rig->push_us < 1000000);
    assert_int_equal(rig_finish(rig), SINK_LATER);
    assert_int_equal(rig->acked_seq, 0);
    assert_true(rig_is_gone(rig, "pid"));
    rig_free(rig);
}

static void one_that_never_reads_what_the_pipe_took_is_stopped_in_time(void **state)
{
    (void)state;
    struct rig *rig = rig_new("echo $$ >$D/pid; exec sleep 1000", 10);

    rig->settings.exec.timeout_us = 200000;
    rig_start(rig);
    rig_turn(rig);
    for (int i = 0; !rig_has(rig, "pid") && i < 2000; i++)
        rig_turn(rig);
    int64_t begin_us = clock_monotonic_us();
    assert_int_equal(rig_finish(rig), SINK_LATER);
    assert_in_range(clock_monotonic_us() - begin_us, 200000, 4000000);
    assert_int_equal(rig->acked_seq, 0);
    assert_true(rig_is_gone(rig, "pid"));
    rig_free(rig);
}

static void one_that_never_acknowledges_is_sent_a_thousand(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat >/dev/null", 5000);

    rig_start(rig);
    for (int i = 0; i < 2000 && rig->read_seq < 1000; i++)
        rig_turn(rig);
    for (int i = 0; i < 20; i++)
        rig_turn(rig);
    assert_int_equal(rig->read_seq, 1000);
    assert_int_equal(rig->acked_seq, 0);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->acked_seq, 1000);
    rig_free(rig);
}

static void large_events_are_bounded_by_their_bytes(void **state)
{
    (void)state;
    struct rig *rig = rig_new("cat >/dev/null", 100);

    rig->pad = 1 << 20;
    rig->batch = 1;
    rig_start(rig);
    for (int i = 0; i < 20000 && rig->read_seq < 16; i++)
        rig_turn(rig);
    for (int i = 0; i < 20; i++)
        rig_turn(rig);
    assert_int_equal(rig->read_seq, 16);
    rig_free(rig);
}

static void one_that_ignores_sigterm_is_killed(void **state)
{
    (void)state;
    struct rig *rig = rig_new("trap '' TERM; echo $$ >$D/pid; read -r l; echo 1; while :; do sleep 0.05; done", 3);

    rig->settings.exec.timeout_us = 100000;
    rig_start(rig);
    for (int i = 0; rig->acked_seq == 0 && i < 2000; i++)
        rig_turn(rig);
    int64_t begin_us = clock_monotonic_us();
    assert_int_equal(rig_finish(rig), SINK_LATER);
    assert_in_range(clock_monotonic_us() - begin_us, 5000000, 9000000);
    assert_int_equal(rig->acked_seq, 1);
    assert_true(rig_is_gone(rig, "pid"));
    rig_free(rig);
}

static void one_that_closes_its_output_is_still_acknowledged_by_its_exit(void **state)
{
    (void)state;
    struct rig *rig = rig_new("exec >&-; cat >$D/lines", 10);

    rig_start(rig);
    for (int i = 0; i < 10; i++)
        rig_turn(rig);
    assert_int_equal(rig->failures, 0);
    assert_int_equal(rig_finish(rig), SINK_OK);
    assert_int_equal(rig->acked_seq, 10);
    rig_free(rig);
}

static void one_that_closes_its_input_is_stopped(void **state)
{
    (void)state;
    struct rig *rig = rig_new("exec <&-; echo $$ >$D/pid; exec sleep 1000", 10);

    rig_start(rig);
    for (int i = 0; !rig_has(rig, "pid") && i < 2000; i++)
        rig_wait(rig);
    rig_until(rig, rig_failed, "the end of its grace");
    assert_true(rig_is_gone(rig, "pid"));
    assert_int_equal(rig->acked_seq, 0);
    rig_free(rig);
}

static void what_a_failed_command_leaves_behind_ends_with_it(void **state)
{
    (void)state;
    struct rig *rig = rig_new("sleep 1000 & echo $! >$D/pid; exit 3", 1);

    rig_start(rig);
    rig_until(rig, rig_failed, "its end");
    for (int i = 0; !rig_is_gone(rig, "pid") && i < 1000; i++)
        usleep(5000);
    assert_true(rig_is_gone(rig, "pid"));
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(junk_acknowledges_nothing_and_does_no_harm),
        cmocka_unit_test(an_endless_line_keeps_nobody_busy_for_ever),
        cmocka_unit_test(an_acknowledgement_of_what_was_never_sent_ends_it),
        cmocka_unit_test(an_acknowledgement_that_comes_again_is_nothing_new),
        cmocka_unit_test(one_that_never_reads_blocks_nobody),
        cmocka_unit_test(one_that_never_reads_what_the_pipe_took_is_stopped_in_time),
        cmocka_unit_test(one_that_never_acknowledges_is_sent_a_thousand),
        cmocka_unit_test(large_events_are_bounded_by_their_bytes),
        cmocka_unit_test(one_that_ignores_sigterm_is_killed),
        cmocka_unit_test(one_that_closes_its_output_is_still_acknowledged_by_its_exit),
        cmocka_unit_test(one_that_closes_its_input_is_stopped),
        cmocka_unit_test(what_a_failed_command_leaves_behind_ends_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

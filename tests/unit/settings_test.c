/* settings_test.c — options by flag and environment: what each means, who overrules whom, which sink one is for. */
#include "settings_rig.h"

static const int64_t S = 1000000, DAY = INT64_C(86400000000);

static void defaults_are_those_that_help_names(void **state)
{
    const struct sink_settings *s = rig_sink(*state, "--jsonl|a.jsonl");
    const struct relay_settings *all = &((struct settings_rig *)*state)->settings;
    assert_string_equal(all->db_path, "outbox.db");
    assert_null(all->config_path);
    assert_false(all->once || all->check_config);
    assert_int_equal(all->log_format, LOG_FORMAT_TEXT);
    assert_int_equal(all->log_level, LOG_LEVEL_INFO);
    assert_string_equal(s->name, "jsonl");
    assert_string_equal(s->consumer, "jsonl");
    assert_true(s->registered && s->kind == SINK_JSONL && s->start == START_OLDEST && s->read_batch == 1000);
    assert_true(!s->filter && !s->transform && !s->before_transform);
    assert_string_equal(s->jsonl.path, "a.jsonl");
    assert_int_equal(s->jsonl.max_size_bytes, 64 << 20);
    assert_true(!s->jsonl.keep_count && !s->jsonl.keep_size_bytes && !s->jsonl.keep_age_us && !s->jsonl.sync_never);
    assert_int_equal(s->jsonl.format, FORMAT_NATIVE);

    s = rig_sink(*state, "--webhook|https://h.example/x");
    assert_string_equal(s->consumer, "webhook");
    assert_true(s->webhook.secret_count == 0 && !s->webhook.headers && s->webhook.format == FORMAT_CLOUDEVENTS);
    assert_true(s->webhook.batch_count == 1 && s->webhook.concurrency == 8 && s->webhook.max_attempts == 25);
    assert_true(s->webhook.timeout_us == 30 * S && s->webhook.connect_timeout_us == 5 * S && !s->webhook.max_age_us);
    assert_true(s->webhook.backoff_min_us == S && s->webhook.backoff_max_us == 3600 * S);
    assert_false(s->webhook.skip_dead || s->webhook.allow_http);
}

static void every_flag_of_a_file_reaches_its_field(void **state)
{
    struct settings_rig *rig = *state;
    const struct sink_settings *s = rig_sink(
        rig,
        "--db=a b.db|--once|--log-format|json|--log-level=debug|--check-config|--jsonl-sync=never|--jsonl-format|"
        "cloudevents|--jsonl-keep|5|--jsonl-keep-size=1G|--jsonl-keep-age|7d|--jsonl-max-size|1M|--jsonl|out.jsonl|"
        "--consumer|audit|--from|42|--filter|topic = 'x=y'|--transform|json(payload)|--before-transform|NULL|"
        "--read-batch|10");
    assert_string_equal(rig->settings.db_path, "a b.db");
    assert_true(rig->settings.once && rig->settings.check_config);
    assert_int_equal(rig->settings.log_format, LOG_FORMAT_JSON);
    assert_int_equal(rig->settings.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(s->name, "jsonl");
    assert_string_equal(s->consumer, "audit");
    assert_true(s->start == START_SEQ && s->start_seq == 42 && s->read_batch == 10);
    assert_string_equal(s->filter, "topic = 'x=y'");
    assert_string_equal(s->transform, "json(payload)");
    assert_string_equal(s->before_transform, "NULL");
    assert_true(s->jsonl.sync_never && s->jsonl.format == FORMAT_CLOUDEVENTS && s->jsonl.keep_count == 5);
    assert_int_equal(s->jsonl.keep_size_bytes, 1 << 30);
    assert_int_equal(s->jsonl.keep_age_us, 7 * DAY);
    assert_int_equal(s->jsonl.max_size_bytes, 1 << 20);
}

static void every_flag_of_a_webhook_reaches_its_field(void **state)
{
    const struct sink_settings *s = rig_sink(
        *state,
        "--webhook|https://h.example/x|--webhook-format|native|--webhook-batch|50|--concurrency|32|--timeout|10s|"
        "--connect-timeout|100ms|--max-attempts|3|--max-age|2d|--backoff|100ms,5m|--on-dead|skip|--allow-http|"
        "--from|now|--webhook-header|X-A: 1|--webhook-header|X-B:2 ");
    assert_true(s->start == START_NOW && s->webhook.format == FORMAT_NATIVE && s->webhook.batch_count == 50);
    assert_true(s->webhook.concurrency == 32 && s->webhook.timeout_us == 10 * S && s->webhook.max_attempts == 3);
    assert_true(s->webhook.connect_timeout_us == S / 10 && s->webhook.max_age_us == 2 * DAY);
    assert_true(s->webhook.backoff_min_us == S / 10 && s->webhook.backoff_max_us == 300 * S);
    assert_true(s->webhook.skip_dead && s->webhook.allow_http);
    assert_string_equal(s->webhook.headers[0], "X-A: 1");
    assert_string_equal(s->webhook.headers[1], "X-B: 2");
    assert_null(s->webhook.headers[2]);
}

static void standard_output_keeps_a_cursor_only_under_a_name(void **state)
{
    assert_false(rig_sink(*state, "--stdout")->registered);
    assert_true(rig_sink(*state, "--stdout|--consumer|me")->registered);
    assert_true(rig_sink(*state, "--null")->registered);
    assert_int_equal(rig_sink(*state, "--null")->kind, SINK_NULL);
}

static void one_sink_of_each_kind_fits_a_command_line(void **state)
{
    struct settings_rig *rig = *state;
    assert_int_equal(rig_load(rig, "--null|--stdout|--timeout|7s|--webhook|http://localhost/|--jsonl-keep|2|--jsonl|a"),
                     SETTINGS_OK);
    assert_int_equal(rig->settings.sink_count, 4);
    for (int i = 0; i < 4; i++) {
        const struct sink_settings *s = &rig->settings.sinks[i];
        if (s->kind == SINK_WEBHOOK)
            assert_int_equal(s->webhook.timeout_us, 7 * S);
        if (s->kind == SINK_JSONL)
            assert_int_equal(s->jsonl.keep_count, 2);
    }
}

static void the_flag_overrules_the_environment(void **state)
{
    struct settings_rig *rig = *state;
    setenv("OUTBOX_DB", "from-environment.db", 1);
    rig_sink(rig, "--stdout");
    assert_string_equal(rig->settings.db_path, "from-environment.db");
    rig_sink(rig, "--stdout|--db|from-flag.db");
    assert_string_equal(rig->settings.db_path, "from-flag.db");
    setenv("OUTBOX_DB", "", 1); /* as for outboxctl: not set */
    rig_sink(rig, "--stdout");
    assert_string_equal(rig->settings.db_path, "outbox.db");
}

static void a_bad_command_line_is_refused_in_one_line(void **state)
{
    static const struct {
        const char *words, *expected;
    } cases[] = {
        {"", "no sink: give --jsonl PATH, --webhook URL or --stdout"},
        {"--once", "no sink"},
        {"--nope", "--nope: no such option; outbox-relay --help"},
        {"--jsonl-kee|5", "--jsonl-kee: no such option"}, /* no abbreviations */
        {"--webhook-secret=canary", "--webhook-secret: no such option"},
        {"--", "argument 1 belongs to no option"},
        {"-x", "argument 1 belongs to no option"},
        {"--stdout|canary", "argument 2 belongs to no option"},
        {"|x", "argument 1 belongs to no option"},
        {"--stdout=yes", "--stdout: takes no value"},
        {"--db", "--db: the value is missing; write --db PATH"},
        {"--db|--stdout", "--db: the value is missing"},
        {"--db||--stdout", "--db: the value is empty"},
        {"--jsonl=", "--jsonl: the value is empty"},
        {"--stdout|--db|a|--db|b", "--db: given twice"},
        {"--stdout|--stdout", "--stdout: given twice; for two sinks of one kind use --config"},
        {"--jsonl|a|--jsonl|b", "use --config"},
        {"--jsonl|a|--stdout|--consumer|x", "--consumer: would fit 2 sinks; use --config"},
        {"--jsonl|a|--webhook|https://h/|--filter|1", "--filter: would fit 2 sinks; use --config"},
        {"--stdout|--jsonl-keep|3", "--jsonl-keep: is for a sink that is not given; add --jsonl PATH"},
        {"--jsonl|a|--timeout|3s", "--timeout: is for a sink that is not given; add --webhook URL"},
        {"--stdout|--log-level|loud", "--log-level: 'loud' is none of error, warn, info, debug"},
        {"--stdout|--log-format|xml", "--log-format: 'xml' is none of text, json"},
        {"--stdout|--consumer|.x", "--consumer: '.x' is not a consumer's name"},
        {"--stdout|--consumer|a/b", "not a consumer's name"},
        {"--stdout|--consumer|..", "not a consumer's name"},
        {"--stdout|--consumer|01234567890123456789012345678901234567890123456789012345678901234",
         "not a consumer's name"},
        {"--stdout|--from|yesterday", "--from: 'yesterday' is none of start, now, or the seq"},
        {"--stdout|--from|0", "--from: '0'"},
        {"--stdout|--from|-1", "--from: '-1'"},
        {"--stdout|--read-batch|0", "--read-batch: 0 is out of bounds: 1 to 100000"},
        {"--stdout|--read-batch|many", "--read-batch: 'many' is not a whole number"},
        {"--jsonl|a|--jsonl-max-size|1", "--jsonl-max-size: 1 is out of bounds: 4K to 1T"},
        {"--jsonl|a|--jsonl-max-size|big", "--jsonl-max-size: 'big' is not a size"},
        {"--jsonl|a|--jsonl-keep-age|7", "--jsonl-keep-age: '7' is not a duration"},
        {"--jsonl|a|--jsonl-sync|always", "--jsonl-sync: 'always' is none of batch, never"},
        {"--jsonl|a|--jsonl-format|payload", "--jsonl-format: 'payload' is none of native, cloudevents"},
        {"--webhook|https://h/|--concurrency|0", "--concurrency: 0 is out of bounds: 1 to 1000"},
        {"--webhook|https://h/|--webhook-batch|2|--webhook-format|payload",
         "in this format a request carries one event"},
        {"--webhook|https://h/|--webhook-batch|2|--webhook-format|cloudevents-binary", "a request carries one event"},
        {"--webhook|https://h/|--allow-address|10.0.0.0/8", "makes exceptions to public-only"},
        {"--webhook|https://h/|--public-only|--allow-address|10.0.0.1/8", "--allow-address: '10.0.0.1/8' is no block"},
        {"--webhook|https://h/|--public-only|--allow-address|inside", "'inside' is no block"},
        {"--webhook|https://h/|--event-header|X Y", "'X Y' is no header's name"},
        {"--webhook|https://h/|--event-header|Host", "header Host is set by the relay itself"},
        {"--webhook|https://h/|--event-header|webhook-id", "header webhook-id is set by the relay itself"},
        {"--webhook|https://h/|--event-header|Transfer-Encoding", "is set by the relay itself"},
        {"--webhook|https://h/|--event-header|traceparent", "is set by the relay itself"},
        {"--webhook|https://h/|--event-header|X-A|--event-header|x-a", "header x-a is given twice"},
        {"--webhook|https://h/|--event-header|X-A|--webhook-header|x-a: 1", "as webhook-header and as event-header"},
        {"--webhook|https://h/|--event-header|X-A|--webhook-batch|2", "are not one request's"},
        {"--webhook|https://h/|--rate|0", "--rate: 0 is out of bounds: 1 to 1000000"},
        {"--webhook|https://h/|--webhook-batch|1001", "--webhook-batch: 1001 is out of bounds"},
        {"--webhook|https://h/|--max-attempts|0", "--max-attempts: 0 is out of bounds"},
        {"--webhook|https://h/|--max-attempts|2147483648", "--max-attempts: 2147483648 is out of bounds"},
        {"--webhook|https://h/|--timeout|0s", "--timeout: 0s is out of bounds: 1ms to 1d"},
        {"--webhook|https://h/|--backoff|1h,1s", "--backoff: '1h,1s' is not MIN,MAX"},
        {"--webhook|https://h/|--backoff|1us,1s", "--backoff: 1us,1s is out of bounds: 1ms to 1d"},
        {"--webhook|https://h/|--on-dead|drop", "--on-dead: 'drop' is none of park, skip"},
        {"--stdout|--db|a|--log-level|lo\nud", "'lo ud' is none of"}, /* one line stays one line */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        rig_refused(*state, cases[i].words, cases[i].expected, "canary");
}

static void help_names_every_option_by_sink(void **state)
{
    static const char *const expected[] = {"\nThe relay:\n  --db PATH ",
                                           "\nAny sink:\n  --consumer NAME ",
                                           "\nA file of JSON lines:\n  --jsonl PATH ",
                                           "\nA webhook:\n  --webhook URL ",
                                           "--jsonl-format native|cloudevents\n",
                                           "($OUTBOX_DB, else outbox.db)"};
    char text[16384] = "";
    fflush(stdout);
    int saved = dup(1);
    FILE *file = fopen("help.txt", "w+");
    assert_true(file && saved >= 0 && dup2(fileno(file), 1) == 1);
    enum settings_result result = rig_load(*state, "--db|x|--help|--nope");
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_int_equal(result, SETTINGS_EXIT);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!strstr(text, expected[i]))
            fail_msg("no '%s' in:\n%s", expected[i], text);
}

static void no_argument_at_all_is_survived(void **state)
{
    struct settings_rig *rig = *state;
    char *none[] = {NULL};
    assert_int_equal(settings_load(&rig->settings, 0, none, rig->message, sizeof rig->message), SETTINGS_BAD);
    settings_free(&rig->settings);
    char small[8];
    assert_int_equal(settings_load(&rig->settings, 0, none, small, sizeof small), SETTINGS_BAD);
    assert_int_equal(strlen(small), sizeof small - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(defaults_are_those_that_help_names, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(every_flag_of_a_file_reaches_its_field, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(every_flag_of_a_webhook_reaches_its_field, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(standard_output_keeps_a_cursor_only_under_a_name, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(one_sink_of_each_kind_fits_a_command_line, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_flag_overrules_the_environment, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_bad_command_line_is_refused_in_one_line, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(help_names_every_option_by_sink, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(no_argument_at_all_is_survived, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

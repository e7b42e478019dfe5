/* settings_config_test.c — the config file: sections, keys, who overrules whom, every way to be wrong with its line. */
#include "settings_rig.h"

#include <fcntl.h>

static enum settings_result load_file(struct settings_rig *rig, const char *text, const char *words)
{
    rig_text("relay.conf", 0644, text);
    return rig_load(rig, words ? words : "--config|relay.conf");
}

static void sections_become_sinks_in_their_order(void **state)
{
    struct settings_rig *rig = *state;
    enum settings_result result = load_file(rig,
                                            "# comment\n"
                                            "db = 'a b.db'\nlog-format = json\nlog-level = warn\n"
                                            "sink audit { jsonl = \"audit.jsonl\" max-size = 1M keep = 3 format = "
                                            "cloudevents }\n"
                                            "sink hooks {\n  webhook = 'https://u:pw@h.example/x?token=1'\n"
                                            "  header = {\"X-A: 1\", 'X-B: 2'}\n  format = native\n  batch = 5\n"
                                            "  allow-http = no\n  consumer = other\n  from = now\n}\n"
                                            "sink console { stdout = true }\nsink nowhere { null = yes }\n",
                                            NULL);
    if (result != SETTINGS_OK)
        fail_msg("%s", rig->message);
    const struct relay_settings *all = &rig->settings;
    assert_string_equal(all->db_path, "a b.db");
    assert_string_equal(all->config_path, "relay.conf");
    assert_true(all->log_format == LOG_FORMAT_JSON && all->log_level == LOG_LEVEL_WARN && all->sink_count == 4);
    assert_true(all->sinks[0].kind == SINK_JSONL && all->sinks[0].jsonl.keep_count == 3);
    assert_int_equal(all->sinks[0].jsonl.max_size_bytes, 1 << 20);
    assert_int_equal(all->sinks[0].jsonl.format, FORMAT_CLOUDEVENTS);
    assert_string_equal(all->sinks[0].consumer, "audit");
    assert_string_equal(all->sinks[1].name, "hooks");
    assert_string_equal(all->sinks[1].consumer, "other");
    assert_string_equal(all->sinks[1].webhook.headers[1], "X-B: 2");
    assert_true(all->sinks[1].webhook.format == FORMAT_NATIVE && all->sinks[1].webhook.batch_count == 5);
    assert_true(all->sinks[1].start == START_NOW && !all->sinks[1].webhook.allow_http);
    assert_true(all->sinks[2].kind == SINK_STDOUT && all->sinks[2].registered);
    assert_true(all->sinks[3].kind == SINK_NULL);
}

static void the_flag_overrules_the_environment_and_that_the_file(void **state)
{
    struct settings_rig *rig = *state;
    const char *text = "db = file.db\nlog-level = error\nsink a { webhook = 'https://h.example/' timeout = 1s\n"
                       " connect-timeout = 2s header = 'X: file' }\n";
    assert_int_equal(
        load_file(rig, text, "--timeout|9s|--log-level|debug|--config|relay.conf|--webhook-header|X: flag"),
        SETTINGS_OK);
    const struct sink_settings *s = &rig->settings.sinks[0];
    assert_string_equal(rig->settings.db_path, "file.db");
    assert_int_equal(rig->settings.log_level, LOG_LEVEL_DEBUG);
    assert_true(s->webhook.timeout_us == 9000000 && s->webhook.connect_timeout_us == 2000000);
    assert_string_equal(s->webhook.headers[0], "X: flag");
    assert_null(s->webhook.headers[1]);

    setenv("OUTBOX_DB", "environment.db", 1);
    assert_int_equal(load_file(rig, text, NULL), SETTINGS_OK);
    assert_string_equal(rig->settings.db_path, "environment.db");
    assert_int_equal(load_file(rig, text, "--config|relay.conf|--db|flag.db"), SETTINGS_OK);
    assert_string_equal(rig->settings.db_path, "flag.db");
}

static void a_sink_flag_adds_a_sink_to_the_files(void **state)
{
    struct settings_rig *rig = *state;
    assert_int_equal(load_file(rig, "sink a { jsonl = x keep = 4 }\n", "--config|relay.conf|--stdout"), SETTINGS_OK);
    assert_int_equal(rig->settings.sink_count, 2);
    load_file(rig, "sink a { jsonl = x keep = 4 }\n", "--config|relay.conf|--jsonl|y|--jsonl-keep|5");
    assert_non_null(strstr(rig->message, "--jsonl-keep: would fit 2 sinks"));
}

static void a_variable_is_put_in_and_a_quote_keeps_it_out(void **state)
{
    struct settings_rig *rig = *state;
    setenv("OUTBOX_TEST_DIR", "/var/x", 1);
    assert_int_equal(load_file(rig,
                               "db = \"${OUTBOX_TEST_DIR}/a.db\"\nsink a { stdout = true\n"
                               " filter = \"payload->>'$.total' > 1\"\n transform = 'x->\\'${A}\\' \\\\' }\n",
                               NULL),
                     SETTINGS_OK);
    assert_string_equal(rig->settings.db_path, "/var/x/a.db");
    assert_string_equal(rig->settings.sinks[0].filter, "payload->>'$.total' > 1");
    assert_string_equal(rig->settings.sinks[0].transform, "x->'${A}' \\");
}

static void a_bad_file_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "no sink: relay.conf has no 'sink NAME { … }' section"},
        {"db = a\n\ndb = b\n", "relay.conf:3: db is given twice, the first time in line 1"},
        {"sink a {\n stdout = true\n keep = 1\n keep = 2\n}\n", "relay.conf:4: keep is given twice"},
        {"sink a {\n webhook = 'https://h/'\n header = 'A: 1'\n header = 'B: 2'\n}\n",
         "relay.conf:4: header is given twice"},
        {"sink a {\n webhook = 'https://h/'\n header = {'A: 1', ''}\n}\n", "relay.conf:3: header is empty"},
        {"sink a {\n webhook = 'https://h/'\n header = {}\n}\n",
         "relay.conf:4: sink 'a', which ends here: header is an empty list"},
        {"db = \"\"\n", "relay.conf:1: db is empty"},
        {"\ndb = \"${OUTBOX_TEST_UNSET}\"\n", "relay.conf:2: db is empty"},
        {"dbb = a\n", "relay.conf:1: no such option 'dbb'; see CONFIGURATION FILE"},
        {"once = true\n", "no such option 'once'"},
        {"config = relay.conf\n", "no such option 'config'"},
        {"include('relay.conf')\n", "no such option 'include'"},
        {"sink a {\n stdout = true\n jsonl-keep = 1\n}\n", "relay.conf:3: no such option 'jsonl-keep'"},
        {"sink a {\n stdout = true\n db = x\n}\n", "relay.conf:3: no such option 'db'"},
        {"sink a {\n stdout = true\n\n keep = 1\n}\n", "relay.conf:4: keep is an option of another kind of sink"},
        {"sink a {\n jsonl = x\n timeout = 1s\n}\n", "relay.conf:3: timeout is an option of another kind of sink"},
        {"sink a {\n keep = 1\n}\n",
         "relay.conf:3: sink 'a', which ends here: wants exactly one of jsonl = PATH, webhook"},
        {"sink a { jsonl = x stdout = true }\n", "relay.conf:1: sink 'a', which ends here: wants exactly one of"},
        {"sink a { stdout = false }\n", "relay.conf:1: stdout: can only be true"},
        {"sink a { stdout = true }\nsink a { null = true }\n", "relay.conf:2: found duplicate title 'a'"},
        {"sink { stdout = true }\n", "relay.conf:1: missing title"},
        {"sink 'a b' { stdout = true }\n", "sink 'a b': the title is the consumer's name"},
        {"sink '' { stdout = true }\n", "the title is the consumer's name"},
        {"sink a { stdout = true consumer = c }\nsink b { null = true consumer = c }\n",
         "sinks 'a' and 'b' have one consumer, c"},
        {"sink a { stdout = true }\nsink b { null = true consumer = a }\n", "have one consumer, a"},
        {"sink a { jsonl = x }\nsink b { jsonl = x }\n", "write one file, x"},
        {"sink a { jsonl = x }\nsink b { jsonl = ./x }\n", "sinks 'a' and 'b' write one file, ./x; give each its own"},
        {"sink a { jsonl = x }\nsink c { stdout = true }\nsink b { jsonl = x.jsonl }\n",
         "sinks 'a' and 'b' write x and x.jsonl, whose full files would have the same names; give one another name"},
        {"sink a { jsonl = ./x.jsonl }\nsink b { jsonl = x }\n", "sinks 'a' and 'b' write ./x.jsonl and x, whose"},
        {"sink a { jsonl = nowhere/x.jsonl }\nsink b { jsonl = nowhere/x }\n", "the same names"},
        {"sink a {\n jsonl = x\n max-size = 9\n}\n", "relay.conf:3: max-size: 9 is out of bounds"},
        {"sink a {\n jsonl = x\n format = payload\n}\n",
         "relay.conf:3: format: 'payload' is none of native, cloudevents"},
        {"sink a {\n webhook = nowhere\n}\n", "relay.conf:2: webhook: not a URL"},
        {"sink a {\n webhook = 'http://u:canary@h.example/'\n}\n", "sink 'a': http://h.example is plain http"},
        {"log-level = loud\n", "relay.conf:1: log-level: 'loud' is none of"},
        {"sink a {\n stdout = true\n", "relay.conf:2: the file ends too early"},
        {"sink a { stdout = true }\n/* x\nsink b { null = true }\n", "relay.conf:3: the file ends too early"},
        {"db = 'x\n\n", "the file ends too early"},
        {"sink a { stdout = true }\ndb =\n", "relay.conf:2: the file ends too early"},
        {"sink a { stdout = true }\nsink b\n", "relay.conf:2: the file ends too early"},
        {"end-of-file = true\nsink a { stdout = true\n", "relay.conf:1: no such option 'end-of-file'"},
        {"sink a { stdout = true\nend-of-file = true }\n", "relay.conf:2: no such option 'end-of-file'"},
        {"}\n", "relay.conf:1: unexpected closing brace"},
        {"db + a\n", "relay.conf:1: "},
        {"db += a\n", "relay.conf:1: attempt to append"},
        {"log-level = warn\n\"\" = x\n", "relay.conf:2: an option's name is empty"},
        {"sink a { stdout = true }\n\xff\n", "relay.conf:2: not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_text("relay.conf", 0644, cases[i].text);
        rig_refused(*state, "--config|relay.conf", cases[i].expected, "canary");
    }
}

static void streams_whose_segments_are_called_otherwise_go_together(void **state)
{
    struct settings_rig *rig = *state;
    assert_int_equal(load_file(rig,
                               "sink a { jsonl = x.jsonl }\nsink b { jsonl = x.jsonl.jsonl }\n"
                               "sink c { jsonl = x.json }\nsink d { jsonl = ../x }\n",
                               NULL),
                     SETTINGS_OK);
}

/* libconfuse counts lines of its own for a comment. */
static void comments_before_a_fault_leave_its_line_right(void **state)
{
    static const char *const comments[] = {
        "# c\n# d\n#\n",
        "// c\n//// d\n//\n",
        "/* c */\n/**/\n/*/ d **/\n",
        "/* c\n * d\n */\n",
        "#### c\r\n// it's \"c\r\n/* # */ /* // */ # /*\r\n",
        "db = x # c\nlog-level = warn // c\n /* c */ log-format = text /* c */ # d\n",
        "sink b {\n stdout = true # } c\n} // c\n",
        "db = 'a # \\' // /* b'\nlog-level = \"warn\" # \"\nlog-format = 'text' /* ' */\n",
        "db = \"a # \\\" // /* ' b\"\nlog-level = 'warn' # '\nlog-format = \"text\" /* \" */\n",
        "sink b { webhook = https://h.example/*\n header = { 'A: 1', # the first\n 'B: 2' /* d */ } }\n",
        "db = ${OUTBOX_TEST_UNSET:-#//} # c\n# d\n# e\n",
        "db = \"${OUTBOX_TEST_UNSET:-#\"}\" # c\n# d\n# e\n",
    };
    struct settings_rig *rig = *state;
    for (size_t i = 0; i < sizeof comments / sizeof *comments; i++) {
        static const struct {
            const char *text, *expected;
        } faults[] = {
            {"nope = 1\n", "relay.conf:4: no such option 'nope'"},
            {"sink a {\n null = true\n timeout = 1s\n}\n",
             "relay.conf:6: timeout is an option of another kind of sink"},
            {"sink a {\n jsonl = x\n keep = 1\n # c\n /* d */ keep = 2\n}\n",
             "relay.conf:8: keep is given twice, the first time in line 6"},
            {"sink a {\n header = {} keep = 1\n jsonl = x\n}\n",
             "relay.conf:7: sink 'a', which ends here: header is an empty list"},
            {"sink a {\n jsonl = x # c", "relay.conf:5: the file ends too early"},
            {"sink a { jsonl = x }\n/* c\n# d */ nope = 1\n", "relay.conf:6: no such option 'nope'"},
            {"sink a { jsonl = x }\n/* c\n# d\n", "relay.conf:6: the file ends too early"},
            {"sink a { jsonl = 'x # c\n", "relay.conf:4: the file ends too early"},
        };
        for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
            char text[512];
            snprintf(text, sizeof text, "%s%s", comments[i], faults[k].text);
            rig_text("relay.conf", 0644, text);
            rig_refused(rig, "--config|relay.conf", faults[k].expected, NULL);
        }
    }
}

static void what_looks_like_a_comment_in_a_value_is_its_own(void **state)
{
    struct settings_rig *rig = *state;
    unsetenv("OUTBOX_TEST_UNSET");
    enum settings_result result = load_file(rig,
                                            "db = \"${OUTBOX_TEST_UNSET:-#\"//}/*a*/\\\" # b\" # c\n"
                                            "sink a { webhook = https://h.example//x /* c */\n"
                                            " header = { 'A: # 1', # c\n \"B: // 2\" /* d */ } // c\n"
                                            " filter = 'x = \\'/* # \\' // y' }#\n",
                                            NULL);
    if (result != SETTINGS_OK)
        fail_msg("%s", rig->message);
    const struct sink_settings *s = &rig->settings.sinks[0];
    assert_string_equal(rig->settings.db_path, "#\"///*a*/\" # b");
    assert_string_equal(s->webhook.headers[0], "A: # 1");
    assert_string_equal(s->webhook.headers[1], "B: // 2");
    assert_string_equal(s->filter, "x = '/* # ' // y");
}

static void a_variable_ends_in_its_line(void **state)
{
    rig_text("relay.conf", 0644, "# c\ndb = \"${HOME/x.db\"\nsink a {\n stdout = true\n}\n");
    rig_refused(*state, "--config|relay.conf", "relay.conf:2: ${ without its } in the same line", NULL);
    rig_text("relay.conf", 0644, "# c\n\ndb = ${HOME/x.db\nsink a {\n stdout = true\n}\n");
    rig_refused(*state, "--config|relay.conf", "relay.conf:3: ${ without its } in the same line", NULL);
    assert_int_equal(load_file(*state, "sink a { stdout = true filter = 'x = \"${\n\"' }\n", NULL), SETTINGS_OK);
}

static void what_is_no_text_file_is_refused(void **state)
{
    rig_refused(*state, "--config|missing.conf", "--config: missing.conf: No such file", NULL);
    rig_refused(*state, "--config|.", "--config: .: Is a directory", NULL);
    rig_write("relay.conf", 0644, "db = a\n\0\n", 9);
    rig_refused(*state, "--config|relay.conf", "relay.conf:2: a NUL byte", NULL);
    char *large = malloc(2 << 20);
    assert_non_null(large);
    memset(large, '#', 2 << 20);
    rig_write("relay.conf", 0644, large, 2 << 20);
    free(large);
    rig_refused(*state, "--config|relay.conf", "over 1 MiB", NULL);
}

/* SIGHUP: what a broken file leaves in libconfuse's scanner must not spoil the next reading. */
static void a_good_file_is_read_after_every_kind_of_bad_one(void **state)
{
    static const char *const bad[] = {"db = 'open\n", "db = \"open\n", "/* open\n", "sink a {\n", "db = x |\n",
                                      "\"",           "sink \"a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(load_file(*state, bad[i], NULL), SETTINGS_BAD);
        assert_int_equal(load_file(*state, "db = x\nsink a { stdout = true }\n", NULL), SETTINGS_OK);
    }
}

/* What --check-config shows is a config file: read again, it shows the same. */
static void what_is_shown_reads_back(void **state)
{
    struct settings_rig *rig = *state;
    char text[2][8192];
    assert_int_equal(load_file(rig,
                               "sink a { jsonl = \"it's a \\\\ b\" filter = \"a = 'x' and ${HOME}\" }\n"
                               "sink b { webhook = 'https://u:canary@h:8443/canary' backoff = '250ms,7m' from = 7 "
                               "header = 'X: canary' }\n",
                               NULL),
                     SETTINGS_OK);
    for (int round = 0; round < 2; round++) {
        fflush(stdout);
        int saved = dup(1), fd = open("shown.conf", O_RDWR | O_CREAT | O_TRUNC, 0600);
        assert_true(saved >= 0 && fd >= 0 && dup2(fd, 1) == 1);
        settings_print(&rig->settings);
        fflush(stdout);
        dup2(saved, 1);
        ssize_t n = pread(fd, text[round], sizeof text[round] - 1, 0);
        assert_true(n > 0);
        text[round][n] = 0;
        close(fd);
        close(saved);
        if (rig_load(rig, "--config|shown.conf") != SETTINGS_OK)
            fail_msg("%s in:\n%s", rig->message, text[round]);
    }
    assert_string_equal(text[0], text[1]);
    assert_null(strstr(text[0], "canary"));
    assert_non_null(strstr(text[0], "https://h:8443'"));
}

/* A good file with bytes changed, cut, doubled: taken or refused in one line, never a crash. */
static void no_file_crashes_the_reader(void **state)
{
    static const char good[] = "db = \"${HOME}/x.db\" # c\nlog-level = info\n/* c */\nsink 'a' {\n jsonl = \"a\\\"b\"\n"
                               " max-size = 64M\n filter = 'x = \"1\"'\n}\nsink b { webhook = https://h.example/x\n"
                               " header = {'A: 1', \"B: 2\"}\n header += C:3\n backoff = \"1s,2s\" secret-file = s }\n";
    static const char odd[] = "{}='\"\\\n#/*$,|+()\x80\xff\x01 ";
    struct settings_rig *rig = *state;
    uint64_t random = 88172645463325252u;
    int taken = 0;
    rig_text("s", 0600, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    for (int round = 0; round < 3000; round++) {
        char text[2 * sizeof good];
        size_t size = sizeof good - 1;
        memcpy(text, good, size);
        for (int change = round % 5; change > 0 && size > 0; change--) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            size_t at = (size_t)(random >> 8) % size, n = 1 + (size_t)(random >> 40) % 12;
            n = n < size - at ? n : size - at;
            switch (random % 4) {
            case 0: text[at] = odd[(random >> 20) % (sizeof odd - 1)]; break;
            case 1: memmove(text + at, text + at + n, size - at - n), size -= n; break;
            case 2: size = at + 1; break;
            case 3:
                if (size + n < sizeof text)
                    memmove(text + at + n, text + at, size - at), size += n;
                break;
            }
        }
        rig_write("relay.conf", 0644, text, size);
        taken += rig_load(rig, "--config|relay.conf") == SETTINGS_OK;
        assert_null(strchr(rig->message, '\n'));
    }
    assert_in_range(taken, 600, 2900); /* the unchanged ones at least, and not all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sections_become_sinks_in_their_order, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(the_flag_overrules_the_environment_and_that_the_file, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_sink_flag_adds_a_sink_to_the_files, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_variable_is_put_in_and_a_quote_keeps_it_out, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_bad_file_is_refused_with_its_line, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(streams_whose_segments_are_called_otherwise_go_together, rig_setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(comments_before_a_fault_leave_its_line_right, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_looks_like_a_comment_in_a_value_is_its_own, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_variable_ends_in_its_line, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_text_file_is_refused, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(a_good_file_is_read_after_every_kind_of_bad_one, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_shown_reads_back, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(no_file_crashes_the_reader, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

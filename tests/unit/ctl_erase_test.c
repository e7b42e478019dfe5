/* ctl_erase_test.c — a line of a stream without its data: as long as it was, and whole again where it was torn. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "half_written.h"
#include "stream_file.h"

#include "ctl/erase_line.c"

#define HEAD                                                                                                           \
    "{\"seq\":42,\"prev\":40,\"id\":\"9f86d081884c7d65-42\",\"topic\":\"sales\",\"table\":\"orders\",\"key\":\"o-1\""
#define TIME ",\"time\":\"2026-11-21T05:21:00.123456Z\""
#define CE_HEAD                                                                                                        \
    "{\"specversion\":\"1.0\",\"id\":\"9f86d081884c7d65-42\",\"source\":\"urn:outbox:9f86d081884c7d65\","              \
    "\"type\":\"sales.update\",\"subject\":\"o-1\"" TIME
#define CE_TAIL                                                                                                        \
    ",\"sequence\":\"00000000000000000042\",\"prev\":\"00000000000000000040\",\"partitionkey\":\"orders/o-1\","        \
    "\"op\":\"update\",\"revision\":\"3\""

static const struct line_case {
    const char *label, *before, *after;
} cases[] = {
    {"an update", HEAD ",\"op\":\"update\"" TIME ",\"payload\":{\"n\":\"canary\"},\"before\":{\"n\":\"canary\"}}",
     HEAD ",\"op\":\"update\"" TIME ",\"payload\":null          ,\"before\":null          }"},
    {"an insert", HEAD ",\"op\":\"insert\"" TIME ",\"payload\":{\"n\":\"canary\"}}",
     HEAD ",\"op\":\"insert\"" TIME ",\"payload\":null          }"},
    {"a delete", HEAD ",\"op\":\"delete\"" TIME ",\"before\":{\"n\":\"canary\"}}",
     HEAD ",\"op\":\"delete\"" TIME ",\"before\":null          }"},
    {"headers", HEAD ",\"op\":\"emit\"" TIME ",\"payload\":\"canary\",\"headers\":{\"h\":\"canary\"}}",
     HEAD ",\"op\":\"emit\"" TIME ",\"payload\":null    ,\"headers\":{}            }"},
    {"bytes", HEAD ",\"op\":\"emit\"" TIME ",\"payload_base64\":\"Y2FuYXJ5\"}",
     HEAD ",\"op\":\"emit\"" TIME ",\"payload\":null             }"},
    {"no byte", HEAD ",\"op\":\"emit\"" TIME ",\"payload_base64\":\"\"}",
     HEAD ",\"op\":\"emit\"" TIME ",\"payload\":null     }"},
    {"less than null", HEAD ",\"op\":\"emit\"" TIME ",\"payload\":42,\"headers\":{\"h\":\"canary\"}}",
     HEAD ",\"op\":\"emit\"" TIME "             ,\"headers\":{}            }"},
    {"a string of one letter", HEAD ",\"op\":\"emit\"" TIME ",\"payload\":\"x\"}",
     HEAD ",\"op\":\"emit\"" TIME "              }"},
    {"what could not be delivered", HEAD ",\"op\":\"emit\"" TIME ",\"error\":\"payload is not JSON\"}",
     HEAD ",\"op\":\"emit\"" TIME ",\"error\":\"payload is not JSON\"}"},
    {"members of the payload that have our names",
     HEAD ",\"op\":\"emit\"" TIME ",\"payload\":{\"payload\":\"canary\",\"seq\":7,\"time\":\"}\"},\"headers\":{}}",
     HEAD ",\"op\":\"emit\"" TIME ",\"payload\":null                                   ,\"headers\":{}}"},
    {"first in its line, and short",
     "{\"payload\":1,\"seq\":42,\"prev\":40,\"id\":\"9f86d081884c7d65-42\",\"topic\":\"orders\",\"key\":\"o-1\"}",
     "{            \"seq\":42,\"prev\":40,\"id\":\"9f86d081884c7d65-42\",\"topic\":\"orders\",\"key\":\"o-1\"}"},
    {"a CloudEvent", CE_HEAD ",\"datacontenttype\":\"application/json\",\"data\":{\"n\":\"canary\"}" CE_TAIL "}",
     CE_HEAD ",\"datacontenttype\":\"application/json\",\"data\":null          " CE_TAIL "}"},
    {"a CloudEvent's bytes and trace",
     CE_HEAD ",\"data_base64\":\"Y2FuYXJ5\"" CE_TAIL ",\"traceparent\":\"00-canary-01\"}",
     CE_HEAD ",\"data\":null             " CE_TAIL "                             }"},
};

enum { CASES = sizeof cases / sizeof *cases };

static const struct erase_key orders = {"orders", "o-1"};

static enum erase_line log_says;

static enum erase_line ask(void *arg, const struct erase_key *key, const struct event_line *line)
{
    assert_ptr_equal(arg, &log_says);
    assert_non_null(key);
    assert_int_equal(line->event.seq, 42);
    assert_string_equal(line->source, "9f86d081884c7d65");
    return log_says;
}

static const struct erase_log change_log = {ask, &log_says, true};

/* From memory of exactly its size, so that a read beyond it is seen. */
static enum erase_line erase(const struct erase_key *key, const char *from, size_t size, struct buffer *out)
{
    struct event_line line = {0};
    char *text = malloc(size + !size);
    assert_non_null(text);
    memcpy(text, from, size);
    bool good = event_line_parse(&line, text, size);
    enum erase_line result = erase_line(key, &change_log, good ? &line : NULL, text, size, out);
    event_line_free(&line);
    free(text);
    return result;
}

static void it_keeps_its_length_and_everything_but_the_data(void **state)
{
    struct buffer out = {0};
    struct event_line line = {0};
    (void)state;
    log_says = ERASE_OURS;
    for (int i = 0; i < CASES; i++) {
        const struct line_case *c = &cases[i];
        assert_int_equal(erase(&orders, c->before, strlen(c->before), &out), ERASE_OURS);
        if (out.size != strlen(c->before) || strcmp(buffer_text(&out), c->after) != 0)
            fail_msg("%s:\n%s\nand not\n%s", c->label, buffer_text(&out), c->after);
        assert_true(event_line_parse(&line, out.data, out.size));
        assert_int_equal(line.event.seq, 42);
        assert_int_equal(erase(&orders, c->after, strlen(c->after), &out), ERASE_OURS);
        assert_string_equal(buffer_text(&out), c->after); /* again it is as it was */
    }
    event_line_free(&line);
    buffer_free(&out);
}

/* What a kill between two pages, or a power cut between two sectors, can leave. */
static void torn_anywhere_the_next_run_makes_it_whole(void **state)
{
    struct buffer out = {0};
    struct event_line line = {0};
    char torn[1000];
    (void)state;
    log_says = ERASE_OURS;
    for (int i = 0; i < CASES; i++) {
        const struct line_case *c = &cases[i];
        size_t size = strlen(c->before);
        if (c->before[1] == '"' && c->before[2] == 'p')
            continue; /* not as the relay writes it */
        for (size_t cut = 0; cut < 2 * size; cut++) {
            bool new_first = cut < size;
            size_t at = new_first ? cut : cut - size;
            memcpy(torn, new_first ? c->after : c->before, at);
            memcpy(torn + at, (new_first ? c->before : c->after) + at, size - at);
            if (erase(&orders, torn, size, &out) != ERASE_OURS)
                fail_msg("%s: not found\n%.*s", c->label, (int)size, torn);
            if (out.size != size || strstr(buffer_text(&out), "canary") || strstr(out.data, "Y2FuYXJ5"))
                fail_msg("%s:\n%s\nout of\n%.*s", c->label, out.data, (int)size, torn);
            if (!event_line_parse(&line, out.data, out.size) || line.event.seq != 42 || line.event.prev != 40)
                fail_msg("%s: no event\n%s\nout of\n%.*s", c->label, out.data, (int)size, torn);
        }
    }
    event_line_free(&line);
    buffer_free(&out);
}

static const struct line_of_whom {
    const char *name, *key, *line;
    enum erase_line result;
} lines_of_whom[] = {
    {"orders", "o-1", HEAD TIME "}", ERASE_OURS},
    {"ORDERS", "o-1", HEAD TIME "}", ERASE_OURS}, /* a table's name is SQLite's */
    {"sales", "o-1", HEAD TIME "}", ERASE_OURS},
    {"SALES", "o-1", HEAD TIME "}", ERASE_OTHER},
    {"orders", "o-2", HEAD TIME "}", ERASE_OTHER},
    {"orders", "o-", HEAD TIME "}", ERASE_OTHER},
    {"orders", "o-11", HEAD TIME "}", ERASE_OTHER},
    {"order", "o-1", HEAD TIME "}", ERASE_OTHER},
    {"sales", "o-1", CE_HEAD CE_TAIL "}", ERASE_OURS},
    {"sales", "c-9", CE_HEAD CE_TAIL "}", ERASE_OTHER},
    /* an ordering key of its own that looks like one of a table */
    {"things", "o-1", HEAD ",\"ordering_key\":\"things/o-1\"" TIME "}", ERASE_OTHER},
    {"a\"b", "\xc3\xbc\n",
     "{\"seq\":2,\"prev\":1,\"id\":\"9f86d081884c7d65-2\",\"topic\":\"a\\\"b\",\"key\":\"\\u00fc\\n\"" TIME "}",
     ERASE_OURS},
    {"orders", "o-1", HEAD TIME " ", ERASE_OURS},   /* no more than its beginning is left */
    {"orders", "o-1", HEAD TIME, ERASE_UNREADABLE}, /* nor room to end it */
    {"orders", "o-2", HEAD TIME, ERASE_OTHER},
    {"orders", "o-1", HEAD, ERASE_UNREADABLE},
    {"orders", "o-1", CE_HEAD, ERASE_UNREADABLE},
    {"orders", "o-1", "", ERASE_UNREADABLE},
    {"orders", "o-1", "not JSON", ERASE_UNREADABLE},
    {"orders", "o-1", TIME "}", ERASE_UNREADABLE},
    {"orders", "o-1", "{\"specversion\":" TIME "\"sequence\":\"", ERASE_UNREADABLE},
};

static void whose_it_is_its_topic_table_and_key_say(void **state)
{
    struct buffer out = {0};
    (void)state;
    log_says = ERASE_FAILED; /* nobody is asked where the line itself says it */
    for (size_t i = 0; i < sizeof lines_of_whom / sizeof *lines_of_whom; i++) {
        const struct line_of_whom *c = &lines_of_whom[i];
        const struct erase_key key = {c->name, c->key};
        enum erase_line result = erase(&key, c->line, strlen(c->line), &out);
        if (result != c->result)
            fail_msg("%s/%s: %d, not %d, of %s", c->name, c->key, result, c->result, c->line);
    }
    buffer_free(&out);
}

#define CE(topic, subject, partition, op)                                                                                  \
    "{\"specversion\":\"1.0\",\"id\":\"9f86d081884c7d65-42\",\"source\":\"urn:outbox:9f86d081884c7d65\",\"type\":\"" topic \
    "\"" subject TIME ",\"data\":{},\"sequence\":\"00000000000000000042\",\"prev\":\"00000000000000000040\"" partition     \
    ",\"op\":\"" op "\"}"
#define SUBJECT(key)   ",\"subject\":\"" key "\""
#define PARTITION(key) ",\"partitionkey\":\"" key "\""

static void of_a_cloudevent_the_log_says_the_table(void **state)
{
    static const struct {
        const char *name, *key, *line;
        enum erase_line asked, without; /* ERASE_FAILED: what the log answers */
    } rows[] = {
        {"orders", "o-1", CE("sales.update", SUBJECT("o-1"), PARTITION("cust"), "update"), ERASE_FAILED,
         ERASE_UNDECIDED},
        /* its own partition, or an ordering key that another table's caller gave */
        {"orders", "o-1", CE("sales.update", SUBJECT("o-1"), PARTITION("orders/o-1"), "update"), ERASE_FAILED,
         ERASE_UNDECIDED},
        /* the topic has the table's name */
        {"orders", "o-1", CE("items.update", SUBJECT("o-1"), PARTITION("items/o-1"), "update"), ERASE_FAILED,
         ERASE_OTHER},
        {"orders", "o-1", CE("sales.update", SUBJECT("o-2"), PARTITION("orders/o-1"), "update"), ERASE_OTHER,
         ERASE_OTHER},
        /* nothing to lose */
        {"orders", "o-1", CE_HEAD CE_TAIL "}", ERASE_FAILED, ERASE_OTHER},
        {"orders", "o-1", CE("orders.update", SUBJECT("o-1"), PARTITION("cust"), "update"), ERASE_OURS, ERASE_OURS},
        /* a message is of no table, whatever keeps its order */
        {"orders", "o-1", CE("invoices", SUBJECT("o-1"), PARTITION("orders/o-1"), "emit"), ERASE_OTHER, ERASE_OTHER},
        /* an attribute is never empty, so the empty key is not there */
        {"orders", "", CE("orders.update", "", PARTITION("orders/"), "update"), ERASE_OURS, ERASE_OURS},
        {"orders", "", CE("sales.update", "", PARTITION("orders/"), "update"), ERASE_FAILED, ERASE_UNDECIDED},
        {"orders", "", CE("orders", "", PARTITION("orders/"), "emit"), ERASE_FAILED, ERASE_OURS},
        {"orders", "", CE("orders", "", PARTITION("cust"), "emit"), ERASE_FAILED, ERASE_UNDECIDED},
        {"orders", "", CE("orders", "", "", "emit"), ERASE_FAILED, ERASE_OTHER},
        {"orders", "", CE("orders.update", SUBJECT("o-1"), "", "update"), ERASE_OTHER, ERASE_OTHER},
    };
    static const enum erase_line answers[] = {ERASE_OURS, ERASE_OTHER, ERASE_FAILED};
    struct buffer out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct erase_key key = {rows[i].name, rows[i].key};
        size_t size = strlen(rows[i].line);
        for (int a = 0; a < 3; a++) {
            log_says = answers[a];
            enum erase_line wanted = rows[i].asked == ERASE_FAILED ? log_says : rows[i].asked;
            if (erase(&key, rows[i].line, size, &out) != wanted)
                fail_msg("%s/%s: the log is %s: %s", key.name, key.key, wanted == log_says ? "unasked" : "asked",
                         rows[i].line);
        }
        log_says = ERASE_UNDECIDED;
        if (erase(&key, rows[i].line, size, &out) != rows[i].without)
            fail_msg("%s/%s without a log: %s", key.name, key.key, rows[i].line);
    }
    buffer_free(&out);
}

static void of_an_empty_key_are_lines_that_have_one(void **state)
{
    static const char with[] =
        "{\"seq\":42,\"prev\":40,\"id\":\"9f86d081884c7d65-42\",\"topic\":\"orders\",\"key\":\"\"}";
    static const char without[] = "{\"seq\":42,\"prev\":40,\"id\":\"9f86d081884c7d65-42\",\"topic\":\"orders\"}";
    const struct erase_key key = {"orders", ""};
    struct buffer out = {0};
    (void)state;
    assert_int_equal(erase(&key, with, strlen(with), &out), ERASE_OURS);
    assert_int_equal(erase(&key, without, strlen(without), &out), ERASE_OTHER);
    buffer_free(&out);
}

/* ---- Beside readers ---- */

static void a_line_that_is_half_written_over_is_read_when_it_is_whole(void **state)
{
    struct half_written h;
    struct stream_file file = STREAM_FILE_CLOSED;
    struct event_line line = {0};
    size_t size;
    (void)state;
    half_written_init(&h);
    assert_true(stream_file_open(&file, AT_FDCWD, h.path));
    assert_int_equal(stream_file_look(&file, &line, &size), LINE_DAMAGED); /* nobody is at it */
    half_written_begin(&h);
    assert_int_equal(stream_file_look(&file, &line, &size), LINE_EVENT);
    assert_int_equal(line.event.seq, 42);
    half_written_end(&h);
    stream_file_close(&file);
    event_line_free(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_its_length_and_everything_but_the_data),
        cmocka_unit_test(torn_anywhere_the_next_run_makes_it_whole),
        cmocka_unit_test(whose_it_is_its_topic_table_and_key_say),
        cmocka_unit_test(of_a_cloudevent_the_log_says_the_table),
        cmocka_unit_test(of_an_empty_key_are_lines_that_have_one),
        cmocka_unit_test(a_line_that_is_half_written_over_is_read_when_it_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

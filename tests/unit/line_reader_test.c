/* line_reader_test.c — a line that outboxctl erase is writing over, as the relay's recovery reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "half_written.h"
#include "sinks/line_reader.h"

static bool is_event(const char *path, int64_t *seq)
{
    struct event_place place = {0};
    struct line_reader reader;
    const char *text;
    size_t size;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    line_reader_init(&reader, fd, 0);
    assert_int_equal(line_reader_next(&reader, &text, &size), LINE_WHOLE);
    bool result = line_reader_place(&reader, &place, text, size);
    *seq = place.seq;
    line_reader_fini(&reader);
    close(fd);
    return result;
}

static void a_line_that_is_half_written_over_is_read_when_it_is_whole(void **state)
{
    struct half_written h;
    int64_t seq;
    (void)state;
    half_written_init(&h);
    assert_false(is_event(h.path, &seq)); /* nobody is at it */
    half_written_begin(&h);
    assert_true(is_event(h.path, &seq));
    assert_int_equal(seq, 42);
    half_written_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_is_half_written_over_is_read_when_it_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

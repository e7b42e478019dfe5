/* line_reader_test.c — a file's lines as the relay's recovery reads them: one that outboxctl erase is writing over, and the
 * last one, from the end. */
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

static void the_last_line_of_a_file_is_found_from_its_end(void **state)
{
    char path[] = "/tmp/outbox-lines-XXXXXX", *text = malloc(20001);
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    unlink(path);

    for (size_t before = 0; before <= 10000; before += before < 4 ? 1 : 1249)
        for (size_t size = 1; size <= 10000; size = size * 3 + 1) {
            memset(text, 'x', before + size);
            if (before)
                text[before - 1] = '\n';
            text[before + size - 1] = '\n';
            assert_int_equal(ftruncate(fd, 0), 0);
            assert_int_equal(pwrite(fd, text, before + size, 0), before + size);
            int64_t offset = -1;
            assert_int_equal(line_last_offset(fd, (int64_t)(before + size), &offset), LINE_WHOLE);
            assert_int_equal(offset, before);
            assert_int_equal(line_last_offset(fd, (int64_t)(before + size - 1), &offset),
                             size == 1 && before ? LINE_WHOLE : LINE_END);
        }
    close(fd);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_is_half_written_over_is_read_when_it_is_whole),
        cmocka_unit_test(the_last_line_of_a_file_is_found_from_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

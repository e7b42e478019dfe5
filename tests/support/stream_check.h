/* stream_check.h — reads a JSONL stream as anybody could, by nothing of the sink's own code: whole lines of JSON, each
 * naming the one before it, in files whose names say what is in them.
 */
#ifndef TEST_STREAM_CHECK_H
#define TEST_STREAM_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

struct checked {
    int64_t count, first, last; /* lines */
    int segments;
    bool active;
};

static inline int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void check_line(sqlite3_stmt *valid, const char *line, size_t size, int64_t *last_seq, int64_t *first_seq)
{
    int64_t seq, prev;

    if (sscanf(line, "{\"seq\":%" SCNd64 ",\"prev\":%" SCNd64 ",", &seq, &prev) != 2)
        fail_msg("not a line after %" PRId64 ": %.60s", *last_seq, line);
    sqlite3_bind_text(valid, 1, line, (int)size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(valid), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(valid, 0), 1);
    sqlite3_reset(valid);
    assert_int_equal(strlen(line), size);
    if (*last_seq >= 0)
        assert_int_equal(prev, *last_seq);
    assert_true(seq > prev);
    *first_seq = *first_seq ? *first_seq : seq;
    *last_seq = seq;
}

static inline void check_file(const char *dir, sqlite3_stmt *valid, const char *name, struct checked *sum,
                              int64_t *last_seq)
{
    char path[NAME_MAX + 100], *line = NULL;
    size_t room = 0;
    ssize_t n;
    int64_t first = 0;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while ((n = getline(&line, &room, file)) > 0) {
        assert_int_equal(line[n - 1], '\n');
        line[n - 1] = '\0';
        check_line(valid, line, (size_t)n - 1, last_seq, &first);
        sum->first = sum->first ? sum->first : first;
        sum->count++;
    }
    free(line);
    fclose(file);
    if (strcmp(name, "events.jsonl") != 0) {
        char true_name[100];
        snprintf(true_name, sizeof true_name, "events.%020" PRId64 "-%020" PRId64 ".jsonl", first, *last_seq);
        assert_string_equal(name, true_name);
        sum->segments++;
    } else {
        sum->active = true;
    }
}

/* Reads every file of the stream in the order of their names (digits before letters: the active one is last). */
static inline struct checked check_files(const char *path, sqlite3 *db)
{
    struct checked sum = {0};
    int64_t last_seq = -1;
    static char *names[16384];
    size_t count = 0;
    sqlite3_stmt *valid;
    struct dirent *entry;
    DIR *dir = opendir(path);

    assert_int_equal(sqlite3_prepare_v2(db, "SELECT json_valid(?)", -1, &valid, NULL), SQLITE_OK);
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, "events.", 7) == 0 && !strstr(entry->d_name, ".lock")) {
            assert_true(count < sizeof names / sizeof *names);
            names[count++] = strdup(entry->d_name);
        }
    closedir(dir);
    qsort(names, count, sizeof *names, by_text);
    for (size_t i = 0; i < count; i++) {
        check_file(path, valid, names[i], &sum, &last_seq);
        free(names[i]);
    }
    sqlite3_finalize(valid);
    sum.last = last_seq;
    return sum;
}

#endif

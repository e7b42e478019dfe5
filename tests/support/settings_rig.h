/* settings_rig.h — settings_load() on a command line given as words, in a directory of its own. */
#ifndef TESTS_SUPPORT_SETTINGS_RIG_H
#define TESTS_SUPPORT_SETTINGS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "settings.h"

struct settings_rig {
    char directory[64];
    struct relay_settings settings;
    char message[1024];
};

static inline void rig_write(const char *name, mode_t mode, const void *content, size_t size)
{
    unlink(name); /* ext4 writes a file out at once where it is truncated and filled anew */
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(name, mode), 0);
}

static inline void rig_text(const char *name, mode_t mode, const char *text)
{
    rig_write(name, mode, text, strlen(text));
}

/* words: the arguments, parted by '|', as values may hold spaces. What was loaded before is freed. */
static inline enum settings_result rig_load(struct settings_rig *rig, const char *words)
{
    char program[] = "outbox-relay", *argv[64] = {program}, *copy = strdup(words), *rest = copy;
    int argc = 1;
    assert_non_null(copy);
    while (*words && rest && argc < 63)
        argv[argc++] = strsep(&rest, "|");
    settings_free(&rig->settings);
    memset(rig->message, 'x', sizeof rig->message);
    enum settings_result result = settings_load(&rig->settings, argc, argv, rig->message, sizeof rig->message);
    free(copy); /* what is kept must be copies */
    return result;
}

static inline const struct sink_settings *rig_sink(struct settings_rig *rig, const char *words)
{
    if (rig_load(rig, words) != SETTINGS_OK)
        fail_msg("'%s': %s", words, rig->message);
    assert_int_equal(rig->settings.sink_count, 1);
    return &rig->settings.sinks[0];
}

/* Refused, with one line in which expected stands and forbidden (may be NULL) does not. */
static inline void rig_refused(struct settings_rig *rig, const char *words, const char *expected, const char *forbidden)
{
    enum settings_result result = rig_load(rig, words);
    if (result != SETTINGS_BAD)
        fail_msg("'%s' was taken", words);
    if (!strstr(rig->message, expected) || strchr(rig->message, '\n') || (forbidden && strstr(rig->message, forbidden)))
        fail_msg("'%s': '%s' has no '%s', has '%s', or is no line", words, rig->message, expected,
                 forbidden ? forbidden : "");
}

static inline int rig_setup(void **state)
{
    struct settings_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    snprintf(rig->directory, sizeof rig->directory, "/tmp/outbox-settings-test-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    assert_int_equal(chdir(rig->directory), 0);
    unsetenv("OUTBOX_DB");
    unsetenv("OUTBOX_WEBHOOK_SECRET");
    *state = rig;
    return 0;
}

static inline int rig_teardown(void **state)
{
    struct settings_rig *rig = *state;
    char command[128];
    settings_free(&rig->settings);
    snprintf(command, sizeof command, "rm -rf '%s'", rig->directory);
    int failed = chdir("/") != 0 || system(command) != 0;
    free(rig);
    return failed;
}

#endif

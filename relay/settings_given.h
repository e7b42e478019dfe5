/* settings_given.h — what was given, by whom, before anybody asks what it means.
 *
 * Strings are borrowed: from argv, the environment, or the parsed config file.
 */
#ifndef RELAY_SETTINGS_GIVEN_H
#define RELAY_SETTINGS_GIVEN_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"

struct option;

enum given_by { GIVEN_BY_DEFAULT, GIVEN_BY_FILE, GIVEN_BY_ENVIRONMENT, GIVEN_BY_FLAG };

struct given {
    const struct option *option;
    const char *text;
    enum given_by by;
    const char *path; /* GIVEN_BY_FILE */
    int line;
};

/* Zero is empty. */
struct given_list {
    struct given *items;
    int count;
};

bool given_add(struct given_list *, const struct given *);                        /* false: out of memory */
const struct given *given_find(const struct given_list *, const struct option *); /* the first; NULL: none */
void given_free(struct given_list *);

/* "WHERE: words", WHERE being --timeout, $OUTBOX_DB or relay.conf:12: timeout. Always false, for a return. */
bool given_complain(const struct given *, char *message, size_t message_size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- The command line: settings_arguments.c ---------------------------------------------------------------------------- */

/* --name VALUE, --name=VALUE, in any order; argv is left as it is. SETTINGS_EXIT: --help or --version was answered. */
enum settings_result arguments_read(int argc, char *const argv[], struct given_list *, char *message,
                                    size_t message_size);

void help_print(void); /* settings_help.c */

/* ---- The config file: settings_config.c -------------------------------------------------------------------------------- */

struct config_sink {
    const char *title;
    enum sink_kind kind;
    struct given_list given;
};

/* Zero is a file that says nothing. */
struct config {
    void *parsed; /* libconfuse's; the strings live in it */
    struct given_list given;
    struct config_sink *sinks;
    int sink_count;
};

/* path is borrowed until config_free(), which is due after a failure too. */
bool config_read(const char *path, struct config *, char *message, size_t message_size);
void config_free(struct config *);

/* settings_comments.c: spaces in place of every comment, line breaks kept. Returns the first ${ whose } is in another
 * line, NULL where there is none. */
const char *config_blank_comments(char *text);

#endif

/* set.c — `set`: what the database keeps, and how large a payload it takes. Every writer and every janitor obeys it. */
#include <string.h>

#include "ctl.h"
#include "settings_value.h"

static const char sql_set[] = "UPDATE main.outbox_meta SET value = ?2 WHERE name = ?1";

struct setting {
    const char *name;   /* on the command line */
    const char *stored; /* in outbox_meta */
    bool (*parse)(const char *text, int64_t *value);
    int64_t least, most;
    bool may_be_forever; /* stored as NULL */
    const char *wanted;  /* in words */
};

static const struct setting settings[] = {
    {"history", "history", value_duration, 0, INT64_MAX, true, "a duration such as 7d or 12h, or forever"},
    {"retain", "retain", value_duration, 0, INT64_MAX, true, "a duration such as 30m or 0s, or forever"},
    /* The most is SQLite's own limit on one value: what is larger could never be stored. */
    {"max-payload", "max_payload", value_size, 1, 1000000000, false, "a size from 1 to 1000000000 bytes, such as 1M"},
};

enum { SETTING_COUNT = sizeof settings / sizeof *settings };

static const struct setting *find_setting(const char *name)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    return NULL;
}

static bool parse(const struct setting *s, const char *text, int64_t *value, bool *forever)
{
    *forever = s->may_be_forever && !strcmp(text, "forever");
    return *forever || (s->parse(text, value) && *value >= s->least && *value <= s->most);
}

static int store(sqlite3 *db, const struct setting *s, int64_t value, bool forever)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql_set, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, s->stored, -1, SQLITE_STATIC);
        if (!forever)
            sqlite3_bind_int64(st, 2, value);
        rc = sqlite3_step(st);
    }
    int code = rc == SQLITE_DONE ? EXIT_DONE : ctl_fail_sqlite(db, rc, "outbox_meta");
    sqlite3_finalize(st);
    if (code == EXIT_DONE && sqlite3_changes(db) == 0) {
        ctl_say("outbox_meta has no row %s; was it deleted? restore it from a backup", s->stored);
        code = EXIT_PERMANENT;
    }
    return code;
}

int ctl_set(struct ctl *ctl, int argc, char **argv)
{
    outbox *ob = NULL;
    int64_t value = 0;
    bool forever;
    int code;
    if (!arguments_read(ctl, NULL, 0, 2, 2, &argc, argv, &code))
        return code;
    const struct setting *setting = find_setting(argv[0]);
    if (!setting) {
        ctl_say("set: unknown setting %s; there are history, retain and max-payload", argv[0]);
        return EXIT_USAGE;
    }
    if (!parse(setting, argv[1], &value, &forever)) {
        ctl_say("set: %s wants %s, not %s", setting->name, setting->wanted, argv[1]);
        return EXIT_USAGE;
    }
    code = ctl_open(ctl, &ob);
    if (code == EXIT_DONE)
        code = store(outbox_db(ob), setting, value, forever);
    outbox_close(ob);
    return code;
}

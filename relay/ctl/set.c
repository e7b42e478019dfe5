/* set.c — `set`: what the database keeps, how large a payload it takes, and how many failed deliveries are an alarm. Every
 * writer, every relay and `status` go by it. */
#include <string.h>

#include "ctl.h"
#include "settings_value.h"

/* A setting that was never made has no row. */
static const char sql_set[] = "INSERT INTO main.outbox_meta(name, value) VALUES (?1, ?2)"
                              " ON CONFLICT(name) DO UPDATE SET value = excluded.value";

struct setting {
    const char *name;   /* on the command line */
    const char *stored; /* in outbox_meta */
    bool (*parse)(const char *text, int64_t *value);
    int64_t least, most;
    const char *endless; /* the word for no end to it, stored as NULL; or NULL: it has to have one */
    const char *wanted;  /* in words */
};

static const struct setting settings[] = {
    {"history", "history", value_duration, 0, INT64_MAX, "forever", "a duration such as 7d or 12h, or forever"},
    {"retain", "retain", value_duration, 0, INT64_MAX, "forever", "a duration such as 30m or 0s, or forever"},
    /* The most is SQLite's own limit on one value: what is larger could never be stored. */
    {"max-payload", "max_payload", value_size, 1, 1000000000, NULL, "a size from 1 to 1000000000 bytes, such as 1M"},
    {"dead-alarm", "dead_alarm", value_number, 0, INT64_MAX - 1, "never", "a number such as 1000, or never"},
    {"failed-alarm", "failed_alarm", value_number, 0, INT64_MAX - 1, "never", "a number such as 100000, or never"},
};

enum { SETTING_COUNT = sizeof settings / sizeof *settings };

static const struct setting *find_setting(const char *name)
{
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    return NULL;
}

static bool parse(const struct setting *s, const char *text, int64_t *value, bool *endless)
{
    *endless = s->endless && !strcmp(text, s->endless);
    return *endless || (s->parse(text, value) && *value >= s->least && *value <= s->most);
}

static int store(sqlite3 *db, const struct setting *s, int64_t value, bool endless)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql_set, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(st, 1, s->stored, -1, SQLITE_STATIC);
        if (!endless)
            sqlite3_bind_int64(st, 2, value);
        rc = sqlite3_step(st);
    }
    int code = rc == SQLITE_DONE ? EXIT_DONE : ctl_fail_sqlite(db, rc, "outbox_meta");
    sqlite3_finalize(st);
    return code;
}

int ctl_set(struct ctl *ctl, int argc, char **argv)
{
    outbox *ob = NULL;
    int64_t value = 0;
    bool endless;
    int code;
    if (!arguments_read(ctl, NULL, 0, 2, 2, &argc, argv, &code))
        return code;
    const struct setting *setting = find_setting(argv[0]);
    if (!setting) {
        ctl_say("set: unknown setting %s; there are history, retain, max-payload, dead-alarm and failed-alarm",
                argv[0]);
        return EXIT_USAGE;
    }
    if (!parse(setting, argv[1], &value, &endless)) {
        ctl_say("set: %s wants %s, not %s", setting->name, setting->wanted, argv[1]);
        return EXIT_USAGE;
    }
    code = ctl_open(ctl, &ob);
    if (code == EXIT_DONE)
        code = store(outbox_db(ob), setting, value, endless);
    outbox_close(ob);
    return code;
}

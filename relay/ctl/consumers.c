/* consumers.c — `consumers`: the list, and which command is meant. */
#include <stdio.h>
#include <string.h>

#include "consumer_list.h"
#include "consumers.h"
#include "text.h"
#include "timestamp.h"

static int print(const struct ctl *ctl, const struct consumer_list *list)
{
    struct buffer out = {0};
    for (int i = 0; ctl->json && i < list->count; i++) {
        consumer_append_json(&list->items[i], &out);
        buffer_append_byte(&out, '\n');
    }
    if (!ctl->json && list->count == 0)
        ctl_say("no consumer has registered; outbox-relay does at its first start");
    else if (!ctl->json)
        consumer_list_render(list, timestamp_now_us(), &out, text_colour(stdout));
    int code = ctl_print(&out);
    buffer_free(&out);
    return code;
}

static int list_all(const struct ctl *ctl)
{
    sqlite3 *db = NULL;
    struct consumer_list list = {0};
    int code = ctl_open_cursors(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    int rc = consumer_list_load(db, &list);
    code = rc == SQLITE_OK ? print(ctl, &list) : ctl_fail_sqlite(db, rc, "consumer_offsets");
    consumer_list_free(&list);
    sqlite3_close(db);
    return code;
}

static int usage(const struct ctl *ctl)
{
    ctl_say("usage: outboxctl consumers %s", ctl->command->usage);
    return EXIT_USAGE;
}

int ctl_consumers(struct ctl *ctl, int argc, char **argv)
{
    struct consent consent = {0};
    bool force = false;
    const struct option_spec options[] = {
        {"dry-run", OPTION_FLAG, &consent.dry_run}, {"yes", OPTION_FLAG, &consent.yes}, {"force", OPTION_FLAG, &force}};
    int code;
    if (!arguments_read(ctl, options, 3, 0, 3, &argc, argv, &code))
        return code;
    const char *verb = argc ? argv[0] : "list";
    if (!strcmp(verb, "list"))
        return argc > 1 ? usage(ctl) : list_all(ctl);
    if (!strcmp(verb, "seek"))
        return argc == 3 ? consumers_seek(ctl, &consent, argv[1], argv[2]) : usage(ctl);
    if (!strcmp(verb, "pause"))
        return argc == 2 ? consumers_pause(ctl, argv[1]) : usage(ctl);
    if (!strcmp(verb, "resume"))
        return argc == 2 ? consumers_resume(ctl, argv[1]) : usage(ctl);
    if (!strcmp(verb, "remove"))
        return argc == 2 ? consumers_remove(ctl, &consent, argv[1], force) : usage(ctl);
    ctl_say("consumers: unknown command %s; there are consumers list, seek, pause, resume and remove", verb);
    return EXIT_USAGE;
}

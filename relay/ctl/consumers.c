/* consumers.c — `consumers`: the list. Moving, pausing and removing one is not here yet. */
#include <stdio.h>
#include <string.h>

#include "consumer_list.h"
#include "ctl.h"
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

int ctl_consumers(struct ctl *ctl, int argc, char **argv)
{
    sqlite3 *db = NULL;
    struct consumer_list list = {0};
    int code;
    if (!arguments_read(ctl, NULL, 0, 0, 1, &argc, argv, &code))
        return code;
    if (argc == 1 && strcmp(argv[0], "list") != 0) {
        ctl_say("consumers: unknown command %s; there is: consumers list", argv[0]);
        return EXIT_USAGE;
    }
    code = ctl_open_reader(ctl, &db);
    if (code != EXIT_DONE)
        return code;
    code = consumer_list_load(db, &list) == SQLITE_OK ? print(ctl, &list) : ctl_fail_sqlite(db, "consumer_offsets");
    consumer_list_free(&list);
    sqlite3_close(db);
    return code;
}

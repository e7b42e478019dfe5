/* failed.c — `failed`: which command is meant, and which deliveries. */
#include <limits.h>
#include <string.h>

#include "failed.h"

/* What changes something wants to be told of what: no selection is not "all". */
static int change(struct ctl *ctl, const struct selection *chosen, const char *verb, const struct consent *consent,
                  bool out_of_order, const char *reason)
{
    if (selection_is_narrow(chosen) == chosen->all) {
        ctl_say("failed %s: name seqs, --consumer, --key or --status; or --all", verb);
        return EXIT_USAGE;
    }
    return *verb == 'r' ? failed_retry(ctl, consent, chosen, out_of_order)
                        : failed_discard(ctl, consent, chosen, reason);
}

static int run(struct ctl *ctl, const char *verb, const struct selection *chosen, const struct consent *consent,
               bool out_of_order, const char *reason)
{
    if (!strcmp(verb, "list"))
        return failed_list(ctl, chosen);
    if (!strcmp(verb, "show"))
        return failed_show(ctl, chosen);
    if (!strcmp(verb, "retry") || !strcmp(verb, "discard"))
        return change(ctl, chosen, verb, consent, out_of_order, reason);
    ctl_say("failed: unknown command %s; there are failed list, show, retry and discard", verb);
    return EXIT_USAGE;
}

int ctl_failed(struct ctl *ctl, int argc, char **argv)
{
    struct selection chosen = {0};
    struct consent consent = {0};
    bool out_of_order = false;
    const char *reason = NULL;
    const struct option_spec options[] = {
        {"consumer", OPTION_TEXT, &chosen.consumer},  {"key", OPTION_TEXT, &chosen.key},
        {"status", OPTION_TEXT, &chosen.status},      {"all", OPTION_FLAG, &chosen.all},
        {"out-of-order", OPTION_FLAG, &out_of_order}, {"reason", OPTION_TEXT, &reason},
        {"dry-run", OPTION_FLAG, &consent.dry_run},   {"yes", OPTION_FLAG, &consent.yes}};
    int code;
    if (!arguments_read(ctl, options, sizeof options / sizeof *options, 0, INT_MAX, &argc, argv, &code))
        return code;
    code = selection_read(&chosen, argc ? argc - 1 : 0, argv + 1);
    if (code == EXIT_DONE)
        code = run(ctl, argc ? argv[0] : "list", &chosen, &consent, out_of_order, reason);
    selection_free(&chosen);
    return code;
}

/* main.c — outboxctl, the operator's hand: finds the command and runs it.
 *
 * What a command needs is in ctl.h; what each does is in its group's file. The exit code is the command's, unless its
 * output could not be written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "suggest.h"

static const struct command commands[] = {
    {"init", "", "Creates the database where it is missing, and our tables in it; brings older ones up to date.",
     ctl_init},
    {"schema", "", "Prints the schema as SQL, for applications that own their migrations.", ctl_schema},
    {"set",
     "history DURATION|forever | retain DURATION|forever | max-payload SIZE | dead-alarm N|never | failed-alarm N|never",
     "Says how long change_log (7d) and outbox rows (0s) are kept at least, how large a payload may be (1M), and how many "
     "dead letters (1000) or failed deliveries (100000) of a consumer are an alarm.",
     ctl_set},
    {"new-source", "[--seq-after N] [--dry-run] [--yes]",
     "After a restore or a copy: draws a new source, whose events begin beyond anything the former one gave out.",
     ctl_new_source},
    {"status", "", "Shows what is owed to whom, what is stuck since when, and the command that helps.", ctl_status},
    {"upsert", "TABLE JSON [--revision N]",
     "Writes a row and its event, and prints the row's new revision. JSON may be - for standard input.", ctl_upsert},
    {"get", "TABLE KEY", "Prints a row as JSON.", ctl_get},
    {"delete", "TABLE KEY [--revision N]", "Deletes a row and writes its event.", ctl_delete},
    {"emit", "TOPIC KEY PAYLOAD [--blob] [--ordering-key K] [--headers JSON]",
     "Writes an event that belongs to no row, and prints its seq. An empty KEY is none; PAYLOAD may be - for standard input.",
     ctl_emit},
    {"capture", "TABLE… [--options JSON]",
     "Puts triggers on tables, so that every plain statement of any program is logged and owed; again to bring them up "
     "to date.",
     ctl_capture},
    {"release", "TABLE…", "Takes the triggers of `capture` away.", ctl_release},
    {"events", "[--after SEQ] [--limit N] [--follow]", "Prints what is in change_log, one JSON object per line.",
     ctl_events},
    {"history", "TABLE KEY", "Prints every revision of a row that change_log still has, and what it changed.",
     ctl_history},
    {"tail", "FILE --consumer NAME [--from start|now|SEQ] [--follow] [--exec CMD]",
     "Prints the events of a JSONL stream after NAME's cursor, or gives them to CMD, and acknowledges them.", ctl_tail},
    {"snapshot", "[TABLE…]", "Prints every row of the tables as of one seq, one event of op `row` per line.",
     ctl_snapshot},
    {"consumers",
     "[list | seek NAME SEQ|start|now [--dry-run] [--yes] | pause NAME | resume NAME | remove NAME [--force] [--dry-run] [--yes]]",
     "Lists the consumers, how far each is and who holds it; moves a cursor, stops and goes on, forgets a consumer.",
     ctl_consumers},
    {"failed",
     "[list|show|retry|discard] [SEQ…] [--consumer NAME] [--key KEY] [--status STATE|NUMBER] [--all] [--out-of-order] "
     "[--reason TEXT] [--dry-run] [--yes]",
     "Lists and shows the deliveries that stepped aside (retry, waiting, dead), tries them again, or gives them up.",
     ctl_failed},
    {"verify", "[FILE] [--filtered]",
     "Checks the database against itself, and the stream FILE against itself and the database.", ctl_verify},
    {"replay", "--consumer NAME --from SEQ [--to SEQ] [--dry-run] [--yes]",
     "Sends events again that a webhook has acknowledged, beside its cursor and under the same ids.", ctl_replay},
    {"erase", "TABLE|TOPIC KEY [FILE…] [--owed] [--dry-run] [--yes]",
     "Empties the payloads of one key in the database and in the streams FILE…; the events themselves stay.",
     ctl_erase},
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const char help_head[] = "usage: outboxctl [--db PATH] [--json] COMMAND …\n\n";
static const char help_tail[] =
    "\nThe database is --db, else $OUTBOX_DB, else outbox.db. --json prints JSON for programs.\n"
    "Exit code: 0 done, 1 no (conflict, not found), 2 usage, 100 permanent, 111 temporary.\n";

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *near = suggest_name(name, names, COMMAND_COUNT);
    if (near)
        ctl_say("unknown command %s; did you mean %s?", name, near);
    else
        ctl_say("unknown command %s; see outboxctl --help", name);
    return EXIT_USAGE;
}

static int print_help(void)
{
    fputs(help_head, stdout);
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].summary);
    fputs(help_tail, stdout);
    return EXIT_DONE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    int code;
    if (argc == 1 && !strcmp(argv[0], "--version")) {
        puts("outboxctl " OUTBOX_BUILD_VERSION);
        return EXIT_DONE;
    }
    if (!arguments_read_global(ctl, &argc, &argv, &code))
        return code;
    if (argc == 0 && ctl->help)
        return print_help();
    if (argc == 0) {
        ctl_say("a command is missing; see outboxctl --help");
        return EXIT_USAGE;
    }
    ctl->command = find_command(argv[0]);
    if (!ctl->command)
        return unknown_command(argv[0]);
    return ctl->command->run(ctl, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    const char *from_environment = getenv("OUTBOX_DB");
    struct ctl ctl = {.db_path = from_environment && *from_environment ? from_environment : "outbox.db"};
    int code = run(&ctl, argc > 0 ? argc - 1 : 0, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_say("standard output: %s", strerror(errno));
        return code == EXIT_DONE ? EXIT_TEMPORARY : code;
    }
    return code;
}

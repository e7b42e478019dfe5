/* receiver.c — the scripted server as a program, for end-to-end tests.
 *
 *     receiver [--port N] [--secret whsec_…] [--log FILE] [--answer 'MATCH ACTION']…
 *
 * prints "port N", then one JSON line per request to the log (standard output without one). The first rule whose MATCH
 * fits decides; without one it is 200.
 *     MATCH    *  |  key=KEY  |  first=N (the first N requests)  |  each=N (the first N attempts of each event)
 *     ACTION   STATUS [Header: value]  |  close  |  hang  |  trickle  |  huge  |  headers  |  bulky  |  cut  |  half  |
 *              stall  |  chunks  |  reset  |  garbage  |  echo=STATUS
 *              and before it, perhaps, delay=MS
 * SIGTERM ends it, with a last line that counts requests and overlaps.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>

#include "json_write.h"
#include "outbox_webhook.h"
#include "scripted_server.h"
#include "timestamp.h"

enum { RULES_MAX = 32 };

struct rule {
    char key[128];
    int first, each; /* 0: not asked for */
    struct server_answer answer;
};

struct receiver {
    struct rule rules[RULES_MAX];
    int rule_count;
    outbox_webhook_secret secret;
    bool has_secret;
    FILE *log;
};

static bool rule_fits(const struct rule *rule, const struct server_request *r)
{
    return (!rule->key[0] || strcmp(rule->key, r->key) == 0) && (!rule->first || r->arrival <= rule->first) &&
           (!rule->each || r->attempt <= rule->each);
}

static void answer_by_rules(void *arg, const struct server_request *r, struct server_answer *answer)
{
    const struct receiver *receiver = arg;

    for (int i = 0; i < receiver->rule_count; i++)
        if (rule_fits(&receiver->rules[i], r)) {
            *answer = receiver->rules[i].answer;
            return;
        }
}

static bool parse_action(char *text, struct server_answer *answer)
{
    static const char *const ways[] = {
        [ANSWER_CLOSE] = "close",   [ANSWER_HANG] = "hang",       [ANSWER_TRICKLE] = "trickle",
        [ANSWER_HUGE] = "huge",     [ANSWER_HEADERS] = "headers", [ANSWER_BULKY] = "bulky",
        [ANSWER_CUT] = "cut",       [ANSWER_HALF] = "half",       [ANSWER_STALL] = "stall",
        [ANSWER_CHUNKS] = "chunks", [ANSWER_RESET] = "reset",     [ANSWER_GARBAGE] = "garbage"};
    int used = 0;

    if (sscanf(text, "delay=%d %n", &answer->delay_ms, &used) == 1)
        text += used;
    for (size_t i = 1; i < sizeof ways / sizeof *ways; i++)
        if (ways[i] && strcmp(text, ways[i]) == 0) {
            answer->way = (enum server_way)i;
            return true;
        }
    if (sscanf(text, "echo=%d", &answer->status) == 1) {
        answer->way = ANSWER_ECHO;
        return true;
    }
    if (sscanf(text, "%d %n", &answer->status, &used) != 1)
        return false;
    if (text[used])
        snprintf(answer->extra, sizeof answer->extra, "%s\r\n", text + used);
    return true;
}

static bool parse_rule(char *text, struct rule *rule)
{
    char *action = strchr(text, ' ');

    if (!action)
        return false;
    *action++ = 0;
    *rule = (struct rule){.answer = {.way = ANSWER_STATUS}};
    bool known = strcmp(text, "*") == 0 || sscanf(text, "key=%127s", rule->key) == 1 ||
                 sscanf(text, "first=%d", &rule->first) == 1 || sscanf(text, "each=%d", &rule->each) == 1;
    return known && parse_action(action, &rule->answer);
}

static const char *judge_signature(const struct receiver *receiver, const struct server_request *r)
{
    char timestamp[32], signatures[256];

    server_header(r->head, "webhook-timestamp", timestamp, sizeof timestamp);
    server_header(r->head, "webhook-signature", signatures, sizeof signatures);
    if (!receiver->has_secret || !signatures[0])
        return signatures[0] ? "unchecked" : "none";
    return outbox_webhook_verify(r->id, timestamp, signatures, r->body, r->body_size, &receiver->secret, 1, time(NULL),
                                 OUTBOX_WEBHOOK_TOLERANCE_S) == OUTBOX_WEBHOOK_OK
               ? "ok"
               : "bad";
}

static void append_member(struct buffer *line, const char *name, const char *value, size_t size)
{
    buffer_append_text(line, line->size > 1 ? ",\"" : "\"");
    buffer_append_text(line, name);
    buffer_append_text(line, "\":");
    json_write_text(line, value, size);
}

static void append_number(struct buffer *line, const char *name, int64_t value)
{
    buffer_append_text(line, line->size > 1 ? ",\"" : "\"");
    buffer_append_text(line, name);
    buffer_append_text(line, "\":");
    json_write_int(line, value);
}

static void log_request(void *arg, const struct server_request *r)
{
    struct receiver *receiver = arg;
    struct buffer line = {0};
    const char *signature = judge_signature(receiver, r);

    buffer_append_byte(&line, '{');
    append_number(&line, "arrival", r->arrival);
    append_number(&line, "at", timestamp_now_us());
    append_member(&line, "id", r->id, strlen(r->id));
    append_member(&line, "key", r->key, strlen(r->key));
    append_number(&line, "attempt", r->attempt);
    append_number(&line, "overlaps", r->overlaps);
    append_member(&line, "signature", signature, strlen(signature));
    append_member(&line, "head", r->head, strlen(r->head));
    append_member(&line, "body", r->body, r->body_size);
    buffer_append_text(&line, "}\n");
    fwrite(line.data, 1, line.size, receiver->log);
    fflush(receiver->log);
    buffer_free(&line);
}

static bool parse_options(struct receiver *receiver, int argc, char **argv, int *port)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"secret", required_argument, NULL, 's'},
                                            {"log", required_argument, NULL, 'l'},
                                            {"answer", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': *port = atoi(optarg); break;
        case 's':
            receiver->has_secret = outbox_webhook_secret_parse(optarg, &receiver->secret) == OUTBOX_WEBHOOK_OK;
            if (!receiver->has_secret)
                return false;
            break;
        case 'l':
            receiver->log = fopen(optarg, "a");
            if (!receiver->log)
                return false;
            break;
        case 'a':
            if (receiver->rule_count == RULES_MAX || !parse_rule(optarg, &receiver->rules[receiver->rule_count++]))
                return false;
            break;
        default: return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct receiver receiver = {.log = stdout};
    struct server server;
    int port = 0, signal_number;
    sigset_t ending;

    if (!parse_options(&receiver, argc, argv, &port)) {
        fprintf(stderr, "usage: receiver [--port N] [--secret S] [--log FILE] [--answer 'MATCH ACTION']...\n");
        return 2;
    }
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL); /* in every thread: only sigwait() gets them */
    if (!server_start(&server, port, answer_by_rules, &receiver)) {
        fprintf(stderr, "receiver: port %d: %s\n", port, strerror(errno));
        return 1;
    }
    pthread_mutex_lock(&server.lock);
    server.seen = log_request;
    pthread_mutex_unlock(&server.lock);
    printf("port %d\n", server.port);
    fflush(stdout);
    sigwait(&ending, &signal_number);
    server_stop(&server);
    fprintf(receiver.log, "{\"requests\":%d,\"overlaps\":%d,\"most\":%d}\n", server.request_count, server.overlaps,
            server.most_under_way);
    server_free(&server);
    return fclose(receiver.log) == 0 ? 0 : 1;
}

/* receiver.c — receives webhooks: verifies each signature, drops repeats, prints one line per event.
 *
 *     receiver --secret-file FILE [--port N] [--seen FILE]
 *
 * Delivery is at least once: after a crash or a lost answer the same event comes again, under the same webhook-id. So a
 * receiver remembers the ids that it has dealt with and answers 200 to those too. This one keeps them in memory and,
 * with --seen, in a file that is synced before the answer; a real one keeps them in the database that its work goes to,
 * in the same transaction.
 *
 * --port 0, the default, lets the kernel choose; the first line printed is "listening on 127.0.0.1:PORT". Needs
 * libmicrohttpd and liboutbox-webhook.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <search.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <microhttpd.h>

#include <outbox_webhook.h>

enum { BODY_MAX = 4 << 20, ID_MAX = 128, SECRETS_MAX = 3 };

/* ---- Ids that were dealt with ------------------------------------------------------------------------------------- */

struct seen {
    void *tree; /* tsearch(3): of char * */
    FILE *file; /* NULL: in memory only */
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool seen_before(const struct seen *seen, const char *id)
{
    return tfind(id, &seen->tree, compare_ids) != NULL;
}

static bool keep_in_tree(struct seen *seen, const char *id)
{
    char *copy = strdup(id);

    return copy && tsearch(copy, &seen->tree, compare_ids);
}

/* Durable when it returns true: only then may the sender be told that we have the event. */
static bool remember(struct seen *seen, const char *id)
{
    if (seen->file &&
        (fprintf(seen->file, "%s\n", id) < 0 || fflush(seen->file) != 0 || fdatasync(fileno(seen->file)) != 0))
        return false;
    return keep_in_tree(seen, id);
}

static bool open_seen(struct seen *seen, const char *path)
{
    char line[ID_MAX + 2];

    seen->file = fopen(path, "a+");
    if (!seen->file)
        return false;
    while (fgets(line, sizeof line, seen->file)) {
        size_t length = strcspn(line, "\n");
        if (line[length] != '\n')
            continue; /* torn by a crash: its event was not acknowledged, and comes again */
        line[length] = 0;
        if (!seen_before(seen, line) && !keep_in_tree(seen, line))
            return false;
    }
    return true;
}

/* ---- Requests ------------------------------------------------------------------------------------------------------- */

struct receiver {
    outbox_webhook_secret secrets[SECRETS_MAX];
    int secret_count;
    struct seen seen;
};

struct request {
    char *body;
    size_t size;
    bool too_big;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *words)
{
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(strlen(words), strdup(words),
                                                                                       free);

    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Prints `ID BODY`, the body on one line whatever is in it. Here a real receiver does its work. */
static void deal_with(const char *id, const struct request *request)
{
    printf("%s ", id);
    for (size_t i = 0; i < request->size; i++) {
        unsigned char c = (unsigned char)request->body[i];
        putchar(c < 0x20 || c == 0x7f ? ' ' : c);
    }
    putchar('\n');
    fflush(stdout);
}

static enum MHD_Result receive(struct receiver *receiver, struct MHD_Connection *connection,
                               const struct request *request)
{
    const char *id = header(connection, "webhook-id");

    /* The bytes as they came: parsed and written anew they would not be the ones that were signed. */
    int result = outbox_webhook_verify(
        id, header(connection, "webhook-timestamp"), header(connection, "webhook-signature"), request->body,
        request->size, receiver->secrets, receiver->secret_count, time(NULL), OUTBOX_WEBHOOK_TOLERANCE_S);
    if (result != OUTBOX_WEBHOOK_OK) {
        fprintf(stderr, "receiver: refused: %s\n", outbox_webhook_strerror(result));
        return answer(connection, result == OUTBOX_WEBHOOK_FAULT ? 500 : 401, outbox_webhook_strerror(result));
    }
    if (strlen(id) > ID_MAX || strcspn(id, "\r\n") != strlen(id))
        return answer(connection, 400, "webhook-id is too long");
    if (seen_before(&receiver->seen, id))
        return answer(connection, 200, "had it already");
    deal_with(id, request);
    if (!remember(&receiver->seen, id))
        return answer(connection, 500, "could not be recorded"); /* it comes again: better twice than never */
    return answer(connection, 200, "thank you");
}

/* libmicrohttpd calls this once with the headers, then for each part of the body, then once more at its end. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct request *request = *state;
    (void)url;
    (void)version;

    if (!request) {
        *state = calloc(1, sizeof *request);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*upload_size) {
        char *longer = NULL;
        if (request->size + *upload_size <= BODY_MAX)
            longer = realloc(request->body, request->size + *upload_size);
        request->too_big |= !longer;
        if (longer) {
            memcpy(longer + request->size, upload, *upload_size);
            request->body = longer;
            request->size += *upload_size;
        }
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "POST") != 0)
        return answer(connection, 405, "POST only");
    if (request->too_big)
        return answer(connection, 413, "too large");
    return receive(arg, connection, request);
}

static void forget_request(void *arg, struct MHD_Connection *connection, void **state,
                           enum MHD_RequestTerminationCode how)
{
    struct request *request = *state;
    (void)arg;
    (void)connection;
    (void)how;

    if (request)
        free(request->body);
    free(request);
    *state = NULL;
}

/* ---- Start and end ---------------------------------------------------------------------------------------------------- */

/* One secret per line, the newest first, as outbox-relay reads it. */
static bool read_secrets(struct receiver *receiver, const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");

    if (!file)
        return false;
    errno = EINVAL;
    bool good = true;
    while (good && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!line[0])
            continue;
        good = receiver->secret_count < SECRETS_MAX &&
               outbox_webhook_secret_parse(line, &receiver->secrets[receiver->secret_count++]) == OUTBOX_WEBHOOK_OK;
    }
    fclose(file);
    return good && receiver->secret_count > 0;
}

static struct MHD_Daemon *listen_on(struct receiver *receiver, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* One thread: `seen` needs no lock, and events are dealt with one after the other. */
    return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, receiver,
                            MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED,
                            forget_request, NULL, MHD_OPTION_END);
}

static void wait_for_the_end(void)
{
    sigset_t ending;
    int which;

    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigwait(&ending, &which);
}

static void block_ending(void)
{
    sigset_t ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, NULL); /* in the daemon's thread too: the end is waited for in main */
}

static int complain(const char *what, const char *name)
{
    fprintf(stderr, "receiver: %s %s: %s\n", what, name, strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"secret-file", required_argument, NULL, 's'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"seen", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct receiver receiver = {.secret_count = 0};
    const char *secret_file = NULL, *seen_file = NULL;
    int port = 0;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 's': secret_file = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'n': seen_file = optarg; break;
        default: return 2;
        }
    }
    if (!secret_file || optind != argc) {
        fprintf(stderr, "usage: receiver --secret-file FILE [--port N] [--seen FILE]\n");
        return 2;
    }
    if (!read_secrets(&receiver, secret_file))
        return complain("secrets from", secret_file);
    if (seen_file && !open_seen(&receiver.seen, seen_file))
        return complain("ids from", seen_file);
    block_ending();
    struct MHD_Daemon *daemon = listen_on(&receiver, port);
    if (!daemon)
        return complain("listening on", "127.0.0.1");
    printf("listening on 127.0.0.1:%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    wait_for_the_end();
    MHD_stop_daemon(daemon);
    tdestroy(receiver.seen.tree, free);
    if (receiver.seen.file)
        fclose(receiver.seen.file);
    return 0;
}

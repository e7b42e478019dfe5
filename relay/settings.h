/* settings.h — what the operator asked for, from the command line, the environment and the config file, checked.
 *
 * Plain data: settings_load() fills it, nothing changes it afterwards, pipelines borrow their part until they are
 * closed. Flag over environment over file over default.
 */
#ifndef RELAY_SETTINGS_H
#define RELAY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "sinks/address.h"

enum sink_kind { SINK_JSONL, SINK_WEBHOOK, SINK_EXEC, SINK_STDOUT, SINK_NULL };

enum start_at { START_OLDEST, START_NOW, START_SEQ };

enum event_format { FORMAT_NATIVE, FORMAT_CLOUDEVENTS, FORMAT_CLOUDEVENTS_BINARY, FORMAT_PAYLOAD };

struct jsonl_settings {
    char *path;
    int64_t max_size_bytes;   /* --jsonl-max-size, 64M */
    int64_t keep_count;       /* --jsonl-keep; 0: every segment */
    int64_t keep_size_bytes;  /* --jsonl-keep-size; 0: no limit */
    int64_t keep_age_us;      /* --jsonl-keep-age; 0: no limit */
    bool sync_never;          /* --jsonl-sync never */
    enum event_format format; /* NATIVE or CLOUDEVENTS */
};

enum { WEBHOOK_SECRETS_MAX = 3, WEBHOOK_EVENT_HEADERS_MAX = 16 };

struct webhook_secret {
    unsigned char *key;
    size_t size_bytes; /* 24 to 64 */
};

struct webhook_settings {
    char *url;
    char *url_shown;                                    /* scheme and host: all that logs and status may show */
    struct webhook_secret secrets[WEBHOOK_SECRETS_MAX]; /* newest first */
    int secret_count;
    char **headers;           /* "Name: value", checked; NULL-terminated; may be NULL */
    char **event_headers;     /* names of those of an event's own headers that go out; likewise */
    enum event_format format; /* default CLOUDEVENTS */
    int batch_count;          /* --webhook-batch, 1 */
    int concurrency;          /* --concurrency, 8 */
    int64_t timeout_us;       /* --timeout, 30s, the whole request */
    int64_t connect_timeout_us;
    int max_attempts;                       /* --max-attempts */
    int64_t max_age_us;                     /* --max-age; 0: no limit */
    int64_t backoff_min_us, backoff_max_us; /* --backoff MIN,MAX */
    int64_t keep_answer_bytes;              /* --keep-answer; 0: nothing of it */
    bool skip_dead;                         /* --on-dead skip; default park */
    bool allow_http;                        /* --allow-http: plain http to public addresses too */
    bool public_only;                       /* --public-only: connect to public addresses and those allowed */
    struct address_block *allowed;          /* --allow-address */
    int allowed_count;
    char *ca_file;     /* --ca-file: whom to trust instead of the system's; NULL: those */
    char *client_cert; /* --client-cert, or NULL */
    char *client_key;  /* --client-key; NULL: it is in client_cert's file */
};

struct exec_settings {
    char *command;      /* for /bin/sh -c */
    int64_t timeout_us; /* --timeout, 30s: for its end once its input is to be closed */
};

struct sink_settings {
    char *name;      /* the section's title, or the kind's name */
    char *consumer;  /* --consumer, or name */
    bool registered; /* false: --stdout without --consumer keeps no cursor */
    enum sink_kind kind;
    enum start_at start;
    int64_t start_seq; /* START_SEQ: the first one delivered */
    int read_batch;    /* events per read at the most */
    int rate;          /* --rate, events delivered per second; 0: no limit */
    char *filter;      /* SQL; NULL: everything */
    char *transform;   /* SQL giving the new payload; NULL: as it is */
    char *before_transform;
    struct jsonl_settings jsonl; /* where kind says so */
    struct webhook_settings webhook;
    struct exec_settings exec;
};

struct relay_settings {
    char *db_path;
    char *config_path; /* NULL: none */
    bool once, check_config;
    enum log_format log_format;
    enum log_level log_level;
    struct sink_settings *sinks;
    int sink_count;
};

enum settings_result { SETTINGS_OK, SETTINGS_BAD, SETTINGS_EXIT /* --help or --version was printed */ };

/* Reads it all. On SETTINGS_BAD message holds one line: what is wrong, where, what to try. The settings are the
 * caller's, to be freed, whatever it returns. */
enum settings_result settings_load(struct relay_settings *, int argc, char **argv, char *message, size_t message_size);

void settings_free(struct relay_settings *);

/* "webhook", …: the word for a kind of sink in settings, messages and consumer_offsets. */
const char *sink_kind_name(enum sink_kind);

/* --check-config: what was understood, on standard output; no secret, URLs as scheme and host. */
void settings_print(const struct relay_settings *);

#endif

/* status_report.h — where everything stands, as one moment of the database, and what an operator should do about it.
 *
 * Gathering (status_gather.c) reads; judging (status_judge.c) is pure: numbers in, findings out.
 */
#ifndef OUTBOXCTL_STATUS_REPORT_H
#define OUTBOXCTL_STATUS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "consumer_list.h"
#include "failed_alarm.h"

struct status {
    char path[4096]; /* absolute */
    char source[17];
    int64_t schema_version;
    int64_t last_seq; /* 0: no event yet */
    int64_t outbox_rows;
    int64_t change_log_rows; /* from the first seq to the last: counting would read the whole table */
    int64_t first_seq;       /* the oldest in change_log; 0: none */
    int64_t database_bytes, wal_bytes;
    bool wal; /* journal_mode */
    int64_t history_us, retain_us, max_payload_bytes;
    bool history_forever, retain_forever;
    struct failed_limits failed_limits;
    int sqlite_version; /* as sqlite3_libversion_number() */
    int64_t now_us;
    struct consumer_list consumers;
};

/* Fills s, to be freed whatever it returns, in one read transaction. Returns the SQLite code. */
int status_gather(sqlite3 *, struct status *);
void status_free(struct status *);

enum finding_level { FINDING_NOTE, FINDING_WARNING, FINDING_ALARM };

struct finding {
    enum finding_level level;
    char text[320];    /* one sentence, or two */
    char command[320]; /* that helps; "" where none does */
};

enum { FINDINGS_MAX = 64 };

struct findings {
    struct finding items[FINDINGS_MAX];
    int count;
    bool full;  /* there was more to say */
    bool alarm; /* among all there was to say */
};

void status_judge(const struct status *, struct findings *);

#endif

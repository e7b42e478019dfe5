/* failed_alarm.h — when so many deliveries of a consumer have failed that somebody has to be told.
 *
 * Nothing is dropped for being one too many: what is over a limit is said, here by the relay when it comes about, and by
 * `outboxctl status` for as long as it lasts.
 */
#ifndef RELAY_FAILED_ALARM_H
#define RELAY_FAILED_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

/* Rows of failed_deliveries that one consumer may have before it is an alarm, as `outboxctl set` keeps them in
 * outbox_meta. INT64_MAX: never is. */
struct failed_limits {
    int64_t dead; /* dead_alarm; without that row 1,000 */
    int64_t all; /* failed_alarm, in whatever state; without that row 100,000: what one replay sets aside is no alarm */
};

int failed_limits_read(sqlite3 *, struct failed_limits *); /* SQLite code; unless OK, limits are left alone */

/* One consumer's. Zero is the beginning. */
struct failed_alarm {
    int64_t calm; /* that many changes more cannot raise it, or lower it unnoticed */
    bool raised;
};

/* After a commit that has changed this many rows of the consumer's: counts them where it may matter, and logs once what
 * has come to be too many, at most a hundredth late; again only after it was down to half of that. An error of the database
 * is left to whoever writes it next. */
void failed_alarm_note(struct failed_alarm *, sqlite3 *, const char *consumer, int64_t changes);

#endif

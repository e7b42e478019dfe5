/* log.h — one line per thing worth saying, on standard error, as text or JSON.
 *
 * The code that decides logs, once. Secrets never get here: callers show a URL as scheme and host. Control bytes in
 * values are escaped, so one line stays one line. Callable from every thread.
 */
#ifndef RELAY_LOG_H
#define RELAY_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_setup(enum log_level, enum log_format);
bool log_level_parse(const char *text, enum log_level *); /* error, warn, info, debug */
bool log_format_parse(const char *text, enum log_format *);

/* consumer NULL: about the relay as a whole. Text: `2026-11-21T05:21:00.123456Z warn webhook: words`; under systemd
 * (JOURNAL_STREAM) `<4>webhook: words`. JSON: {"time":…,"level":…,"consumer":…,"message":…}. */
void log_write(enum log_level, const char *consumer, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* About one event: adds seq, attempt (0: left out) and outcome ("delivered", "retry", "dead") as fields of their own. */
void log_delivery(enum log_level, const char *consumer, int64_t seq, int attempt, const char *outcome,
                  const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif

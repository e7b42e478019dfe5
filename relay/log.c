/* log.c — formats and writes log lines; see log.h.
 *
 * A line is built in memory and leaves whole (log_out.h). A log that cannot be written is nobody's reason to stop: what was
 * lost of it is said when it can be written again.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "json_write.h"
#include "log.h"
#include "log_out.h"
#include "timestamp.h"
#include "utf8.h"

enum { WORDS_SIZE = 2048 };

static struct {
    _Atomic int level, format;
    _Atomic bool journal; /* standard error is journald's: it wants <PRIORITY> and adds the time itself */
} setup = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, false};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const level_priorities[] = {"<3>", "<4>", "<6>", "<7>"};

/* One event's fields, or NULL for a line that is about no event. */
struct delivery {
    int64_t seq;
    int attempt;
    const char *outcome;
};

/* systemd sets JOURNAL_STREAM to DEVICE:INODE of the stream it made; a redirected stderr is another file. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_level level, enum log_format format)
{
    setup.level = (int)level;
    setup.format = (int)format;
    setup.journal = stderr_is_journal();
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof *level_names); i++)
        if (!strcmp(text, level_names[i])) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

bool log_format_parse(const char *text, enum log_format *format)
{
    bool json = !strcmp(text, "json");
    if (!json && strcmp(text, "text"))
        return false;
    *format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return true;
}

/* Text as a terminal may safely show it: control characters (C1 ones too) and what is not UTF-8 come out as \xNN. */
static void append_safe(struct buffer *line, const char *text)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + strlen(text);
    while (p < end) {
        int n = utf8_sequence(p, end);
        bool control = *p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0);
        if (n > 0 && !control) {
            buffer_append(line, p, (size_t)n);
            p += n;
        } else {
            char hex[5];
            snprintf(hex, sizeof hex, "\\x%02x", *p++);
            buffer_append_text(line, hex);
        }
    }
}

static void append_json_field(struct buffer *line, const char *name, const char *text)
{
    if (line->size > 1) /* not the first after the brace */
        buffer_append_byte(line, ',');
    json_write_text(line, name, strlen(name));
    buffer_append_byte(line, ':');
    json_write_text(line, text, strlen(text));
}

static void append_json_int(struct buffer *line, const char *name, int64_t value)
{
    buffer_append_byte(line, ',');
    json_write_text(line, name, strlen(name));
    buffer_append_byte(line, ':');
    json_write_int(line, value);
}

static void format_json(struct buffer *line, enum log_level level, const char *time, const char *consumer,
                        const struct delivery *about, const char *words)
{
    buffer_append_byte(line, '{');
    append_json_field(line, "time", time);
    append_json_field(line, "level", level_names[level]);
    if (consumer)
        append_json_field(line, "consumer", consumer);
    if (about) {
        append_json_int(line, "seq", about->seq);
        if (about->attempt)
            append_json_int(line, "attempt", about->attempt);
        append_json_field(line, "outcome", about->outcome);
    }
    append_json_field(line, "message", words);
    buffer_append_text(line, "}\n");
}

static void format_text(struct buffer *line, enum log_level level, const char *time, const char *consumer,
                        const struct delivery *about, const char *words)
{
    if (setup.journal) {
        buffer_append_text(line, level_priorities[level]);
    } else {
        buffer_append_text(line, time);
        buffer_append_byte(line, ' ');
        buffer_append_text(line, level_names[level]);
        buffer_append_byte(line, ' ');
    }
    if (consumer) {
        append_safe(line, consumer);
        buffer_append_text(line, ": ");
    }
    append_safe(line, words);
    if (about) {
        char fields[64];
        snprintf(fields, sizeof fields, " seq=%lld", (long long)about->seq);
        buffer_append_text(line, fields);
        if (about->attempt) {
            snprintf(fields, sizeof fields, " attempt=%d", about->attempt);
            buffer_append_text(line, fields);
        }
        buffer_append_text(line, " outcome=");
        append_safe(line, about->outcome);
    }
    buffer_append_byte(line, '\n');
}

/* There is no memory for the line: the words alone, without what would have to be escaped. */
static int64_t write_plainly(enum log_level level, const char *time, char *words)
{
    char line[WORDS_SIZE + 128];
    for (char *c = words; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    int size = setup.format == LOG_FORMAT_JSON
                   ? snprintf(line, sizeof line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"%s\"}\n", time,
                              level_names[level], words)
                   : snprintf(line, sizeof line, "%s%s %s %s\n", setup.journal ? level_priorities[level] : "", time,
                              level_names[level], words);
    return log_out_write(line, (size_t)size);
}

/* How many lines were lost before it. */
static int64_t put_line(enum log_level level, const char *consumer, const struct delivery *about, char *words)
{
    char time[TIMESTAMP_SIZE];
    struct buffer line = {0};
    timestamp_format(time, timestamp_now_us());
    if (setup.format == LOG_FORMAT_JSON)
        format_json(&line, level, time, consumer, about, words);
    else
        format_text(&line, level, time, consumer, about, words);
    int64_t lost = buffer_ok(&line) ? log_out_write(line.data, line.size) : write_plainly(level, time, words);
    buffer_free(&line);
    return lost;
}

static void write_line(enum log_level level, const char *consumer, const struct delivery *about, const char *format,
                       va_list args) __attribute__((format(printf, 4, 0)));

static void write_line(enum log_level level, const char *consumer, const struct delivery *about, const char *format,
                       va_list args)
{
    char words[WORDS_SIZE];
    vsnprintf(words, sizeof words, format, args);
    int64_t lost = put_line(level, consumer, about, words);
    if (lost == 0)
        return;
    snprintf(words, sizeof words, "%lld lines of the log before that one are lost: standard error took none",
             (long long)lost);
    put_line(LOG_LEVEL_WARN, NULL, NULL, words);
}

void log_write(enum log_level level, const char *consumer, const char *format, ...)
{
    if ((int)level > setup.level)
        return;
    va_list args;
    va_start(args, format);
    write_line(level, consumer, NULL, format, args);
    va_end(args);
}

void log_delivery(enum log_level level, const char *consumer, int64_t seq, int attempt, const char *outcome,
                  const char *format, ...)
{
    if ((int)level > setup.level)
        return;
    struct delivery about = {seq, attempt, outcome};
    va_list args;
    va_start(args, format);
    write_line(level, consumer, &about, format, args);
    va_end(args);
}

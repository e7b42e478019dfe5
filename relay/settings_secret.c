/* settings_secret.c — see settings_secret.h.
 *
 * Permissions are looked at on the opened descriptor, so the file that is judged is the file that is read. No message
 * quotes content: a line in the wrong place would show the secret to whoever reads the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outbox_webhook.h"
#include "settings_secret.h"

enum { SECRET_FILE_MAX = 16384 };

static const char blanks[] = " \t\r\n";

void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* Whether the open file is private to us; if not, why says how to make it so. */
static bool is_private(int fd, const char *path, char *why, size_t why_size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        snprintf(why, why_size, "%s is not a regular file", path);
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        snprintf(why, why_size, "%s belongs to another user; chown it to the one that runs the relay", path);
    else if (st.st_mode & (S_IRWXG | S_IRWXO))
        snprintf(why, why_size, "others can read %s (mode %04o); chmod 600 it", path, (unsigned)(st.st_mode & 07777));
    else if (st.st_size > SECRET_FILE_MAX)
        snprintf(why, why_size, "%s is over %d bytes: not a file of secrets", path, SECRET_FILE_MAX);
    else
        return true;
    return false;
}

static char *read_all(int fd)
{
    char *text = calloc(1, SECRET_FILE_MAX + 1);
    size_t size = 0;
    while (text && size < SECRET_FILE_MAX) {
        ssize_t n = read(fd, text + size, SECRET_FILE_MAX - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            secret_free(text);
            return NULL;
        }
        if (n == 0)
            break;
        size += (size_t)n;
    }
    return text;
}

char *secret_file_read(const char *path, char *why, size_t why_size)
{
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a FIFO must not make us wait */
    if (fd < 0) {
        snprintf(why, why_size, "%s: %s", path,
                 errno == ELOOP ? "a symbolic link; name the file itself" : strerror(errno));
        return NULL;
    }
    if (is_private(fd, path, why, why_size)) {
        text = read_all(fd);
        if (!text)
            snprintf(why, why_size, "%s: %s", path, strerror(errno));
    }
    close(fd);
    return text;
}

void secrets_clear(struct webhook_settings *w)
{
    for (int i = 0; i < w->secret_count; i++) {
        explicit_bzero(w->secrets[i].key, w->secrets[i].size_bytes);
        free(w->secrets[i].key);
        w->secrets[i] = (struct webhook_secret){0};
    }
    w->secret_count = 0;
}

/* One word. It is cut out into memory of its own, which is wiped again. */
static bool add_secret(const char *word, size_t length, struct webhook_settings *w, char *why, size_t why_size)
{
    outbox_webhook_secret secret = {0};
    char *copy = strndup(word, length);
    bool good = copy && outbox_webhook_secret_parse(copy, &secret) == OUTBOX_WEBHOOK_OK;
    unsigned char *key = good ? malloc(secret.size) : NULL;
    secret_free(copy);
    if (key) {
        memcpy(key, secret.key, secret.size);
        w->secrets[w->secret_count++] = (struct webhook_secret){key, secret.size};
    } else {
        snprintf(why, why_size,
                 "secret %d is not the base64 of %d to %d bytes (whsec_ may stand before it); openssl rand -base64 32 "
                 "makes one",
                 w->secret_count + 1, OUTBOX_WEBHOOK_SECRET_MIN, OUTBOX_WEBHOOK_SECRET_MAX);
    }
    explicit_bzero(&secret, sizeof secret);
    return key != NULL;
}

bool secrets_parse(const char *text, struct webhook_settings *w, char *why, size_t why_size)
{
    secrets_clear(w);
    for (const char *p = text + strspn(text, blanks); *p; p += strspn(p, blanks)) {
        size_t length = strcspn(p, blanks);
        if (w->secret_count == WEBHOOK_SECRETS_MAX) {
            snprintf(why, why_size, "more than %d secrets; keep the newest", WEBHOOK_SECRETS_MAX);
            return false;
        }
        if (!add_secret(p, length, w, why, why_size))
            return false;
        p += length;
    }
    if (w->secret_count == 0)
        snprintf(why, why_size, "holds no secret; openssl rand -base64 32 makes one");
    return w->secret_count > 0;
}

void secrets_leave_environment(char **environment)
{
    const size_t length = sizeof SECRET_VARIABLE - 1;
    char **kept = environment;
    for (char **at = environment; *at; at++) {
        if (!strncmp(*at, SECRET_VARIABLE, length) && (*at)[length] == '=')
            explicit_bzero(*at + length, strlen(*at + length)); /* who reads /proc/PID/environ sees it, else */
        else
            *kept++ = *at;
    }
    *kept = NULL;
}

/* wake.c — tells when to look for a new commit. Looking itself (PRAGMA data_version, the SELECT) is the caller's.
 *
 * A commit writes frames to the WAL, perhaps syncs it, and only then shows them in the shared memory, which no
 * notification covers. So a write to the WAL begins a burst of looks with growing pauses, each a quarter longer than
 * the one before: a look comes at most a quarter of the sync's duration late. The pauses end where the slow poll is
 * reached; burst and safety net are one timer.
 *
 * What must never happen: a commit whose write we have noticed is given up before it was looked for long enough. Hence
 * wake_found ends a burst only where no write was noticed since the look before: writers take turns, so such a write
 * may be the next commit's, not yet visible.
 */
#include "wake.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const int64_t PAUSE_FIRST_US = 50, PAUSE_BUSY_US = 1000, PAUSE_SLOW_US = 5000000, PAUSE_POLLING_US = 100000;

struct wake {
    int epoll, timer, poked;
    int inotify, folder_watch, wal_watch; /* -1: none */
    bool deaf;                            /* inotify can't be had, or not for all that must be watched */
    bool listening;                       /* inotify makes the descriptor readable; not while a look is near anyway */
    bool hushed;                          /* until the timer fires no write to the WAL is heard */
    bool has_writer;                      /* one was heard since the last hush began */
    bool written;                         /* the last drain saw a write to the WAL */
    int untold;                           /* heard by wake_writes(), for the next drain to tell */
    bool wal_lost;      /* the WAL had its name taken: others may write to a file that isn't watched */
    uint64_t writes;    /* heard since it was opened; one more than that */
    int64_t pause_us;   /* until the next look */
    char *folder, *wal; /* paths; what is watched may be any file instead of a WAL */
    const char *wal_name;
    size_t db_name_size; /* wal_name begins with the database's; for any other file it is all of it */
};

/* ---- The timer ---------------------------------------------------------------------------------------------------- */

bool wake_is_polling(const struct wake *w)
{
    return w->deaf;
}

static int64_t slowest(const struct wake *w)
{
    return w->deaf ? PAUSE_POLLING_US : PAUSE_SLOW_US;
}

static void listen_for_writes(struct wake *w, bool on)
{
    if (w->inotify < 0 || w->listening == on)
        return;
    struct epoll_event event = {.events = on ? EPOLLIN : 0};
    epoll_ctl(w->epoll, EPOLL_CTL_MOD, w->inotify, &event);
    w->listening = on;
}

/* Sets the next look. A commit writes several times: between its writes the next one need not wake anybody, a short pause
 * does. Once a look has heard none, the next write is another commit's. */
static void rest(struct wake *w, int64_t pause_us)
{
    if (w->hushed) /* its end is a look, whatever else happens before */
        return;
    w->pause_us = pause_us < slowest(w) ? pause_us : slowest(w);
    struct itimerspec when = {
        .it_value = {.tv_sec = w->pause_us / 1000000, .tv_nsec = w->pause_us % 1000000 * 1000},
    };
    timerfd_settime(w->timer, 0, &when, NULL);
    listen_for_writes(w, w->pause_us > PAUSE_BUSY_US || !w->written);
}

void wake_found(struct wake *w)
{
    rest(w, w->written || w->untold ? PAUSE_FIRST_US : slowest(w));
}

/* ---- inotify ------------------------------------------------------------------------------------------------------ */

/* Hushed, the watch is kept for something that does not happen: taking it away and back would cost the kernel more. */
static void watch_wal(struct wake *w)
{
    int watch = inotify_add_watch(w->inotify, w->wal, w->hushed ? IN_DELETE_SELF : IN_MODIFY);

    if (watch < 0 && errno != ENOENT) /* a missing one the folder will announce */
        w->deaf = true;
    if (w->wal_watch >= 0 && w->wal_watch != watch)
        inotify_rm_watch(w->inotify, w->wal_watch); /* the file that had the name before */
    w->wal_watch = watch;
}

/* Hears nothing from now on, until watch_everything finds a folder of this name. */
static void forget_folder(struct wake *w)
{
    if (w->folder_watch >= 0)
        inotify_rm_watch(w->inotify, w->folder_watch);
    w->folder_watch = -1;
    w->deaf = w->wal_lost = true;
}

static void watch_everything(struct wake *w)
{
    static const uint32_t FOLDER_EVENTS = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                          IN_MOVE_SELF | IN_ONLYDIR;

    w->folder_watch = w->inotify < 0 ? -1 : inotify_add_watch(w->inotify, w->folder, FOLDER_EVENTS);
    w->deaf = w->folder_watch < 0;
    if (!w->deaf)
        watch_wal(w);
}

static int on_folder_event(struct wake *w, const struct inotify_event *event)
{
    if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
        forget_folder(w);
        return WAKE_LOOK | WAKE_MOVED;
    }
    if (event->len == 0 || strncmp(event->name, w->wal_name, w->db_name_size) != 0)
        return 0;
    if (event->name[w->db_name_size] == '\0') {
        watch_wal(w);
        return WAKE_LOOK | WAKE_MOVED;
    }
    if (strcmp(event->name, w->wal_name) != 0)
        return 0;
    w->wal_lost = w->wal_lost || !(event->mask & IN_CREATE);
    watch_wal(w); /* created: what was written before the watch is found by the look that follows */
    return WAKE_LOOK;
}

static int on_event(struct wake *w, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        watch_everything(w);
        return WAKE_LOOK | WAKE_MOVED;
    }
    if (event->wd == w->folder_watch)
        return on_folder_event(w, event);
    bool written = event->wd == w->wal_watch && event->mask & IN_MODIFY;
    w->has_writer = w->has_writer || written;
    return written ? WAKE_LOOK : 0;
}

static int drain_inotify(struct wake *w)
{
    _Alignas(struct inotify_event) char events[4096];
    int fired = w->untold;
    ssize_t n;

    while (w->inotify >= 0 && (n = read(w->inotify, events, sizeof events)) > 0)
        for (char *p = events; p < events + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)p;
            fired |= on_event(w, event);
            w->writes++;
            p += sizeof *event + event->len;
        }
    w->untold = 0;
    return fired;
}

/* inotify tells of a write before it returns to the writer, whatever process that is, and an event that is like the last
 * one in the queue is left out only while that one is still there. */
uint64_t wake_writes(struct wake *w)
{
    w->untold = drain_inotify(w);
    if (w->untold && w->pause_us > PAUSE_FIRST_US)
        rest(w, PAUSE_FIRST_US); /* inotify itself no longer makes the descriptor readable */
    return w->deaf || w->hushed || w->wal_watch < 0 || w->wal_lost ? 0 : w->writes;
}

/* ---- Hushed ------------------------------------------------------------------------------------------------------- */

void wake_hush(struct wake *w, int64_t us)
{
    if (!w->has_writer || w->hushed || us <= 0)
        return;
    rest(w, us);
    w->hushed = true;
    w->has_writer = false;
    watch_wal(w);
}

/* Heard first, looked then: what is written in between is heard. */
static void listen_again(struct wake *w)
{
    w->hushed = false;
    w->writes++; /* who compares must not take the silence for one of the writers */
    if (w->folder_watch >= 0)
        watch_wal(w);
}

/* ---- The descriptor ----------------------------------------------------------------------------------------------- */

/* The pause before the next look: short after a write, yet not so short that a writer of many megabytes keeps us busy. */
static int64_t next_pause(const struct wake *w, bool looked, bool was_written)
{
    int64_t longer = looked ? w->pause_us + w->pause_us / 4 : w->pause_us;

    if (!w->written)
        return longer;
    if (w->pause_us > PAUSE_BUSY_US || !was_written)
        return PAUSE_FIRST_US;
    return longer < PAUSE_BUSY_US ? longer : PAUSE_BUSY_US;
}

int wake_drain(struct wake *w)
{
    uint64_t count;
    bool looked = read(w->timer, &count, sizeof count) > 0;
    int fired = read(w->poked, &count, sizeof count) > 0 ? WAKE_POKED : 0;
    int heard = drain_inotify(w);

    if (looked && w->hushed) {
        listen_again(w);
        heard |= WAKE_LOOK; /* there was a write or not; as after one, a burst of looks finds out */
    }
    if (looked && w->deaf) {
        watch_everything(w);
        heard |= w->deaf ? 0 : WAKE_LOOK | WAKE_MOVED; /* there again, and who knows what happened meanwhile */
    }
    bool was_written = w->written;
    w->written = heard != 0;
    if (w->written || looked)
        rest(w, next_pause(w, looked, was_written));
    return fired | heard | (looked ? WAKE_LOOK : 0);
}

int wake_fd(const struct wake *w)
{
    return w->epoll;
}

void wake_poke(struct wake *w)
{
    static const uint64_t one = 1;
    int saved = errno;

    while (write(w->poked, &one, sizeof one) < 0 && errno == EINTR)
        ; /* EAGAIN: poked more often than can be counted, so it is readable */
    errno = saved;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int wake_wait(struct wake *w, int timeout_ms)
{
    int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;

    for (;;) {
        int64_t left_ms = timeout_ms < 0 ? -1 : deadline_ms - now_ms();
        struct pollfd fd = {.fd = w->epoll, .events = POLLIN};
        if (timeout_ms >= 0 && left_ms < 0)
            left_ms = 0;
        int ready = poll(&fd, 1, (int)left_ms);
        int fired = ready > 0 ? wake_drain(w) : 0;
        if (fired || ready == 0)
            return fired;
    }
}

/* ---- Open and close ----------------------------------------------------------------------------------------------- */

/* The file watched is path and suffix. */
static bool remember_names(struct wake *w, const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t folder_size = (size_t)(name - path);

    w->db_name_size = strlen(name);
    w->folder = folder_size ? strndup(path, folder_size) : strdup(".");
    if (asprintf(&w->wal, "%s%s", path, suffix) < 0)
        w->wal = NULL;
    else
        w->wal_name = w->wal + folder_size;
    return w->folder && w->wal;
}

static bool join(struct wake *w, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd >= 0 && epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static struct wake *open_on(const char *path, const char *suffix)
{
    struct wake *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->folder_watch = w->wal_watch = -1;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    w->poked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->inotify >= 0 && !join(w, w->inotify)) {
        close(w->inotify);
        w->inotify = -1;
    }
    w->listening = w->inotify >= 0;
    if (!remember_names(w, path, suffix) || !join(w, w->timer) || !join(w, w->poked)) {
        wake_close(w);
        return NULL;
    }
    watch_everything(w);
    w->written = true; /* for all we know, just before the watch */
    w->writes = 1;
    rest(w, PAUSE_FIRST_US);
    return w;
}

/* SQLite follows symbolic links, and has the WAL beside the file itself. */
struct wake *wake_open(const char *db_path)
{
    char *real = realpath(db_path, NULL);
    struct wake *w = open_on(real ? real : db_path, "-wal");

    free(real);
    return w;
}

struct wake *wake_open_file(const char *path)
{
    return open_on(path, "");
}

void wake_close(struct wake *w)
{
    if (!w)
        return;
    int saved = errno, fds[] = {w->inotify, w->poked, w->timer, w->epoll};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(w->folder);
    free(w->wal);
    free(w);
    errno = saved;
}

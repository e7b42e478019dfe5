/* sync_beside.c — a thread that sleeps until there is a file to sync; see sync_beside.h. */
#include "sinks/sync_beside.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum state { IDLE, WANTED, ENDED, CLOSING };

struct sync_beside {
    const struct file_ops *ops;
    pthread_t thread;
    pthread_mutex_t mutex; /* over what follows; not held during a sync */
    pthread_cond_t changed;
    enum state state;
    int fd, error;
    int ended; /* an eventfd */
};

static void become(struct sync_beside *b, enum state state)
{
    b->state = state;
    pthread_cond_broadcast(&b->changed);
}

static void tell(const struct sync_beside *b)
{
    static const uint64_t one = 1;
    while (write(b->ended, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void *thread_main(void *arg)
{
    struct sync_beside *b = arg;

    pthread_mutex_lock(&b->mutex);
    while (b->state != CLOSING) {
        if (b->state != WANTED) {
            pthread_cond_wait(&b->changed, &b->mutex);
            continue;
        }
        int fd = b->fd;
        pthread_mutex_unlock(&b->mutex);
        int error = b->ops->sync_data(b->ops->arg, fd) < 0 ? errno : 0;
        pthread_mutex_lock(&b->mutex);
        b->error = error;
        become(b, ENDED);
        tell(b);
    }
    pthread_mutex_unlock(&b->mutex);
    return NULL;
}

struct sync_beside *sync_beside_open(const struct file_ops *ops)
{
    struct sync_beside *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->ops = ops;
    b->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&b->mutex, NULL);
    pthread_cond_init(&b->changed, NULL);
    if (b->ended >= 0 && pthread_create(&b->thread, NULL, thread_main, b) == 0)
        return b;
    if (b->ended >= 0)
        close(b->ended);
    free(b);
    return NULL;
}

void sync_beside_close(struct sync_beside *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->mutex);
    while (b->state == WANTED)
        pthread_cond_wait(&b->changed, &b->mutex);
    become(b, CLOSING);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
    pthread_mutex_destroy(&b->mutex);
    pthread_cond_destroy(&b->changed);
    close(b->ended);
    free(b);
}

void sync_beside_start(struct sync_beside *b, int fd)
{
    pthread_mutex_lock(&b->mutex);
    b->fd = fd;
    become(b, WANTED);
    pthread_mutex_unlock(&b->mutex);
}

bool sync_beside_take(struct sync_beside *b, bool wait, int *error)
{
    uint64_t count;

    pthread_mutex_lock(&b->mutex);
    while (wait && b->state == WANTED)
        pthread_cond_wait(&b->changed, &b->mutex);
    bool ended = b->state == ENDED;
    if (ended) {
        *error = b->error;
        b->state = IDLE;
        if (read(b->ended, &count, sizeof count) < 0) {
            /* nobody has told yet, or nobody could: the state is what counts */
        }
    }
    pthread_mutex_unlock(&b->mutex);
    return ended;
}

int sync_beside_fd(const struct sync_beside *b)
{
    return b->ended;
}

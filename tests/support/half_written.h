/* half_written.h — a stream's line that somebody is writing over: under his lock it is half old and half new. */
#ifndef TESTS_HALF_WRITTEN_H
#define TESTS_HALF_WRITTEN_H

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HALF_WRITTEN_HEAD "{\"seq\":42,\"prev\":40,\"id\":\"9f86d081884c7d65-42\",\"topic\":\"t\","

struct half_written {
    char path[32];
    int fd;
    pthread_t writer;
};

static inline void half_written_init(struct half_written *h)
{
    static const char half[] = HALF_WRITTEN_HEAD "\"payload\":null  canary\"}}\n";
    strcpy(h->path, "/tmp/half-written-XXXXXX");
    h->fd = mkstemp(h->path);
    assert_true(h->fd >= 0);
    assert_int_equal(pwrite(h->fd, half, strlen(half), 0), strlen(half));
}

static inline void *half_written_rest(void *arg)
{
    static const char whole[] = HALF_WRITTEN_HEAD "\"payload\":null          }\n";
    const struct half_written *h = arg;
    usleep(2000); /* whoever reads sooner reads half of it */
    if (pwrite(h->fd, whole, strlen(whole), 0) == (ssize_t)strlen(whole))
        flock(h->fd, LOCK_UN);
    return NULL;
}

/* From here on a reader is a moment away from the whole line. */
static inline void half_written_begin(struct half_written *h)
{
    assert_int_equal(flock(h->fd, LOCK_EX), 0);
    assert_int_equal(pthread_create(&h->writer, NULL, half_written_rest, h), 0);
}

static inline void half_written_end(struct half_written *h)
{
    assert_int_equal(pthread_join(h->writer, NULL), 0);
    close(h->fd);
    unlink(h->path);
}

#endif

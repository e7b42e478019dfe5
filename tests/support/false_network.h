/* false_network.h — names that resolve to what a test says, and a note of every address that anybody connects to.
 *
 * The functions below take the place of the C library's for the whole test program, libcurl included. A connection to a
 * public address of IPv4 ends at loopback instead, at the same port, and says that it is what was asked for; nothing
 * leaves this host. Static state: a test program includes this once.
 */
#ifndef TESTS_SUPPORT_FALSE_NETWORK_H
#define TESTS_SUPPORT_FALSE_NETWORK_H

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sinks/address.h"

enum { FALSE_ANSWERS = 4, FALSE_CONNECTS = 64, FALSE_FDS = 1024 };

static struct {
    pthread_mutex_t lock;
    const char *answers[FALSE_ANSWERS];                /* of every name; NULL behind the last */
    int asked;                                         /* how often one was looked up */
    char connected[FALSE_CONNECTS][ADDRESS_TEXT_SIZE]; /* the first so many */
    int connect_count;
    struct sockaddr_in claimed[FALSE_FDS]; /* by descriptor: what a diverted connection says that it is */
} false_network = {.lock = PTHREAD_MUTEX_INITIALIZER};

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **out);
__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *list);
__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address, socklen_t size);
__attribute__((visibility("default"))) int getpeername(int fd, struct sockaddr *restrict address,
                                                       socklen_t *restrict size);

static void false_network_reset(const char *first, const char *second)
{
    pthread_mutex_lock(&false_network.lock);
    false_network.answers[0] = first;
    false_network.answers[1] = second;
    false_network.asked = false_network.connect_count = 0;
    pthread_mutex_unlock(&false_network.lock);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    struct addrinfo **end = out;
    (void)name;

    *out = NULL;
    pthread_mutex_lock(&false_network.lock);
    false_network.asked++;
    for (int i = 0; i < FALSE_ANSWERS && false_network.answers[i]; i++) {
        struct {
            struct addrinfo info;
            struct sockaddr_storage address;
        } *made = calloc(1, sizeof *made);
        if (!made || !address_parse(false_network.answers[i], &made->address))
            abort();
        in_port_t port = htons((uint16_t)atoi(service ? service : "0"));
        bool v4 = made->address.ss_family == AF_INET;
        memcpy((char *)&made->address + 2, &port, sizeof port); /* the same place in both */
        made->info = (struct addrinfo){.ai_family = made->address.ss_family,
                                       .ai_socktype = hints && hints->ai_socktype ? hints->ai_socktype : SOCK_STREAM,
                                       .ai_protocol = IPPROTO_TCP,
                                       .ai_addrlen = v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
                                       .ai_addr = (struct sockaddr *)&made->address};
        *end = &made->info;
        end = &made->info.ai_next;
    }
    pthread_mutex_unlock(&false_network.lock);
    return *out ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    static int (*real)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_in inside;

    pthread_mutex_lock(&false_network.lock);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "connect");
    bool diverted = address->sa_family == AF_INET && address_kind(address) == ADDRESS_PUBLIC && fd < FALSE_FDS;
    if (false_network.connect_count < FALSE_CONNECTS)
        address_format(address, false_network.connected[false_network.connect_count++]);
    if (diverted) {
        memcpy(&inside, address, sizeof inside);
        false_network.claimed[fd] = inside;
        inside.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address = (const struct sockaddr *)&inside;
    } else if (fd < FALSE_FDS) {
        false_network.claimed[fd].sin_family = 0;
    }
    pthread_mutex_unlock(&false_network.lock);
    return real(fd, address, size);
}

int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict size)
{
    static int (*real)(int, struct sockaddr *, socklen_t *);

    pthread_mutex_lock(&false_network.lock);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getpeername");
    bool diverted = fd < FALSE_FDS && false_network.claimed[fd].sin_family == AF_INET &&
                    *size >= sizeof false_network.claimed[fd];
    if (diverted) {
        memcpy(address, &false_network.claimed[fd], sizeof false_network.claimed[fd]);
        *size = sizeof false_network.claimed[fd];
    }
    pthread_mutex_unlock(&false_network.lock);
    return diverted ? 0 : real(fd, address, size);
}

#endif

/* address.h — what kind of place an IP address is. Pure; looks at nothing but the bytes that a socket is connected to. */
#ifndef RELAY_SINKS_ADDRESS_H
#define RELAY_SINKS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <netinet/in.h>
#include <sys/socket.h>

enum address_kind {
    ADDRESS_PUBLIC,  /* known to be routed on the internet, and to lead nowhere else */
    ADDRESS_INSIDE,  /* loopback, private, link-local, carrier-grade NAT */
    ADDRESS_RESERVED /* everything else: multicast, documentation, tunnels, mapped, another family, not yet given out */
};

enum address_kind address_kind(const struct sockaddr *);

/* The text of an IPv4 or IPv6 address, without brackets or port. False: it is none. */
bool address_parse(const char *text, struct sockaddr_storage *out);

enum { ADDRESS_TEXT_SIZE = 56 };
void address_format(const struct sockaddr *, char out[ADDRESS_TEXT_SIZE]);

/* 10.0.0.0/8, fd00::/8, or one address. */
struct address_block {
    struct in6_addr first; /* an IPv4 address as ::ffff:a.b.c.d */
    unsigned bits;         /* of these 128 */
};

/* False: it is none, or it has bits set behind its prefix, so that it isn't clear what is meant. */
bool address_block_parse(const char *text, struct address_block *out);
void address_block_format(const struct address_block *, char out[ADDRESS_TEXT_SIZE]);
bool address_in_block(const struct sockaddr *, const struct address_block *);

#endif

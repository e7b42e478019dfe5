/* address.c — the table of addresses that are not what they seem.
 *
 * Leaves to others: names and spellings (a resolver has dealt with them by then), and what follows from the answer
 * (guard.h). The invariant: what no line of the table knows is not public, but for IPv4, where the reserved blocks are
 * listed whole. Sources: IANA's special-purpose address registries for IPv4 and IPv6, and RFC 6890.
 */
#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

enum { V4_BITS = 96 /* in front of an IPv4 address in its mapped form */ };

/* The first line that holds an address decides. */
static const struct {
    const char *block;
    enum address_kind kind;
} table[] = {
    {"127.0.0.0/8", ADDRESS_INSIDE},
    {"10.0.0.0/8", ADDRESS_INSIDE},
    {"172.16.0.0/12", ADDRESS_INSIDE},
    {"192.168.0.0/16", ADDRESS_INSIDE},
    {"169.254.0.0/16", ADDRESS_INSIDE}, /* and the metadata services of most clouds */
    {"100.64.0.0/10", ADDRESS_INSIDE},
    {"0.0.0.0/8", ADDRESS_RESERVED},        /* connects to this host */
    {"168.63.129.16/32", ADDRESS_RESERVED}, /* Azure's host, for its guests */
    {"192.0.0.0/24", ADDRESS_RESERVED},
    {"192.0.2.0/24", ADDRESS_RESERVED},
    {"192.88.99.0/24", ADDRESS_RESERVED}, /* 6to4 relays */
    {"198.18.0.0/15", ADDRESS_RESERVED},
    {"198.51.100.0/24", ADDRESS_RESERVED},
    {"203.0.113.0/24", ADDRESS_RESERVED},
    {"224.0.0.0/4", ADDRESS_RESERVED},
    {"240.0.0.0/4", ADDRESS_RESERVED},
    {"::ffff:0:0/96", ADDRESS_PUBLIC}, /* the rest of IPv4; as_bytes() says which of it came as such */
    {"::1/128", ADDRESS_INSIDE},
    {"fc00::/7", ADDRESS_INSIDE},
    {"fe80::/10", ADDRESS_INSIDE},
    {"2001::/23", ADDRESS_RESERVED}, /* Teredo, ORCHID, benchmarks, anycast to the nearest relay */
    {"2001:db8::/32", ADDRESS_RESERVED},
    {"2002::/16", ADDRESS_RESERVED}, /* 6to4: any IPv4 address, wrapped */
    {"3fff::/20", ADDRESS_RESERVED},
    {"2000::/3", ADDRESS_PUBLIC},
};

/* The address in 128 bits. False: of another family. */
static bool as_bytes(const struct sockaddr *a, struct in6_addr *out)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        memset(out, 0, sizeof *out);
        memset(out->s6_addr + 10, 0xff, 2);
        memcpy(out->s6_addr + 12, &v4.sin_addr, 4);
        return true;
    }
    if (a->sa_family != AF_INET6)
        return false;
    memcpy(&v6, a, sizeof v6);
    *out = v6.sin6_addr;
    return true;
}

static bool holds(const struct address_block *block, const struct in6_addr *a)
{
    size_t bytes = block->bits / 8;
    unsigned rest = block->bits % 8;

    return memcmp(block->first.s6_addr, a->s6_addr, bytes) == 0 &&
           (rest == 0 || (block->first.s6_addr[bytes] ^ a->s6_addr[bytes]) >> (8 - rest) == 0);
}

enum address_kind address_kind(const struct sockaddr *a)
{
    struct address_block block;
    struct in6_addr bytes;

    if (!as_bytes(a, &bytes))
        return ADDRESS_RESERVED;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!address_block_parse(table[i].block, &block) || !holds(&block, &bytes))
            continue;
        /* An IPv4 address that comes as an IPv6 one hides from whoever looks for IPv4: nobody has a reason to. */
        bool disguised = a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&bytes);
        return disguised && table[i].kind == ADDRESS_PUBLIC ? ADDRESS_RESERVED : table[i].kind;
    }
    return ADDRESS_RESERVED;
}

bool address_parse(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(out, &v6, sizeof v6);
    else
        return false;
    return true;
}

void address_format(const struct sockaddr *a, char out[ADDRESS_TEXT_SIZE])
{
    struct in6_addr bytes;
    bool v4 = a->sa_family == AF_INET;

    if (!as_bytes(a, &bytes) ||
        !inet_ntop(a->sa_family, v4 ? bytes.s6_addr + 12 : bytes.s6_addr, out, ADDRESS_TEXT_SIZE))
        snprintf(out, ADDRESS_TEXT_SIZE, "address family %d", a->sa_family);
}

/* Digits only, no sign or space, at most `most`. */
static bool parse_bits(const char *text, unsigned most, unsigned *bits)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 3 || text[digits])
        return false;
    *bits = (unsigned)strtoul(text, NULL, 10);
    return *bits <= most;
}

static bool is_clear_behind(const struct address_block *block)
{
    struct in6_addr masked = block->first;

    for (unsigned bit = block->bits; bit < 128; bit++)
        masked.s6_addr[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
    return memcmp(&masked, &block->first, sizeof masked) == 0;
}

bool address_block_parse(const char *text, struct address_block *out)
{
    char address[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    struct sockaddr_storage parsed;
    struct address_block block;

    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = 0;
    if (!address_parse(address, &parsed) || !as_bytes((const struct sockaddr *)&parsed, &block.first))
        return false;
    unsigned before = parsed.ss_family == AF_INET ? V4_BITS : 0, bits = 128 - before;
    if (text[length] == '/' && !parse_bits(text + length + 1, 128 - before, &bits))
        return false;
    block.bits = before + bits;
    if (!is_clear_behind(&block))
        return false;
    *out = block;
    return true;
}

void address_block_format(const struct address_block *block, char out[ADDRESS_TEXT_SIZE])
{
    bool v4 = block->bits >= V4_BITS && IN6_IS_ADDR_V4MAPPED(&block->first);

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, block->first.s6_addr + (v4 ? 12 : 0), out, INET6_ADDRSTRLEN))
        out[0] = 0;
    size_t used = strlen(out);
    snprintf(out + used, ADDRESS_TEXT_SIZE - used, "/%u", block->bits - (v4 ? V4_BITS : 0));
}

bool address_in_block(const struct sockaddr *a, const struct address_block *block)
{
    struct in6_addr bytes;

    return as_bytes(a, &bytes) && holds(block, &bytes);
}

/* address_fuzz.c — kinds of addresses by arithmetic on their numbers, blocks by masks of 128 bits, texts by the way back.
 * The first 16 bytes are an address, all of them a block's text. */
#include <arpa/inet.h>

#include "fuzz.h"
#include "sinks/address.h"

typedef unsigned __int128 number;

static number number_of(const struct in6_addr *a)
{
    number n = 0;
    for (int i = 0; i < 16; i++)
        n = n << 8 | a->s6_addr[i];
    return n;
}

/* RFC 6890 and the registries behind it, as numbers. */
static bool v4_is_inside(uint32_t a)
{
    return a >> 24 == 127 || a >> 24 == 10 || a >> 20 == 0xAC1 || a >> 16 == 0xC0A8 || a >> 16 == 0xA9FE ||
           a >> 22 == 0x6440u >> 6;
}

static bool v4_is_special(uint32_t a)
{
    return a >> 24 == 0 || a == 0xA83F8110 || a >> 8 == 0xC00000 || a >> 8 == 0xC00002 || a >> 8 == 0xC05863 ||
           a >> 17 == 0xC612u >> 1 || a >> 8 == 0xC63364 || a >> 8 == 0xCB0071 || a >= 0xE0000000;
}

static enum address_kind v4_kind(uint32_t a)
{
    return v4_is_inside(a) ? ADDRESS_INSIDE : v4_is_special(a) ? ADDRESS_RESERVED : ADDRESS_PUBLIC;
}

static enum address_kind v6_kind(number a)
{
    uint32_t high = (uint32_t)(a >> 96);
    if (a >> 32 == 0xFFFF) {
        enum address_kind kind = v4_kind((uint32_t)a);
        return kind == ADDRESS_PUBLIC ? ADDRESS_RESERVED : kind;
    }
    if (a == 1 || high >> 25 == 0x7E || high >> 22 == 0x3FA)
        return ADDRESS_INSIDE;
    bool reserved = high >> 9 == 0x20010000u >> 9 || high == 0x20010DB8 || high >> 16 == 0x2002 ||
                    high >> 12 == 0x3FFF0;
    return high >> 29 == 1 && !reserved ? ADDRESS_PUBLIC : ADDRESS_RESERVED;
}

static void check_text(const struct sockaddr *a)
{
    char text[ADDRESS_TEXT_SIZE];
    struct sockaddr_storage again;
    address_format(a, text);
    CHECK(address_parse(text, &again) && again.ss_family == a->sa_family);
    CHECK(address_kind((const struct sockaddr *)&again) == address_kind(a));
}

static void check_address(const struct in6_addr *bytes, const struct address_block *block)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = *bytes};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    number n = number_of(bytes), mapped;

    memcpy(&v4.sin_addr, bytes, 4);
    mapped = (number)0xFFFF << 32 | ntohl(v4.sin_addr.s_addr);
    CHECK(address_kind((const struct sockaddr *)&v6) == v6_kind(n));
    CHECK(address_kind((const struct sockaddr *)&v4) == v4_kind((uint32_t)mapped));
    check_text((const struct sockaddr *)&v6);
    check_text((const struct sockaddr *)&v4);
    if (block) {
        number mask = block->bits ? ~(number)0 << (128 - block->bits) : 0, first = number_of(&block->first);
        CHECK(address_in_block((const struct sockaddr *)&v6, block) == ((n & mask) == first));
        CHECK(address_in_block((const struct sockaddr *)&v4, block) == ((mapped & mask) == first));
    }
}

static bool parse_block(const char *text, struct address_block *block)
{
    char shown[ADDRESS_TEXT_SIZE];
    struct address_block again;
    if (!address_block_parse(text, block))
        return false;
    number n = number_of(&block->first);
    CHECK(block->bits <= 128 && (block->bits == 128 || (number)(n << block->bits) == 0));
    address_block_format(block, shown);
    CHECK(address_block_parse(shown, &again) && again.bits == block->bits && number_of(&again.first) == n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct address_block block;
    struct in6_addr bytes = {0};
    char *text = fuzz_text(data, size);

    if (size)
        memcpy(&bytes, data, size < sizeof bytes ? size : sizeof bytes);
    bool is_block = parse_block(text, &block);
    check_address(&bytes, is_block ? &block : NULL);
    if (is_block)
        check_address(&block.first, &block);
    for (int i = 0; i < 10; i++) /* IPv4 within IPv6, which chance finds seldom */
        bytes.s6_addr[i] = 0;
    bytes.s6_addr[10] = bytes.s6_addr[11] = 0xFF;
    check_address(&bytes, is_block ? &block : NULL);
    CHECK(address_kind(&other) == ADDRESS_RESERVED);
    free(text);
    return 0;
}

/* address_test.c — every kind of address that a customer's URL could hide behind, and what the guard makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "sinks/guard.h"

static const struct {
    const char *address;
    enum address_kind kind;
} addresses[] = {
    {"127.0.0.0", ADDRESS_INSIDE}, /* loopback */
    {"127.0.0.1", ADDRESS_INSIDE},
    {"127.255.255.255", ADDRESS_INSIDE},
    {"126.255.255.255", ADDRESS_PUBLIC},
    {"128.0.0.0", ADDRESS_PUBLIC},
    {"9.255.255.255", ADDRESS_PUBLIC}, /* RFC 1918 */
    {"10.0.0.0", ADDRESS_INSIDE},
    {"10.255.255.255", ADDRESS_INSIDE},
    {"11.0.0.0", ADDRESS_PUBLIC},
    {"172.15.255.255", ADDRESS_PUBLIC},
    {"172.16.0.0", ADDRESS_INSIDE},
    {"172.31.255.255", ADDRESS_INSIDE},
    {"172.32.0.0", ADDRESS_PUBLIC},
    {"192.167.255.255", ADDRESS_PUBLIC},
    {"192.168.0.0", ADDRESS_INSIDE},
    {"192.168.255.255", ADDRESS_INSIDE},
    {"192.169.0.0", ADDRESS_PUBLIC},
    {"169.253.255.255", ADDRESS_PUBLIC}, /* link-local, metadata */
    {"169.254.0.0", ADDRESS_INSIDE},
    {"169.254.169.254", ADDRESS_INSIDE},
    {"169.254.255.255", ADDRESS_INSIDE},
    {"169.255.0.0", ADDRESS_PUBLIC},
    {"100.63.255.255", ADDRESS_PUBLIC}, /* carrier-grade NAT */
    {"100.64.0.0", ADDRESS_INSIDE},
    {"100.100.100.200", ADDRESS_INSIDE},
    {"100.127.255.255", ADDRESS_INSIDE},
    {"100.128.0.0", ADDRESS_PUBLIC},
    {"0.0.0.0", ADDRESS_RESERVED}, /* this host */
    {"0.255.255.255", ADDRESS_RESERVED},
    {"1.0.0.0", ADDRESS_PUBLIC},
    {"192.0.0.0", ADDRESS_RESERVED}, /* protocol assignments */
    {"192.0.0.192", ADDRESS_RESERVED},
    {"192.0.0.255", ADDRESS_RESERVED},
    {"192.0.1.0", ADDRESS_PUBLIC},
    {"192.0.2.1", ADDRESS_RESERVED}, /* TEST-NET 1, 2, 3 */
    {"192.0.3.0", ADDRESS_PUBLIC},
    {"198.51.100.0", ADDRESS_RESERVED},
    {"198.51.101.0", ADDRESS_PUBLIC},
    {"203.0.113.255", ADDRESS_RESERVED},
    {"203.0.114.0", ADDRESS_PUBLIC},
    {"192.88.99.1", ADDRESS_RESERVED},  /* 6to4 relay */
    {"198.17.255.255", ADDRESS_PUBLIC}, /* benchmarks */
    {"198.18.0.0", ADDRESS_RESERVED},
    {"198.19.255.255", ADDRESS_RESERVED},
    {"198.20.0.0", ADDRESS_PUBLIC},
    {"223.255.255.255", ADDRESS_PUBLIC}, /* multicast, reserved, broadcast */
    {"224.0.0.1", ADDRESS_RESERVED},
    {"239.255.255.255", ADDRESS_RESERVED},
    {"240.0.0.1", ADDRESS_RESERVED},
    {"255.255.255.255", ADDRESS_RESERVED},
    {"168.63.129.15", ADDRESS_PUBLIC}, /* Azure's host */
    {"168.63.129.16", ADDRESS_RESERVED},
    {"168.63.129.17", ADDRESS_PUBLIC},
    {"8.8.8.8", ADDRESS_PUBLIC},
    {"::", ADDRESS_RESERVED}, /* unspecified, loopback, v4-compatible */
    {"::1", ADDRESS_INSIDE},
    {"::2", ADDRESS_RESERVED},
    {"::127.0.0.1", ADDRESS_RESERVED},
    {"::8.8.8.8", ADDRESS_RESERVED},
    {"::ffff:127.0.0.1", ADDRESS_INSIDE}, /* v4-mapped */
    {"::ffff:169.254.169.254", ADDRESS_INSIDE},
    {"::ffff:0.0.0.0", ADDRESS_RESERVED},
    {"::ffff:8.8.8.8", ADDRESS_RESERVED},
    {"::ffff:0:8.8.8.8", ADDRESS_RESERVED}, /* v4-translated */
    {"fc00::", ADDRESS_INSIDE},             /* unique local */
    {"fd00:ec2::254", ADDRESS_INSIDE},
    {"fdff:ffff::1", ADDRESS_INSIDE},
    {"fbff::1", ADDRESS_RESERVED},
    {"fe80::1", ADDRESS_INSIDE}, /* link-local, site-local, multicast */
    {"febf::1", ADDRESS_INSIDE},
    {"fec0::1", ADDRESS_RESERVED},
    {"feff::1", ADDRESS_RESERVED},
    {"ff02::1", ADDRESS_RESERVED},
    {"64:ff9b::7f00:1", ADDRESS_RESERVED}, /* NAT64 */
    {"64:ff9b::808:808", ADDRESS_RESERVED},
    {"64:ff9b:1::1", ADDRESS_RESERVED},
    {"100::1", ADDRESS_RESERVED},  /* discard */
    {"2001::1", ADDRESS_RESERVED}, /* Teredo */
    {"2001:0:ffff::1", ADDRESS_RESERVED},
    {"2001:2::1", ADDRESS_RESERVED}, /* benchmarks */
    {"2001:20::1", ADDRESS_RESERVED},
    {"2001:1ff:ffff::1", ADDRESS_RESERVED},
    {"2001:200::1", ADDRESS_PUBLIC},
    {"2001:db8::1", ADDRESS_RESERVED}, /* documentation */
    {"2001:db9::1", ADDRESS_PUBLIC},
    {"2002:7f00:1::", ADDRESS_RESERVED}, /* 6to4 */
    {"2002:808:808::1", ADDRESS_RESERVED},
    {"2003::1", ADDRESS_PUBLIC},
    {"3fff::1", ADDRESS_RESERVED}, /* documentation */
    {"3fff:fff:ffff::1", ADDRESS_RESERVED},
    {"3fff:1000::1", ADDRESS_PUBLIC},
    {"2606:4700:4700::1111", ADDRESS_PUBLIC},
    {"1fff::1", ADDRESS_RESERVED}, /* not given out */
    {"4000::1", ADDRESS_RESERVED},
    {"5f00::1", ADDRESS_RESERVED},
    {"8000::1", ADDRESS_RESERVED},
};

enum { ADDRESS_COUNT = sizeof addresses / sizeof *addresses };

static const struct sockaddr *parsed(const char *text, struct sockaddr_storage *out)
{
    if (!address_parse(text, out))
        fail_msg("'%s' is no address", text);
    return (const struct sockaddr *)out;
}

static void every_block_ends_where_it_ends(void **state)
{
    (void)state;
    struct sockaddr_storage address;
    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        enum address_kind kind = address_kind(parsed(addresses[i].address, &address));
        if (kind != addresses[i].kind)
            fail_msg("%s is %d, not %d", addresses[i].address, kind, addresses[i].kind);
    }
}

static void another_family_is_reserved(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    assert_int_equal(address_kind((const struct sockaddr *)&local), ADDRESS_RESERVED);
    assert_int_equal(address_kind(&none), ADDRESS_RESERVED);
}

static void blocks_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown; /* NULL: refused */
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.1.2.3", "10.1.2.3/32"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"fd00::/8", "fd00::/8"},
        {"fd12:3456:789A::1", "fd12:3456:789a::1/128"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"", NULL},
        {"/8", NULL},
        {"10.0.0.0/", NULL},
        {"10.0.0.0/33", NULL},
        {"10.0.0.0/-1", NULL},
        {"10.0.0.0/ 8", NULL},
        {"10.0.0.0/8 ", NULL},
        {"10.0.0.0/8/8", NULL},
        {"10.0.0.0/0008", NULL},
        {"10.0.0.0/255.0.0.0", NULL},
        {"10.0.0.1/8", NULL},
        {"10.0.0", NULL},
        {"0x7f000001", NULL},
        {"localhost", NULL},
        {"[::1]", NULL},
        {"fd00::/129", NULL},
        {"fd00::1/64", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/8", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address_block block;
        char shown[ADDRESS_TEXT_SIZE] = "";
        bool good = address_block_parse(cases[i].text, &block);
        if (good)
            address_block_format(&block, shown);
        if (good != (cases[i].shown != NULL) || (good && strcmp(shown, cases[i].shown) != 0))
            fail_msg("'%s' is %d '%s'", cases[i].text, good, shown);
    }
}

static char url_plain[] = "http://h.example/", url_tls[] = "https://h.example/";

static void public_only_refuses_all_but_the_public(void **state)
{
    (void)state;
    struct webhook_settings w = {.url = url_tls, .public_only = true};
    struct sockaddr_storage address;
    char why[160];

    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        bool allowed = guard_allows(&w, parsed(addresses[i].address, &address), why, sizeof why);
        if (allowed != (addresses[i].kind == ADDRESS_PUBLIC))
            fail_msg("%s: %d", addresses[i].address, allowed);
    }
    assert_false(guard_allows(&w, parsed("10.1.2.3", &address), why, sizeof why));
    assert_string_equal(why, "not connected to 10.1.2.3: it is no public address, and no allow-address names it");
    w.public_only = false;
    for (size_t i = 0; i < ADDRESS_COUNT; i++)
        assert_true(guard_allows(&w, parsed(addresses[i].address, &address), why, sizeof why));
}

static void exceptions_hold_for_what_they_name(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool allowed;
    } cases[] = {
        {"10.1.0.0", true}, {"10.1.255.255", true}, {"10.2.0.0", false},    {"10.0.255.255", false},
        {"fd00::7", true},  {"fd00::8", false},     {"127.0.0.1", false},   {"::ffff:10.1.2.3", true},
        {"8.8.8.8", true},  {"::10.1.0.0", false},  {"2002:a01::1", false},
    };
    struct address_block allowed[2];
    struct webhook_settings w = {.url = url_tls, .public_only = true, .allowed = allowed, .allowed_count = 2};
    struct sockaddr_storage address;
    char why[160];

    assert_true(address_block_parse("10.1.0.0/16", &allowed[0]) && address_block_parse("fd00::7", &allowed[1]));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (guard_allows(&w, parsed(cases[i].address, &address), why, sizeof why) != cases[i].allowed)
            fail_msg("%s", cases[i].address);
}

static void plain_http_stays_inside_whatever_a_name_resolves_to(void **state)
{
    (void)state;
    struct webhook_settings w = {.url = url_plain};
    struct sockaddr_storage address;
    char why[160];

    for (size_t i = 0; i < ADDRESS_COUNT; i++) {
        bool allowed = guard_allows(&w, parsed(addresses[i].address, &address), why, sizeof why);
        if (allowed != (addresses[i].kind == ADDRESS_INSIDE))
            fail_msg("%s: %d", addresses[i].address, allowed);
    }
    assert_false(guard_allows(&w, parsed("8.8.8.8", &address), why, sizeof why));
    assert_non_null(strstr(why, "plain http needs allow-http"));
    w.allow_http = true;
    assert_true(guard_allows(&w, parsed("8.8.8.8", &address), why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_ends_where_it_ends),
        cmocka_unit_test(another_family_is_reserved),
        cmocka_unit_test(blocks_are_read_strictly),
        cmocka_unit_test(public_only_refuses_all_but_the_public),
        cmocka_unit_test(exceptions_hold_for_what_they_name),
        cmocka_unit_test(plain_http_stays_inside_whatever_a_name_resolves_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

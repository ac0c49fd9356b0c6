#include "base/cidr.c"

#include "test.h"

static struct ip ip(const char *text)
{
    struct ip ip = {0};

    EXPECT(ip_parse(bytes_of(text), &ip) == 0);
    return ip;
}

static bool reads_back(const char *text, const char *canonical)
{
    struct ip read = ip(text);
    char written[IP_TEXT_BYTES];

    return strcmp(ip_write(&read, written), canonical) == 0;
}

/* Whether the set of `networks` (separated by spaces) has that address. */
static bool has(const char *networks, const char *address)
{
    char copy[1024];
    const char *texts[64];
    size_t count = 0;
    struct cidr_set set;
    struct ip wanted = strcmp(address, "unix") == 0 ? (struct ip){0} : ip(address);

    snprintf(copy, sizeof copy, "%s", networks);
    for (char *at = strtok(copy, " "); at; at = strtok(NULL, " "))
        texts[count++] = at;
    EXPECT(cidr_set_init(&set, texts, count, NULL) == 0);
    bool is_there = cidr_set_has(&set, &wanted);
    cidr_set_done(&set);
    return is_there;
}

TEST(addresses_are_written_canonically)
{
    EXPECT(reads_back("1.2.3.4", "1.2.3.4"));
    EXPECT(reads_back("2001:DB8:0::1", "2001:db8::1"));
    EXPECT(reads_back("::", "::"));
    EXPECT(reads_back("::ffff:1.2.3.4", "1.2.3.4"));
    EXPECT(reads_back("::ffff:0102:0304", "1.2.3.4"));
    EXPECT(reads_back("::1.2.3.4", "::1.2.3.4"));
}

TEST(a_unix_client_has_a_name)
{
    struct ip nobody = {0};
    char text[IP_TEXT_BYTES];

    EXPECT(strcmp(ip_write(&nobody, text), "unix") == 0);
}

TEST(what_is_no_address_is_refused_and_nothing_written)
{
    static const char *const wrong[] = {
        "",           "1.2.3",
        "1.2.3.4.5",  "1.2.3.256",
        " 1.2.3.4",   "1.2.3.4 ",
        "1.2.3.4:80", "[::1]",
        ":::1",       "::g",
        "fe80::1%lo", "0x1.2.3.4",
        "unix",       "1",
        "01.2.3.4x",  "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111",
    };
    struct ip read = {.family = 77};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        EXPECT(ip_parse(bytes_of(wrong[i]), &read) == -EINVAL);
    EXPECT(ip_parse((struct bytes){(const uint8_t *)"1.2.3.4\0x", 9}, &read) == -EINVAL);
    EXPECT(read.family == 77);
}

TEST(a_network_is_an_address_and_the_bits_that_count)
{
    struct ip v6 = ip("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), v4 = ip("10.255.255.255");
    char text[IP_TEXT_BYTES];
    struct ip cut = ip_network(&v6, 64);

    EXPECT(strcmp(ip_write(&cut, text), "2001:db8:ffff:ffff::") == 0);
    cut = ip_network(&v6, 33);
    EXPECT(strcmp(ip_write(&cut, text), "2001:db8:8000::") == 0);
    cut = ip_network(&v6, 128);
    EXPECT(ip_equal(&cut, &v6));
    cut = ip_network(&v6, 0);
    EXPECT(strcmp(ip_write(&cut, text), "::") == 0);
    cut = ip_network(&v4, 9);
    EXPECT(strcmp(ip_write(&cut, text), "10.128.0.0") == 0);
}

TEST(networks_are_read_strictly)
{
    static const char *const wrong[] = {
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.0/ 8",
        "10.0.0.0/8 ",
        "/8",
        "10/8",
        "::/129",
        "::/0128",
        "::1/1e1",
        "10.0.0.0/8/8",
        "",
        "Unix",
        "unix/0",
        "[::]/0",
        "a/8",
    };
    struct cidr cidr = {.bits = 77};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        EXPECT(cidr_parse(wrong[i], &cidr) == -EINVAL);
    EXPECT(cidr.bits == 77);
    EXPECT(cidr_parse("10.0.0.0/8", &cidr) == 0 && cidr.bits == 8);
    EXPECT(cidr_parse("10.0.0.7", &cidr) == 0 && cidr.bits == 32);
    EXPECT(cidr_parse("fd00::/8", &cidr) == 0 && cidr.bits == 8);
    EXPECT(cidr_parse("::ffff:10.0.0.0/104", &cidr) == 0 && cidr.bits == 8);
    EXPECT(cidr.ip.family == IP_V4);
}

TEST(bits_behind_the_prefix_are_told_with_what_may_be_meant)
{
    struct cidr cidr = {0};
    char text[IP_TEXT_BYTES];

    EXPECT(cidr_parse("10.1.2.3/8", &cidr) == -EDOM);
    EXPECT(strcmp(ip_write(&cidr.ip, text), "10.0.0.0") == 0 && cidr.bits == 8);
    EXPECT(cidr_parse("fd00::1/8", &cidr) == -EDOM);
    EXPECT(strcmp(ip_write(&cidr.ip, text), "fd00::") == 0);
}

TEST(a_set_has_what_its_networks_hold_up_to_their_borders)
{
    EXPECT(has("10.0.0.0/8", "10.0.0.0") && has("10.0.0.0/8", "10.255.255.255"));
    EXPECT(!has("10.0.0.0/8", "9.255.255.255") && !has("10.0.0.0/8", "11.0.0.0"));
    EXPECT(has("10.0.0.7", "10.0.0.7") && !has("10.0.0.7", "10.0.0.8"));
    EXPECT(has("fd00::/8", "fdff::1") && !has("fd00::/8", "fe00::"));
    EXPECT(has("10.0.0.4/31", "10.0.0.5") && !has("10.0.0.4/31", "10.0.0.6"));
    EXPECT(!has("", "10.0.0.1") && !has("", "unix"));
}

TEST(families_do_not_hold_each_other_but_a_mapped_address_is_ipv4)
{
    EXPECT(has("0.0.0.0/0", "9.9.9.9") && !has("0.0.0.0/0", "::1") && !has("0.0.0.0/0", "unix"));
    EXPECT(has("::/0", "::1") && !has("::/0", "9.9.9.9") && !has("::/0", "::ffff:9.9.9.9"));
    EXPECT(has("9.0.0.0/8", "::ffff:9.9.9.9") && has("::ffff:9.0.0.0/104", "9.9.9.9"));
    EXPECT(has("unix", "unix") && !has("unix", "0.0.0.0") && !has("unix", "::"));
    EXPECT(!has("::/0 0.0.0.0/0", "unix") && has("::/0 unix 0.0.0.0/0", "unix"));
}

TEST(networks_inside_each_other_lose_nothing)
{
    const char *nested =
        "10.1.2.3 10.0.0.0/8 10.1.0.0/16 10.255.0.0/16 192.168.0.0/16 10.0.0.0/8 ::1 unix";

    EXPECT(has(nested, "10.200.0.1") && has(nested, "10.1.2.3") && has(nested, "10.255.1.1"));
    EXPECT(has(nested, "192.168.9.9") && has(nested, "::1") && has(nested, "unix"));
    EXPECT(!has(nested, "11.0.0.1") && !has(nested, "192.169.0.0") && !has(nested, "::2"));
}

TEST(a_set_agrees_with_trying_each_network)
{
    const char *texts[64];
    char memory[64][24];
    struct cidr_set set;
    uint32_t seed = 1;

    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 64; i++) {
            seed = seed * 1664525u + 1013904223u;
            unsigned bits = 20 + (seed >> 28) % 13;
            uint32_t address = (seed >> 8 & 0xfff) << 4 & (0xffffffffu << (32 - bits));
            snprintf(memory[i], sizeof memory[i], "0.0.%u.%u/%u", address >> 8 & 255, address & 255,
                     bits);
            texts[i] = memory[i];
        }
        EXPECT(cidr_set_init(&set, texts, 64, NULL) == 0);
        for (uint32_t address = 0; address < 0x10000; address += 7) {
            struct ip wanted =
                ip_of_v4((const uint8_t[]){0, 0, (uint8_t)(address >> 8), (uint8_t)address});
            bool is_there = false;
            for (unsigned i = 0; i < 64; i++) {
                struct cidr one;
                EXPECT(cidr_parse(texts[i], &one) == 0);
                is_there |= holds(&one, &wanted);
            }
            EXPECT(cidr_set_has(&set, &wanted) == is_there);
        }
        cidr_set_done(&set);
    }
}

TEST(a_wrong_text_is_named)
{
    const char *const texts[] = {"10.0.0.0/8", "nonsense", "::1"};
    struct cidr_set set;
    size_t which = 99;

    EXPECT(cidr_set_init(&set, texts, 3, &which) == -EINVAL && which == 1);
    EXPECT(set.count == 0 && !set.at);
}

#include "net/address.c"

#include "test.h"

static bool reads_back(const char *text, const char *canonical)
{
    struct address address;
    char written[ADDRESS_TEXT_BYTES];

    return address_parse(text, &address) == 0 &&
           strcmp(address_write(&address, written), canonical) == 0;
}

TEST(addresses_are_written_canonically)
{
    EXPECT(reads_back("127.0.0.1:80", "127.0.0.1:80"));
    EXPECT(reads_back("0.0.0.0:65535", "0.0.0.0:65535"));
    EXPECT(reads_back("[::1]:1", "[::1]:1"));
    EXPECT(reads_back("[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443"));
    EXPECT(reads_back("[::ffff:1.2.3.4]:8080", "[::ffff:1.2.3.4]:8080"));
}

TEST(the_longest_address_fits)
{
    EXPECT(reads_back("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
                      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"));
}

TEST(what_is_no_address_is_refused_and_nothing_written)
{
    static const char *const wrong[] = {
        "",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "1.2.3:80",
        "1.2.3.4: 8",
        "1.2.3.4:+8",
        "1.2.3.4:-8",
        "1.2.3.4:0x50",
        "1.2.3.4:80 ",
        "::1:80",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[1.2.3.4]:80",
        "[::1]:80:80",
        "a.b:80",
        " 1.2.3.4:8",
        "1.2.3.4:8:8",
        "1.2.3.4:000080",
        "256.1.1.1:80",
        "[::g]:80",
        "[]:80",
        "[::1%lo]:80",
        "01.2.3.4:99999",
        "[::1]:99999999999999999999",
    };
    struct address address = {.v4 = {.sin_family = 99}};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        EXPECT(address_parse(wrong[i], &address) == -EINVAL);
    EXPECT(address.any.sa_family == 99);
}

TEST(addresses_are_equal_when_all_of_them_is)
{
    struct address a, b;

    EXPECT(address_parse("1.2.3.4:80", &a) == 0 && address_parse("1.2.3.4:80", &b) == 0);
    EXPECT(address_equal(&a, &b));
    EXPECT(address_parse("1.2.3.4:81", &b) == 0 && !address_equal(&a, &b));
    EXPECT(address_parse("1.2.3.5:80", &b) == 0 && !address_equal(&a, &b));
    EXPECT(address_parse("[::1.2.3.4]:80", &b) == 0 && !address_equal(&a, &b));
    EXPECT(address_parse("[::1]:80", &a) == 0 && address_parse("[0:0::1]:80", &b) == 0);
    EXPECT(address_equal(&a, &b));
    EXPECT(address_parse("[::2]:80", &b) == 0 && !address_equal(&a, &b));
}

TEST(an_endpoint_is_an_address_or_a_path_that_fits)
{
    struct endpoint a, b;
    char longest[sizeof a.path.sun_path + 6] = "unix:/";

    EXPECT(endpoint_parse("unix:/run/x.sock", &a) == 0 && a.is_unix);
    EXPECT(strcmp(a.path.sun_path, "/run/x.sock") == 0);
    EXPECT(endpoint_parse("127.0.0.1:80", &b) == 0 && !b.is_unix);
    EXPECT(!endpoint_equal(&a, &b));
    EXPECT(endpoint_parse("unix:/run/y.sock", &b) == 0 && !endpoint_equal(&a, &b));
    EXPECT(endpoint_parse("unix:/run/x.sock", &b) == 0 && endpoint_equal(&a, &b));

    EXPECT(endpoint_parse("unix:", &a) == -EINVAL);
    EXPECT(endpoint_parse("unix:run/x.sock", &a) == -EINVAL);
    memset(longest + 6, 'x', sizeof a.path.sun_path - 2);
    EXPECT(endpoint_parse(longest, &a) == 0);
    longest[sizeof a.path.sun_path + 4] = 'x';
    EXPECT(endpoint_parse(longest, &a) == -EINVAL);
}

TEST(a_unix_client_has_a_name)
{
    struct address address = {.any.sa_family = AF_UNIX};
    char written[ADDRESS_TEXT_BYTES];

    EXPECT(strcmp(address_write(&address, written), "unix") == 0);
}

TEST(an_address_is_an_ip_and_a_port)
{
    static const char *const same[] = {"1.2.3.4:80", "[2001:db8::1]:443"};
    struct address a, b;
    struct ip ip;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        EXPECT(address_parse(same[i], &a) == 0);
        ip = address_ip(&a);
        b = address_of_ip(&ip, address_port(&a));
        EXPECT(address_equal(&a, &b));
    }
    EXPECT(address_parse("[::ffff:1.2.3.4]:80", &a) == 0);
    ip = address_ip(&a);
    b = address_of_ip(&ip, address_port(&a));
    EXPECT(ip.family == IP_V4 && b.any.sa_family == AF_INET && address_port(&b) == 80);

    struct address unix_client = {.any.sa_family = AF_UNIX};
    ip = address_ip(&unix_client);
    EXPECT(ip.family == IP_UNIX && address_port(&unix_client) == 0);
    EXPECT(address_of_ip(&ip, 0).any.sa_family == AF_UNIX);
}

#include "codec/proxy_protocol.c"

#include "rows.h"

#define V2 "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"

/* What is said of the text, and that nothing is said before it is certain: every prefix asks for
 * more, or has been told already what is wrong. 0 stands for "more please". */
static int parse(const char *name, struct bytes text, struct proxy_header *header, enum reason *why)
{
    enum reason first = REASON_DONE, any = REASON_DONE;
    bool is_bad = false;
    int used = proxy_header_parse(text, header, why);

    for (size_t len = 0; len < text.len; len++) {
        struct proxy_header unused;
        struct bytes prefix = exact(text, len);
        int got = proxy_header_parse(prefix, &unused, &any);
        exact_free(prefix);
        if (used > 0)
            EXPECT_ROW(name, got == (len < (size_t)used ? 0 : used));
        EXPECT_ROW(name, used <= 0 ? got <= 0 : true);
        EXPECT_ROW(name, !is_bad || (got < 0 && any == first));
        if (got < 0 && !is_bad)
            first = any;
        is_bad = got < 0;
    }
    return used;
}

static bool is(const struct ip *ip, uint16_t port, const char *address, unsigned wanted_port)
{
    char text[IP_TEXT_BYTES];

    return strcmp(ip_write(ip, text), address) == 0 && port == wanted_port;
}

/* --- version 1
 * ------------------------------------------------------------------------------------- */

TEST(lines_that_are_headers)
{
    static const struct {
        const char *line, *source, *destination;
        unsigned source_port, destination_port;
    } rows[] = {
        {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1", "192.168.0.11", 56324,
         443},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255",
         "255.255.255.255", 65535, 65535},
        {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0", "0.0.0.0", 0, 0},
        {"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "2001:db8::1", "::1", 1, 65535},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0 "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         65535, 65535},
        {"PROXY TCP6 ::ffff:10.0.0.1 ::ffff:10.0.0.2 5 6\r\n", "10.0.0.1", "10.0.0.2", 5, 6},
    };
    enum reason why;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_header h;
        char text[200];
        int len = (int)strlen(rows[i].line);
        snprintf(text, sizeof text, "%sGET / HTTP/1.1\r\n", rows[i].line);
        EXPECT_ROW(rows[i].line, parse(rows[i].line, bytes_of(text), &h, &why) == len);
        EXPECT_ROW(rows[i].line, h.version == 1 && h.has_addresses && !h.is_local);
        EXPECT_ROW(rows[i].line, is(&h.source, h.source_port, rows[i].source, rows[i].source_port));
        EXPECT_ROW(rows[i].line, is(&h.destination, h.destination_port, rows[i].destination,
                                    rows[i].destination_port));
    }
}

TEST(unknown_may_say_anything_up_to_the_limit)
{
    struct proxy_header h;
    enum reason why;
    char longest[PROXY_V1_MAX_BYTES + 1];

    EXPECT(parse("short", bytes_of("PROXY UNKNOWN\r\n"), &h, &why) == 15);
    EXPECT(h.version == 1 && !h.has_addresses);
    EXPECT(parse("more", bytes_of("PROXY UNKNOWN ffff::1 what ever\r\nx"), &h, &why) == 33);
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "PROXY UNKNOWN ", 14);
    memcpy(longest + PROXY_V1_MAX_BYTES - 2, "\r\n", 3);
    EXPECT(parse("longest", bytes_of(longest), &h, &why) == (int)PROXY_V1_MAX_BYTES);
}

TEST(lines_that_are_malformed)
{
    static const char *const rows[] = {
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 +2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 999999999999999999999\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\t2\r\n",
        "PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP6 ::1 5.6.7.8 1 2\r\n",
        "PROXY TCP6 [::1] [::2] 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
        "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY unknown\r\n",
        "PROXY UNKNOWN \x01\r\n",
        "PROXY UNKNOWN \x7f\r\n",
        "PROXY UNKNOWN \xc3\xa4\r\n",
        "PROXY \n",
    };
    struct proxy_header h = {.version = 77};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum reason why = REASON_DONE;
        EXPECT_ROW(rows[i], parse(rows[i], bytes_of(rows[i]), &h, &why) < 0);
        EXPECT_ROW(rows[i], why == REASON_PROXY_MALFORMED && h.version == 77);
    }
}

TEST(a_line_without_end_is_malformed_as_soon_as_there_is_no_room_for_it)
{
    struct proxy_header h;
    enum reason why = REASON_DONE;
    char text[PROXY_V1_MAX_BYTES + 2];

    memset(text, 'x', sizeof text);
    memcpy(text, "PROXY UNKNOWN ", 14);
    EXPECT(proxy_header_parse((struct bytes){(uint8_t *)text, PROXY_V1_MAX_BYTES - 2}, &h, &why) ==
           0);
    EXPECT(proxy_header_parse((struct bytes){(uint8_t *)text, PROXY_V1_MAX_BYTES - 1}, &h, &why) <
           0);
    EXPECT(why == REASON_PROXY_MALFORMED);
    memcpy(text + PROXY_V1_MAX_BYTES - 1, "\r\n", 2);
    EXPECT(parse("one too many", (struct bytes){(uint8_t *)text, PROXY_V1_MAX_BYTES + 1}, &h,
                 &why) < 0);
}

TEST(what_begins_otherwise_is_missing)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n", "P\r\n",        "POST / HTTP/1.1\r\n",        "PROXX ",
        "proxy TCP4 ",        "\x16\x03\x01", "\r\n\r\nGET / HTTP/1.1\r\n", "\r\n\r\n\x01",
        " PROXY TCP4 ",       "PROXY\tTCP4 ", "PROPFIND / HTTP/1.1\r\n",
    };
    struct proxy_header h;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum reason why = REASON_DONE;
        EXPECT_ROW(rows[i], parse(rows[i], bytes_of(rows[i]), &h, &why) < 0);
        EXPECT_ROW(rows[i], why == REASON_PROXY_MISSING);
    }
}

/* --- version 2
 * ------------------------------------------------------------------------------------- */

#define TCP4_BLOCK "\x01\x02\x03\x04\x05\x06\x07\x08\x12\x34\x00\x50"
#define TCP6_BLOCK                                                                                 \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x12\x34" \
    "\x00\x50"

TEST(the_families_of_version_2)
{
    struct proxy_header h;
    enum reason why;
    static const struct bytes tcp4 = TEXT(V2 "\x21\x11\x00\x0c" TCP4_BLOCK "more");
    static const struct bytes tcp6 = TEXT(V2 "\x21\x21\x00\x24" TCP6_BLOCK "more");
    static const struct bytes unspec = TEXT(V2 "\x21\x00\x00\x00more");
    static const struct bytes local = TEXT(V2 "\x20\x00\x00\x00more");
    static const struct bytes local_with_rubbish = TEXT(V2 "\x20\xff\x00\x03xyzmore");

    EXPECT(parse("tcp4", tcp4, &h, &why) == 28 && h.version == 2 && h.has_addresses);
    EXPECT(is(&h.source, h.source_port, "1.2.3.4", 0x1234));
    EXPECT(is(&h.destination, h.destination_port, "5.6.7.8", 80));
    EXPECT(parse("tcp6", tcp6, &h, &why) == 52 && h.has_addresses);
    EXPECT(is(&h.source, h.source_port, "2001:db8::1", 0x1234));
    EXPECT(is(&h.destination, h.destination_port, "2001:db8::2", 80));
    EXPECT(parse("unspec", unspec, &h, &why) == 16 && !h.has_addresses && !h.is_local);
    EXPECT(parse("local", local, &h, &why) == 16 && !h.has_addresses && h.is_local);
    EXPECT(parse("local, with rubbish", local_with_rubbish, &h, &why) == 19 && h.is_local);
}

TEST(a_client_of_a_unix_socket)
{
    uint8_t text[PROXY_V2_HEAD_BYTES + 2 * UNIX_ADDRESS_BYTES + 8] = V2 "\x21\x31\x00\xdb";
    struct proxy_header h;
    enum reason why;

    memcpy(text + 16 + 216, "\x02\x00\x00", 3);
    EXPECT(parse("unix", (struct bytes){text, sizeof text}, &h, &why) == 16 + 216 + 3);
    EXPECT(h.has_addresses && h.source.family == IP_UNIX && h.source_port == 0);
}

TEST(version_2_that_is_malformed)
{
    static const struct {
        const char *name;
        struct bytes text;
    } rows[] = {
        {"version 1 in binary", TEXT(V2 "\x11\x11\x00\x0c" TCP4_BLOCK)},
        {"version 3", TEXT(V2 "\x31\x11\x00\x0c" TCP4_BLOCK)},
        {"command 2", TEXT(V2 "\x22\x11\x00\x0c" TCP4_BLOCK)},
        {"datagrams over a stream", TEXT(V2 "\x21\x12\x00\x0c" TCP4_BLOCK)},
        {"family 4", TEXT(V2 "\x21\x41\x00\x0c" TCP4_BLOCK)},
        {"protocol 0 of IPv4", TEXT(V2 "\x21\x10\x00\x0c" TCP4_BLOCK)},
        {"IPv4 without its last byte", TEXT(V2 "\x21\x11\x00\x0b" TCP4_BLOCK)},
        {"IPv4 of no bytes", TEXT(V2 "\x21\x11\x00\x00" TCP4_BLOCK)},
        {"IPv6 in the length of IPv4", TEXT(V2 "\x21\x21\x00\x0c" TCP4_BLOCK)},
        {"Unix in the length of IPv4", TEXT(V2 "\x21\x31\x00\x0c" TCP4_BLOCK)},
        {"longer than the limit", TEXT(V2 "\x21\x11\x10\x01")},
        {"LOCAL longer than the limit", TEXT(V2 "\x20\x00\xff\xff")},
        {"a byte behind the block", TEXT(V2 "\x21\x11\x00\x0d" TCP4_BLOCK "\x04")},
        {"half a TLV head", TEXT(V2 "\x21\x11\x00\x0e" TCP4_BLOCK "\x04\x00")},
        {"a TLV longer than the rest", TEXT(V2 "\x21\x11\x00\x10" TCP4_BLOCK "\x04\x00\x02\x00")},
        {"ALPN twice", TEXT(V2 "\x21\x00\x00\x0a\x01\x00\x02h2\x01\x00\x02h2")},
        {"ALPN twice, once empty", TEXT(V2 "\x21\x00\x00\x08\x01\x00\x00\x01\x00\x02h2")},
        {"two authorities", TEXT(V2 "\x21\x00\x00\x08\x02\x00\x01"
                                    "a\x02\x00\x01"
                                    "b")},
        {"an authority with NUL", TEXT(V2 "\x21\x00\x00\x06\x02\x00\x03"
                                          "a\0b")},
        {"SSL too short", TEXT(V2 "\x21\x00\x00\x07\x20\x00\x04\x01\0\0\0")},
        {"SSL with half a part", TEXT(V2 "\x21\x00\x00\x0a\x20\x00\x07\x01\0\0\0\0\x21\x00")},
        {"SSL with a part too long",
         TEXT(V2 "\x21\x00\x00\x0c\x20\x00\x09\x01\0\0\0\0\x21\x00\x02x")},
        {"a checksum of three bytes", TEXT(V2 "\x21\x00\x00\x06\x03\x00\x03\0\0\0")},
        {"a wrong checksum", TEXT(V2 "\x21\x00\x00\x07\x03\x00\x04\0\0\0\0")},
    };
    struct proxy_header h = {.version = 77};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum reason why = REASON_DONE;
        EXPECT_ROW(rows[i].name, parse(rows[i].name, rows[i].text, &h, &why) < 0);
        EXPECT_ROW(rows[i].name, why == REASON_PROXY_MALFORMED && h.version == 77);
    }
}

TEST(a_header_of_just_the_limit_is_read)
{
    static uint8_t text[PROXY_HEADER_MAX_BYTES] = V2 "\x21\x00\x10\x00\x04\x0f\xfd";
    struct proxy_header h;
    enum reason why;

    EXPECT(proxy_header_parse((struct bytes){text, sizeof text}, &h, &why) == sizeof text);
    EXPECT(proxy_header_parse((struct bytes){text, sizeof text - 1}, &h, &why) == 0);
}

TEST(what_tlvs_say)
{
    static const struct bytes text =
        TEXT(V2 "\x21\x11\x00\x3e" TCP4_BLOCK "\x01\x00\x02h2"
                "\xe0\x00\x02us" /* someone's own, twice, is no matter of ours */
                "\xe0\x00\x02us"
                "\x02\x00\x05"
                "a.com"
                "\x04\x00\x00"
                "\x05\x00\x03"
                "id1"
                "\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.2");
    struct proxy_header h;
    enum reason why;

    EXPECT(parse("tlvs", text, &h, &why) == (int)text.len);
    EXPECT(says(h.alpn, "h2") && says(h.authority, "a.com") && says(h.unique_id, "id1"));
    EXPECT(h.ssl.len == 15 && proxy_header_is_tls(&h) && !h.has_checksum);
}

TEST(a_client_whose_tls_is_not_ended_here)
{
    static const struct bytes text = TEXT(V2 "\x21\x00\x00\x08\x20\x00\x05\x00\0\0\0\0");
    struct proxy_header h;
    enum reason why;

    EXPECT(parse("ssl", text, &h, &why) == (int)text.len && !proxy_header_is_tls(&h));
    h.ssl = (struct bytes){0};
    EXPECT(!proxy_header_is_tls(&h));
}

/* RFC 3720 appendix B.4 */
TEST(the_checksum_is_castagnolis)
{
    uint8_t bytes[32] = {0};

    EXPECT(~crc32c_more(UINT32_MAX, (struct bytes){bytes, 32}) == 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    EXPECT(~crc32c_more(UINT32_MAX, (struct bytes){bytes, 32}) == 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    EXPECT(~crc32c_more(UINT32_MAX, (struct bytes){bytes, 32}) == 0x46dd794e);
    EXPECT(~crc32c_more(UINT32_MAX, bytes_of("123456789")) == 0xe3069283);
}

/* --- writing
 * --------------------------------------------------------------------------------------- */

static struct ip ip(const char *text)
{
    struct ip ip;

    EXPECT(ip_parse(bytes_of(text), &ip) == 0);
    return ip;
}

static struct proxy_header header_of(unsigned version, const char *source, const char *destination)
{
    return (struct proxy_header){
        .version = (uint8_t)version,
        .has_addresses = true,
        .source = ip(source),
        .destination = ip(destination),
        .source_port = 56324,
        .destination_port = 443,
    };
}

static bool writes(const struct proxy_header *header, struct bytes wanted)
{
    uint8_t out[PROXY_OUT_MAX_BYTES];
    size_t len = proxy_header_write(header, out);

    return bytes_equal((struct bytes){out, len}, wanted);
}

TEST(lines_are_written_as_the_document_does)
{
    struct proxy_header h = header_of(1, "192.168.0.1", "192.168.0.11");

    EXPECT(writes(&h, bytes_of("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n")));
    h = header_of(1, "2001:db8::1", "::1");
    EXPECT(writes(&h, bytes_of("PROXY TCP6 2001:db8::1 ::1 56324 443\r\n")));
    h = header_of(1, "10.0.0.1", "::1");
    EXPECT(writes(&h, bytes_of("PROXY TCP6 ::ffff:10.0.0.1 ::1 56324 443\r\n")));
    h.source = (struct ip){0};
    EXPECT(writes(&h, bytes_of("PROXY UNKNOWN\r\n")));
    h = header_of(1, "10.0.0.1", "10.0.0.2");
    h.has_addresses = false;
    EXPECT(writes(&h, bytes_of("PROXY UNKNOWN\r\n")));
    h = (struct proxy_header){.version = 1, .is_local = true};
    EXPECT(writes(&h, bytes_of("PROXY UNKNOWN\r\n")));
}

TEST(version_2_is_written_as_the_document_does)
{
    struct proxy_header h = header_of(2, "1.2.3.4", "5.6.7.8");

    h.source_port = 0x1234;
    h.destination_port = 80;
    EXPECT(writes(&h, (struct bytes)TEXT(V2 "\x21\x11\x00\x0c" TCP4_BLOCK)));
    h.alpn = bytes_of("h2");
    EXPECT(writes(&h, (struct bytes)TEXT(V2 "\x21\x11\x00\x11" TCP4_BLOCK "\x01\x00\x02h2")));
    h = (struct proxy_header){.version = 2, .is_local = true, .alpn = bytes_of("h2")};
    EXPECT(writes(&h, (struct bytes)TEXT(V2 "\x20\x00\x00\x00")));
    h = (struct proxy_header){.version = 2, .authority = bytes_of("a")};
    EXPECT(writes(&h, (struct bytes)TEXT(V2 "\x21\x00\x00\x04\x02\x00\x01"
                                            "a")));
}

TEST(what_is_written_is_read_back)
{
    static const char *const pairs[][2] = {{"1.2.3.4", "5.6.7.8"},
                                           {"2001:db8::1", "2001:db8::2"},
                                           {"1.2.3.4", "2001:db8::2"},
                                           {"::1", "5.6.7.8"}};
    uint8_t out[PROXY_OUT_MAX_BYTES], ssl[PROXY_SSL_MAX];
    size_t ssl_len = proxy_ssl_write(bytes_of("TLSv1.3"), bytes_of("TLS_AES_128_GCM_SHA256"), ssl);

    for (unsigned i = 0; i < 3 * ARRAY_LEN(pairs); i++) {
        struct proxy_header h = header_of(i % 3 ? 2 : 1, pairs[i / 3][0], pairs[i / 3][1]), back;
        enum reason why;
        h.has_checksum = i % 3 == 1;
        h.alpn = bytes_of("http/1.1");
        h.authority = bytes_of("chat.example.com");
        h.unique_id = bytes_of("00112233445566ff");
        h.ssl = (struct bytes){ssl, ssl_len};
        size_t len = proxy_header_write(&h, out);
        EXPECT(parse(pairs[i / 3][0], (struct bytes){out, len}, &back, &why) == (int)len);
        EXPECT(back.version == h.version && back.has_addresses);
        EXPECT(ip_equal(&back.source, &h.source) && ip_equal(&back.destination, &h.destination));
        EXPECT(back.source_port == 56324 && back.destination_port == 443);
        if (h.version == 1)
            continue;
        EXPECT(says(back.alpn, "http/1.1") && says(back.authority, "chat.example.com"));
        EXPECT(says(back.unique_id, "00112233445566ff") && bytes_equal(back.ssl, h.ssl));
        EXPECT(back.has_checksum == h.has_checksum && proxy_header_is_tls(&back));
    }
}

TEST(every_bit_is_under_the_checksum)
{
    struct proxy_header h = header_of(2, "1.2.3.4", "5.6.7.8"), back;
    uint8_t out[PROXY_OUT_MAX_BYTES];
    enum reason why;

    h.has_checksum = true;
    h.authority = bytes_of("a");
    size_t len = proxy_header_write(&h, out);
    for (size_t bit = 8 * PROXY_V2_HEAD_BYTES; bit < 8 * len; bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int used = proxy_header_parse((struct bytes){out, len}, &back, &why);
        bool is_noticed = used < 0 || !back.has_checksum; /* a flipped type is another TLV */
        EXPECT(is_noticed);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(the_largest_of_everything_fits_and_more_is_left_out)
{
    static uint8_t big[PROXY_SSL_MAX + 1];
    struct proxy_header h = header_of(2, "::1", "::2"), back;
    uint8_t out[PROXY_OUT_MAX_BYTES];
    enum reason why;

    memset(big, 'x', sizeof big);
    big[5] = 0x21;
    big[6] = (uint8_t)((PROXY_SSL_MAX - 8) >> 8);
    big[7] = (uint8_t)(PROXY_SSL_MAX - 8);
    h.alpn = (struct bytes){big + 8, PROXY_ALPN_MAX};
    h.authority = (struct bytes){big + 8, PROXY_AUTHORITY_MAX};
    h.unique_id = (struct bytes){big + 8, PROXY_UNIQUE_ID_MAX};
    h.ssl = (struct bytes){big, PROXY_SSL_MAX};
    h.has_checksum = true;
    size_t len = proxy_header_write(&h, out);
    EXPECT(proxy_header_parse((struct bytes){out, len}, &back, &why) == (int)len);
    EXPECT(back.alpn.len == PROXY_ALPN_MAX && back.ssl.len == PROXY_SSL_MAX);
    h.alpn.len = PROXY_ALPN_MAX + 1;
    h.authority.len = PROXY_AUTHORITY_MAX + 1;
    h.unique_id.len = PROXY_UNIQUE_ID_MAX + 1;
    h.ssl.len = PROXY_SSL_MAX + 1;
    len = proxy_header_write(&h, out);
    EXPECT(proxy_header_parse((struct bytes){out, len}, &back, &why) == (int)len);
    EXPECT(!back.alpn.len && !back.authority.len && !back.unique_id.len && !back.ssl.len);
}

#include "codec/tls_hello.c"

#include "rows.h"

/* What `openssl s_client -tls1_3 -servername chat.example.com` says first. */
static const uint8_t openssl_hello[] = {
    0x16, 0x03, 0x01, 0x00, 0xf5, 0x01, 0x00, 0x00, 0xf1, 0x03, 0x03, 0xe9, 0x66, 0x0a, 0x35, 0xd4,
    0x1e, 0x15, 0x5b, 0xb5, 0x22, 0xc3, 0xd4, 0x3a, 0xe9, 0x64, 0xa1, 0xd8, 0x6d, 0x07, 0x21, 0xfa,
    0xed, 0xd8, 0x1c, 0x6a, 0x09, 0x7f, 0x9e, 0x2b, 0xf2, 0x9b, 0x98, 0x20, 0x31, 0x1e, 0x98, 0x6a,
    0x81, 0x8b, 0xd0, 0xcf, 0x64, 0xdc, 0xae, 0x9d, 0xd4, 0xde, 0x7d, 0x95, 0xe4, 0x3c, 0x78, 0xcf,
    0xcf, 0x1a, 0x0a, 0x80, 0xad, 0xea, 0x37, 0x18, 0xc5, 0x51, 0x7f, 0x8d, 0x00, 0x08, 0x13, 0x02,
    0x13, 0x03, 0x13, 0x01, 0x00, 0xff, 0x01, 0x00, 0x00, 0xa0, 0x00, 0x00, 0x00, 0x15, 0x00, 0x13,
    0x00, 0x00, 0x10, 0x63, 0x68, 0x61, 0x74, 0x2e, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e,
    0x63, 0x6f, 0x6d, 0x00, 0x0b, 0x00, 0x04, 0x03, 0x00, 0x01, 0x02, 0x00, 0x0a, 0x00, 0x16, 0x00,
    0x14, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x1e, 0x00, 0x19, 0x00, 0x18, 0x01, 0x00, 0x01, 0x01, 0x01,
    0x02, 0x01, 0x03, 0x01, 0x04, 0x00, 0x23, 0x00, 0x00, 0x00, 0x16, 0x00, 0x00, 0x00, 0x17, 0x00,
    0x00, 0x00, 0x0d, 0x00, 0x1e, 0x00, 0x1c, 0x04, 0x03, 0x05, 0x03, 0x06, 0x03, 0x08, 0x07, 0x08,
    0x08, 0x08, 0x09, 0x08, 0x0a, 0x08, 0x0b, 0x08, 0x04, 0x08, 0x05, 0x08, 0x06, 0x04, 0x01, 0x05,
    0x01, 0x06, 0x01, 0x00, 0x2b, 0x00, 0x03, 0x02, 0x03, 0x04, 0x00, 0x2d, 0x00, 0x02, 0x01, 0x01,
    0x00, 0x33, 0x00, 0x26, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20, 0x37, 0x80, 0x36, 0x23, 0x87, 0xcc,
    0xc7, 0xe1, 0xea, 0xab, 0xf8, 0x1d, 0x7b, 0xc2, 0x46, 0x5a, 0x8b, 0xab, 0x90, 0x31, 0x89, 0xf1,
    0x7b, 0xc0, 0x84, 0x92, 0x23, 0x71, 0xe4, 0xec, 0x44, 0x4c,
};

static uint8_t memory[TLS_HELLO_MAX_BYTES];

/* --- hellos made to order
 * ------------------------------------------------------------------------- */

struct maker {
    uint8_t at[40000];
    size_t len;
};

static void put(struct maker *m, struct bytes more)
{
    EXPECT(m->len + more.len <= sizeof m->at);
    if (more.len)
        memcpy(m->at + m->len, more.at, more.len);
    m->len += more.len;
}

static void put_number(struct maker *m, size_t number, size_t len)
{
    for (size_t i = len; i-- > 0;)
        put(m, BYTES((uint8_t)(number >> 8 * i)));
}

/* The handshake message; `padding` bytes are added as an extension of their own. */
static void make_message(struct maker *m, struct bytes extensions, size_t padding)
{
    static const uint8_t random[32];
    size_t extensions_len = extensions.len + (padding ? 4 + padding : 0);

    m->len = 0;
    put_number(m, CLIENT_HELLO, 1);
    put_number(m, 2 + 32 + 1 + 2 + 2 + 2 + 2 + extensions_len, 3);
    put_number(m, 0x0303, 2);
    put(m, (struct bytes){random, sizeof random});
    put(m, BYTES(0, 0, 2, 0x13, 0x01, 1, 0));
    put_number(m, extensions_len, 2);
    put(m, extensions);
    if (!padding)
        return;
    put_number(m, 21, 2);
    put_number(m, padding, 2);
    EXPECT(m->len + padding <= sizeof m->at);
    memset(m->at + m->len, 0, padding);
    m->len += padding;
}

static void make_records(struct maker *m, const struct maker *message, size_t size)
{
    m->len = 0;
    for (size_t at = 0; at < message->len; at += size) {
        struct bytes part = bytes_slice((struct bytes){message->at, message->len}, at, at + size);
        put(m, BYTES(RECORD_HANDSHAKE, 3, 1));
        put_number(m, part.len, 2);
        put(m, part);
    }
}

static int parse_exact(struct bytes in, size_t len, struct tls_hello *ret_hello)
{
    struct bytes copy = exact(in, len);
    int used = tls_hello_parse(copy, memory, ret_hello);

    exact_free(copy);
    return used;
}

#define SNI_A                                                                                      \
    "\0\0\0\x06\0\x04\0\0\x01"                                                                     \
    "a"
#define ALPN_H2                                                                                    \
    "\0\x10\0\x05\0\x03\x02"                                                                       \
    "h2"
#define VERSION_13 "\0\x2b\0\x03\x02\x03\x04"

/* --- tests
 * ----------------------------------------------------------------------------------------- */

TEST(a_real_hello_byte_by_byte)
{
    struct bytes in = {openssl_hello, sizeof openssl_hello};
    struct tls_hello hello = {0};

    for (size_t len = 0; len < in.len; len++)
        EXPECT(parse_exact(in, len, &hello) == 0);
    EXPECT(parse_exact(in, in.len, &hello) == (int)in.len);
    EXPECT(says(hello.server_name, "chat.example.com"));
    EXPECT(hello.alpn.len == 0 && hello.version == 0x0304);
}

TEST(a_hello_is_whole_in_records_of_any_size)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(ALPN_H2 SNI_A VERSION_13), 0);
    for (size_t size = 1; size <= message.len; size++) {
        make_records(&records, &message, size);
        struct bytes in = {records.at, records.len};
        for (size_t len = 0; len < in.len; len++)
            EXPECT(parse_exact(in, len, &hello) == 0);
        EXPECT(parse_exact(in, in.len, &hello) == (int)in.len);
        EXPECT(says(hello.server_name, "a") && says(hello.alpn, "h2") && hello.version == 0x0304);
    }
}

TEST(a_hello_of_the_greatest_length_and_one_byte_more)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(SNI_A), 1);
    size_t padding = TLS_HELLO_MAX_BYTES - message.len + 1;
    make_message(&message, (struct bytes)TEXT(SNI_A), padding);
    EXPECT(message.len == TLS_HELLO_MAX_BYTES);
    for (size_t size = 4096; size <= 16384; size *= 2) {
        make_records(&records, &message, size);
        EXPECT(parse_exact((struct bytes){records.at, records.len}, records.len, &hello) ==
               (int)records.len);
        EXPECT(says(hello.server_name, "a"));
    }
    make_message(&message, (struct bytes)TEXT(SNI_A), padding + 1);
    make_records(&records, &message, 4096);
    EXPECT(parse_exact((struct bytes){records.at, records.len}, 9, &hello) == -1);
}

TEST(what_comes_behind_the_hello_is_not_used)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(SNI_A), 0);
    make_records(&records, &message, 4096);
    size_t whole = records.len;
    put(&records, BYTES(20, 3, 3, 0, 1, 1));
    EXPECT(parse_exact((struct bytes){records.at, records.len}, records.len, &hello) == (int)whole);
}

TEST(a_hello_without_extensions)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes){0}, 0);
    message.len -= 2; /* not even their length */
    message.at[3] = (uint8_t)(message.at[3] - 2);
    make_records(&records, &message, 4096);
    EXPECT(parse_exact((struct bytes){records.at, records.len}, records.len, &hello) ==
           (int)records.len);
    EXPECT(hello.server_name.len == 0 && hello.alpn.len == 0 && hello.version == 0x0303);
}

static const struct extension_row {
    const char *name;
    struct bytes extensions;
    const char *server_name; /* NULL: malformed */
    const char *alpn;
    unsigned version;
} extension_rows[] = {
    {"none", TEXT(""), "", "", 0x0303},
    {"a name", TEXT(SNI_A), "a", "", 0x0303},
    {"unknown ones", TEXT("\x0a\x0a\0\0" SNI_A "\xff\x01\0\x01\0"), "a", "", 0x0303},
    {"two protocols",
     TEXT("\0\x10\0\x07\0\x05\x02"
          "h2\x01"
          "x"),
     "", "h2", 0x0303},
    {"versions in any order", TEXT("\0\x2b\0\x05\x04\x03\x03\x03\x04"), "", "", 0x0304},
    {"a version that is grease", TEXT("\0\x2b\0\x05\x04\x7a\x7a\x03\x03"), "", "", 0x0303},
    {"versions below the legacy one", TEXT("\0\x2b\0\x03\x02\x03\x02"), "", "", 0x0302},
    {"a name twice", TEXT(SNI_A SNI_A), NULL, NULL, 0},
    {"protocols twice", TEXT(ALPN_H2 ALPN_H2), NULL, NULL, 0},
    {"versions twice", TEXT(VERSION_13 VERSION_13), NULL, NULL, 0},
    {"two names in a list",
     TEXT("\0\0\0\x0a\0\x08\0\0\x01"
          "a\0\0\x01"
          "b"),
     NULL, NULL, 0},
    {"an empty name", TEXT("\0\0\0\x05\0\x03\0\0\0"), NULL, NULL, 0},
    {"an empty list of names", TEXT("\0\0\0\x02\0\0"), NULL, NULL, 0},
    {"an empty extension of names", TEXT("\0\0\0\0"), NULL, NULL, 0},
    {"a name of another type",
     TEXT("\0\0\0\x06\0\x04\x01\0\x01"
          "a"),
     NULL, NULL, 0},
    {"NUL in a name",
     TEXT("\0\0\0\x08\0\x06\0\0\x03"
          "a\0b"),
     NULL, NULL, 0},
    {"a name longer than its list",
     TEXT("\0\0\0\x06\0\x04\0\0\x02"
          "a"),
     NULL, NULL, 0},
    {"a list longer than its extension",
     TEXT("\0\0\0\x06\0\x05\0\0\x01"
          "a"),
     NULL, NULL, 0},
    {"a byte behind the list",
     TEXT("\0\0\0\x07\0\x04\0\0\x01"
          "ab"),
     NULL, NULL, 0},
    {"an extension longer than all",
     TEXT("\0\0\0\x07\0\x04\0\0\x01"
          "a"),
     NULL, NULL, 0},
    {"half an extension's head", TEXT(SNI_A "\0\x10\0"), NULL, NULL, 0},
    {"an empty list of protocols", TEXT("\0\x10\0\x02\0\0"), NULL, NULL, 0},
    {"an empty protocol", TEXT("\0\x10\0\x03\0\x01\0"), NULL, NULL, 0},
    {"an empty protocol inside",
     TEXT("\0\x10\0\x08\0\x06\x02"
          "h2\0\x01"
          "x"),
     NULL, NULL, 0},
    {"an empty protocol last",
     TEXT("\0\x10\0\x06\0\x04\x02"
          "h2\0"),
     NULL, NULL, 0},
    {"half a version", TEXT("\0\x2b\0\x04\x03\x03\x04\x03"), NULL, NULL, 0},
    {"no version", TEXT("\0\x2b\0\x01\0"), NULL, NULL, 0},
};

TEST(extensions_good_and_bad)
{
    static struct maker message, records;

    for (size_t i = 0; i < ARRAY_LEN(extension_rows); i++) {
        const struct extension_row *row = &extension_rows[i];
        struct tls_hello hello = {.version = 7};
        make_message(&message, row->extensions, 0);
        make_records(&records, &message, 4096);
        int used = parse_exact((struct bytes){records.at, records.len}, records.len, &hello);
        if (!row->server_name) {
            EXPECT_ROW(row->name, used == -1 && hello.version == 7);
            continue;
        }
        EXPECT_ROW(row->name, used == (int)records.len && hello.version == row->version);
        EXPECT_ROW(row->name,
                   says(hello.server_name, row->server_name) && says(hello.alpn, row->alpn));
    }
}

/* Each ends with the byte at which it must be known. */
TEST(what_is_no_hello_is_known_at_once)
{
    static const struct {
        const char *name;
        struct bytes text;
    } rows[] = {
        {"HTTP", TEXT("G")},
        {"an alert", TEXT("\x15")},
        {"SSL 2", TEXT("\x80")},
        {"another version of records", TEXT("\x16\x02")},
        {"an empty record", TEXT("\x16\x03\x01\0\0")},
        {"a record that is too long", TEXT("\x16\x03\x01\x40\x01")},
        {"a ServerHello", TEXT("\x16\x03\x01\0\x20\x02")},
        {"a message that is too long", TEXT("\x16\x03\x01\0\x20\x01\x01\0\0")},
        {"an alert inside a hello", TEXT("\x16\x03\x01\0\x01\x01\x15")},
        {"an empty record inside a hello", TEXT("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0")},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_hello hello = {0};
        for (size_t len = 0; len < rows[i].text.len; len++)
            EXPECT_ROW(rows[i].name, parse_exact(rows[i].text, len, &hello) == 0);
        EXPECT_ROW(rows[i].name, parse_exact(rows[i].text, rows[i].text.len, &hello) == -1);
    }
}

TEST(no_cut_message_is_a_hello)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(SNI_A ALPN_H2), 0);
    size_t body = message.len - MESSAGE_HEAD_BYTES;
    for (size_t len = 0; len < body; len++) { /* the message says it is shorter */
        bool is_before_extensions = len == body - sizeof(SNI_A ALPN_H2) + 1 - 2;
        struct maker cut = message;
        cut.at[3] = (uint8_t)len;
        cut.len = MESSAGE_HEAD_BYTES + len;
        make_records(&records, &cut, 4096);
        int used = parse_exact((struct bytes){records.at, records.len}, records.len, &hello);
        EXPECT(is_before_extensions ? used > 0 : used == -1);
    }
}

TEST(bytes_behind_the_extensions_are_malformed)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(SNI_A), 0);
    put(&message, BYTES(0));
    message.at[3]++;
    make_records(&records, &message, 4096);
    EXPECT(parse_exact((struct bytes){records.at, records.len}, records.len, &hello) == -1);
}

TEST(records_do_not_overflow_the_memory_behind_a_hello_that_fits)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(SNI_A), 16000);
    EXPECT(message.len < TLS_HELLO_MAX_BYTES);
    make_records(&records, &message, 10);
    records.len =
        RECORD_HEAD_BYTES + 10; /* the second record brings more than is left of the hello */
    put(&records, BYTES(RECORD_HANDSHAKE, 3, 1, 0x40, 0));
    put(&records, (struct bytes){message.at, 16384});
    EXPECT(parse_exact((struct bytes){records.at, records.len}, records.len, &hello) == -1);
}

TEST(nothing_may_follow_a_hello_in_its_record)
{
    static struct maker message, records;
    struct tls_hello hello = {0};

    make_message(&message, (struct bytes)TEXT(SNI_A), 0);
    put(&message, BYTES(1));
    make_records(&records, &message, 4096);
    for (size_t len = 0; len < RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES; len++)
        EXPECT(parse_exact((struct bytes){records.at, records.len}, len, &hello) == 0);
    EXPECT(parse_exact((struct bytes){records.at, records.len},
                       RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES, &hello) == -1);
}

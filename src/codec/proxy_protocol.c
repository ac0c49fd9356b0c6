/* Who stands in front of us says in these bytes who the client is, so nothing is guessed: version 1
 * is taken letter by letter as the document writes it, version 2 with every length checked against
 * what encloses it. */
#include "codec/proxy_protocol.h"

#include "base/check.h"
#include "base/cursor.h"

#include <stdio.h>

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const uint8_t v1_signature[6] = {'P', 'R', 'O', 'X', 'Y', ' '};

#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21

#define FAMILY_UNSPEC 0x00
#define FAMILY_TCP4   0x11
#define FAMILY_TCP6   0x21
#define FAMILY_UNIX   0x31

#define TLV_ALPN           0x01
#define TLV_AUTHORITY      0x02
#define TLV_CRC32C         0x03
#define TLV_UNIQUE_ID      0x05
#define TLV_SSL            0x20
#define TLV_SSL_VERSION    0x21
#define TLV_SSL_CIPHER     0x23
#define TLV_HEAD_BYTES     3u
#define SSL_HEAD_BYTES     5u
#define CLIENT_SSL         0x01
#define CRC32C_BYTES       4u
#define UNIX_ADDRESS_BYTES 108u

static int malformed(enum reason *ret_why)
{
    *ret_why = REASON_PROXY_MALFORMED;
    return -1;
}

/* --- version 1
 * ------------------------------------------------------------------------------------- */

/* The next word of the line; a word ends at one space, the last one at the line's end. */
static struct bytes take_word(struct cursor *c)
{
    size_t len = bytes_find(c->rest, bytes_of(" "), 0);
    struct bytes word = cursor_take(c, len);

    if (c->rest.len && !cursor_take(c, 1).len)
        c->is_bad = true;
    c->is_bad |= word.len == 0;
    return word;
}

/* Decimal, without a zero in front. */
static uint16_t take_port(struct cursor *c)
{
    struct bytes word = take_word(c);
    unsigned port = 0;

    c->is_bad |= word.len > 5 || (word.len > 1 && word.at[0] == '0');
    for (size_t i = 0; i < word.len && !c->is_bad; i++) {
        c->is_bad |= word.at[i] < '0' || word.at[i] > '9';
        port = port * 10 + (unsigned)(word.at[i] - '0');
    }
    c->is_bad |= port > 65535;
    return (uint16_t)port;
}

/* Of the family that the line has named: a colon is what tells them apart. */
static struct ip take_address(struct cursor *c, bool is_v6)
{
    struct bytes word = take_word(c);
    struct ip ip = {0};

    c->is_bad |= (bytes_find(word, bytes_of(":"), 0) < word.len) != is_v6;
    if (!c->is_bad && ip_parse(word, &ip))
        c->is_bad = true;
    return ip;
}

static bool parse_line(struct bytes line, struct proxy_header *header)
{
    struct cursor c = {.rest = line};
    bool ends_in_space = line.len && line.at[line.len - 1] == ' ';
    struct bytes protocol = take_word(&c);
    bool is_v6 = bytes_equal(protocol, bytes_of("TCP6"));

    if (bytes_equal(protocol, bytes_of("UNKNOWN")))
        return !c.is_bad; /* what follows is to be ignored: section 2.1 */
    if (!is_v6 && !bytes_equal(protocol, bytes_of("TCP4")))
        return false;
    header->source = take_address(&c, is_v6);
    header->destination = take_address(&c, is_v6);
    header->source_port = take_port(&c);
    header->destination_port = take_port(&c);
    header->has_addresses = true;
    return !c.is_bad && !c.rest.len && !ends_in_space;
}

static int parse_v1(struct bytes in, struct proxy_header *header, enum reason *ret_why)
{
    size_t end = sizeof v1_signature;
    size_t most = in.len < PROXY_V1_MAX_BYTES ? in.len : PROXY_V1_MAX_BYTES;

    while (end < most && in.at[end] >= ' ' && in.at[end] < 0x7f)
        end++;
    if (end > PROXY_V1_MAX_BYTES - 2 || (end < most && in.at[end] != '\r'))
        return malformed(ret_why);
    if (end + 1 < in.len && in.at[end + 1] != '\n')
        return malformed(ret_why);
    if (end + 2 > in.len)
        return 0;
    header->version = 1;
    if (!parse_line(bytes_slice(in, sizeof v1_signature, end), header))
        return malformed(ret_why);
    return (int)end + 2;
}

/* --- version 2
 * ------------------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), half a byte at a time. RFC 3720 appendix B.4. */
static uint32_t crc32c_more(uint32_t crc, struct bytes bytes)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.at[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* Of the whole header, with the checksum's own four bytes taken as 0. */
static uint32_t checksum_of(struct bytes header, size_t place)
{
    static const uint8_t zero[CRC32C_BYTES];
    uint32_t crc = crc32c_more(UINT32_MAX, bytes_slice(header, 0, place));

    crc = crc32c_more(crc, (struct bytes){zero, sizeof zero});
    return ~crc32c_more(crc, bytes_from(header, place + CRC32C_BYTES));
}

static bool is_ssl(struct bytes value)
{
    struct cursor c = {.rest = value};

    cursor_take(&c, SSL_HEAD_BYTES); /* client, verify */
    while (!c.is_bad && c.rest.len) {
        cursor_take(&c, 1);
        cursor_vector(&c, 2);
    }
    return !c.is_bad;
}

static bool parse_checksum(struct bytes whole, struct bytes value, struct proxy_header *header)
{
    struct cursor c = {.rest = value};

    if (value.len != CRC32C_BYTES || header->has_checksum)
        return false;
    header->has_checksum = true;
    return cursor_number(&c, CRC32C_BYTES) == checksum_of(whole, (size_t)(value.at - whole.at));
}

/* Once at most; one without content says nothing. */
static bool keep(struct bytes *field, struct bytes value, size_t max)
{
    if (field->at || value.len > max)
        return false;
    *field = value;
    return true;
}

static bool parse_tlv(struct bytes whole, size_t type, struct bytes value,
                      struct proxy_header *header)
{
    switch (type) {
    case TLV_ALPN:
        return keep(&header->alpn, value, PROXY_ALPN_MAX);
    case TLV_AUTHORITY:
        return keep(&header->authority, value, PROXY_AUTHORITY_MAX) &&
               !(value.len && memchr(value.at, 0, value.len));
    case TLV_UNIQUE_ID:
        return keep(&header->unique_id, value, PROXY_UNIQUE_ID_MAX);
    case TLV_SSL:
        return keep(&header->ssl, value, SIZE_MAX) && is_ssl(value);
    case TLV_CRC32C:
        return parse_checksum(whole, value, header);
    default:
        return true; /* padding, namespaces, and what others have made up */
    }
}

static bool parse_tlvs(struct bytes whole, struct cursor *c, struct proxy_header *header)
{
    while (!c->is_bad && c->rest.len) {
        size_t type = cursor_number(c, 1);
        struct bytes value = cursor_vector(c, 2);
        if (!c->is_bad && !parse_tlv(whole, type, value, header))
            return false;
    }
    return !c->is_bad;
}

/* The block of addresses; false for a family that no stream of ours can have come from. */
static bool parse_addresses(struct cursor *c, unsigned family, struct proxy_header *header)
{
    size_t len = family == FAMILY_TCP6 ? 16 : 4;

    header->has_addresses = family != FAMILY_UNSPEC;
    if (family == FAMILY_UNIX) {
        cursor_take(c, (size_t)2 * UNIX_ADDRESS_BYTES);
        return true;
    }
    if (family == FAMILY_UNSPEC)
        return true;
    if (family != FAMILY_TCP4 && family != FAMILY_TCP6)
        return false;
    struct bytes source = cursor_take(c, len), destination = cursor_take(c, len);
    header->source_port = (uint16_t)cursor_number(c, 2);
    header->destination_port = (uint16_t)cursor_number(c, 2);
    if (c->is_bad)
        return false;
    header->source = len == 16 ? ip_of_v6(source.at) : ip_of_v4(source.at);
    header->destination = len == 16 ? ip_of_v6(destination.at) : ip_of_v4(destination.at);
    return true;
}

/* Version and command, family, length: as much of them as is there is judged. */
static bool is_v2_head(struct bytes in)
{
    size_t at = sizeof v2_signature;

    if (in.len > at && in.at[at] != COMMAND_LOCAL && in.at[at] != COMMAND_PROXY)
        return false;
    if (in.len < PROXY_V2_HEAD_BYTES)
        return true;
    size_t len = (size_t)in.at[at + 2] << 8 | in.at[at + 3];
    return len <= PROXY_HEADER_MAX_BYTES - PROXY_V2_HEAD_BYTES;
}

static int parse_v2(struct bytes in, struct proxy_header *header, enum reason *ret_why)
{
    size_t at = sizeof v2_signature;

    if (!is_v2_head(in))
        return malformed(ret_why);
    if (in.len < PROXY_V2_HEAD_BYTES)
        return 0;
    size_t used = PROXY_V2_HEAD_BYTES + ((size_t)in.at[at + 2] << 8 | in.at[at + 3]);
    if (in.len < used)
        return 0;

    struct bytes whole = bytes_slice(in, 0, used);
    struct cursor c = {.rest = bytes_from(whole, PROXY_V2_HEAD_BYTES)};
    header->version = 2;
    header->is_local = in.at[at] == COMMAND_LOCAL;
    if (header->is_local)
        return (int)used; /* what it holds is to be skipped: section 2.2 */
    if (!parse_addresses(&c, in.at[at + 1], header) || !parse_tlvs(whole, &c, header))
        return malformed(ret_why);
    return (int)used;
}

/* --- both
 * ------------------------------------------------------------------------------------------ */

static bool begins(struct bytes in, const uint8_t *signature, size_t len)
{
    return memcmp(in.at, signature, in.len < len ? in.len : len) == 0;
}

int proxy_header_parse(struct bytes in, struct proxy_header *ret_header, enum reason *ret_why)
{
    struct proxy_header header = {0};
    int used;

    if (in.len == 0)
        return 0;
    if (begins(in, v2_signature, sizeof v2_signature)) {
        used = in.len < sizeof v2_signature ? 0 : parse_v2(in, &header, ret_why);
    } else if (begins(in, v1_signature, sizeof v1_signature)) {
        used = in.len < sizeof v1_signature ? 0 : parse_v1(in, &header, ret_why);
    } else {
        *ret_why = REASON_PROXY_MISSING;
        return -1;
    }
    if (used > 0)
        *ret_header = header;
    return used;
}

bool proxy_header_is_tls(const struct proxy_header *header)
{
    return header->ssl.len >= SSL_HEAD_BYTES && header->ssl.at[0] & CLIENT_SSL;
}

/* --- writing
 * --------------------------------------------------------------------------------------- */

struct out {
    uint8_t *at;
    size_t len;
};

static void put(struct out *out, struct bytes bytes)
{
    if (bytes.len)
        memcpy(out->at + out->len, bytes.at, bytes.len);
    out->len += bytes.len;
}

static void put_number(struct out *out, size_t number, size_t len)
{
    for (size_t i = len; i-- > 0;)
        out->at[out->len++] = (uint8_t)(number >> 8 * i);
}

static void put_tlv(struct out *out, uint8_t type, struct bytes value, size_t max)
{
    if (!value.len || value.len > max)
        return;
    put_number(out, type, 1);
    put_number(out, value.len, 2);
    put(out, value);
}

/* Sixteen bytes, whatever the family. */
static void as_v6(const struct ip *ip, uint8_t ret_at[16])
{
    memcpy(ret_at, ip->at, 16);
    if (ip->family != IP_V4)
        return;
    memset(ret_at, 0, 10);
    memset(ret_at + 10, 0xff, 2);
    memcpy(ret_at + 12, ip->at, 4);
}

/* The family in which both addresses can be written. */
static uint8_t common_family(const struct proxy_header *header)
{
    bool is_known = header->has_addresses && !header->is_local &&
                    header->source.family != IP_UNIX && header->destination.family != IP_UNIX;

    if (!is_known)
        return FAMILY_UNSPEC;
    return header->source.family == IP_V4 && header->destination.family == IP_V4 ? FAMILY_TCP4
                                                                                 : FAMILY_TCP6;
}

static const char *address_text(const struct ip *ip, uint8_t family, char text[IP_TEXT_BYTES])
{
    uint8_t at[16];

    if (family == FAMILY_TCP4 || ip->family == IP_V6)
        return ip_write(ip, text);
    as_v6(ip, at);
    snprintf(text, IP_TEXT_BYTES, "::ffff:%u.%u.%u.%u", at[12], at[13], at[14], at[15]);
    return text;
}

static size_t write_v1(const struct proxy_header *header, uint8_t *ret_at)
{
    uint8_t family = common_family(header);
    char source[IP_TEXT_BYTES], destination[IP_TEXT_BYTES], line[PROXY_V1_MAX_BYTES + 1];
    int len = family == FAMILY_UNSPEC
                  ? snprintf(line, sizeof line, "PROXY UNKNOWN\r\n")
                  : snprintf(line, sizeof line, "PROXY %s %s %s %u %u\r\n",
                             family == FAMILY_TCP4 ? "TCP4" : "TCP6",
                             address_text(&header->source, family, source),
                             address_text(&header->destination, family, destination),
                             header->source_port, header->destination_port);

    CHECK(len > 0 && (size_t)len < sizeof line);
    memcpy(ret_at, line, (size_t)len);
    return (size_t)len;
}

static void put_addresses(struct out *out, const struct proxy_header *header, uint8_t family)
{
    uint8_t source[16], destination[16];

    if (family == FAMILY_UNSPEC)
        return;
    if (family == FAMILY_TCP4) {
        put(out, (struct bytes){header->source.at, 4});
        put(out, (struct bytes){header->destination.at, 4});
    } else {
        as_v6(&header->source, source);
        as_v6(&header->destination, destination);
        put(out, (struct bytes){source, 16});
        put(out, (struct bytes){destination, 16});
    }
    put_number(out, header->source_port, 2);
    put_number(out, header->destination_port, 2);
}

static void set_number(uint8_t *at, size_t number, size_t len)
{
    struct out place = {at, 0};

    put_number(&place, number, len);
}

static size_t write_v2(const struct proxy_header *header, uint8_t *ret_at)
{
    struct out out = {ret_at, 0};
    uint8_t family = common_family(header);
    size_t checksum_at = 0;

    put(&out, (struct bytes){v2_signature, sizeof v2_signature});
    put_number(&out, header->is_local ? COMMAND_LOCAL : COMMAND_PROXY, 1);
    put_number(&out, family, 1);
    put_number(&out, 0, 2);
    put_addresses(&out, header, family);
    if (!header->is_local) {
        put_tlv(&out, TLV_ALPN, header->alpn, PROXY_ALPN_MAX);
        put_tlv(&out, TLV_AUTHORITY, header->authority, PROXY_AUTHORITY_MAX);
        put_tlv(&out, TLV_UNIQUE_ID, header->unique_id, PROXY_UNIQUE_ID_MAX);
        put_tlv(&out, TLV_SSL, header->ssl, PROXY_SSL_MAX);
        if (header->has_checksum) {
            put_number(&out, TLV_CRC32C, 1);
            put_number(&out, CRC32C_BYTES, 2);
            checksum_at = out.len;
            put_number(&out, 0, CRC32C_BYTES);
        }
    }
    set_number(ret_at + PROXY_V2_HEAD_BYTES - 2, out.len - PROXY_V2_HEAD_BYTES, 2);
    if (checksum_at)
        set_number(ret_at + checksum_at, checksum_of((struct bytes){ret_at, out.len}, checksum_at),
                   CRC32C_BYTES);
    return out.len;
}

_Static_assert(PROXY_V2_HEAD_BYTES + 36 + 4 * TLV_HEAD_BYTES + PROXY_ALPN_MAX +
                       PROXY_AUTHORITY_MAX + PROXY_UNIQUE_ID_MAX + PROXY_SSL_MAX + TLV_HEAD_BYTES +
                       CRC32C_BYTES <=
                   PROXY_OUT_MAX_BYTES,
               "the largest header that we write fits");

size_t proxy_header_write(const struct proxy_header *header, uint8_t ret_at[PROXY_OUT_MAX_BYTES])
{
    return header->version == 1 ? write_v1(header, ret_at) : write_v2(header, ret_at);
}

#define SSL_TEXT_MAX 64u

size_t proxy_ssl_write(struct bytes version, struct bytes cipher, uint8_t ret_at[PROXY_SSL_MAX])
{
    struct out out = {ret_at, 0};

    put_number(&out, CLIENT_SSL, 1);
    put_number(&out, 1, 4); /* no certificate was verified */
    put_tlv(&out, TLV_SSL_VERSION, version, SSL_TEXT_MAX);
    put_tlv(&out, TLV_SSL_CIPHER, cipher, SSL_TEXT_MAX);
    return out.len;
}

/* Every length is checked against what encloses it; what is shorter than it says is malformed once
 * the whole message is there, and "more, please" before. We route by what we read here and the
 * server serves by what it reads, so whatever TLS forbids and two readers could take differently
 * (an extension twice, two host names, bytes behind a list's end) is malformed. */
#include "codec/tls_hello.h"

#include "base/check.h"
#include "base/cursor.h"

#define RECORD_HANDSHAKE   22
#define RECORD_HEAD_BYTES  5
#define CLIENT_HELLO       1
#define MESSAGE_HEAD_BYTES 4

#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN        16
#define EXTENSION_VERSIONS    43

/* The length of the record that begins here; 0: more bytes are needed; < 0: none that a hello may
 * have. */
static int record_len(struct bytes rest)
{
    if (rest.len && rest.at[0] != RECORD_HANDSHAKE)
        return -1;
    if (rest.len > 1 && rest.at[1] != 3)
        return -1;
    if (rest.len < RECORD_HEAD_BYTES)
        return 0;
    int len = rest.at[3] << 8 | rest.at[4];
    return len ? len : -1;
}

/* Of which `have` bytes are there: as many as its head is long while that is not whole, 0 if it is
 * no hello. */
static size_t message_len(const uint8_t *message, size_t have)
{
    if (have && message[0] != CLIENT_HELLO)
        return 0;
    if (have < MESSAGE_HEAD_BYTES)
        return MESSAGE_HEAD_BYTES;
    size_t len = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
    return len <= TLS_HELLO_MAX_BYTES - MESSAGE_HEAD_BYTES ? MESSAGE_HEAD_BYTES + len : 0;
}

/* Puts the handshake message together from its records. > 0: bytes of `in` used, *ret_message is
 * whole. */
static int assemble(struct bytes in, uint8_t *memory, struct bytes *ret_message)
{
    size_t used = 0, have = 0, wanted = MESSAGE_HEAD_BYTES;

    while (have < wanted) {
        struct bytes rest = bytes_from(in, used);
        int len = record_len(rest);
        if (len <= 0)
            return len;
        struct bytes part = bytes_slice(rest, RECORD_HEAD_BYTES, RECORD_HEAD_BYTES + (size_t)len);
        size_t have_then = have + (size_t)len; /* when the record is whole */
        if (have_then > TLS_HELLO_MAX_BYTES)
            return -1; /* which is also the longest record there may be */
        memcpy(memory + have, part.at, part.len);
        have += part.len;
        wanted = message_len(memory, have);
        if (!wanted || (have >= MESSAGE_HEAD_BYTES && have_then > wanted))
            return -1; /* nothing may follow a ClientHello in its record: RFC 8446 section 5.1 */
        if (have < have_then)
            return 0;
        used += RECORD_HEAD_BYTES + part.len;
    }
    *ret_message = (struct bytes){memory + MESSAGE_HEAD_BYTES, wanted - MESSAGE_HEAD_BYTES};
    return (int)used;
}

/* A cursor over the one vector that an extension consists of; bad when anything lies behind it. */
static struct cursor list_of(struct bytes extension, size_t length_bytes)
{
    struct cursor c = {.rest = extension};
    struct cursor list = {.rest = cursor_vector(&c, length_bytes)};

    list.is_bad = c.is_bad || c.rest.len || !list.rest.len;
    return list;
}

/* RFC 6066 section 3: no type twice, and host_name is the only one there is. */
static bool parse_server_name(struct bytes extension, struct tls_hello *hello)
{
    struct cursor list = list_of(extension, 2);
    size_t type = cursor_number(&list, 1);
    struct bytes name = cursor_vector(&list, 2);

    if (list.is_bad || list.rest.len || type != 0 || !name.len || memchr(name.at, 0, name.len))
        return false;
    hello->server_name = name;
    return true;
}

/* RFC 7301 section 3.1: a list of names, none of them empty. */
static bool parse_alpn(struct bytes extension, struct tls_hello *hello)
{
    struct cursor list = list_of(extension, 2);

    hello->alpn = cursor_vector(&list, 1);
    bool has_empty = !hello->alpn.len;
    while (!list.is_bad && list.rest.len)
        has_empty |= !cursor_vector(&list, 1).len;
    return !list.is_bad && !has_empty;
}

/* RFC 8446 section 4.2.1: where it is, the legacy version says nothing. */
static bool parse_versions(struct bytes extension, struct tls_hello *hello)
{
    struct cursor list = list_of(extension, 1);

    hello->version = 0;
    while (!list.is_bad && list.rest.len) {
        uint16_t version = (uint16_t)cursor_number(&list, 2);
        bool is_grease = (version & 0x0f0f) == 0x0a0a; /* RFC 8701 */
        if (!is_grease && version > hello->version)
            hello->version = version;
    }
    return !list.is_bad;
}

/* Those that are read; each at most once (RFC 8446 section 4.2). */
static const struct {
    uint16_t type;
    bool (*parse)(struct bytes extension, struct tls_hello *hello);
} known[] = {
    {EXTENSION_SERVER_NAME, parse_server_name},
    {EXTENSION_ALPN, parse_alpn},
    {EXTENSION_VERSIONS, parse_versions},
};

static bool parse_extensions(struct bytes all, struct tls_hello *hello)
{
    struct cursor c = {.rest = all};
    bool is_seen[ARRAY_LEN(known)] = {0};

    while (c.rest.len) {
        size_t type = cursor_number(&c, 2), i = 0;
        struct bytes extension = cursor_vector(&c, 2);
        while (i < ARRAY_LEN(known) && known[i].type != type)
            i++;
        if (c.is_bad)
            return false;
        if (i == ARRAY_LEN(known))
            continue;
        if (is_seen[i] || !known[i].parse(extension, hello))
            return false;
        is_seen[i] = true;
    }
    return true;
}

static bool parse_message(struct bytes message, struct tls_hello *hello)
{
    struct cursor c = {.rest = message};

    hello->version = (uint16_t)cursor_number(&c, 2);
    cursor_take(&c, 32);  /* random */
    cursor_vector(&c, 1); /* session id */
    cursor_vector(&c, 2); /* cipher suites */
    cursor_vector(&c, 1); /* compression methods */
    if (c.is_bad)
        return false;
    if (c.rest.len == 0)
        return true; /* no extensions: an old client without SNI */

    struct bytes extensions = cursor_vector(&c, 2);
    return !c.is_bad && !c.rest.len && parse_extensions(extensions, hello);
}

int tls_hello_parse(struct bytes in, uint8_t *memory, struct tls_hello *ret_hello)
{
    struct tls_hello hello = {0};
    struct bytes message;

    int used = assemble(in, memory, &message);
    if (used <= 0)
        return used;
    if (!parse_message(message, &hello))
        return -1;
    *ret_hello = hello;
    return used;
}

/* Every length is checked against what encloses it; what is shorter than it says is malformed once the
 * whole message is there, and "more, please" before. */
#include "codec/tls_hello.h"

#define RECORD_HANDSHAKE   22
#define RECORD_HEAD_BYTES  5
#define RECORD_MAX_BYTES   16384
#define CLIENT_HELLO       1
#define MESSAGE_HEAD_BYTES 4

#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN        16
#define EXTENSION_VERSIONS    43

/* Takes bytes from the front; `is_bad` once they were not there, and everything after is empty. */
struct cursor {
    struct bytes rest;
    bool is_bad;
};

static struct bytes take(struct cursor *c, size_t len)
{
    if (c->is_bad || c->rest.len < len) {
        c->is_bad = true;
        return (struct bytes){0};
    }
    struct bytes taken = bytes_slice(c->rest, 0, len);
    c->rest = bytes_from(c->rest, len);
    return taken;
}

static size_t take_number(struct cursor *c, size_t len)
{
    struct bytes taken = take(c, len);
    size_t number = 0;

    for (size_t i = 0; i < taken.len; i++)
        number = number << 8 | taken.at[i];
    return number;
}

static struct bytes take_vector(struct cursor *c, size_t length_bytes)
{
    return take(c, take_number(c, length_bytes));
}

/* Puts the handshake message together from its records. > 0: bytes of `in` used, *ret_message is whole; the
 * first record alone, when it holds the message, is not copied. */
static int assemble(struct bytes in, uint8_t *memory, struct bytes *ret_message)
{
    size_t used = 0, have = 0, wanted = MESSAGE_HEAD_BYTES;

    while (have < wanted) {
        struct bytes rest = bytes_from(in, used);
        if (rest.len && rest.at[0] != RECORD_HANDSHAKE)
            return -1;
        if (rest.len > 1 && rest.at[1] != 3)
            return -1;
        if (rest.len < RECORD_HEAD_BYTES)
            return 0;
        size_t len = (size_t)rest.at[3] << 8 | rest.at[4];
        if (len == 0 || len > RECORD_MAX_BYTES || have + len > TLS_HELLO_MAX_BYTES)
            return -1;
        size_t there = rest.len - RECORD_HEAD_BYTES < len ? rest.len - RECORD_HEAD_BYTES : len;
        memcpy(memory + have, rest.at + RECORD_HEAD_BYTES, there);
        have += there;
        if (have && memory[0] != CLIENT_HELLO)
            return -1;
        if (have >= MESSAGE_HEAD_BYTES)
            wanted = MESSAGE_HEAD_BYTES +
                     ((size_t)memory[1] << 16 | (size_t)memory[2] << 8 | memory[3]);
        if (wanted > TLS_HELLO_MAX_BYTES)
            return -1;
        if (there < len && have < wanted)
            return 0;
        used += RECORD_HEAD_BYTES + there;
    }
    *ret_message = (struct bytes){memory + MESSAGE_HEAD_BYTES, wanted - MESSAGE_HEAD_BYTES};
    return (int)used;
}

/* RFC 6066 section 3: the first host_name counts. */
static bool parse_server_name(struct bytes extension, struct bytes *ret_name)
{
    struct cursor c = {.rest = extension};
    struct cursor list = {.rest = take_vector(&c, 2)};

    while (!c.is_bad && !list.is_bad && list.rest.len) {
        size_t type = take_number(&list, 1);
        struct bytes name = take_vector(&list, 2);
        if (type == 0 && !ret_name->at)
            *ret_name = name;
    }
    return !c.is_bad && !list.is_bad && !memchr(ret_name->at ? ret_name->at : extension.at, 0, ret_name->len);
}

static bool parse_alpn(struct bytes extension, struct bytes *ret_alpn)
{
    struct cursor c = {.rest = extension};
    struct cursor list = {.rest = take_vector(&c, 2)};

    *ret_alpn = take_vector(&list, 1);
    return !c.is_bad && !list.is_bad;
}

static bool parse_versions(struct bytes extension, uint16_t *ret_version)
{
    struct cursor c = {.rest = extension};
    struct cursor list = {.rest = take_vector(&c, 1)};

    while (!c.is_bad && list.rest.len > 1) {
        uint16_t version = (uint16_t)take_number(&list, 2);
        bool is_grease = (version & 0x0f0f) == 0x0a0a; /* RFC 8701 */
        if (!is_grease && version > *ret_version)
            *ret_version = version;
    }
    return !c.is_bad;
}

static bool parse_extension(size_t type, struct bytes extension, struct tls_hello *hello)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        return parse_server_name(extension, &hello->server_name);
    case EXTENSION_ALPN:
        return parse_alpn(extension, &hello->alpn);
    case EXTENSION_VERSIONS:
        return parse_versions(extension, &hello->version);
    default:
        return true;
    }
}

static bool parse_message(struct bytes message, struct tls_hello *hello)
{
    struct cursor c = {.rest = message};

    hello->version = (uint16_t)take_number(&c, 2);
    take(&c, 32);        /* random */
    take_vector(&c, 1);  /* session id */
    take_vector(&c, 2);  /* cipher suites */
    take_vector(&c, 1);  /* compression methods */
    if (c.is_bad)
        return false;
    if (c.rest.len == 0)
        return true; /* no extensions: an old client without SNI */

    struct cursor extensions = {.rest = take_vector(&c, 2)};
    while (!c.is_bad && extensions.rest.len) {
        size_t type = take_number(&extensions, 2);
        struct bytes extension = take_vector(&extensions, 2);
        if (extensions.is_bad || !parse_extension(type, extension, hello))
            return false;
    }
    return !c.is_bad;
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

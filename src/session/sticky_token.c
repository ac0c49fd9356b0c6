/* The text is base64url of: the version (1 byte), the nonce, and sealed: a byte that says what
 * follows, the port, the address (4 or 16 bytes), the time (8), the session (16, where there is
 * one). Numbers are big-endian. The version is authenticated with the names. */
#include "session/sticky_token.h"

#include "base/check.h"
#include "codec/base64url.h"

#include <errno.h>

#define VERSION     1u
#define IS_V6       1u
#define HAS_SESSION 2u
#define PLAIN_MAX   (1 + 2 + 16 + 8 + STICKY_KEY_BYTES)
#define RAW_MAX     (1 + SEAL_MORE_BYTES + PLAIN_MAX)
#define NAMES_MAX   512 /* both; longer ones count by their first bytes */

_Static_assert((RAW_MAX * 4 + 2) / 3 < STICKY_TOKEN_TEXT_BYTES, "the longest token fits");

static struct bytes names_of(const char *pool, const char *cookie, uint8_t memory[NAMES_MAX])
{
    const struct bytes parts[] = {bytes_of(pool), bytes_of(cookie)};
    size_t len = 1;

    memory[0] = VERSION;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct bytes part = bytes_slice(parts[i], 0, NAMES_MAX / 2 - 2);
        memory[len++] = (uint8_t)part.len;
        memcpy(memory + len, part.at, part.len);
        len += part.len;
    }
    return (struct bytes){memory, len};
}

static size_t put_number(uint8_t *to, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
    return bytes;
}

static uint64_t number_at(const uint8_t *from, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | from[i];
    return number;
}

static size_t write_plain(const struct sticky_token *token, uint8_t *to)
{
    struct ip ip = address_ip(&token->server);
    bool is_v6 = ip.family == IP_V6;
    size_t len = 1, ip_len = is_v6 ? 16 : 4;

    to[0] = (uint8_t)((is_v6 ? IS_V6 : 0) | (token->has_session ? HAS_SESSION : 0));
    len += put_number(to + len, address_port(&token->server), 2);
    memcpy(to + len, ip.at, ip_len);
    len += ip_len;
    len += put_number(to + len, token->issued_sec, 8);
    if (!token->has_session)
        return len;
    memcpy(to + len, token->session.at, STICKY_KEY_BYTES);
    return len + STICKY_KEY_BYTES;
}

/* What opened was written by us, perhaps by a newer version. */
static bool read_plain(struct bytes plain, struct sticky_token *ret_token)
{
    if (plain.len < 1 || plain.at[0] & ~(IS_V6 | HAS_SESSION))
        return false;
    bool is_v6 = plain.at[0] & IS_V6, has_session = plain.at[0] & HAS_SESSION;
    size_t ip_len = is_v6 ? 16 : 4, at = 3 + ip_len;
    if (plain.len != at + 8 + (has_session ? STICKY_KEY_BYTES : 0))
        return false;
    struct ip ip = is_v6 ? ip_of_v6(plain.at + 3) : ip_of_v4(plain.at + 3);
    *ret_token = (struct sticky_token){
        .server = address_of_ip(&ip, (uint16_t)number_at(plain.at + 1, 2)),
        .issued_sec = number_at(plain.at + at, 8),
        .has_session = has_session,
    };
    if (has_session)
        memcpy(ret_token->session.at, plain.at + at + 8, STICKY_KEY_BYTES);
    return true;
}

int sticky_token_write(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_BYTES],
                       const char *pool, const char *cookie, const struct sticky_token *token,
                       char ret_text[STICKY_TOKEN_TEXT_BYTES])
{
    uint8_t plain[PLAIN_MAX], raw[RAW_MAX] = {VERSION}, names[NAMES_MAX];
    size_t len = write_plain(token, plain);

    int error =
        seal_close(seal, nonce, names_of(pool, cookie, names), (struct bytes){plain, len}, raw + 1);
    if (error)
        return error;
    len += 1 + SEAL_MORE_BYTES;
    base64url_encode((struct bytes){raw, len}, ret_text);
    ret_text[base64url_len(len)] = '\0';
    return 0;
}

int sticky_token_read(const struct seal *seal, const char *pool, const char *cookie,
                      struct bytes text, struct sticky_token *ret_token)
{
    uint8_t plain[STICKY_TOKEN_TEXT_BYTES], raw[STICKY_TOKEN_TEXT_BYTES], names[NAMES_MAX];
    struct sticky_token token;

    if (text.len >= STICKY_TOKEN_TEXT_BYTES)
        return -EBADMSG;
    ssize_t len = base64url_decode(text, raw);
    if (len < 1 + SEAL_MORE_BYTES || raw[0] != VERSION)
        return -EBADMSG;
    int error = seal_open(seal, names_of(pool, cookie, names),
                          (struct bytes){raw + 1, (size_t)len - 1}, plain);
    if (error)
        return error;
    if (!read_plain((struct bytes){plain, (size_t)len - 1 - SEAL_MORE_BYTES}, &token))
        return -EBADMSG;
    *ret_token = token;
    return 0;
}

/* Strict: one text for the same bytes, or a token could be changed without its signature knowing.
 */
#include "codec/base64url.h"

#include <errno.h>

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ssize_t base64url_decode(struct bytes text, uint8_t *memory)
{
    uint32_t bits = 0;
    unsigned have = 0;
    ssize_t len = 0;

    if (text.len % 4 == 1)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.at[i]);
        if (value < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        memory[len++] = (uint8_t)(bits >> have);
        bits &= (1u << have) - 1;
    }
    return bits ? -EINVAL : len;
}

void base64url_encode(struct bytes bytes, char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.at[i];
        for (have += 8; have >= 6; have -= 6)
            *text++ = alphabet[bits >> (have - 6) & 63];
    }
    if (have)
        *text = alphabet[bits << (6 - have) & 63];
}

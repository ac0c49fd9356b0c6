/* Base64 with the alphabet of URLs and without padding (RFC 4648 section 5, RFC 7515 section 2). */
#pragma once

#include "base/bytes.h"

#include <sys/types.h>

/* The most bytes that so many characters are. */
static inline size_t base64url_room(size_t chars)
{
    return chars / 4 * 3 + 2;
}

/* The bytes written to `memory` (base64url_room(text.len) of them fit), or -EINVAL: another
 * character, padding, a length that cannot be, or bits behind the last byte that are not 0, so that
 * no bytes have two texts. */
ssize_t base64url_decode(struct bytes text, uint8_t *memory);

/* How many characters so many bytes are. */
static inline size_t base64url_len(size_t bytes)
{
    return bytes / 3 * 4 + (bytes % 3 ? bytes % 3 + 1 : 0);
}

/* Writes base64url_len(bytes.len) characters, and no NUL. */
void base64url_encode(struct bytes bytes, char *text);

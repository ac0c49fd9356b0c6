/* Tokens made for a test: HS256 with a secret of 32 letters. */
#pragma once

#include "test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define SECRET "an entirely unguessable secret.."
_Static_assert(sizeof SECRET == 33, "32 bytes are the least");

static inline void encode(const void *from, size_t len, char *to)
{
    EVP_EncodeBlock((unsigned char *)to, from, (int)len);
    for (; *to; to++)
        *to = *to == '+' ? '-' : *to == '/' ? '_' : *to == '=' ? '\0' : *to;
}

/* Returns `to`, in which there is room. */
static inline const char *sign_with(const char *header, const char *claims, const char *secret,
                                    char to[4096])
{
    char part[2048];
    unsigned char digest[32];
    unsigned len = sizeof digest;

    encode(header, strlen(header), part);
    size_t used = (size_t)snprintf(to, 4096, "%s.", part);
    encode(claims, strlen(claims), part);
    used += (size_t)snprintf(to + used, 4096 - used, "%s", part);
    EXPECT(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)to, used, digest,
                &len));
    encode(digest, len, part);
    snprintf(to + used, 4096 - used, ".%s", part);
    return to;
}

static inline const char *sign(const char *claims, char to[4096])
{
    return sign_with("{\"alg\":\"HS256\"}", claims, SECRET, to);
}

/* The value of a sticky cookie: which server, since when and, where a store keeps it, which
 * session; sealed, so that a client can neither read nor make one. */
#pragma once

#include "crypto/seal.h"
#include "session/sticky.h"

struct sticky_token {
    struct address server;
    uint64_t issued_sec; /* since 1970 */
    bool has_session;
    struct sticky_key session;
};

#define STICKY_TOKEN_TEXT_BYTES 160

/* It is worth something for that pool and under that cookie's name alone. The nonce is
 * drawn for it. 0 or -ENOMEM. */
int sticky_token_write(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_BYTES],
                       const char *pool, const char *cookie, const struct sticky_token *token,
                       char ret_text[STICKY_TOKEN_TEXT_BYTES]);
/* 0; -EBADMSG: it is none of ours, for that pool and cookie; -ENOMEM. */
int sticky_token_read(const struct seal *seal, const char *pool, const char *cookie,
                      struct bytes text, struct sticky_token *ret_token);

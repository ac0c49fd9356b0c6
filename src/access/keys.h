/* The keys that tokens are checked with. */
#pragma once

#include "access/jwt.h"
#include "crypto/crypto.h"

#define KEYS_MAX      64
#define KEY_TRIES_MAX 8 /* checks that one token may cost */

struct jwt_key {
    struct verify_key *key;
    char *kid; /* NULL: none */
};

struct jwt_keys {
    size_t count;
    struct jwt_key at[KEYS_MAX];
};

/* Whether a token that names that algorithm and key may be checked with this one. kid NULL: it
 * names none. */
bool jwt_key_fits(const struct jwt_key *key, enum verify_algorithm algorithm, const char *kid);

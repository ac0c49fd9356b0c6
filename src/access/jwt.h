/* JSON Web Tokens (RFC 7519) in their compact form, signed by HS256, RS256 or ES256, and the keys
 * that they are checked with. */
#pragma once

#include "base/bytes.h"
#include "base/reason.h"

#define JWT_MAX_BYTES 16384

/* Immutable; any thread. */
struct jwt_keys;

/* From a JWKS or one JWK (RFC 7517), a PEM public key, or else a secret for HS256, as it is. Keys
 * of a set that are for something else (encryption, other algorithms) are passed over. 0; -ENOMEM;
 * -EINVAL with ret_words, which quote nothing of the text. */
int jwt_keys_new(struct bytes text, struct jwt_keys **ret_keys, char ret_words[256]);
struct jwt_keys *jwt_keys_free(struct jwt_keys *keys); /* accepts NULL, returns NULL */
size_t jwt_keys_count(const struct jwt_keys *keys);
/* A bit of 1 << enum verify_algorithm for each that there is a key for. */
unsigned jwt_keys_algorithms(const struct jwt_keys *keys);

/* What a token must say. Borrowed. */
struct jwt_rules {
    const struct jwt_keys *keys;
    const char *issuer;           /* NULL: any */
    const char *const *audiences; /* one of them; none: any */
    size_t audience_count;
    uint64_t leeway_sec; /* how wrong clocks may be */
};

/* What a checked token said. */
struct claims;

/* `now_sec`: since 1970. DONE: *ret_claims is the caller's. Else TOKEN_MALFORMED (also what is
 * encrypted, or has a `crit` header), TOKEN_UNVERIFIED (no key for its alg and kid, or a wrong
 * signature), TOKEN_EXPIRED, TOKEN_TOO_EARLY, TOKEN_FOREIGN (iss or aud), or NO_MEMORY. A token
 * without exp does not expire. */
enum reason jwt_check(const struct jwt_rules *rules, struct bytes token, uint64_t now_sec,
                      struct claims **ret_claims);
struct claims *claims_free(struct claims *claims); /* accepts NULL, returns NULL */

/* When the token expires: microseconds since 1970; UINT64_MAX: never. */
uint64_t claims_expiry(const void *claims);

/* The value of a claim as text: a string, a whole number, true or false, or a list of these with
 * commas between. `name` is the claim, or a way through maps with dots ("realm_access.roles").
 * Empty: there is none, or none that can be written so. It lives as long as the claims; it may hold
 * any character. One thread at a time. */
struct bytes claims_value(const void *claims, struct bytes name);

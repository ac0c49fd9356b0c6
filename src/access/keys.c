/* Three ways to write a key, told apart by their text: what begins with "{" is JSON, what holds
 * "-----BEGIN " is PEM, all else is a secret. */
#include "access/keys.h"

#include "base/check.h"
#include "codec/base64url.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_BYTES     256
#define KID_MAX_BYTES   256
#define VALUE_MAX_BYTES 1024 /* of a number or secret of a JWK, decoded */

struct jwt_keys *jwt_keys_free(struct jwt_keys *keys)
{
    if (!keys)
        return NULL;
    for (size_t i = 0; i < keys->count; i++) {
        verify_key_free(keys->at[i].key);
        free(keys->at[i].kid);
    }
    free(keys);
    return NULL;
}

static void jwt_keys_freep(struct jwt_keys **keys)
{
    jwt_keys_free(*keys);
}

size_t jwt_keys_count(const struct jwt_keys *keys)
{
    return keys->count;
}

unsigned jwt_keys_algorithms(const struct jwt_keys *keys)
{
    unsigned algorithms = 0;

    for (size_t i = 0; i < keys->count; i++)
        algorithms |= 1u << verify_key_algorithm(keys->at[i].key);
    return algorithms;
}

bool jwt_key_fits(const struct jwt_key *key, enum verify_algorithm algorithm, const char *kid)
{
    if (verify_key_algorithm(key->key) != algorithm)
        return false;
    return !kid || !key->kid || strcmp(kid, key->kid) == 0;
}

/* --- JSON Web Keys -----------------------------------------------------------------------------
 */

static const char *text_of(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name)); /* NULL when it is no text */
}

static bool is_text(const json_t *jwk, const char *name, const char *wanted)
{
    const char *text = text_of(jwk, name);

    return text && strcmp(text, wanted) == 0;
}

/* RFC 7517 sections 4.2 and 4.3. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
    size_t i;

    if (json_object_get(jwk, "use") && !is_text(jwk, "use", "sig"))
        return false;
    if (!operations)
        return true;
    json_array_foreach(operations, i, operation)
    {
        const char *text = json_string_value(operation);
        if (text && strcmp(text, "verify") == 0)
            return true;
    }
    return false;
}

/* One decoded member; empty when it is missing or wrong. */
static struct bytes member(const json_t *jwk, const char *name, uint8_t memory[VALUE_MAX_BYTES])
{
    const char *text = text_of(jwk, name);
    struct bytes encoded = text ? bytes_of(text) : (struct bytes){0};

    if (!text || base64url_room(encoded.len) > VALUE_MAX_BYTES)
        return (struct bytes){0};
    ssize_t len = base64url_decode(encoded, memory);
    return (struct bytes){memory, len > 0 ? (size_t)len : 0};
}

/* What a JWK is for: its kty, with the curve of an EC key, says it; an alg must not say otherwise.
 */
static bool is_key_for(const json_t *jwk, const char *type, const char *algorithm)
{
    return is_text(jwk, "kty", type) &&
           (!json_object_get(jwk, "alg") || is_text(jwk, "alg", algorithm));
}

/* 0, -ENOTSUP: a key for something else, -EINVAL, -EDOM or -ENOMEM. */
static int key_of_jwk(const json_t *jwk, struct verify_key **ret_key)
{
    uint8_t one[VALUE_MAX_BYTES], two[VALUE_MAX_BYTES];
    int error;

    if (!is_for_signatures(jwk))
        return -ENOTSUP;
    if (is_key_for(jwk, "RSA", "RS256"))
        return verify_key_of_rsa(member(jwk, "n", one), member(jwk, "e", two), ret_key);
    if (is_key_for(jwk, "EC", "ES256") && is_text(jwk, "crv", "P-256"))
        return verify_key_of_p256(member(jwk, "x", one), member(jwk, "y", two), ret_key);
    if (!is_key_for(jwk, "oct", "HS256"))
        return -ENOTSUP;
    error = verify_key_of_secret(member(jwk, "k", one), ret_key);
    explicit_bzero(one, sizeof one);
    return error;
}

static int add_key(struct jwt_keys *keys, struct verify_key *take_key, const char *kid)
{
    struct jwt_key *made = &keys->at[keys->count];

    made->key = take_key;
    made->kid = kid ? strdup(kid) : NULL;
    if (kid && !made->kid) {
        verify_key_free(take_key);
        return -ENOMEM;
    }
    keys->count++;
    return 0;
}

/* `number` counts from 1; 0: there is only this one. */
static int add_jwk(struct jwt_keys *keys, const json_t *jwk, size_t number, char words[WORDS_BYTES])
{
    const char *kid = text_of(jwk, "kid");
    struct verify_key *key = NULL;
    char which[40] = "the key";
    int error;

    if (number)
        snprintf(which, sizeof which, "key %zu of the set", number);
    if (kid && strlen(kid) > KID_MAX_BYTES) {
        snprintf(words, WORDS_BYTES, "%s: its kid is longer than %d bytes", which, KID_MAX_BYTES);
        return -EINVAL;
    }
    error = key_of_jwk(jwk, &key);
    if (error == -ENOTSUP)
        return 0;
    if (error == -EDOM)
        snprintf(words, WORDS_BYTES,
                 "%s is too weak or too long: HS256 wants 32 bytes, RS256 %d to %d bits", which,
                 VERIFY_RSA_MIN_BITS, VERIFY_RSA_MAX_BITS);
    else if (error == -EINVAL)
        snprintf(words, WORDS_BYTES, "%s is no valid public key", which);
    if (error)
        return error == -ENOMEM ? error : -EINVAL;
    if (keys->count == KEYS_MAX) {
        verify_key_free(key);
        snprintf(words, WORDS_BYTES, "more than %d keys", KEYS_MAX);
        return -EINVAL;
    }
    return add_key(keys, key, kid);
}

static int add_json(struct jwt_keys *keys, const json_t *root, char words[WORDS_BYTES])
{
    const json_t *set = json_object_get(root, "keys"), *jwk;
    int error = 0;
    size_t i;

    if (!set)
        return add_jwk(keys, root, 0, words);
    if (!json_is_array(set)) {
        snprintf(words, WORDS_BYTES, "\"keys\" is no list");
        return -EINVAL;
    }
    json_array_foreach(set, i, jwk)
    {
        if (!error)
            error = add_jwk(keys, jwk, i + 1, words);
    }
    return error;
}

static int read_json(struct jwt_keys *keys, struct bytes text, char words[WORDS_BYTES])
{
    json_error_t where;
    json_t *root = json_loadb((const char *)text.at, text.len, JSON_REJECT_DUPLICATES, &where);
    int error = -EINVAL;

    if (!root) /* its own words would quote a secret */
        snprintf(words, WORDS_BYTES, "no JSON: wrong in line %d, column %d", where.line,
                 where.column);
    else if (!json_is_object(root))
        snprintf(words, WORDS_BYTES, "no JWKS");
    else
        error = add_json(keys, root, words);
    json_decref(root);
    return error;
}

/* --- the door ----------------------------------------------------------------------------------
 */

static int read_pem(struct jwt_keys *keys, struct bytes text, char words[WORDS_BYTES])
{
    struct verify_key *key = NULL;
    int error = verify_key_of_pem(text, &key);

    if (!error)
        return add_key(keys, key, NULL);
    if (error == -EDOM)
        snprintf(words, WORDS_BYTES, "RSA keys of %d to %d bits are taken", VERIFY_RSA_MIN_BITS,
                 VERIFY_RSA_MAX_BITS);
    else
        snprintf(words, WORDS_BYTES, "PEM, but no public key of RSA or P-256");
    return error == -ENOMEM ? error : -EINVAL;
}

/* A public key in a form that we do not read must never become a secret: everyone knows it. */
static bool looks_public(struct bytes text)
{
    static const char *const begins[] = {"MII", "MFkw", "ssh-", "ecdsa-", "["};

    for (size_t i = 0; i < ARRAY_LEN(begins); i++)
        if (bytes_equal(bytes_slice(text, 0, strlen(begins[i])), bytes_of(begins[i])))
            return true;
    return false;
}

static int read_secret(struct jwt_keys *keys, struct bytes text, char words[WORDS_BYTES])
{
    struct verify_key *key = NULL;
    int error = looks_public(text) ? -EINVAL : verify_key_of_secret(text, &key);

    if (!error)
        return add_key(keys, key, NULL);
    if (error == -EINVAL)
        snprintf(words, WORDS_BYTES,
                 "this looks like a public key, but it is neither PEM nor a JWKS");
    else if (error == -EDOM)
        snprintf(words, WORDS_BYTES, "a secret for HS256 has at least %d bytes, this one has %zu",
                 VERIFY_SECRET_MIN, text.len);
    return error == -ENOMEM ? error : -EINVAL;
}

static struct bytes without_blanks(struct bytes text)
{
    while (text.len && memchr(" \t\r\n", text.at[0], 4))
        text = bytes_from(text, 1);
    return text;
}

int jwt_keys_new(struct bytes text, struct jwt_keys **ret_keys, char ret_words[WORDS_BYTES])
{
    CLEANUP(jwt_keys_freep) struct jwt_keys *keys = calloc(1, sizeof *keys);
    struct bytes begins = without_blanks(text);
    int error;

    if (!keys)
        return -ENOMEM;
    if (begins.len && begins.at[0] == '{')
        error = read_json(keys, begins, ret_words);
    else if (bytes_find(text, bytes_of("-----BEGIN "), 0) < text.len)
        error = read_pem(keys, text, ret_words);
    else
        error = read_secret(keys, text, ret_words);
    if (error)
        return error;
    if (!keys->count) {
        snprintf(ret_words, WORDS_BYTES, "no key for HS256, RS256 or ES256 signatures");
        return -EINVAL;
    }
    *ret_keys = TAKE(keys);
    return 0;
}

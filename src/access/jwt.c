/* The signature is checked before the claims are looked at, and the key decides the algorithm: a
 * token's `alg` only chooses among the keys that are made for it, so `none`, or HS256 with a public
 * key as the secret, find no key (RFC 8725 sections 2.1 and 3.1). */
#include "access/jwt.h"

#include "access/keys.h"
#include "base/arena.h"
#include "base/check.h"
#include "codec/base64url.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define USEC_PER_SEC   UINT64_C(1000000)
#define NAME_MAX_BYTES 256

struct claims {
    json_t *root;
    struct arena arena; /* of values that are no text in the token */
};

struct token {
    struct bytes signed_part; /* header and claims, as they were signed */
    struct bytes header, claims, signature;
};

/* --- taking it apart ---------------------------------------------------------------------------
 */

/* Three parts; a fourth and fifth would be encryption (RFC 7516). */
static bool split(struct bytes text, struct token *ret_token)
{
    struct bytes dot = bytes_of(".");
    size_t first = bytes_find(text, dot, 0), second = bytes_find(text, dot, first + 1);

    if (first >= text.len || second >= text.len)
        return false;
    *ret_token = (struct token){
        .signed_part = bytes_slice(text, 0, second),
        .header = bytes_slice(text, 0, first),
        .claims = bytes_slice(text, first + 1, second),
        .signature = bytes_from(text, second + 1),
    };
    return bytes_find(ret_token->signature, dot, 0) == ret_token->signature.len;
}

/* NULL: no object; errno says ENOMEM where that is why. */
static json_t *object_of(struct bytes encoded, uint8_t *memory)
{
    ssize_t len = base64url_decode(encoded, memory);
    json_error_t where;
    json_t *root;

    errno = 0;
    if (len <= 0)
        return NULL;
    root = json_loadb((const char *)memory, (size_t)len, JSON_REJECT_DUPLICATES, &where);
    if (!root && json_error_code(&where) == json_error_out_of_memory)
        errno = ENOMEM;
    if (!json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static enum reason what_is_wrong(void)
{
    return errno == ENOMEM ? REASON_NO_MEMORY : REASON_TOKEN_MALFORMED;
}

/* --- the signature -----------------------------------------------------------------------------
 */

static bool algorithm_of(const json_t *header, enum verify_algorithm *ret_algorithm)
{
    static const char *const names[] = {
        [VERIFY_HS256] = "HS256", [VERIFY_RS256] = "RS256", [VERIFY_ES256] = "ES256"};
    const char *name = json_string_value(json_object_get(header, "alg"));

    for (size_t i = 0; name && i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        *ret_algorithm = (enum verify_algorithm)i;
        return true;
    }
    return false;
}

static enum reason check_signature(const struct jwt_keys *keys, const json_t *header,
                                   const struct token *token, uint8_t *memory)
{
    const json_t *kid = json_object_get(header, "kid");
    ssize_t len = base64url_decode(token->signature, memory);
    enum verify_algorithm algorithm;
    unsigned tries = 0;

    if (len < 0 || (kid && !json_is_string(kid)) || json_object_get(header, "crit"))
        return REASON_TOKEN_MALFORMED; /* crit, RFC 7515 section 4.1.11: we know no extension */
    if (!algorithm_of(header, &algorithm))
        return REASON_TOKEN_UNVERIFIED;
    for (size_t i = 0; i < keys->count && tries < KEY_TRIES_MAX; i++) {
        if (!jwt_key_fits(&keys->at[i], algorithm, json_string_value(kid)))
            continue;
        tries++;
        int error = verify_key_check(keys->at[i].key, token->signed_part,
                                     (struct bytes){memory, (size_t)len});
        if (error != -EBADMSG)
            return error ? REASON_NO_MEMORY : REASON_DONE;
    }
    return REASON_TOKEN_UNVERIFIED;
}

/* --- the claims --------------------------------------------------------------------------------
 */

/* RFC 7519 sections 4.1.4 and 4.1.5; seconds since 1970, with or without a fraction. */
static enum reason check_times(const json_t *claims, const struct jwt_rules *rules,
                               uint64_t now_sec)
{
    const json_t *end = json_object_get(claims, "exp"), *begin = json_object_get(claims, "nbf");
    double now = (double)now_sec, leeway = (double)rules->leeway_sec;

    if ((end && !json_is_number(end)) || (begin && !json_is_number(begin)))
        return REASON_TOKEN_MALFORMED;
    if (end && now >= json_number_value(end) + leeway)
        return REASON_TOKEN_EXPIRED;
    if (begin && now + leeway < json_number_value(begin))
        return REASON_TOKEN_TOO_EARLY;
    return REASON_DONE;
}

static bool is_audience(const struct jwt_rules *rules, const json_t *said)
{
    const char *text = json_string_value(said);

    for (size_t i = 0; text && i < rules->audience_count; i++)
        if (strcmp(text, rules->audiences[i]) == 0)
            return true;
    return false;
}

/* Section 4.1.3: one text, or a list of them. */
static bool has_audience(const struct jwt_rules *rules, const json_t *claims)
{
    const json_t *said = json_object_get(claims, "aud"), *one;
    size_t i;

    if (!rules->audience_count || is_audience(rules, said))
        return true;
    json_array_foreach(said, i, one)
    {
        if (is_audience(rules, one))
            return true;
    }
    return false;
}

static bool has_issuer(const struct jwt_rules *rules, const json_t *claims)
{
    const char *said = json_string_value(json_object_get(claims, "iss"));

    return !rules->issuer || (said && strcmp(said, rules->issuer) == 0);
}

static enum reason check_claims(const struct jwt_rules *rules, const json_t *claims,
                                uint64_t now_sec)
{
    enum reason why = check_times(claims, rules, now_sec);

    if (why == REASON_DONE && (!has_issuer(rules, claims) || !has_audience(rules, claims)))
        why = REASON_TOKEN_FOREIGN;
    return why;
}

static enum reason check_parts(const struct jwt_rules *rules, const struct token *token,
                               uint64_t now_sec, uint8_t *memory, struct claims **ret_claims)
{
    json_t *header = object_of(token->header, memory);
    if (!header)
        return what_is_wrong();
    enum reason why = check_signature(rules->keys, header, token, memory);
    json_decref(header);
    if (why != REASON_DONE)
        return why;

    json_t *root = object_of(token->claims, memory);
    if (!root)
        return what_is_wrong();
    why = check_claims(rules, root, now_sec);
    struct claims *claims = why == REASON_DONE ? malloc(sizeof *claims) : NULL;
    if (!claims) {
        json_decref(root);
        return why == REASON_DONE ? REASON_NO_MEMORY : why;
    }
    claims->root = root;
    arena_init(&claims->arena);
    *ret_claims = claims;
    return REASON_DONE;
}

enum reason jwt_check(const struct jwt_rules *rules, struct bytes token, uint64_t now_sec,
                      struct claims **ret_claims)
{
    struct token parts;

    if (token.len > JWT_MAX_BYTES || !split(token, &parts))
        return REASON_TOKEN_MALFORMED;
    uint8_t *memory = malloc(base64url_room(token.len));
    if (!memory)
        return REASON_NO_MEMORY;
    enum reason why = check_parts(rules, &parts, now_sec, memory, ret_claims);
    free(memory);
    return why;
}

uint64_t claims_expiry(const void *claims)
{
    const json_t *end = json_object_get(((const struct claims *)claims)->root, "exp");
    double sec = json_number_value(end);

    if (!end || sec >= (double)(UINT64_MAX / USEC_PER_SEC))
        return UINT64_MAX;
    return sec > 0 ? (uint64_t)(sec * (double)USEC_PER_SEC) : 0;
}

struct claims *claims_free(struct claims *claims)
{
    if (!claims)
        return NULL;
    json_decref(claims->root);
    arena_done(&claims->arena);
    free(claims);
    return NULL;
}

/* --- as text -----------------------------------------------------------------------------------
 */

/* A whole name first: names with dots in them are usual ("https://example.com/role"). */
static const json_t *look_up(const json_t *map, struct bytes name)
{
    char part[NAME_MAX_BYTES];
    size_t dot;

    for (;;) {
        if (name.len >= sizeof part)
            return NULL;
        memcpy(part, name.at, name.len);
        part[name.len] = '\0';
        const json_t *found = json_object_get(map, part);
        dot = bytes_find(name, bytes_of("."), 0);
        if (found || dot >= name.len)
            return found;
        part[dot] = '\0';
        map = json_object_get(map, part);
        name = bytes_from(name, dot + 1);
    }
}

static struct bytes keep(struct claims *claims, const char *text)
{
    size_t len = strlen(text);
    char *copy = arena_alloc(&claims->arena, len + 1);

    if (copy)
        memcpy(copy, text, len);
    return (struct bytes){(const uint8_t *)copy, copy ? len : 0};
}

static struct bytes value_of(struct claims *claims, const json_t *value)
{
    char number[32];

    if (json_is_string(value))
        return (struct bytes){(const uint8_t *)json_string_value(value), json_string_length(value)};
    if (json_is_boolean(value))
        return bytes_of(json_is_true(value) ? "true" : "false");
    if (!json_is_integer(value))
        return (struct bytes){0};
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return keep(claims, number);
}

/* What cannot be written is left out. */
static struct bytes list_of(struct claims *claims, const json_t *list)
{
    size_t room = 0, len = 0, i;
    const json_t *one;

    json_array_foreach(list, i, one)
    {
        room += value_of(claims, one).len + 1;
    }
    uint8_t *text = arena_alloc(&claims->arena, room + 1);
    if (!text)
        return (struct bytes){0};
    json_array_foreach(list, i, one)
    {
        struct bytes value = value_of(claims, one);
        if (!value.len)
            continue;
        if (len)
            text[len++] = ',';
        memcpy(text + len, value.at, value.len);
        len += value.len;
    }
    return (struct bytes){text, len};
}

struct bytes claims_value(const void *claims, struct bytes name)
{
    struct claims *c = (struct claims *)(uintptr_t)claims; /* only its arena grows */
    const json_t *value = look_up(c->root, name);

    return json_is_array(value) ? list_of(c, value) : value_of(c, value);
}

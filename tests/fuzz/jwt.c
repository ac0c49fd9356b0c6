/* Tokens, keys and places of tokens. By its first letter an input is: T, a token as it is; C,
 * claims that are signed well, so that what is behind the signature is reached; K, keys; H, a
 * request head. Whatever they say, a token that was not signed by our secret passes no check. */
#include "access/access.h"
#include "access/token.h"

#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define SECRET "an entirely unguessable secret.."

static struct jwt_keys *keys_of(struct bytes text)
{
    struct jwt_keys *keys = NULL;
    char words[256] = "";
    int error = jwt_keys_new(text, &keys, words);

    REQUIRE(!keys == (error != 0));
    REQUIRE(error != -22 || words[0]); /* EINVAL has words */
    return keys;
}

static char *base64url(const void *from, size_t len)
{
    char *text = malloc(len / 3 * 4 + 8);

    REQUIRE(text);
    EVP_EncodeBlock((unsigned char *)text, from, (int)len);
    for (char *at = text; *at; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at == '=' ? '\0' : *at;
    return text;
}

static void check(struct bytes token, bool is_ours)
{
    static const char *const audiences[] = {"api"};
    static const char *const names[] = {"sub", "a.b", "aud", "roles", "x.y.z", ""};
    struct jwt_keys *keys = keys_of(bytes_of(SECRET));
    const struct jwt_rules rules = {keys, "id", audiences, 1, 30},
                           lax = {.keys = keys, .leeway_sec = 30};
    struct claims *claims = NULL;
    enum reason strict = jwt_check(&rules, token, 1000, &claims);

    REQUIRE(!claims == (strict != REASON_DONE));
    claims = claims_free(claims);
    enum reason why = jwt_check(&lax, token, 1000, &claims);
    REQUIRE(!claims == (why != REASON_DONE));
    REQUIRE(strict != REASON_DONE || why == REASON_DONE);
    REQUIRE(is_ours || why != REASON_DONE);
    for (size_t i = 0; claims && i < sizeof names / sizeof names[0]; i++)
        claims_value(claims, bytes_of(names[i]));
    claims_free(claims);
    jwt_keys_free(keys);
}

static void check_signed(struct bytes text)
{
    char *claims = base64url(text.at, text.len);
    size_t room = strlen(claims) + 128;
    char *token = malloc(room);
    unsigned char digest[32];
    unsigned len = sizeof digest;

    REQUIRE(token);
    int used = snprintf(token, room, "eyJhbGciOiJIUzI1NiJ9.%s", claims);
    HMAC(EVP_sha256(), SECRET, 32, (unsigned char *)token, (size_t)used, digest, &len);
    char *signature = base64url(digest, len);
    snprintf(token + used, room - (size_t)used, ".%s", signature);
    struct bytes whole = exact(bytes_of(token));
    check(whole, true);
    exact_free(whole);
    free(signature);
    free(token);
    free(claims);
}

static void look(struct bytes text)
{
    static const char *const places[] = {"header.Authorization", "cookie.t", "query.t",
                                         "subprotocol"};
    static struct http1_head head;
    struct token_source source;
    struct bytes token;
    enum reason why;

    if (http1_request_parse(text, 100, &head, &why) <= 0)
        return;
    for (size_t i = 0; i < 4; i++) {
        REQUIRE(token_source_parse(places[i], &source));
        why = token_find(&source, &head, &token);
        REQUIRE(why == REASON_DONE || why == REASON_TOKEN_MISSING || why == REASON_TOKEN_MALFORMED);
        REQUIRE(why != REASON_DONE || (token.len && is_inside(token, text)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (!len)
        return 0;
    struct bytes in = exact((struct bytes){at + 1, len - 1});
    if (at[0] == 'T')
        check(in, false);
    else if (at[0] == 'C')
        check_signed(in);
    else if (at[0] == 'K')
        jwt_keys_free(keys_of(in));
    else if (at[0] == 'H')
        look(in);
    exact_free(in);
    return 0;
}

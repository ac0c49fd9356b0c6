#include "access/jwt.c"

#include "sign.h"
#include "vectors.h"

#define NOW UINT64_C(1300819379)

static struct jwt_keys *keys_of(const char *text)
{
    struct jwt_keys *keys = NULL;
    char words[256] = "";

    if (jwt_keys_new(bytes_of(text), &keys, words))
        print_error("%s\n", words);
    EXPECT(keys);
    return keys;
}

/* The verdict of one key over one token. */
static enum reason verdict(const char *key, const char *token, uint64_t now_sec)
{
    struct jwt_keys *keys = keys_of(key);
    const struct jwt_rules rules = {.keys = keys};
    struct claims *claims = NULL;
    enum reason why = jwt_check(&rules, bytes_of(token), now_sec, &claims);

    EXPECT(!claims == (why != REASON_DONE));
    claims_free(claims);
    jwt_keys_free(keys);
    return why;
}

/* The verdict of given rules over claims that are signed well. */
static enum reason judged(struct jwt_rules rules, const char *claims_text)
{
    struct jwt_keys *keys = keys_of(SECRET);
    struct claims *claims = NULL;
    char token[4096];

    rules.keys = keys;
    enum reason why = jwt_check(&rules, bytes_of(sign(claims_text, token)), 1000, &claims);
    claims_free(claims);
    jwt_keys_free(keys);
    return why;
}

TEST(the_tokens_of_rfc_7515)
{
    EXPECT(verdict(HS256_KEY, HS256_TOKEN, NOW) == REASON_DONE);
    EXPECT(verdict(RS256_KEY, RS256_TOKEN, NOW) == REASON_DONE);
    EXPECT(verdict(ES256_KEY, ES256_TOKEN, NOW) == REASON_DONE);
    EXPECT(verdict(HS256_KEY, HS256_TOKEN, NOW + 1) == REASON_TOKEN_EXPIRED);
}

/* Each character of the signature, and of what is signed, matters. */
TEST(a_changed_token_is_refused)
{
    static const char *const tokens[][2] = {
        {HS256_KEY, HS256_TOKEN}, {RS256_KEY, RS256_TOKEN}, {ES256_KEY, ES256_TOKEN}};

    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        size_t len = strlen(tokens[i][1]);
        for (size_t at = 0; at < len; at += i == 0 ? 1 : 7) {
            char changed[1024];
            memcpy(changed, tokens[i][1], len + 1);
            changed[at] = changed[at] == 'A' ? 'B' : 'A';
            EXPECT(verdict(tokens[i][0], changed, NOW) != REASON_DONE);
        }
    }
}

TEST(the_key_decides_the_algorithm)
{
    char token[4096];

    EXPECT(verdict(HS256_KEY, NONE_TOKEN, NOW) == REASON_TOKEN_UNVERIFIED);
    EXPECT(verdict(RS256_KEY, HS256_TOKEN, NOW) == REASON_TOKEN_UNVERIFIED);
    EXPECT(verdict(ES256_KEY, RS256_TOKEN, NOW) == REASON_TOKEN_UNVERIFIED);
    EXPECT(verdict(HS256_KEY, ES256_TOKEN, NOW) == REASON_TOKEN_UNVERIFIED);
    /* HS256 with the text of the public key as its secret */
    sign_with("{\"alg\":\"HS256\"}", "{}", RS256_KEY, token);
    EXPECT(verdict(RS256_KEY, token, NOW) == REASON_TOKEN_UNVERIFIED);
    /* signed well, but it says that it is signed otherwise */
    sign_with("{\"alg\":\"ES256\"}", "{}", SECRET, token);
    EXPECT(verdict(SECRET, token, NOW) == REASON_TOKEN_UNVERIFIED);
    sign_with("{\"alg\":\"hs256\"}", "{}", SECRET, token);
    EXPECT(verdict(SECRET, token, NOW) == REASON_TOKEN_UNVERIFIED);
}

TEST(what_is_no_token_is_malformed)
{
    static const char *const wrong[] = {
        "",
        ".",
        "..",
        "a.b",
        "eyJhbGciOiJIUzI1NiJ9..",
        "e30.e30.e30.e30",
        "bm8.e30.AAAA",
        "W10.e30.AAAA",
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA=",
        "e30=.e30.AAAA",
        "eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ.e30.AAAA" /* alg twice */};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        enum reason why = verdict(SECRET, wrong[i], NOW);
        if (why != REASON_TOKEN_MALFORMED && why != REASON_TOKEN_UNVERIFIED)
            print_error("%s\n", wrong[i]);
        EXPECT(why == REASON_TOKEN_MALFORMED || why == REASON_TOKEN_UNVERIFIED);
    }
}

TEST(signed_well_but_of_no_use)
{
    char token[4096];

    sign_with("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "{}", SECRET, token);
    EXPECT(verdict(SECRET, token, NOW) == REASON_TOKEN_MALFORMED);
    sign_with("{\"alg\":\"HS256\",\"kid\":7}", "{}", SECRET, token);
    EXPECT(verdict(SECRET, token, NOW) == REASON_TOKEN_MALFORMED);
    EXPECT(verdict(SECRET, sign("[]", token), NOW) == REASON_TOKEN_MALFORMED);
    EXPECT(verdict(SECRET, sign("{\"exp\":\"tomorrow\"}", token), NOW) == REASON_TOKEN_MALFORMED);
    EXPECT(verdict(SECRET, sign("{\"a\":1,\"a\":2}", token), NOW) == REASON_TOKEN_MALFORMED);
    EXPECT(verdict(SECRET, sign("{}", token), NOW) == REASON_DONE);
}

TEST(times_have_a_leeway)
{
    const struct jwt_rules strict = {0}, kind = {.leeway_sec = 30};

    EXPECT(judged(strict, "{\"exp\":1001}") == REASON_DONE);
    EXPECT(judged(strict, "{\"exp\":1000}") == REASON_TOKEN_EXPIRED);
    EXPECT(judged(strict, "{\"exp\":1000.5}") == REASON_DONE);
    EXPECT(judged(strict, "{\"exp\":-1}") == REASON_TOKEN_EXPIRED);
    EXPECT(judged(strict, "{\"exp\":1e300}") == REASON_DONE);
    EXPECT(judged(kind, "{\"exp\":971}") == REASON_DONE);
    EXPECT(judged(kind, "{\"exp\":970}") == REASON_TOKEN_EXPIRED);
    EXPECT(judged(strict, "{\"nbf\":1000}") == REASON_DONE);
    EXPECT(judged(strict, "{\"nbf\":1001}") == REASON_TOKEN_TOO_EARLY);
    EXPECT(judged(kind, "{\"nbf\":1030}") == REASON_DONE);
    EXPECT(judged(kind, "{\"nbf\":1031}") == REASON_TOKEN_TOO_EARLY);
}

TEST(issuer_and_audience)
{
    static const char *const audiences[] = {"api", "chat"};
    const struct jwt_rules issuer = {.issuer = "https://id.example.com"};
    const struct jwt_rules audience = {.audiences = audiences, .audience_count = 2};

    EXPECT(judged(issuer, "{\"iss\":\"https://id.example.com\"}") == REASON_DONE);
    EXPECT(judged(issuer, "{\"iss\":\"https://id.example.com/\"}") == REASON_TOKEN_FOREIGN);
    EXPECT(judged(issuer, "{}") == REASON_TOKEN_FOREIGN);
    EXPECT(judged(issuer, "{\"iss\":[\"https://id.example.com\"]}") == REASON_TOKEN_FOREIGN);
    EXPECT(judged(audience, "{\"aud\":\"chat\"}") == REASON_DONE);
    EXPECT(judged(audience, "{\"aud\":[\"x\",\"api\"]}") == REASON_DONE);
    EXPECT(judged(audience, "{\"aud\":[]}") == REASON_TOKEN_FOREIGN);
    EXPECT(judged(audience, "{\"aud\":{\"api\":\"api\"}}") == REASON_TOKEN_FOREIGN);
    EXPECT(judged(audience, "{\"aud\":\"apis\"}") == REASON_TOKEN_FOREIGN);
    EXPECT(judged(audience, "{}") == REASON_TOKEN_FOREIGN);
}

TEST(a_set_chooses_by_kid)
{
    static const char set[] =
        "{\"keys\":["
        "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"YW4gZW50aXJlbHkgdW5ndWVzc2FibGUgc2VjcmV0Li4\"},"
        "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE\"}]}";
    char token[4096];

    sign_with("{\"alg\":\"HS256\",\"kid\":\"a\"}", "{}", SECRET, token);
    EXPECT(verdict(set, token, NOW) == REASON_DONE);
    sign_with("{\"alg\":\"HS256\",\"kid\":\"b\"}", "{}", SECRET, token);
    EXPECT(verdict(set, token, NOW) == REASON_TOKEN_UNVERIFIED);
    sign_with("{\"alg\":\"HS256\",\"kid\":\"c\"}", "{}", SECRET, token);
    EXPECT(verdict(set, token, NOW) == REASON_TOKEN_UNVERIFIED);
    EXPECT(verdict(set, sign("{}", token), NOW) == REASON_DONE); /* any of them, without kid */
    sign_with("{\"alg\":\"HS256\",\"kid\":\"zzz\"}", "{}", SECRET, token);
    EXPECT(verdict(SECRET, token, NOW) == REASON_DONE); /* a key without kid serves every kid */
}

static bool is_value(const struct claims *claims, const char *name, const char *wanted)
{
    return bytes_equal(claims_value(claims, bytes_of(name)), bytes_of(wanted));
}

TEST(claims_are_found_by_name_and_by_way)
{
    struct jwt_keys *keys = keys_of(SECRET);
    const struct jwt_rules rules = {.keys = keys};
    struct claims *claims = NULL;
    char token[4096], name[400];

    sign("{\"sub\":\"joe\",\"n\":-42,\"ok\":true,\"real\":1.5,\"none\":null,\"map\":{\"a\":"
         "{\"b.c\":\"deep\"}},\"x.y\":\"dotted\",\"roles\":[\"a\",{},\"b\",3]}",
         token);
    EXPECT(jwt_check(&rules, bytes_of(token), 0, &claims) == REASON_DONE);
    EXPECT(is_value(claims, "sub", "joe"));
    EXPECT(is_value(claims, "n", "-42"));
    EXPECT(is_value(claims, "ok", "true"));
    EXPECT(is_value(claims, "real", ""));
    EXPECT(is_value(claims, "none", ""));
    EXPECT(is_value(claims, "missing", ""));
    EXPECT(is_value(claims, "map", ""));
    EXPECT(is_value(claims, "map.a.b.c", "deep"));
    EXPECT(is_value(claims, "sub.x", ""));
    EXPECT(is_value(claims, "x.y", "dotted"));
    EXPECT(is_value(claims, "roles", "a,b,3"));
    EXPECT(is_value(claims, "", "") && is_value(claims, ".", "") && is_value(claims, "sub.", ""));
    memset(name, 'a', sizeof name);
    EXPECT(claims_value(claims, (struct bytes){(uint8_t *)name, sizeof name}).len == 0);
    claims_free(claims);
    jwt_keys_free(keys);
}

TEST(a_token_has_a_limit)
{
    char *token = malloc(JWT_MAX_BYTES + 2);

    EXPECT(token);
    memset(token, 'A', JWT_MAX_BYTES + 1);
    token[JWT_MAX_BYTES + 1] = '\0';
    token[10] = token[20] = '.';
    EXPECT(verdict(SECRET, token, NOW) == REASON_TOKEN_MALFORMED);
    free(token);
}

TEST(when_a_token_expires)
{
    static const struct {
        const char *claims;
        uint64_t usec;
    } rows[] = {
        {"{}", UINT64_MAX},
        {"{\"exp\":2000}", 2000000000},
        {"{\"exp\":2000.5}", 2000500000},
        {"{\"exp\":1e300}", UINT64_MAX},
    };
    struct jwt_keys *keys = keys_of(SECRET);
    const struct jwt_rules rules = {.keys = keys};
    char token[4096];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct claims *claims = NULL;
        EXPECT(jwt_check(&rules, bytes_of(sign(rows[i].claims, token)), 1000, &claims) ==
               REASON_DONE);
        EXPECT(claims_expiry(claims) == rows[i].usec);
        claims_free(claims);
    }
    jwt_keys_free(keys);
}

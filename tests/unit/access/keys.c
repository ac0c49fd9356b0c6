#include "access/keys.c"

#include "test.h"
#include "vectors.h"

#define P256_PEM                                                                                   \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"                           \
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"                               \
    "-----END PUBLIC KEY-----\n"

#define HS    (1u << VERIFY_HS256)
#define RS    (1u << VERIFY_RS256)
#define ES    (1u << VERIFY_ES256)
#define WRONG 99u

static unsigned algorithms_of(const char *text, char words[256])
{
    struct jwt_keys *keys = NULL;
    int error = jwt_keys_new(bytes_of(text), &keys, words);

    EXPECT(!keys == (error != 0));
    if (error)
        return WRONG;
    unsigned found = jwt_keys_algorithms(keys);
    jwt_keys_free(keys);
    return found;
}

TEST(three_ways_to_write_a_key)
{
    static const struct {
        const char *text;
        unsigned wanted;
    } rows[] = {
        {"a secret that has at least 32 bytes", HS},
        {P256_PEM, ES},
        {"# our key\n" P256_PEM, ES},
        {HS256_KEY, HS},
        {RS256_KEY, RS},
        {"\n " ES256_KEY, ES},
        {"{\"keys\":[" HS256_KEY "," RS256_KEY "," ES256_KEY "]}", HS | RS | ES},
        /* those for something else are passed over */
        {"{\"keys\":[" ES256_KEY ",{\"kty\":\"RSA\",\"use\":\"enc\"},{\"kty\":\"OKP\"},"
         "{\"kty\":\"EC\",\"crv\":\"P-384\"},{\"kty\":\"RSA\",\"alg\":\"PS256\"},"
         "{\"kty\":\"oct\",\"key_ops\":[\"sign\"]},{},7]}",
         ES},
        {"{\"keys\":[{\"kty\":\"oct\",\"use\":\"sig\",\"alg\":\"HS256\",\"key_ops\":[\"verify\"],"
         "\"k\":\"" HS256_SECRET "\"}]}",
         HS},
    };
    char words[256];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (algorithms_of(rows[i].text, words) != rows[i].wanted)
            print_error("%s: %s\n", rows[i].text, words);
        EXPECT(algorithms_of(rows[i].text, words) == rows[i].wanted);
    }
}

TEST(what_is_wrong_is_said_without_quoting_it)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "a secret for HS256 has at least 32 bytes, this one has 0"},
        {"short", "a secret for HS256 has at least 32 bytes, this one has 5"},
        {"{", "no JSON: wrong in line 1, column 1"},
        {"{\"keys\":7}", "\"keys\" is no list"},
        {"{\"keys\":[]}", "no key for HS256, RS256 or ES256 signatures"},
        {"{}", "no key for HS256, RS256 or ES256 signatures"},
        {"{\"keys\":[" ES256_KEY ",{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
         "key 2 of the set is no valid public key"},
        {"{\"kty\":\"oct\",\"k\":\"QUJD\"}",
         "the key is too weak or too long: HS256 wants 32 bytes, RS256 2048 to 8192 bits"},
        {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
         "PEM, but no public key of RSA or P-256"},
        {"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7",
         "this looks like a public key, but it is neither PEM nor a JWKS"},
        {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7",
         "this looks like a public key, but it is neither PEM nor a JWKS"},
    };
    char words[256];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(algorithms_of(rows[i].text, words) == WRONG);
        if (strcmp(words, rows[i].words) != 0)
            print_error("%s\n%s\n", rows[i].text, words);
        EXPECT(strcmp(words, rows[i].words) == 0);
    }
}

TEST(a_set_has_a_limit)
{
    char *text = calloc(1, 200 * 80 + 100), words[256];
    size_t used = (size_t)snprintf(text, 20, "{\"keys\":[");

    EXPECT(text);
    for (int i = 0; i < 65; i++)
        used += (size_t)snprintf(text + used, 200, "%s" HS256_KEY, i ? "," : "");
    snprintf(text + used, 3, "]}");
    EXPECT(algorithms_of(text, words) == WRONG);
    EXPECT(strcmp(words, "more than 64 keys") == 0);
    free(text);
}

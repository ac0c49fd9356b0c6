/* Signatures by OpenSSL 3. What a key can do is decided when it is made, so that no message can
 * have an RSA key used as an HMAC secret. Contexts live for one check: nothing is kept between.
 *
 * OpenSSL's queue of errors is the thread's, and TLS reads it: whoever fails here empties it. */
#include "crypto/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>

#define HMAC_LEN      32
#define P256_LEN      32
#define DER_MAX_BYTES (2 + 2 * (2 + 1 + P256_LEN))

struct verify_key {
    enum verify_algorithm algorithm;
    EVP_PKEY *public; /* NULL for HS256 */
    size_t secret_len;
    uint8_t secret[];
};

static EVP_MD *sha256;
static EVP_MAC *hmac;
static pthread_once_t verify_once = PTHREAD_ONCE_INIT;

static void fetch_for_verify(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

/* --- keys --------------------------------------------------------------------------------------
 */

static int key_new(enum verify_algorithm algorithm, EVP_PKEY *take_public, struct bytes secret,
                   struct verify_key **ret_key)
{
    pthread_once(&verify_once, fetch_for_verify);
    struct verify_key *key = sha256 && hmac ? malloc(sizeof *key + secret.len) : NULL;
    if (!key) {
        EVP_PKEY_free(take_public);
        return -ENOMEM;
    }
    key->algorithm = algorithm;
    key->public = take_public;
    key->secret_len = secret.len;
    if (secret.len)
        memcpy(key->secret, secret.at, secret.len);
    *ret_key = key;
    return 0;
}

struct verify_key *verify_key_free(struct verify_key *key)
{
    if (!key)
        return NULL;
    EVP_PKEY_free(key->public);
    OPENSSL_cleanse(key->secret, key->secret_len);
    free(key);
    return NULL;
}

enum verify_algorithm verify_key_algorithm(const struct verify_key *key)
{
    return key->algorithm;
}

int verify_key_of_secret(struct bytes secret, struct verify_key **ret_key)
{
    if (secret.len < VERIFY_SECRET_MIN)
        return -EDOM;
    return key_new(VERIFY_HS256, NULL, secret, ret_key);
}

/* Looks what it is, and whether it is good enough. Takes the key on whatever outcome. */
static int adopt(EVP_PKEY *take_public, struct verify_key **ret_key)
{
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(take_public), error = -EINVAL;

    if (EVP_PKEY_is_a(take_public, "RSA") == 1) {
        if (bits >= VERIFY_RSA_MIN_BITS && bits <= VERIFY_RSA_MAX_BITS)
            return key_new(VERIFY_RS256, take_public, (struct bytes){0}, ret_key);
        error = -EDOM;
    } else if (EVP_PKEY_is_a(take_public, "EC") == 1 &&
               EVP_PKEY_get_group_name(take_public, group, sizeof group, NULL) == 1 &&
               strcmp(group, "prime256v1") == 0) {
        return key_new(VERIFY_ES256, take_public, (struct bytes){0}, ret_key);
    }
    EVP_PKEY_free(take_public);
    ERR_clear_error();
    return error;
}

static int key_of_params(const char *type, OSSL_PARAM *params, struct verify_key **ret_key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *public = NULL;
    int error = context ? 0 : -ENOMEM;

    if (!error && (EVP_PKEY_fromdata_init(context) != 1 ||
                   EVP_PKEY_fromdata(context, &public, EVP_PKEY_PUBLIC_KEY, params) != 1))
        error = -EINVAL;
    EVP_PKEY_CTX_free(context);
    if (error) {
        EVP_PKEY_free(public);
        ERR_clear_error();
        return error;
    }
    return adopt(public, ret_key);
}

/* OpenSSL's numbers have the machine's order of bytes. */
static void turn_round(struct bytes from, uint8_t *to)
{
    for (size_t i = 0; i < from.len; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        to[i] = from.at[from.len - 1 - i];
#else
        to[i] = from.at[i];
#endif
}

int verify_key_of_rsa(struct bytes n, struct bytes e, struct verify_key **ret_key)
{
    uint8_t modulus[VERIFY_RSA_MAX_BITS / 8], exponent[8];

    while (n.len && n.at[0] == 0)
        n = bytes_from(n, 1);
    if (n.len < VERIFY_RSA_MIN_BITS / 8 || n.len > sizeof modulus)
        return -EDOM;
    if (e.len == 0 || e.len > sizeof exponent || !(e.at[e.len - 1] & 1) ||
        (e.len == 1 && e.at[0] < 3))
        return -EINVAL;
    turn_round(n, modulus);
    turn_round(e, exponent);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus, n.len),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent, e.len),
        OSSL_PARAM_construct_end(),
    };
    return key_of_params("RSA", params, ret_key);
}

int verify_key_of_p256(struct bytes x, struct bytes y, struct verify_key **ret_key)
{
    char group[] = "prime256v1";
    uint8_t point[1 + 2 * P256_LEN] = {4}; /* uncompressed: SEC 1 section 2.3.3 */

    if (x.len != P256_LEN || y.len != P256_LEN)
        return -EINVAL; /* RFC 7518 section 6.2.1.2: the whole length, always */
    memcpy(point + 1, x.at, P256_LEN);
    memcpy(point + 1 + P256_LEN, y.at, P256_LEN);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    return key_of_params("EC", params, ret_key);
}

static int no_password(char *to, int size, int is_for_writing, void *none)
{
    (void)to, (void)size, (void)is_for_writing, (void)none;
    return -1;
}

int verify_key_of_pem(struct bytes pem, struct verify_key **ret_key)
{
    BIO *bio = pem.len <= INT32_MAX ? BIO_new_mem_buf(pem.at, (int)pem.len) : NULL;

    if (!bio)
        return -ENOMEM;
    EVP_PKEY *public = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (public)
        return adopt(public, ret_key);
    ERR_clear_error();
    return -EINVAL;
}

/* --- checks ------------------------------------------------------------------------------------
 */

static int check_hmac(const struct verify_key *key, struct bytes said, struct bytes signature)
{
    char digest[] = "SHA256";
    uint8_t made[HMAC_LEN];
    size_t len = 0;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    bool is_made = context && EVP_MAC_init(context, key->secret, key->secret_len, params) == 1 &&
                   EVP_MAC_update(context, said.at, said.len) == 1 &&
                   EVP_MAC_final(context, made, &len, sizeof made) == 1;

    EVP_MAC_CTX_free(context);
    if (!is_made) {
        ERR_clear_error();
        return -ENOMEM;
    }
    if (signature.len != len || CRYPTO_memcmp(signature.at, made, len) != 0)
        return -EBADMSG;
    return 0;
}

/* INTEGER of X.690 section 8.3: without leading zeros, and not negative. */
static size_t put_integer(uint8_t *to, const uint8_t from[P256_LEN])
{
    size_t skipped = 0;

    while (skipped < P256_LEN - 1 && from[skipped] == 0)
        skipped++;
    size_t len = P256_LEN - skipped, sign = from[skipped] >> 7;
    to[0] = 0x02;
    to[1] = (uint8_t)(sign + len);
    to[2] = 0;
    memcpy(to + 2 + sign, from + skipped, len);
    return 2 + sign + len;
}

/* RFC 7518 section 3.4 has the two numbers side by side; OpenSSL wants them in a SEQUENCE. */
static size_t der_of(struct bytes signature, uint8_t der[DER_MAX_BYTES])
{
    size_t len = put_integer(der + 2, signature.at);

    len += put_integer(der + 2 + len, signature.at + P256_LEN);
    der[0] = 0x30;
    der[1] = (uint8_t)len;
    return 2 + len;
}

static int check_public(const struct verify_key *key, struct bytes said, struct bytes signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int error = -ENOMEM;

    if (context && EVP_DigestVerifyInit(context, NULL, sha256, NULL, key->public) == 1)
        error = EVP_DigestVerify(context, signature.at, signature.len, said.at, said.len) == 1
                    ? 0
                    : -EBADMSG;
    EVP_MD_CTX_free(context);
    if (error)
        ERR_clear_error();
    return error;
}

int verify_key_check(const struct verify_key *key, struct bytes said, struct bytes signature)
{
    uint8_t der[DER_MAX_BYTES];

    if (key->algorithm == VERIFY_HS256)
        return check_hmac(key, said, signature);
    if (key->algorithm == VERIFY_RS256)
        return check_public(key, said, signature);
    if (signature.len != 2 * P256_LEN)
        return -EBADMSG;
    return check_public(key, said, (struct bytes){der, der_of(signature, der)});
}

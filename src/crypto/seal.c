/* AES-256-GCM (NIST SP 800-38D), by OpenSSL 3. Its nonce of 96 bits, drawn at random, may meet
 * itself after some 2^32 values of one key, and several nodes that share a secret count together.
 * So each value has a key of its own: 96 random bits are the salt with which it is derived from
 * ours, and 96 more are the nonce. Nothing has to be counted, by whatever number of nodes.
 *
 * OpenSSL's queue of errors is the thread's, and TLS reads it: whoever fails here empties it. */
#include "crypto/seal.h"

#include "base/check.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SEAL_MAGIC 0x7365616cu
#define KEY_BYTES  32
#define HALF_BYTES (SEAL_NONCE_BYTES / 2)
#define PLAIN_MAX  65536u

_Static_assert(KEY_BYTES == SHA256_LEN, "a digest is a key");

struct seal {
    uint32_t magic;
    atomic_uint references;
    size_t count;
    uint8_t key[SEAL_KEYS_MAX][KEY_BYTES];
};

static EVP_CIPHER *cipher;
static EVP_KDF *kdf;
static pthread_once_t seal_once = PTHREAD_ONCE_INIT;

static void fetch_for_seal(void)
{
    cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static OSSL_PARAM octets(const char *name, struct bytes value)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)value.at, value.len);
}

/* RFC 5869. 0 or -ENOMEM. */
static int derive(struct bytes secret, struct bytes salt, struct bytes purpose,
                  uint8_t ret_key[KEY_BYTES])
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        octets(OSSL_KDF_PARAM_KEY, secret),
        octets(OSSL_KDF_PARAM_INFO, purpose),
        salt.len ? octets(OSSL_KDF_PARAM_SALT, salt) : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    bool is_derived = context && EVP_KDF_derive(context, ret_key, KEY_BYTES, params) == 1;

    EVP_KDF_CTX_free(context);
    if (!is_derived)
        ERR_clear_error();
    return is_derived ? 0 : -ENOMEM;
}

/* --- keys --------------------------------------------------------------------------------------
 */

static int derive_all(struct seal *seal, const struct bytes *secrets, size_t count,
                      struct bytes purpose)
{
    int error = 0;

    seal->count = count;
    for (size_t i = 0; !error && i < count; i++)
        error = derive(secrets[i], (struct bytes){0}, purpose, seal->key[i]);
    return error;
}

int seal_new(const struct bytes *secrets, size_t count, const char *purpose, struct seal **ret_seal)
{
    CHECK(count);
    if (count > SEAL_KEYS_MAX)
        return -E2BIG;
    pthread_once(&seal_once, fetch_for_seal);
    struct seal *seal = cipher && kdf ? calloc(1, sizeof *seal) : NULL;
    if (!seal)
        return -ENOMEM;
    seal->magic = SEAL_MAGIC;
    atomic_init(&seal->references, 1);
    int error = derive_all(seal, secrets, count, bytes_of(purpose));
    if (error) {
        seal_unref(seal);
        return error;
    }
    *ret_seal = seal;
    return 0;
}

struct seal *seal_ref(struct seal *seal)
{
    CHECK_OBJ(seal, SEAL_MAGIC);
    atomic_fetch_add_explicit(&seal->references, 1, memory_order_relaxed);
    return seal;
}

struct seal *seal_unref(struct seal *seal)
{
    if (!seal)
        return NULL;
    CHECK_OBJ(seal, SEAL_MAGIC);
    if (atomic_fetch_sub_explicit(&seal->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    OPENSSL_cleanse(seal, sizeof *seal);
    free(seal);
    return NULL;
}

/* --- values ------------------------------------------------------------------------------------
 */

/* The value's own key, from the first half of its nonce: SHA-256 of one block whose beginning is
 * secret and whose length is fixed, so that nothing can be appended. HKDF here would cost eight
 * times as much. */
static int key_of_value(const struct seal *seal, size_t which, const uint8_t *nonce,
                        uint8_t ret_key[KEY_BYTES])
{
    const struct bytes parts[] = {{seal->key[which], KEY_BYTES}, {nonce, HALF_BYTES}};

    return crypto_sha256(parts, ARRAY_LEN(parts), ret_key);
}

static bool encrypt(EVP_CIPHER_CTX *context, const uint8_t *key, struct bytes associated,
                    struct bytes plain, uint8_t *sealed)
{
    uint8_t *out = sealed + SEAL_NONCE_BYTES;
    int len = 0;

    return EVP_EncryptInit_ex2(context, cipher, key, sealed + HALF_BYTES, NULL) == 1 &&
           EVP_EncryptUpdate(context, NULL, &len, associated.at, (int)associated.len) == 1 &&
           EVP_EncryptUpdate(context, out, &len, plain.at, (int)plain.len) == 1 &&
           EVP_EncryptFinal_ex(context, out + plain.len, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, out + plain.len) ==
               1;
}

int seal_close(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_BYTES],
               struct bytes associated, struct bytes plain, uint8_t *ret_sealed)
{
    uint8_t key[KEY_BYTES];

    CHECK_OBJ(seal, SEAL_MAGIC);
    CHECK(plain.len <= PLAIN_MAX && associated.len <= PLAIN_MAX);
    memcpy(ret_sealed, nonce, SEAL_NONCE_BYTES);
    int error = key_of_value(seal, 0, nonce, key);
    if (error)
        return error;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool is_sealed = context && encrypt(context, key, associated, plain, ret_sealed);
    EVP_CIPHER_CTX_free(context);
    OPENSSL_cleanse(key, sizeof key);
    if (!is_sealed)
        ERR_clear_error();
    return is_sealed ? 0 : -ENOMEM;
}

static int decrypt(const uint8_t *key, struct bytes associated, struct bytes sealed,
                   uint8_t *ret_plain)
{
    const uint8_t *in = sealed.at + SEAL_NONCE_BYTES;
    size_t plain_len = sealed.len - SEAL_MORE_BYTES;
    uint8_t tag[SEAL_TAG_BYTES];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len = 0, error = -ENOMEM;

    memcpy(tag, in + plain_len, sizeof tag);
    if (context && EVP_DecryptInit_ex2(context, cipher, key, sealed.at + HALF_BYTES, NULL) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
        EVP_DecryptUpdate(context, NULL, &len, associated.at, (int)associated.len) == 1 &&
        EVP_DecryptUpdate(context, ret_plain, &len, in, (int)plain_len) == 1)
        error = EVP_DecryptFinal_ex(context, ret_plain + plain_len, &len) == 1 ? 0 : -EBADMSG;
    EVP_CIPHER_CTX_free(context);
    if (error)
        ERR_clear_error();
    return error;
}

int seal_open(const struct seal *seal, struct bytes associated, struct bytes sealed,
              uint8_t *ret_plain)
{
    uint8_t key[KEY_BYTES];
    int error = -EBADMSG;

    CHECK_OBJ(seal, SEAL_MAGIC);
    CHECK(associated.len <= PLAIN_MAX);
    if (sealed.len < SEAL_MORE_BYTES || sealed.len - SEAL_MORE_BYTES > PLAIN_MAX)
        return -EBADMSG;
    for (size_t i = 0; error == -EBADMSG && i < seal->count; i++) {
        error = key_of_value(seal, i, sealed.at, key);
        if (!error)
            error = decrypt(key, associated, sealed, ret_plain);
    }
    OPENSSL_cleanse(key, sizeof key);
    return error;
}

/* Digests by OpenSSL 3. An algorithm is fetched once: an implicit fetch for every
 * call takes the library context's locks, which is what 3.0 is slow at. */
#include "crypto/crypto.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>

static EVP_MD *sha1, *sha256;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    CHECK(sha1); /* without it there is no WebSocket */
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(sha256); /* nor TLS */
}

void crypto_self_test(void)
{
    pthread_once(&once, fetch);
}

int crypto_sha1(struct bytes of, uint8_t ret_digest[SHA1_LEN])
{
    unsigned len = SHA1_LEN;

    pthread_once(&once, fetch);
    if (EVP_Digest(of.at, of.len, ret_digest, &len, sha1, NULL) != 1)
        return -ENOMEM; /* it allocates its context for every call */
    CHECK(len == SHA1_LEN);
    return 0;
}

int crypto_sha256(const struct bytes *parts, size_t count, uint8_t ret_digest[SHA256_LEN])
{
    unsigned len = SHA256_LEN;

    pthread_once(&once, fetch);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context && EVP_DigestInit_ex2(context, sha256, NULL) == 1;
    for (size_t i = 0; is_good && i < count; i++)
        is_good = EVP_DigestUpdate(context, parts[i].at, parts[i].len) == 1;
    is_good = is_good && EVP_DigestFinal_ex(context, ret_digest, &len) == 1;
    EVP_MD_CTX_free(context);
    if (!is_good)
        ERR_clear_error();
    return is_good ? 0 : -ENOMEM;
}

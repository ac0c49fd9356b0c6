/* Digests by OpenSSL 3. The algorithm is fetched once: an implicit fetch for every call takes the
 * library context's locks, which is what 3.0 is slow at. */
#include "crypto/crypto.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>

static EVP_MD *sha1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    CHECK(sha1); /* without it there is no WebSocket */
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

/* Digests and signature checks over bytes: the one door to libcrypto for what is not TLS. */
#pragma once

#include "base/bytes.h"

#define SHA1_LEN 20
/* RFC 3174; only because RFC 6455 section 1.3 asks for it. Any thread. 0 or -ENOMEM. */
int crypto_sha1(struct bytes of, uint8_t ret_digest[SHA1_LEN]);
#define SHA256_LEN 32
/* FIPS 180-4, of the parts one behind the other. Any thread. 0 or -ENOMEM. */
int crypto_sha256(const struct bytes *parts, size_t count, uint8_t ret_digest[SHA256_LEN]);

/* Fetches what is fetched once, at the start, where a library that cannot give it may end the
 * process. */
void crypto_self_test(void);

/* --- signatures (RFC 7518 sections 3.2 to 3.4) -------------------------------------------------
 */

/* A key serves the one algorithm that it is for, whatever a message says about itself. */
enum verify_algorithm { VERIFY_HS256, VERIFY_RS256, VERIFY_ES256 };
#define VERIFY_SECRET_MIN   32   /* bytes of an HMAC secret: RFC 7518 section 3.2 */
#define VERIFY_RSA_MIN_BITS 2048 /* section 3.3 */
#define VERIFY_RSA_MAX_BITS 8192

struct verify_key;

/* 0; -EINVAL: no such key; -EDOM: one that is too weak, or longer than anyone needs; -ENOMEM.
 * Numbers are unsigned, big-endian. */
int verify_key_of_secret(struct bytes secret, struct verify_key **ret_key);
int verify_key_of_rsa(struct bytes n, struct bytes e, struct verify_key **ret_key);
int verify_key_of_p256(struct bytes x, struct bytes y, struct verify_key **ret_key);
/* "-----BEGIN PUBLIC KEY-----": of RSA or of the curve P-256. */
int verify_key_of_pem(struct bytes pem, struct verify_key **ret_key);
struct verify_key *verify_key_free(struct verify_key *key); /* accepts NULL, returns NULL */

enum verify_algorithm verify_key_algorithm(const struct verify_key *key);
/* Any thread, several at once. 0, -EBADMSG when it is not the signature of just that, -ENOMEM. */
int verify_key_check(const struct verify_key *key, struct bytes said, struct bytes signature);

/* Digests over bytes: the one door to libcrypto for what is not TLS. */
#pragma once

#include "base/bytes.h"

#define SHA1_LEN 20
/* RFC 3174; only because RFC 6455 section 1.3 asks for it. Any thread. 0 or -ENOMEM. */
int crypto_sha1(struct bytes of, uint8_t ret_digest[SHA1_LEN]);

/* Fetches what is fetched once, at the start, where a library that cannot give it may end the
 * process. */
void crypto_self_test(void);

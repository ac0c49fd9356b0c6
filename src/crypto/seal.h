/* Small values that a stranger carries and only we can have made: encrypted and authenticated. */
#pragma once

#include "base/bytes.h"

#define SEAL_KEYS_MAX    16
#define SEAL_NONCE_BYTES 24
#define SEAL_TAG_BYTES   16
#define SEAL_MORE_BYTES  (SEAL_NONCE_BYTES + SEAL_TAG_BYTES) /* than what is sealed */

struct seal; /* counted, immutable */

/* Keys are derived from the secrets for that purpose alone (HKDF, RFC 5869): the first seals, all
 * open. At least one; 0; -E2BIG: more than SEAL_KEYS_MAX; -ENOMEM. */
int seal_new(const struct bytes *secrets, size_t count, const char *purpose,
             struct seal **ret_seal);
struct seal *seal_ref(struct seal *seal);
struct seal *seal_unref(struct seal *seal); /* accepts NULL, returns NULL */

/* What is sealed opens only with the same `associated`, which is not in it. The nonce is drawn for
 * this value alone, from what nobody can guess. Any thread, several at once. `ret_sealed` takes
 * plain.len + SEAL_MORE_BYTES. 0 or -ENOMEM. */
int seal_close(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_BYTES],
               struct bytes associated, struct bytes plain, uint8_t *ret_sealed);
/* `ret_plain` takes sealed.len - SEAL_MORE_BYTES, and means nothing on failure. 0; -EBADMSG: it was
 * not sealed by any of our keys, for that, or was changed; -ENOMEM. */
int seal_open(const struct seal *seal, struct bytes associated, struct bytes sealed,
              uint8_t *ret_plain);

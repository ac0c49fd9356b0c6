#include "crypto/openssl.c"

#include "test.h"

TEST(sha1_gives_the_digests_of_rfc_3174)
{
    static const uint8_t abc[] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
                                  0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    uint8_t digest[SHA1_LEN];

    EXPECT(crypto_sha1(bytes_of("abc"), digest) == 0);
    EXPECT(memcmp(digest, abc, sizeof abc) == 0);
    EXPECT(crypto_sha1(bytes_of(""), digest) == 0);
    EXPECT(digest[0] == 0xda && digest[19] == 0x09);
}

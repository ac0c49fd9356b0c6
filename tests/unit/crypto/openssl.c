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

TEST(sha256_gives_the_digests_of_fips_180)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
    const struct bytes parts[] = {bytes_of("a"), bytes_of(""), bytes_of("bc")};
    uint8_t digest[SHA256_LEN];

    EXPECT(crypto_sha256(parts, 3, digest) == 0);
    EXPECT(memcmp(digest, abc, sizeof abc) == 0 && digest[31] == 0xad);
    EXPECT(crypto_sha256(NULL, 0, digest) == 0);
    EXPECT(digest[0] == 0xe3 && digest[31] == 0x55);
}

#include "crypto/verify.c"

#include "test.h"

static struct bytes text(const char *from)
{
    return bytes_of(from);
}

TEST(hmac_gives_the_digest_of_rfc_4231_case_2_for_a_longer_key)
{
    /* case 4 of RFC 4231 has a key of 25 bytes; case 6 one of 131, which is long enough for us */
    uint8_t secret[131];
    static const uint8_t wanted[] = {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f,
                                     0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f,
                                     0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14,
                                     0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54};
    struct bytes said = text("Test Using Larger Than Block-Size Key - Hash Key First");
    struct verify_key *key = NULL;

    memset(secret, 0xaa, sizeof secret);
    EXPECT(verify_key_of_secret((struct bytes){secret, sizeof secret}, &key) == 0);
    EXPECT(verify_key_algorithm(key) == VERIFY_HS256);
    EXPECT(verify_key_check(key, said, (struct bytes){wanted, 32}) == 0);
    EXPECT(verify_key_check(key, said, (struct bytes){wanted, 31}) == -EBADMSG);
    EXPECT(verify_key_check(key, text("something else"), (struct bytes){wanted, 32}) == -EBADMSG);
    verify_key_free(key);
}

TEST(a_secret_has_32_bytes)
{
    struct verify_key *key = NULL;

    EXPECT(verify_key_of_secret(text("0123456789012345678901234567890"), &key) == -EDOM);
    EXPECT(verify_key_of_secret(text("01234567890123456789012345678901"), &key) == 0);
    verify_key_free(key);
}

TEST(rsa_keys_are_long_enough_and_odd)
{
    uint8_t n[1200] = {0};
    struct verify_key *key = NULL;

    n[0] = n[255] = n[127] = n[1024] = 1;
    EXPECT(verify_key_of_rsa((struct bytes){n, 128}, text("\x01\x01"), &key) == -EDOM);
    EXPECT(verify_key_of_rsa((struct bytes){n, 1025}, text("\x01\x01"), &key) == -EDOM);
    n[0] = 0xff;
    EXPECT(verify_key_of_rsa((struct bytes){n, 256}, text("\x02"), &key) == -EINVAL);
    EXPECT(verify_key_of_rsa((struct bytes){n, 256}, text("\x01"), &key) == -EINVAL);
    EXPECT(verify_key_of_rsa((struct bytes){n, 256}, (struct bytes){0}, &key) == -EINVAL);
    EXPECT(verify_key_of_rsa((struct bytes){n, 256}, text("\x03"), &key) == 0);
    EXPECT(verify_key_algorithm(key) == VERIFY_RS256);
    verify_key_free(key);
}

TEST(a_point_beside_the_curve_is_no_key)
{
    uint8_t x[32] = {1}, y[32] = {1};
    struct verify_key *key = NULL;

    EXPECT(verify_key_of_p256((struct bytes){x, 32}, (struct bytes){y, 32}, &key) == -EINVAL);
    EXPECT(verify_key_of_p256((struct bytes){x, 31}, (struct bytes){y, 32}, &key) == -EINVAL);
    EXPECT(ERR_peek_error() == 0);
}

TEST(integers_of_der_are_short_and_positive)
{
    uint8_t from[32] = {0}, to[40];

    EXPECT(put_integer(to, from) == 3 && to[1] == 1 && to[2] == 0);
    from[31] = 0x80;
    EXPECT(put_integer(to, from) == 4 && to[1] == 2 && to[2] == 0 && to[3] == 0x80);
    from[0] = 0x7f;
    EXPECT(put_integer(to, from) == 34 && to[1] == 32 && to[2] == 0x7f);
    from[0] = 0xff;
    EXPECT(put_integer(to, from) == 35 && to[1] == 33 && to[2] == 0 && to[3] == 0xff);
}

TEST(pem_is_a_public_key_of_a_kind_that_we_know)
{
    static const char p256[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                               "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                               "-----END PUBLIC KEY-----\n";
    struct verify_key *key = NULL;

    EXPECT(verify_key_of_pem(text(p256), &key) == 0);
    EXPECT(verify_key_algorithm(key) == VERIFY_ES256);
    EXPECT(verify_key_check(key, text("x"), text("short")) == -EBADMSG);
    verify_key_free(key);
    EXPECT(verify_key_of_pem(text("-----BEGIN PUBLIC KEY-----\nAAAA\n"), &key) == -EINVAL);
    EXPECT(verify_key_of_pem(text(""), &key) == -EINVAL);
    EXPECT(ERR_peek_error() == 0);
}

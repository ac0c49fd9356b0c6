#include "crypto/seal.c"

#include "test.h"

static const uint8_t *nonce(void)
{
    static uint8_t drawn[SEAL_NONCE_BYTES];

    drawn[0]++;
    return drawn;
}

static struct seal *seal_of(const char *first, const char *second)
{
    const struct bytes secrets[] = {bytes_of(first), bytes_of(second ? second : "")};
    struct seal *seal = NULL;

    EXPECT(seal_new(secrets, second ? 2 : 1, "test", &seal) == 0);
    return seal;
}

TEST(keys_are_derived_as_rfc_5869_says)
{
    static const uint8_t key[] = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
                                  0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
    static const uint8_t salt[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const uint8_t info[] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9};
    static const uint8_t made[] = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a,
                                   0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a};
    uint8_t out[KEY_BYTES];
    struct seal *seal = seal_of("any", NULL); /* fetches */

    EXPECT(derive((struct bytes){key, sizeof key}, (struct bytes){salt, sizeof salt},
                  (struct bytes){info, sizeof info}, out) == 0);
    EXPECT(memcmp(out, made, sizeof made) == 0); /* its test case 1 */
    seal_unref(seal);
}

TEST(what_is_sealed_opens_and_differs_each_time)
{
    struct seal *seal = seal_of("a secret of the operator", NULL);
    struct bytes plain = bytes_of("10.0.0.1:9001"), pool = bytes_of("chat");
    uint8_t sealed[2][64 + SEAL_MORE_BYTES], opened[64];

    for (size_t i = 0; i < 2; i++)
        EXPECT(seal_close(seal, nonce(), pool, plain, sealed[i]) == 0);
    struct bytes text = {sealed[0], plain.len + SEAL_MORE_BYTES};
    EXPECT(memcmp(sealed[0], sealed[1], text.len) != 0);
    EXPECT(bytes_find(text, bytes_of("10.0"), 0) == text.len);
    EXPECT(seal_open(seal, pool, text, opened) == 0);
    EXPECT(memcmp(opened, plain.at, plain.len) == 0);
    EXPECT(seal_open(seal, bytes_of("other"), text, opened) == -EBADMSG);
    seal_unref(seal);
}

TEST(no_changed_bit_and_no_cut_opens)
{
    struct seal *seal = seal_of("a secret of the operator", NULL);
    struct bytes plain = bytes_of("10.0.0.1:9001"), pool = bytes_of("chat");
    uint8_t sealed[64 + SEAL_MORE_BYTES], opened[sizeof sealed];
    size_t len = plain.len + SEAL_MORE_BYTES;

    EXPECT(seal_close(seal, nonce(), pool, plain, sealed) == 0);
    for (size_t i = 0; i < 8 * len; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        EXPECT(seal_open(seal, pool, (struct bytes){sealed, len}, opened) == -EBADMSG);
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < len; cut++)
        EXPECT(seal_open(seal, pool, (struct bytes){sealed, cut}, opened) == -EBADMSG);
    EXPECT(seal_open(seal, pool, (struct bytes){sealed, len}, opened) == 0);
    EXPECT(ERR_peek_error() == 0);
    seal_unref(seal);
}

TEST(nothing_can_be_sealed_too)
{
    struct seal *seal = seal_of("a secret of the operator", NULL);
    uint8_t sealed[SEAL_MORE_BYTES], opened[1];

    EXPECT(seal_close(seal, nonce(), (struct bytes){0}, (struct bytes){0}, sealed) == 0);
    EXPECT(seal_open(seal, (struct bytes){0}, (struct bytes){sealed, sizeof sealed}, opened) == 0);
    seal_unref(seal);
}

TEST(keys_are_exchanged_without_a_gap)
{
    struct seal *old = seal_of("the old secret", NULL);
    struct seal *both = seal_of("the new secret", "the old secret");
    struct seal *new = seal_of("the new secret", NULL);
    struct bytes plain = bytes_of("x"), pool = bytes_of("chat");
    uint8_t sealed[1 + SEAL_MORE_BYTES], opened[1];
    struct bytes text = {sealed, sizeof sealed};

    EXPECT(seal_close(old, nonce(), pool, plain, sealed) == 0);
    EXPECT(seal_open(both, pool, text, opened) == 0);
    EXPECT(seal_open(new, pool, text, opened) == -EBADMSG);
    EXPECT(seal_close(both, nonce(), pool, plain, sealed) == 0);
    EXPECT(seal_open(new, pool, text, opened) == 0);
    EXPECT(seal_open(old, pool, text, opened) == -EBADMSG);
    seal_unref(old);
    seal_unref(both);
    seal_unref(new);
}

TEST(purposes_have_keys_of_their_own)
{
    const struct bytes secret = bytes_of("the same secret");
    struct seal *one = NULL, *other = NULL, *more = NULL;
    const struct bytes many[SEAL_KEYS_MAX + 1] = {0};
    uint8_t sealed[SEAL_MORE_BYTES], opened[1];
    struct bytes text = {sealed, sizeof sealed}, none = {0};

    EXPECT(seal_new(&secret, 1, "one", &one) == 0 && seal_new(&secret, 1, "other", &other) == 0);
    EXPECT(seal_close(one, nonce(), none, none, sealed) == 0);
    EXPECT(seal_open(other, none, text, opened) == -EBADMSG);
    EXPECT(seal_open(one, none, text, opened) == 0);
    EXPECT(seal_new(many, SEAL_KEYS_MAX + 1, "one", &more) == -E2BIG);
    seal_unref(one);
    seal_unref(other);
    EXPECT(!seal_unref(NULL));
}

#include "session/sticky_token.c"

#include "test.h"

static struct seal *seal;
static const uint8_t nonce[SEAL_NONCE_BYTES] = {1, 2, 3};

static struct sticky_token token_of(const char *address, bool has_session)
{
    struct sticky_token token = {.issued_sec = 1764000000, .has_session = has_session};

    EXPECT(address_parse(address, &token.server) == 0);
    memset(token.session.at, has_session ? 0xab : 0, sizeof token.session.at);
    return token;
}

static void begin(void)
{
    const struct bytes secret = bytes_of("a secret of the operator");

    EXPECT(seal_new(&secret, 1, "test", &seal) == 0);
}

static void end(void)
{
    seal = seal_unref(seal);
}

TEST(a_token_says_what_was_written)
{
    static const char *const addresses[] = {"10.1.2.3:9001", "[2001:db8::1]:65535"};
    struct sticky_token back;
    char text[STICKY_TOKEN_TEXT_BYTES];

    begin();
    for (size_t i = 0; i < 4; i++) {
        struct sticky_token token = token_of(addresses[i / 2], i % 2);
        EXPECT(sticky_token_write(seal, nonce, "chat", "turnout", &token, text) == 0);
        EXPECT(sticky_token_read(seal, "chat", "turnout", bytes_of(text), &back) == 0);
        EXPECT(address_equal(&back.server, &token.server) && back.issued_sec == token.issued_sec);
        EXPECT(back.has_session == token.has_session);
        EXPECT(memcmp(back.session.at, token.session.at, sizeof back.session.at) == 0);
    }
    end();
}

TEST(a_token_of_another_pool_or_cookie_is_none)
{
    struct sticky_token token = token_of("10.1.2.3:9001", true), back;
    char text[STICKY_TOKEN_TEXT_BYTES];

    begin();
    EXPECT(sticky_token_write(seal, nonce, "chat", "turnout", &token, text) == 0);
    EXPECT(sticky_token_read(seal, "chats", "turnout", bytes_of(text), &back) == -EBADMSG);
    EXPECT(sticky_token_read(seal, "chat", "turn", bytes_of(text), &back) == -EBADMSG);
    EXPECT(sticky_token_read(seal, "chatt", "urnout", bytes_of(text), &back) == -EBADMSG);
    end();
}

TEST(no_changed_character_and_no_cut_is_a_token)
{
    struct sticky_token token = token_of("10.1.2.3:9001", true), back;
    char text[STICKY_TOKEN_TEXT_BYTES];

    begin();
    EXPECT(sticky_token_write(seal, nonce, "chat", "turnout", &token, text) == 0);
    for (size_t i = 0; text[i]; i++) {
        for (unsigned c = 0; c < 256; c++) {
            char was = text[i];
            if ((char)c == was)
                continue;
            text[i] = (char)c;
            EXPECT(sticky_token_read(seal, "chat", "turnout",
                                     (struct bytes){(uint8_t *)text, strlen(text)}, &back));
            text[i] = was;
        }
    }
    for (size_t len = 0; len < strlen(text); len++)
        EXPECT(sticky_token_read(seal, "chat", "turnout", bytes_slice(bytes_of(text), 0, len),
                                 &back) == -EBADMSG);
    char longer[600];
    memset(longer, 'A', sizeof longer);
    EXPECT(sticky_token_read(seal, "chat", "turnout",
                             (struct bytes){(uint8_t *)longer, sizeof longer}, &back) == -EBADMSG);
    end();
}

TEST(what_opens_is_read_with_care_all_the_same)
{
    static const uint8_t plain[] = {4, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0};
    struct sticky_token token;

    EXPECT(!read_plain((struct bytes){plain, 0}, &token));
    EXPECT(!read_plain((struct bytes){plain, sizeof plain}, &token)); /* a bit of a later version */
    uint8_t short_one[sizeof plain];
    memcpy(short_one, plain, sizeof plain);
    short_one[0] = 0;
    EXPECT(read_plain((struct bytes){short_one, sizeof short_one}, &token));
    EXPECT(!read_plain((struct bytes){short_one, sizeof short_one - 1}, &token));
    short_one[0] = HAS_SESSION;
    EXPECT(!read_plain((struct bytes){short_one, sizeof short_one}, &token));
}

#include "codec/base64url.c"

#include "codec/rows.h"

TEST(the_vectors_of_rfc_4648_without_padding)
{
    static const struct {
        const char *text, *plain;
    } rows[] = {{"", ""},           {"Zg", "f"},          {"Zm8", "fo"},         {"Zm9v", "foo"},
                {"Zm9vYg", "foob"}, {"Zm9vYmE", "fooba"}, {"Zm9vYmFy", "foobar"}};
    uint8_t memory[16];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ssize_t len = base64url_decode(bytes_of(rows[i].text), memory);
        EXPECT_ROW(rows[i].text, len == (ssize_t)strlen(rows[i].plain) &&
                                     memcmp(memory, rows[i].plain, (size_t)len) == 0);
        char text[16];
        base64url_encode(bytes_of(rows[i].plain), text);
        EXPECT_ROW(rows[i].text, base64url_len((size_t)len) == strlen(rows[i].text) &&
                                     memcmp(text, rows[i].text, strlen(rows[i].text)) == 0);
    }
}

TEST(the_alphabet_is_that_of_urls)
{
    uint8_t memory[8];

    EXPECT(base64url_decode(bytes_of("-_-_"), memory) == 3);
    EXPECT(memory[0] == 0xfb && memory[1] == 0xff && memory[2] == 0xbf);
    base64url_encode((struct bytes){memory, 3}, (char *)memory + 4);
    EXPECT(memcmp(memory + 4, "-_-_", 4) == 0);
}

TEST(what_is_not_the_one_text_of_its_bytes_is_refused)
{
    static const char *const wrong[] = {"Z",     "Zm9vY", "Zg==",  "Zh",     "Zm9", "+/+/",
                                        "Zm 9v", "Zm9\n", "Zm9v=", "Z\xc3g", "Zm.v"};
    uint8_t memory[16];

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EXPECT_ROW(wrong[i], base64url_decode(bytes_of(wrong[i]), memory) == -EINVAL);
}

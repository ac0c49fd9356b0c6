#include "base/utf8.c"

#include "test.h"

/* As any number of up to 21 bits would be written, whether it is a character or not. */
static size_t write_in(size_t len, uint32_t number, uint8_t ret_text[4])
{
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    EXPECT(len >= 1 && len <= 4);
    for (size_t i = len; i-- > 1; number >>= 6)
        ret_text[i] = (uint8_t)(0x80 | (number & 0x3f));
    ret_text[0] = (uint8_t)(first[len] | number);
    return len;
}

static size_t shortest(uint32_t number)
{
    return number < 0x80 ? 1 : number < 0x800 ? 2 : number < 0x10000 ? 3 : 4;
}

TEST(every_number_is_known_by_its_shortest_form_alone)
{
    uint8_t text[4];

    for (uint32_t number = 0; number < 1u << 21; number++) {
        bool is_character = number <= 0x10ffff && (number < 0xd800 || number > 0xdfff);
        for (size_t len = shortest(number); len <= 4; len++) {
            struct bytes whole = {text, write_in(len, number, text)};
            size_t wanted = is_character && len == shortest(number) ? len : 0;
            EXPECT(utf8_len(whole) == wanted);
        }
    }
}

TEST(a_cut_character_is_none)
{
    const struct bytes last = bytes_of("\xf4\x8f\xbf\xbf");

    for (size_t len = 0; len < 4; len++)
        EXPECT(utf8_len(bytes_slice(last, 0, len)) == 0);
    EXPECT(utf8_len(last) == 4);
}

TEST(a_tail_that_is_none_is_found_wherever_it_is)
{
    EXPECT(utf8_len(bytes_of("\xc3(")) == 0);
    EXPECT(utf8_len(bytes_of("\xe2\x82(")) == 0);
    EXPECT(utf8_len(bytes_of("\xf0\x9f\x98(")) == 0);
    EXPECT(utf8_len(bytes_of("\xf0\x9f(\x80")) == 0);
    EXPECT(utf8_len(bytes_of("\x80")) == 0 && utf8_len(bytes_of("\xff")) == 0);
    EXPECT(utf8_len(bytes_of("a\x80")) == 1); /* what follows is not its matter */
}

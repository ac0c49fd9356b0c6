/* The grammar of RFC 3629 section 4, row by row: the second byte's range keeps out what could be
 * written shorter, surrogates, and what lies beyond U+10FFFF. */
#include "base/utf8.h"

#include "base/check.h"

static const struct {
    uint8_t first, last; /* of the first byte */
    uint8_t from, to;    /* of the second */
    uint8_t len;
} rows[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static bool is_tail(struct bytes tail, uint8_t from, uint8_t to)
{
    if (tail.at[0] < from || tail.at[0] > to)
        return false;
    for (size_t i = 1; i < tail.len; i++)
        if ((tail.at[i] & 0xc0) != 0x80)
            return false;
    return true;
}

size_t utf8_len(struct bytes text)
{
    for (size_t i = 0; text.len && i < ARRAY_LEN(rows); i++) {
        if (text.at[0] < rows[i].first || text.at[0] > rows[i].last)
            continue;
        size_t len = rows[i].len;
        if (len == 1)
            return 1;
        bool is_whole = len <= text.len;
        return is_whole && is_tail(bytes_slice(text, 1, len), rows[i].from, rows[i].to) ? len : 0;
    }
    return 0;
}

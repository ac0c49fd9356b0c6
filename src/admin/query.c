/* Values are copied, since decoding shortens them. */
#include "admin/query.h"

static int hex_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that begins at `at`; 0: a malformed escape, or one of NUL. */
static uint8_t decode_one(struct bytes text, size_t at, enum query_plus plus)
{
    if (text.at[at] == '+' && plus == QUERY_PLUS_IS_BLANK)
        return ' ';
    if (text.at[at] != '%')
        return text.at[at];
    if (text.len - at < 3)
        return 0;
    int high = hex_of(text.at[at + 1]), low = hex_of(text.at[at + 2]);
    return (uint8_t)(high < 0 || low < 0 ? 0 : high << 4 | low);
}

bool query_decode(struct bytes text, enum query_plus plus, char *to, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; text.at && i < text.len; i += text.at[i] == '%' ? 3 : 1) {
        uint8_t c = decode_one(text, i, plus);
        if (!c || len + 1 >= size)
            return false;
        to[len++] = (char)c;
    }
    to[len] = '\0';
    return true;
}

bool query_parse(struct bytes target, struct query *ret_query)
{
    size_t mark = bytes_find(target, bytes_of("?"), 0);
    struct bytes rest = bytes_from(target, mark + 1);

    *ret_query = (struct query){.path = bytes_slice(target, 0, mark)};
    while (rest.len) {
        size_t end = bytes_find(rest, bytes_of("&"), 0);
        struct bytes pair = bytes_slice(rest, 0, end);
        size_t equals = bytes_find(pair, bytes_of("="), 0);
        if (ret_query->count == QUERY_PARAMS_MAX)
            return false;
        ret_query->param[ret_query->count].name = bytes_slice(pair, 0, equals);
        if (!query_decode(bytes_from(pair, equals + 1), QUERY_PLUS_IS_BLANK,
                          ret_query->param[ret_query->count].value,
                          sizeof ret_query->param[0].value))
            return false;
        ret_query->count++;
        rest = bytes_from(rest, end + 1);
    }
    return true;
}

const char *query_find(const struct query *query, const char *name)
{
    for (size_t i = 0; i < query->count; i++)
        if (bytes_equal(query->param[i].name, bytes_of(name)))
            return query->param[i].value;
    return NULL;
}

bool query_number(const struct query *query, const char *name, uint64_t otherwise, uint64_t most,
                  uint64_t *ret_number)
{
    const char *text = query_find(query, name);
    uint64_t number = 0;

    *ret_number = otherwise;
    if (!text)
        return true;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || number > UINT64_MAX / 10 - 1)
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *ret_number = number;
    return *text && number <= most;
}

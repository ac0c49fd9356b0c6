/* Takes bytes from the front of a view, for formats of numbers and lengths in network order.
 * Nothing has to be checked on the way: once what was wanted was not there, `is_bad` stays, and
 * everything taken after it is empty. */
#pragma once

#include "base/bytes.h"

struct cursor {
    struct bytes rest;
    bool is_bad;
};

static inline struct bytes cursor_take(struct cursor *c, size_t len)
{
    if (c->is_bad || c->rest.len < len) {
        c->is_bad = true;
        return (struct bytes){0};
    }
    struct bytes taken = bytes_slice(c->rest, 0, len);
    c->rest = bytes_from(c->rest, len);
    return taken;
}

/* Of so many bytes, at most 8; 0 when they are not there. */
static inline size_t cursor_number(struct cursor *c, size_t len)
{
    struct bytes taken = cursor_take(c, len);
    size_t number = 0;

    for (size_t i = 0; i < taken.len; i++)
        number = number << 8 | taken.at[i];
    return number;
}

/* What a number of so many bytes says the length of. */
static inline struct bytes cursor_vector(struct cursor *c, size_t length_bytes)
{
    return cursor_take(c, cursor_number(c, length_bytes));
}

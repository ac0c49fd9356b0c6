/* Tables of texts: every row has a name, which is what a failure says; texts may hold NUL. */
#pragma once

#include "base/bytes.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

#define EXPECT_ROW(name, truth)                                                                    \
    ((truth) ? (void)0 : test_fail_row(name, #truth, __FILE__, __LINE__))

_Noreturn static inline void test_fail_row(const char *name, const char *what, const char *file,
                                           int line)
{
    print_error("row: %s\n", name);
    test_fail(what, file, line);
}

/* The first `len` bytes in memory of just that size, so that a sanitizer sees who reads on. */
static inline struct bytes exact(struct bytes text, size_t len)
{
    uint8_t *memory = malloc(len + !len);

    EXPECT(memory != NULL);
    if (len)
        memcpy(memory, text.at, len);
    return (struct bytes){memory, len};
}

static inline void exact_free(struct bytes copy)
{
    free((void *)copy.at);
}

static inline bool says(struct bytes b, const char *text)
{
    return bytes_equal(b, bytes_of(text));
}

/* Appends to a string in memory of `size` bytes. */
static inline void append(char *text, size_t size, const char *more)
{
    size_t len = strlen(text);

    EXPECT(len + strlen(more) < size);
    snprintf(text + len, size - len, "%s", more);
}

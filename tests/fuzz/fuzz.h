/* What the targets share: a law that must hold, and cuts. Inputs are the plain bytes of a format,
 * so that seeds can be read and captured; how an input is cut comes from a hash of it. */
#pragma once

#include "base/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

#define REQUIRE(truth) ((truth) ? (void)0 : abort())

/* A row of pseudo-random numbers that depends on the input alone. */
struct cutter {
    uint64_t state;
};

static inline struct cutter cutter_of(struct bytes input)
{
    struct cutter c = {14695981039346656037u};

    for (size_t i = 0; i < input.len; i++)
        c.state = (c.state ^ input.at[i]) * 1099511628211u;
    return c;
}

/* The length of the next piece: 1 to 8, now and then up to `left`. */
static inline size_t cutter_next(struct cutter *c, size_t left)
{
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    size_t number = (size_t)(c->state >> 33);
    size_t piece = number % 5 ? 1 + (number >> 3) % 8 : 1 + (number >> 3) % (left + 1);

    return piece < left ? piece : left;
}

/* In memory of just that size: reading on is seen. */
static inline struct bytes exact(struct bytes text)
{
    uint8_t *memory = malloc(text.len + !text.len);

    REQUIRE(memory != NULL);
    if (text.len)
        memcpy(memory, text.at, text.len);
    return (struct bytes){memory, text.len};
}

static inline void exact_free(struct bytes copy)
{
    free((void *)copy.at);
}

static inline bool is_inside(struct bytes part, struct bytes whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

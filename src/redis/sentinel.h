/* Who is master, asked of Sentinels one after another, as a child flow. */
#pragma once

#include "redis/reply.h"
#include "redis/target.h"

/* Ends for DONE (`master` is set), or CONNECT_REFUSED with `words`. */
struct sentinel {
    struct flow flow;
    const struct redis_target *target;
    uint64_t limit_usec; /* for each of them */
    unsigned first;      /* whom to ask first: who knew it last time */
    struct redis_place master;
    const char *words;
    /* its own */
    unsigned tried;
    uint64_t until_usec;
    struct place_visit visit;
    struct stream stream;
    struct redis_reader *reader;
    struct buf out;
};

/* Set target, limit_usec and first; all else zeroed, or of the time before. */
void sentinel_start(struct sentinel *sentinel, struct flow *parent);

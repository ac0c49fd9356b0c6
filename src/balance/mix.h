/* One mixing function for everything that hashes, so that all nodes agree: the finalizer of
 * splitmix64 (Steele, Lea and Flood, 2014). Public and without a secret: whoever can choose keys
 * can make them meet on one server, which bounds and admission answer, not the hash. */
#pragma once

#include <stdint.h>

static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Another one for each `of`, whatever both have in common. */
static inline uint64_t mix_pair(uint64_t hash, uint64_t of)
{
    return mix64(mix64(hash) ^ of);
}

/* 0 to limit - 1, evenly, without a division. */
static inline uint64_t mix_below(uint64_t hash, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)hash * limit) >> 64);
}

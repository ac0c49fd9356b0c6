#include "route/shard.h"

/* After a mismatch only the last '*' takes one byte more: what earlier ones took need not change,
 * as the shortest that they can take leaves the most for what follows. */
bool shard_matches(const char *pattern, struct bytes key)
{
    const char *star = NULL;
    size_t at = 0, taken = 0;

    while (at < key.len) {
        if (*pattern == '*') {
            star = pattern++;
            taken = at;
        } else if (*pattern && (*pattern == '?' || (uint8_t)*pattern == key.at[at])) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star + 1;
            at = ++taken;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

uint32_t shard_servers(const struct shard_settings *shard, struct bytes key)
{
    for (size_t i = 0; i < shard->larger_count; i++)
        if (shard_matches(shard->larger[i].match, key))
            return (uint32_t)shard->larger[i].servers;
    return (uint32_t)shard->servers;
}

/* How many servers a key's connections share: `shard.servers`, or more for keys that a pattern of
 * `shard.larger` names. */
#pragma once

#include "base/bytes.h"
#include "conf/settings.h"

/* The first of `larger` that matches; never 0. */
uint32_t shard_servers(const struct shard_settings *shard, struct bytes key);

/* '*' stands for any bytes or none, '?' for one, all else for itself. Takes time in proportion to
 * the product of both lengths at most. */
bool shard_matches(const char *pattern, struct bytes key);

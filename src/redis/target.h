/* Where a Redis server is, by URL:
 *
 *     redis://[user:password@]host[:6379][/db]
 *     redis+unix://[user:password@]/path/of/socket[?db=N]
 *     redis+sentinel://[user:password@]host[:26379],host.../MASTER[/db]
 *
 * User and password (percent-encoded where need be) are the server's, never a Sentinel's. */
#pragma once

#include "redis/place.h"

#define REDIS_PLACES_MAX 16
#define REDIS_NAME_MAX   128
#define REDIS_SECRET_MAX 512

struct redis_target {
    bool is_sentinel;
    unsigned count; /* of places: Sentinels, or the one server */
    struct redis_place place[REDIS_PLACES_MAX];
    char master[REDIS_NAME_MAX]; /* as Sentinels call it */
    char user[REDIS_NAME_MAX];   /* "": the default one */
    char password[REDIS_SECRET_MAX];
    unsigned db;
};

/* 0; or -EINVAL, and words that say what is wrong and what to write, without user and password. */
int redis_target_parse(const char *url, struct redis_target *ret_target, char ret_words[256]);

/* Which connections a page of them holds. */
#pragma once

#include "admin/query.h"
#include "proxy/connection.h"

#define FILTER_LIMIT_DEFAULT 100
#define FILTER_LIMIT_MAX     1000

struct filter {
    char pool[160], server[160], route[160], state[160]; /* empty: any */
    char client[160];                                    /* a prefix of the address; empty: any */
    uint64_t idle_usec; /* silent for at least so long, both ends */
    uint64_t after;     /* numbers above this one only */
    uint64_t limit;     /* at most so many */
};

/* False: *ret_what_to_do says how it is written. */
bool filter_parse(const struct query *query, struct filter *ret_filter,
                  const char **ret_what_to_do);
bool filter_matches(const struct filter *filter,
                    const struct connection *c); /* on its worker's thread */

/* What a pool's configuration says of its servers' health: counted, immutable, with memory of its
 * own, so that a check under way outlives its configuration. */
#pragma once

#include "base/arena.h"
#include "health/health.h"

struct plan {
    unsigned references; /* of one thread */
    struct arena arena;
    struct pool *pool; /* counted */
    const char *host;  /* of the pool's first route that has one; NULL */
    struct check_settings checks[CHECK_KINDS];
    struct health_policy policy;
    struct tcp_tuning tuning;
    enum proxy_out proxy_out;
    uint64_t spread_usec; /* over which first checks are spread */
};

struct plan *plan_new(const struct health_pool *of, size_t servers); /* NULL: no memory */
struct plan *plan_ref(struct plan *plan);
struct plan *plan_unref(struct plan *plan); /* accepts NULL, returns NULL */

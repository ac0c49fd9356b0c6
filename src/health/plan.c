/* Texts are copied; numbers are taken as they stand. */
#include "health/plan.h"

#include <stdlib.h>

#define PER_SERVER_USEC 1000u /* a thousand first checks a second */

static const char *copy(struct arena *arena, const char *text, bool *is_complete)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copied = arena_alloc(arena, size);
    if (copied)
        memcpy(copied, text, size);
    else
        *is_complete = false;
    return copied;
}

struct plan *plan_new(const struct health_pool *of, size_t servers)
{
    const struct pool_settings *settings = of->settings;
    struct plan *plan = calloc(1, sizeof *plan);
    bool is_complete = true;

    if (!plan)
        return NULL;
    arena_init(&plan->arena);
    plan->references = 1;
    plan->pool = pool_ref(of->pool);
    plan->host = copy(&plan->arena, of->host, &is_complete);
    for (size_t i = 0; i < CHECK_KINDS; i++) {
        struct check_settings *check = &plan->checks[i];
        *check = settings->checks[i];
        check->mark = (struct mark){0};
        check->path = copy(&plan->arena, check->path, &is_complete);
        check->host = copy(&plan->arena, check->host, &is_complete);
        check->status = copy(&plan->arena, check->status, &is_complete);
        check->send = copy(&plan->arena, check->send, &is_complete);
        check->expect = copy(&plan->arena, check->expect, &is_complete);
    }
    plan->policy = (struct health_policy){
        .on_down = settings->on_down,
        .drain_over_usec = settings->drain_over,
        .drain_code = (uint16_t)settings->drain_code,
    };
    plan->tuning = of->tuning;
    plan->proxy_out = settings->proxy_out;
    plan->spread_usec = servers * PER_SERVER_USEC;
    return is_complete ? plan : plan_unref(plan);
}

struct plan *plan_ref(struct plan *plan)
{
    plan->references++;
    return plan;
}

struct plan *plan_unref(struct plan *plan)
{
    if (!plan || --plan->references)
        return NULL;
    arena_done(&plan->arena);
    pool_unref(plan->pool);
    free(plan);
    return NULL;
}

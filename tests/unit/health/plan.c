#include "health/plan.c"

#include "test.h"

static struct pool *pool_of_none(void)
{
    struct pool *pool = NULL;

    EXPECT(pool_new("chat", balancer_find("round_robin"), NULL, 0, NULL, &pool) == 0);
    return pool;
}

TEST(a_plan_has_texts_of_its_own_and_keeps_its_pool)
{
    char path[] = "/health", host[] = "a.example", expect[] = "ok";
    struct pool *pool = pool_of_none();
    struct pool_settings settings = {
        .name = "chat",
        .checks[CHECK_WEBSOCKET] = {.is_on = true, .path = path, .expect = expect, .rise = 7},
        .on_down = ON_DOWN_DRAIN,
        .drain_over = 5,
        .drain_code = 1001,
        .proxy_out = PROXY_OUT_V1,
    };
    const struct health_pool of = {.pool = pool, .settings = &settings, .host = host};
    struct plan *plan = plan_new(&of, 30);

    EXPECT(plan != NULL);
    path[1] = host[1] = expect[1] = '?';
    settings = (struct pool_settings){0};
    pool_unref(pool);
    const struct check_settings *check = &plan->checks[CHECK_WEBSOCKET];
    EXPECT(check->is_on && check->rise == 7 && strcmp(check->path, "/health") == 0);
    EXPECT(strcmp(check->expect, "ok") == 0 && !check->send && !check->host);
    EXPECT(!plan->checks[CHECK_HTTP].is_on && !plan->checks[CHECK_TCP].is_on);
    EXPECT(strcmp(plan->host, "a.example") == 0 && plan->proxy_out == PROXY_OUT_V1);
    EXPECT(plan->policy.on_down == ON_DOWN_DRAIN && plan->policy.drain_over_usec == 5 &&
           plan->policy.drain_code == 1001);
    EXPECT(plan->spread_usec == 30 * PER_SERVER_USEC);
    EXPECT(strcmp(pool_name(plan->pool), "chat") == 0);
    EXPECT(plan_ref(plan) == plan && plan->references == 2);
    plan_unref(plan);
    EXPECT(plan->references == 1);
    EXPECT(plan_unref(plan) == NULL && plan_unref(NULL) == NULL);
}

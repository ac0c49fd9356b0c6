/* The token's end is told by the wall clock and kept by the loop's: who sets the clock back or
 * forward later moves no tunnel's end. The leeway that let a token in is given to its end as well,
 * so that none is let in and ended at once. */
#include "proxy/guarding.h"

#include "sys/sys.h"

_Static_assert(sizeof((struct guard_opts *)0)->nonce == sizeof(uint64_t), "one random number");

static uint64_t forever_if_none(uint64_t usec)
{
    return usec ? usec : FOREVER;
}

static uint64_t expires_usec(const struct exchange *h)
{
    const struct route_settings *settings = h->route->settings;

    if (!settings->guard.close_at_expiry || !h->claims)
        return FOREVER;
    uint64_t at = claims_expiry(h->claims), now = sys_wall_usec();
    if (at > FOREVER - settings->access.jwt_leeway)
        return FOREVER;
    at += settings->access.jwt_leeway;
    return at > now ? at - now : 0;
}

bool guarding_opts(const struct exchange *h, struct random *random, struct guard_opts *ret_opts)
{
    const struct guard_settings *settings = &h->route->settings->guard;
    uint64_t nonce = random_next(random);

    if (!settings->is_on)
        return false;
    *ret_opts = (struct guard_opts){
        .max_message = settings->max_message,
        .messages = settings->messages.count,
        .per_usec = settings->messages.per_usec,
        .ping_usec = forever_if_none(settings->ping),
        .pong_usec = forever_if_none(settings->pong),
        .expires_usec = expires_usec(h),
        .extension = ws_answer_extension(&h->reply_head),
    };
    memcpy(ret_opts->nonce, &nonce, sizeof nonce);
    return true;
}

void guarding_judge(const struct snapshot *made, struct report *report)
{
    const char *listen = snapshot_passthrough(made);

    for (size_t i = 0; listen && i < made->settings->route_count; i++) {
        const struct guard_settings *guard = &made->settings->routes[i].guard;
        if (guard->is_on && route_goes_by_name(&made->routes[i]))
            report_add(report, guard->mark,
                       "give the route a path (match: { prefix: / }) if it is meant for other "
                       "listeners, or leave guard out",
                       "guard: listener %s passes TLS through, where no frame is seen", listen);
    }
}

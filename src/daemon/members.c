/* Who has to know that a pool's members have changed while the configuration has not. Many changes
 * at once (ten thousand servers that are added) are told as one, a moment later: each worker looks
 * through all its tunnels. */
#include "daemon/house.h"

#include "proxy/tell.h"

#define SOON_USEC 5000u

static void on_due(struct timer *timer)
{
    struct house *house = container_of(timer, struct house, members_timer);

    house_watch_health(house);
    if (proxy_tell_all(house->proxy, house->count, proxy_follow_members))
        log_say(&house->log.log, EVENT_shortage,
                "no memory to tell the workers which servers are gone: tunnels to them stay");
}

void house_members_init(struct house *house)
{
    timer_init(&house->members_timer, on_due);
}

void house_members_changed(struct house *house)
{
    struct loop *loop = &house->main.runner.loop;

    if (list_is_empty(&house->members_timer.node))
        loop_arm(loop, &house->members_timer, loop->now_usec + SOON_USEC);
}

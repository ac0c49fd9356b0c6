/* Who has to know that a pool's members have changed while the configuration has not. */
#include "daemon/house.h"

#include "proxy/tell.h"

void house_members_changed(struct house *house)
{
    house_watch_health(house);
    if (proxy_tell_all(house->proxy, house->count, proxy_follow_members))
        log_say(&house->log.log, EVENT_shortage,
                "no memory to tell the workers which servers are gone: tunnels to them stay");
}

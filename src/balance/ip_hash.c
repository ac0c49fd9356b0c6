/* What others call ip_hash, without their faults: all bytes of the address count, and a server that
 * comes or goes moves only its own share of the clients. `hash: client` is implied, so the hash
 * that comes is the address's. */
#include "balance/lookup.h"

#include <stdlib.h>

extern const struct balancer balancer_ip_hash;
const struct balancer balancer_ip_hash = {
    .name = "ip_hash",
    .help = "the same server for the same client address (`hash: client` is implied)",
    .because = "its client's address",
    .prepare = lookup_new,
    .discard = free,
    .choose = lookup_choose,
};

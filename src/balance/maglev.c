/* One look-up in a table that was worked out before: the cheapest of those that hash, at any number
 * of servers. */
#include "balance/lookup.h"

#include <stdlib.h>

extern const struct balancer balancer_maglev;
const struct balancer balancer_maglev = {
    .name = "maglev",
    .help = "the server whose place in a table of all servers the hash is (Maglev)",
    .because = "its place in the table",
    .prepare = lookup_new,
    .discard = free,
    .choose = lookup_choose,
};

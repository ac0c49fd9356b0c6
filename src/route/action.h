/* What a route does with a request, compiled: which pools, or what is answered without any; and
 * what changes in the heads on the way. */
#pragma once

#include "route/edits.h"
#include "route/strip.h"

struct route_action {
    enum route_kind kind;
    struct route_rule *strip; /* NULL: the path stays whole */
    struct edits request, response;
    unsigned status;     /* of ROUTE_RESPOND and ROUTE_REDIRECT */
    struct bytes body;   /* of ROUTE_RESPOND; borrowed from the settings */
    struct edits fields; /* of ROUTE_RESPOND */
    struct template *to; /* of ROUTE_REDIRECT */
};

/* 0; -ENOMEM; or -EINVAL, and each error was told. The settings must outlive it. */
int route_action_new(const struct route_settings *settings, edits_tell_fn *tell, void *to,
                     struct route_action **ret_action);
struct route_action *route_action_free(struct route_action *action); /* accepts NULL */

/* Appends where a redirect leads. It begins with one '/' or with a scheme and a host that the
 * configuration names (or {host}): nothing that a client says becomes a host of its own, and no
 * value a second line. 0; -ENOMEM; -EMSGSIZE; or -EDESTADDRREQ: it needs a host and the request has
 * none (HTTP/1.0). */
int route_action_locate(const struct route_action *action, const struct facts *facts,
                        struct buf *to);

/* Appends all lines of an answer of ours, Content-Type among them. 0, -ENOMEM or -EMSGSIZE. */
int route_action_answer(const struct route_action *action, const struct facts *facts,
                        struct buf *lines);

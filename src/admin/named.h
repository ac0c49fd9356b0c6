/* What a call names, found in the configuration in force; what is not there is a 404 that lists
 * what is. On the main thread. */
#pragma once

#include "admin/admin.h"
#include "admin/call.h"

struct named {
    size_t pool_number; /* in the snapshot */
    struct pool *pool;
    const struct pool_settings *settings; /* the pool's */
    struct address address;
    struct server *server; /* borrowed from the pool */
};

/* All of these: false: *ret_answer is what to say (NULL: no memory). */
bool named_pool(struct call *call, const char *name, struct named *named, json_t **ret_answer);
/* Of named->pool. */
bool named_address(struct call *call, const char *address, struct named *named,
                   json_t **ret_answer);
bool named_server(struct call *call, const char *name, struct named *named,
                  json_t **ret_answer); /* "POOL/ADDRESS"; 422 when it is not written so */
bool named_route(struct call *call, const char *name, const struct route **ret_route,
                 json_t **ret_answer);

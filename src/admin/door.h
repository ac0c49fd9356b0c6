/* A door: one thing that can be asked. Doors stand in files by subject, each ending in a table of
 * them; doors.c names the tables. Most open on the main thread, where what they look at and change
 * lives; nothing there may wait. */
#pragma once

#include "admin/call.h"
#include "loop/flow.h"

struct admin_client;

/* Answers on the main thread: call->house is set, call->status is 200 until it is set otherwise
 * (call_refuse, form_refuse). NULL: no memory. */
typedef json_t *door_fn(struct call *call);

struct door {
    const char *method; /* NULL: behind the last one */
    const char *path;   /* "/api/v1/pools/{pool}" */
    door_fn *on_main;   /* or, on the admin thread: */
    enum next (*open)(struct admin_client *client, const struct call *call);
    const char *body;       /* one that will do, for errors; NULL: none is wanted, none is read */
    uint64_t patience_usec; /* with main; 0: as with any thread */
};

extern const struct door doors_of_status[], doors_of_connections[], doors_of_events[],
    doors_of_pools[], doors_of_shards[], doors_of_drains[];

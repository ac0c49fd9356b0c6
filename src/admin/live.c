/* Live events: what events.h reads of the workers' rings, sent as it comes. */
#include "admin/door.h"

#include "admin/admin_priv.h"
#include "sys/sys.h"

#include <errno.h>

#define HEAD                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"      \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"

static enum next begin(struct admin_client *c, const struct call *call)
{
    if (!query_number(&call->query, "connection", 0, UINT64_MAX, &c->events.connection))
        return admin_refuse(c, 400, "connection is no number",
                            "GET /api/v1/events?connection=4711");
    for (unsigned i = 0; i < c->admin->means.count; i++)
        events_begin(&c->events, i, &c->admin->means.proxies[i]->worker.runner);
    c->events.wall_offset_usec = sys_wall_usec() - now_of(&c->flow);
    c->written_usec = now_of(&c->flow);
    if (buf_append(&c->out, bytes_of(HEAD)))
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    return admin_stream(c);
}

bool live_go_on(struct admin_client *c)
{
    uint64_t now = now_of(&c->flow);
    int error = 0;

    for (unsigned i = 0; !error && i < c->admin->means.count; i++)
        error = events_put(&c->events, i, &c->admin->means.proxies[i]->worker.runner, &c->out);
    size_t before = buf_bytes(&c->out).len;
    if (!error)
        error = stream_write_from(&c->stream, &c->out);
    if (!error || buf_bytes(&c->out).len < before)
        c->written_usec = now;
    return (!error || error == -EAGAIN) && now - c->written_usec <= ADMIN_WRITE_USEC;
}

const struct door doors_of_events[] = {
    {"GET", "/api/v1/events", .open = begin},
    {0},
};

/* In the order of what it costs us: a look into a table before a signature, a signature before
 * another server's time. */
#include "proxy/admission.h"

#include "access/subrequest.h"
#include "sys/sys.h"

#define USEC_PER_SEC UINT64_C(1000000)

static enum reason take_rate(struct connection *c, bool is_handshake, uint64_t *ret_wait_usec)
{
    const struct route *route = c->route;
    const struct rate_ask ask = {
        .limits = &route->settings->rate,
        .route = route->rate_key,
        .client = address_ip(connection_from(c)),
        .is_handshake = is_handshake,
        .now_usec = now_of(&c->flow),
    };

    *ret_wait_usec = 0;
    if (!route->is_rated)
        return REASON_DONE;
    return rate_take(c->snapshot->rates, &ask, &c->hold, ret_wait_usec);
}

/* The lines live in h->lines. Without memory for them the answer goes without. */
static enum reason refuse(struct exchange *h, enum reason reason, uint64_t wait_usec)
{
    char lines[ACCESS_LINES_BYTES];

    buf_done(&h->lines);
    if (!buf_append(&h->lines, bytes_of(access_lines(reason, wait_usec, lines))))
        h->own.extra = buf_bytes(&h->lines);
    return reason;
}

enum reason admission_judge(struct exchange *h, struct connection *c)
{
    const struct access *access = h->route->access;
    uint64_t wait_usec;
    enum reason why = take_rate(c, h->is_handshake, &wait_usec);

    if (why != REASON_DONE)
        return refuse(h, why, wait_usec);
    if (!access)
        return REASON_DONE;
    const struct access_ask ask = {
        .request = &h->request_head,
        .client = address_ip(connection_from(c)),
        .now_sec = sys_wall_usec() / USEC_PER_SEC,
    };
    struct claims *claims;
    why = access_judge(access, &ask, &claims);
    if (why != REASON_DONE)
        return refuse(h, why, 0);
    h->claims = claims;
    h->claim = claims ? claims_value : NULL;
    return REASON_DONE;
}

enum reason admission_ask(struct exchange *h, struct connection *c)
{
    const struct limits *limits = &c->snapshot->settings->limits;
    const struct subrequest_ask ask = {
        .auth = access_auth(h->route->access),
        .request = &h->request_head,
        .forwarded = &h->forwarded,
        .tuning = c->snapshot->tuning,
        .head_limit_bytes = (uint32_t)limits->response_head,
        .fields_max = (unsigned)limits->headers,
    };

    if (!ask.auth)
        return REASON_DONE;
    enum reason why = subrequest_new(&ask, &h->auth);
    if (why == REASON_DONE)
        subrequest_start(h->auth, &c->flow);
    return why;
}

enum reason admission_hear(struct exchange *h)
{
    enum reason why = subrequest_verdict(h->auth);

    if (why == REASON_AUTH_FAILED && h->auth->auth->fails_open)
        return REASON_DONE;
    if (why == REASON_AUTH_DENIED)
        h->own = (struct http1_own){
            .status = h->auth->status,
            .body = buf_bytes(&h->auth->body),
            .extra = buf_bytes(&h->auth->lines),
        };
    return why;
}

enum reason admission_judge_connection(struct connection *c)
{
    const struct ip client = address_ip(connection_from(c));
    uint64_t wait_usec;

    if (!access_welcomes(c->route->access, &client))
        return REASON_ADDRESS_DENIED;
    return take_rate(c, true, &wait_usec);
}

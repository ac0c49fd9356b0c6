/* Whether a request is one, in the order in which that is found out: host, target, framing, route,
 * handshake, expectations. */
#include "proxy/exchange.h"
#include "proxy/introduction.h"

#include <stdio.h>
#include <stdlib.h>

int exchange_look_back(struct exchange *h, struct connection *c)
{
    struct random *random = &proxy_of(&c->flow)->random;
    struct bytes given = forwarded_request_id(&h->request_head);
    struct address from;

    h->whose = c;
    bytes_write_hex(c->request_id, h->request_id);
    h->forwarded = (struct forwarded){
        .peer = &c->peer,
        .trust = &c->snapshot->trusted,
        .is_tls = introduction_is_tls(c),
        .port = c->port,
        .makes_traceparent = c->snapshot->settings->traceparent == TRACEPARENT_MAKE,
        .request_id = h->request_id,
    };
    for (size_t i = 0; i < ARRAY_LEN(h->forwarded.random); i++)
        h->forwarded.random[i] = random_next(random);
    forwarded_client(&h->request_head, &h->forwarded, &from);
    return connection_claim(c, &from, given);
}

/* What the client sees: TLS that ends here, or at a proxy that we believe. */
static bool is_https(const struct exchange *h)
{
    struct bytes proto = http1_find(&h->request_head, "x-forwarded-proto");
    const struct ip peer = address_ip(h->forwarded.peer);

    if (!proto.len || !cidr_set_has(h->forwarded.trust, &peer))
        return h->forwarded.is_tls;
    return bytes_equal_nocase(proto, bytes_of("https")) ||
           bytes_equal_nocase(proto, bytes_of("wss"));
}

static const struct route *find_route(struct exchange *h, struct bytes path, enum reason *ret_why)
{
    const struct route_asked asked = {
        .host = h->host, .path = &h->path, .is_https = h->is_https, .head = &h->request_head};
    const struct route *route = NULL;

    h->path_memory = malloc(path.len + 1);
    *ret_why = REASON_NO_MEMORY;
    if (!h->path_memory)
        return NULL;
    *ret_why = REASON_TARGET_WRONG;
    if (url_path_normalise(path, h->path_memory, &h->path)) {
        route = snapshot_route(h->snapshot, &asked, &h->params);
        *ret_why = REASON_NO_ROUTE;
    }
    if (route && h->path.has_encoded_slash &&
        route->settings->encoded_slashes == ENCODED_SLASHES_REFUSE) {
        route = NULL;
        *ret_why = REASON_TARGET_WRONG;
    }
    return route;
}

/* strip_prefix, where the path has it. */
static enum reason strip_target(struct exchange *h)
{
    const struct route_rule *prefix = h->route->action->strip;
    struct bytes query = h->parsed.query;
    int error = 0;

    h->rest = h->parsed.path;
    if (!prefix || !strip_write(prefix, h->parsed.path, &h->path, &h->stripped, &error))
        return error ? REASON_NO_MEMORY : REASON_DONE;
    size_t len = buf_bytes(&h->stripped).len;
    if (query.at)
        error = buf_append(&h->stripped, bytes_of("?"));
    if (!error)
        error = buf_append(&h->stripped, query);
    h->target = buf_bytes(&h->stripped);
    h->rest = bytes_slice(h->target, 0, len);
    return error ? REASON_NO_MEMORY : REASON_DONE;
}

/* A server is asked in origin-form (RFC 9112 section 3.2.1), also when we were asked as a proxy
 * would be; Host says the rest. */
static enum reason take_origin_form(struct exchange *h, const struct url_target *target)
{
    struct bytes whole = h->request_head.target;
    bool is_options = bytes_equal(h->request_head.method, bytes_of("OPTIONS"));
    size_t authority_end = bytes_find(whole, bytes_of("://"), 0) + 3 + target->authority.len;

    if (!target->scheme.len)
        return REASON_DONE;
    h->target = bytes_from(whole, authority_end);
    if (h->target.len && h->target.at[0] == '/')
        return REASON_DONE;
    int error = buf_append(&h->made, bytes_of(is_options && !h->target.len ? "*" : "/"));
    if (!error)
        error = buf_append(&h->made, h->target);
    h->target = buf_bytes(&h->made);
    return error ? REASON_NO_MEMORY : REASON_DONE;
}

/* TRACE says back what came, without what is secret (RFC 9110 section 9.3.8). */
static int append_traced(struct exchange *h)
{
    static const char *const secret[] = {"authorization", "proxy-authorization", "cookie"};
    struct http1_head *head = &h->request_head;
    uint16_t kept = 0;

    for (uint16_t i = 0; i < head->field_count; i++) {
        bool is_secret = false;
        for (size_t k = 0; k < ARRAY_LEN(secret); k++)
            is_secret = is_secret || bytes_equal_nocase(head->field[i].name, bytes_of(secret[k]));
        if (!is_secret)
            head->field[kept++] = head->field[i];
    }
    head->field_count = kept;
    buf_done(&h->made);
    return http1_write_request(&h->made, head, false, NULL);
}

/* Max-Forwards counts for OPTIONS and TRACE alone (RFC 9110 section 7.6.2): at 0 we are who is
 * asked. */
static enum reason judge_hops(struct exchange *h)
{
    const struct http1_head *request = &h->request_head;
    bool is_trace = bytes_equal(request->method, bytes_of("TRACE"));
    struct bytes hops = http1_find(request, "max-forwards");
    uint32_t count = 0;

    if (!hops.at || (!is_trace && !bytes_equal(request->method, bytes_of("OPTIONS"))))
        return REASON_DONE;
    if (hops.len == 0 || hops.len > 9 || http1_count(request, "max-forwards") > 1)
        return REASON_HEAD_MALFORMED;
    for (size_t i = 0; i < hops.len; i++) {
        if (hops.at[i] < '0' || hops.at[i] > '9')
            return REASON_HEAD_MALFORMED;
        count = count * 10 + (uint32_t)(hops.at[i] - '0');
    }
    if (count) {
        h->hops_left = count - 1;
        return REASON_DONE;
    }
    h->own = (struct http1_own){.status = 200};
    if (is_trace && append_traced(h))
        return REASON_NO_MEMORY;
    if (is_trace) {
        h->own.type = bytes_of("message/http");
        h->own.body = buf_bytes(&h->made);
    }
    return REASON_ANSWERED_HERE;
}

static enum reason judge_route(struct exchange *h)
{
    const struct http1_head *request = &h->request_head;
    enum reason why;

    if (bytes_equal(request->method, bytes_of("CONNECT")))
        return REASON_METHOD_UNKNOWN;
    if (!url_target_parse(request->target, &h->parsed))
        return REASON_TARGET_WRONG;
    if (bytes_equal(h->parsed.path, bytes_of("*")) &&
        !bytes_equal(request->method, bytes_of("OPTIONS")))
        return REASON_TARGET_WRONG;
    h->is_https = is_https(h);
    h->route = find_route(h, h->parsed.path, &why);
    if (!h->route)
        return why;
    why = take_origin_form(h, &h->parsed);
    return why == REASON_DONE ? strip_target(h) : why;
}

/* RFC 9110 section 9.2.2. */
static bool is_idempotent(const struct http1_head *request)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (bytes_equal(request->method, bytes_of(methods[i])))
            return true;
    return false;
}

static enum reason judge_upgrade(struct exchange *h)
{
    enum reason why = REASON_DONE;
    enum ws_asked asked = ws_request_judge(&h->request_head, h->route->settings->require_key, &why);

    if (asked == WS_BAD)
        return why;
    h->is_handshake = asked == WS_HANDSHAKE;
    if (h->is_handshake)
        h->request_body = (struct http1_body){.kind = BODY_NONE};
    return REASON_DONE;
}

/* RFC 9110 section 10.1.1: the one expectation there is. An HTTP/1.0 client's is none. */
static bool is_met(const struct http1_head *request)
{
    struct bytes expected = http1_find(request, "expect");

    if (!expected.at || request->minor_version == 0)
        return true;
    return http1_count(request, "expect") == 1 &&
           bytes_equal_nocase(expected, bytes_of("100-continue"));
}

enum reason exchange_judge(struct exchange *h)
{
    const struct http1_head *request = &h->request_head;
    uint64_t limit = h->snapshot->settings->limits.body;
    uint16_t port;

    enum reason why = http1_request_host(request, &h->host, &port);
    if (why == REASON_DONE)
        why = http1_request_body(request, &h->request_body);
    if (why != REASON_DONE)
        return why;
    h->keeps = http1_keeps(request);
    h->is_judged = true;

    why = judge_route(h);
    if (why == REASON_DONE)
        why = judge_upgrade(h);
    if (why == REASON_DONE && !is_met(request))
        why = REASON_EXPECTATION;
    if (why == REASON_DONE)
        why = judge_hops(h);
    if (why != REASON_DONE) {
        h->is_judged = why == REASON_NO_ROUTE || why == REASON_ANSWERED_HERE;
        return why;
    }
    h->is_idempotent = is_idempotent(request);
    if (limit && h->request_body.kind == BODY_LENGTH && h->request_body.left > limit)
        return REASON_BODY_TOO_LARGE;
    return REASON_DONE;
}

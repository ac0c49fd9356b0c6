/* The judgements of one request, in the order in which they are made: host, target, framing, route,
 * handshake. Nothing here waits; all waiting is in tunnel.c. */
#include "proxy/exchange.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CROWD          16 /* exchanges at once, whose memory is worth giving back */
#define GIVE_BACK_USEC 500000u

static void init_bufs(struct exchange *h, struct buf request)
{
    const struct limits *limits = &h->snapshot->settings->limits;
    uint32_t head_limit = (uint32_t)limits->request_head,
             reply_limit = (uint32_t)limits->response_head;

    buf_init(&h->head, head_limit + TRANSFER_AHEAD_BYTES);
    h->request = request;
    h->request.limit_bytes = head_limit + TRANSFER_AHEAD_BYTES;
    buf_init(&h->reply, reply_limit + TRANSFER_AHEAD_BYTES);
    buf_init(&h->asking, 2 * head_limit + 4096u); /* chains and Host are said twice at most */
    buf_init(&h->out, reply_limit + 4096u);
    buf_init(&h->lines, head_limit + 4096u);
    buf_init(&h->made, head_limit + 4096u);
    buf_init(&h->stripped, head_limit + 4096u);
    h->hops_left = NO_HOPS_LIMIT;
}

static void begin(struct exchange *h, const struct snapshot *snapshot, struct buf request)
{
    memset(h, 0, offsetof(struct exchange, request_head));
    h->snapshot = snapshot;
    init_bufs(h, request);
}

/* An exchange is large, for the views of its heads; taking one up again costs nothing. */
struct exchange *exchange_new(struct proxy *proxy, const struct snapshot *snapshot)
{
    struct exchange *h = proxy->spares ? proxy->spare[--proxy->spares] : malloc(sizeof *h);

    if (!h)
        return NULL;
    if (++proxy->exchanges > proxy->exchanges_peak)
        proxy->exchanges_peak = proxy->exchanges;
    begin(h, snapshot, (struct buf){0});
    return h;
}

static void give_back_later(struct proxy *proxy)
{
    struct loop *loop = &proxy->worker.runner.loop;

    if (proxy->exchanges_peak >= CROWD)
        loop_arm(loop, &proxy->give_back, loop->now_usec + GIVE_BACK_USEC);
}

static void release(struct exchange *h)
{
    buf_done(&h->head);
    buf_done(&h->reply);
    buf_done(&h->asking);
    buf_done(&h->out);
    buf_done(&h->lines);
    buf_done(&h->made);
    buf_done(&h->stripped);
    free(TAKE(h->path_memory));
    claims_free((struct claims *)(uintptr_t)h->claims);
    subrequest_free(h->auth);
    recall_done(&h->recall);
    reach_end(&h->reach);
    transfer_done(&h->upload);
    transfer_done(&h->download);
}

struct exchange *exchange_free(struct proxy *proxy, struct exchange *h)
{
    if (!h)
        return NULL;
    release(h);
    buf_done(&h->request);
    if (--proxy->exchanges == 0)
        give_back_later(proxy);
    if (proxy->spares < PROXY_SPARES)
        proxy->spare[proxy->spares++] = h;
    else
        free(h);
    return NULL;
}

void exchange_begin_next(struct exchange *h, const struct snapshot *snapshot)
{
    release(h);
    begin(h, snapshot, h->request);
}

int exchange_split(struct exchange *h, size_t head_len)
{
    struct bytes behind = bytes_from(buf_bytes(&h->request), head_len);
    struct buf rest;

    buf_init(&rest, h->request.limit_bytes);
    int error = buf_append(&rest, behind);
    if (error)
        return error;
    h->head = h->request;
    h->request = rest;
    return 0;
}

/* --- the request ---------------------------------------------------------------------------------
 */

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

/* --- what the route does
 * ---------------------------------------------------------------------------
 */

struct facts exchange_facts(const struct exchange *h, char client[IP_TEXT_BYTES])
{
    const struct connection *c = h->whose;
    const struct pool *pool = connection_pool(c);
    const struct ip ip = address_ip(connection_from(c));
    struct bytes server = c->chosen ? bytes_of(c->chosen->name) : (struct bytes){0};

    return (struct facts){
        .method = h->request_head.method,
        .scheme = bytes_of(h->is_https ? "https" : "http"),
        .host = h->host,
        .path = h->parsed.path,
        .rest = h->rest,
        .query = h->parsed.query,
        .client = bytes_of(ip_write(&ip, client)),
        .server = bytes_from(server, bytes_find(server, bytes_of("/"), 0) + 1),
        .pool = pool ? bytes_of(pool_name(pool)) : (struct bytes){0},
        .route = bytes_of(h->route->name),
        .request_id = bytes_of(connection_given_id(c) ? connection_given_id(c) : h->request_id),
        .request = &h->request_head,
        .params = &h->params,
        .claim = h->claim,
        .claims = h->claims,
    };
}

static enum reason reason_of(int error, enum reason too_large)
{
    return error == -EMSGSIZE ? too_large : error ? REASON_NO_MEMORY : REASON_DONE;
}

enum reason exchange_act(struct exchange *h)
{
    const struct route_action *action = h->route->action;
    char client[IP_TEXT_BYTES];

    if (action->kind == ROUTE_POOLS)
        return REASON_DONE;
    const struct facts facts = exchange_facts(h, client);
    buf_done(&h->lines);
    int error = route_action_answer(action, &facts, &h->lines);
    if (error == -EDESTADDRREQ)
        return REASON_HOST_WRONG;
    if (error)
        return reason_of(error, REASON_HEAD_TOO_LARGE);
    h->own = (struct http1_own){
        .status = action->status,
        .body = action->body,
        .extra = buf_bytes(&h->lines),
    };
    return REASON_ANSWERED_HERE;
}

/* Names come from us and from the configuration, which bounds them, never from a client: whoever
 * could fill the list could keep a name from it. */
static void add_dropped(struct bytes dropped[DROPPED_MAX], struct http1_edits *edits,
                        const struct bytes *names, size_t count)
{
    CHECK(edits->dropped_count + count <= DROPPED_MAX);
    for (size_t i = 0; i < count; i++)
        dropped[edits->dropped_count++] = names[i];
    edits->dropped = dropped;
}

static int append_hops(struct exchange *h, struct bytes dropped[DROPPED_MAX],
                       struct http1_edits *edits)
{
    const struct bytes name = bytes_of("max-forwards");
    char line[40];

    if (h->hops_left == NO_HOPS_LIMIT)
        return 0;
    add_dropped(dropped, edits, &name, 1);
    snprintf(line, sizeof line, "Max-Forwards: %u\r\n", h->hops_left);
    return buf_append(&h->lines, bytes_of(line));
}

/* What the client says under a name that `auth` copies goes no further, whoever let it in. */
static int append_granted(struct exchange *h, struct bytes dropped[DROPPED_MAX],
                          struct http1_edits *edits)
{
    const struct access_auth *auth = access_auth(h->route->access);

    for (size_t i = 0; auth && i < auth->copy_count; i++) {
        const struct bytes name = bytes_of(auth->copy[i]);
        add_dropped(dropped, edits, &name, 1);
    }
    if (!h->auth || subrequest_verdict(h->auth) != REASON_DONE)
        return 0;
    return buf_append(&h->lines, buf_bytes(&h->auth->lines));
}

void exchange_recall(struct exchange *h, struct connection *c)
{
    const struct sticky_ask ask = {
        .request = &h->request_head,
        .query = h->parsed.query,
        .client = address_ip(connection_from(c)),
    };

    recall_begin(&h->recall, c, &ask);
}

/* Only we say which session it is; and what we have to read comes uncompressed. */
static int append_recalled(struct exchange *h, struct bytes dropped[DROPPED_MAX],
                           struct http1_edits *edits)
{
    static const char *const ours[] = {"x-turnout-session", "x-turnout-session-moved"};
    const struct bytes coding = bytes_of("accept-encoding");

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        const struct bytes name = bytes_of(ours[i]);
        add_dropped(dropped, edits, &name, 1);
    }
    if (h->recall.listens)
        add_dropped(dropped, edits, &coding, 1);
    return recall_write_request(&h->recall, h->whose, &h->lines);
}

/* The route's changes come last: they have the last word on what we add, too. */
static int apply_edits(struct exchange *h, const struct edits *changes,
                       struct bytes dropped[DROPPED_MAX], struct http1_edits *edits)
{
    char client[IP_TEXT_BYTES];

    if (!changes->count)
        return 0;
    const struct facts facts = exchange_facts(h, client);
    add_dropped(dropped, edits, changes->dropped, changes->dropped_count);
    return edits_apply(changes, &facts, &h->lines);
}

enum reason exchange_write_request(struct exchange *h)
{
    struct http1_edits edits = {.target = h->target}, made = edits;
    struct bytes dropped[DROPPED_MAX];

    buf_done(&h->asking);
    buf_done(&h->lines);
    int error = forwarded_write(&h->lines, &h->request_head, &h->forwarded, &made);
    edits.forwarded = made.forwarded;
    add_dropped(dropped, &edits, made.dropped, made.dropped_count);
    if (!error)
        error = append_hops(h, dropped, &edits);
    if (!error)
        error = append_granted(h, dropped, &edits);
    if (!error)
        error = append_recalled(h, dropped, &edits);
    if (!error)
        error = apply_edits(h, &h->route->action->request, dropped, &edits);
    edits.extra = buf_bytes(&h->lines);
    if (!error)
        error = http1_write_request(&h->asking, &h->request_head, h->is_handshake, &edits);
    buf_done(&h->lines);

    return error == -EPERM ? REASON_PROTECTED_FIELD : reason_of(error, REASON_HEAD_TOO_LARGE);
}

/* The head goes first: it lies where a body's unsent bytes would. */
void exchange_begin_upload(struct exchange *h, struct stream *client, struct stream *server)
{
    transfer_done(&h->upload);
    transfer_init(&h->upload, client, server, &h->request, &h->request_body);
    h->upload.limit_bytes = h->snapshot->settings->limits.body;
    transfer_put_first(&h->upload, &h->asking);
}

/* --- the answer ----------------------------------------------------------------------------------
 */

enum reason exchange_judge_answer(const struct exchange *h)
{
    if (h->is_handshake)
        return ws_answer_judge(&h->request_head, &h->reply_head);
    return h->reply_head.status == 101 ? REASON_ANSWER_UNASKED : REASON_UPGRADE_REFUSED;
}

/* The answer's head, to `out`. */
static enum reason write_answer(struct exchange *h, bool is_handshake, bool keeps,
                                struct bytes date)
{
    bool is_interim = h->reply_head.status < 200 && !is_handshake;
    const struct bytes drain = bytes_of("X-Turnout-Drain");
    struct bytes dropped[DROPPED_MAX];
    struct http1_edits edits = {0};
    unsigned version = h->request_head.minor_version;
    size_t pending = buf_bytes(&h->out).len; /* of an interim answer before */

    buf_done(&h->lines);
    add_dropped(dropped, &edits, &drain, 1); /* it is for us */
    int error = is_interim ? 0 : forwarded_write_via(&h->lines, h->reply_head.minor_version);
    if (!error && !is_interim)
        error = recall_write_answer(&h->recall, h->whose, h->is_https, &h->lines);
    if (!error && !is_interim)
        error = apply_edits(h, &h->route->action->response, dropped, &edits);
    edits.extra = buf_bytes(&h->lines);
    if (!error)
        error =
            http1_write_answer(&h->out, &h->reply_head, is_handshake, keeps, version, date, &edits);
    buf_done(&h->lines);
    if (error)
        buf_cut(&h->out, pending);
    return reason_of(error, REASON_ANSWER_TOO_LARGE);
}

enum reason exchange_write_switch(struct exchange *h)
{
    return write_answer(h, true, true, (struct bytes){0});
}

enum reason exchange_write_interim(struct exchange *h)
{
    enum reason why = REASON_DONE;

    if (h->request_head.minor_version == 1 && !h->is_handshake)
        why = write_answer(h, false, true, (struct bytes){0});
    buf_consume(&h->reply, h->read.used);
    return why;
}

static bool is_event_stream(const struct http1_head *reply)
{
    struct bytes type = http1_find(reply, "content-type");
    struct bytes wanted = bytes_of("text/event-stream");

    return type.at && bytes_equal_nocase(bytes_slice(type, 0, wanted.len), wanted);
}

static void hear(struct transfer *transfer, struct bytes part)
{
    struct exchange *h = container_of(transfer, struct exchange, download);

    if (!recall_hear(&h->ear, h->whose, part))
        transfer->listen = NULL;
}

static void listen_to_body(struct exchange *h, const struct http1_body *body)
{
    if (!h->recall.listens || h->reply_head.status != 200)
        return;
    h->ear.body = *body;
    h->ear.len = 0;
    h->download.listen = hear;
}

enum reason exchange_begin_download(struct exchange *h, struct stream *client,
                                    struct stream *server, struct bytes date)
{
    bool has_pending = !buf_is_empty(&h->out); /* of an interim answer */
    struct http1_body body;

    if (http1_response_body(&h->reply_head, h->request_head.method, &body) != REASON_DONE)
        return REASON_ANSWER_MALFORMED;
    h->server_keeps = http1_keeps(&h->reply_head) && body.kind != BODY_UNTIL_CLOSE;
    uint32_t rests_sec = http1_keepalive_sec(&h->reply_head);
    h->server_rests_usec = rests_sec == UINT32_MAX ? FOREVER : rests_sec * UINT64_C(1000000);
    bool unframes = body.kind == BODY_CHUNKED && h->request_head.minor_version == 0;
    h->keeps = h->keeps && body.kind != BODY_UNTIL_CLOSE && !unframes;
    h->silence_usec =
        is_event_stream(&h->reply_head) ? h->route->relay.idle_usec : h->route->deadlines.response;
    enum reason why = write_answer(h, false, h->keeps, date);
    if (why != REASON_DONE)
        return why;
    buf_consume(&h->reply, h->read.used);
    h->has_begun_answer = has_pending;
    transfer_init(&h->download, server, client, &h->reply, &body);
    h->download.unframes = unframes;
    listen_to_body(h, &body);
    transfer_put_first(&h->download, &h->out);
    return REASON_DONE;
}

void exchange_fields(const struct exchange *h, struct log_fields *fields)
{
    if (!h->head.memory)
        return; /* the head was never whole */
    fields->host = h->host;
    fields->method = h->request_head.method;
    fields->path = h->request_head.target;
}

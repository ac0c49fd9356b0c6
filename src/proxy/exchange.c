/* What one request holds, the heads that are written for it, and what becomes of its bodies;
 * whether it may be asked is judge.c. Nothing here waits; all waiting is in tunnel.c. */
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

bool exchange_may_ask_again(const struct exchange *h)
{
    return h->is_idempotent && h->upload.moved_bytes == 0 && h->interim_count == 0 &&
           buf_is_empty(&h->reply);
}

enum transfer_state exchange_upload_more(struct exchange *h, uint8_t *scratch)
{
    if (h->is_uploaded || h->upload_failed)
        return TRANSFER_ENDED;
    enum transfer_state state = transfer_move(&h->upload, scratch);
    if (state == TRANSFER_ENDED)
        h->is_uploaded = true;
    else if (state != TRANSFER_WANTS_INPUT && state != TRANSFER_WANTS_ROOM &&
             state != TRANSFER_GOES_ON)
        h->upload_failed = true;
    return state;
}

enum reason exchange_cut(const struct exchange *h, enum transfer_state state)
{
    switch (state) {
    case TRANSFER_MALFORMED:
        return h->has_begun_answer ? REASON_RESPONSE_MALFORMED : REASON_ANSWER_MALFORMED;
    case TRANSFER_CUT:
        return REASON_RESPONSE_CUT;
    case TRANSFER_TO_LEFT:
        return REASON_CLIENT_LEFT;
    default:
        return REASON_NO_MEMORY;
    }
}

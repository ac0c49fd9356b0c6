/* The judgements of one request, in the order in which they are made: host, target, framing, route,
 * handshake. Nothing here waits; all waiting is in tunnel.c. */
#include "proxy/exchange.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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

    if (h)
        begin(h, snapshot, (struct buf){0});
    return h;
}

static void release(struct exchange *h)
{
    buf_done(&h->head);
    buf_done(&h->reply);
    buf_done(&h->asking);
    buf_done(&h->out);
    buf_done(&h->lines);
    buf_done(&h->made);
    transfer_done(&h->upload);
    transfer_done(&h->download);
}

struct exchange *exchange_free(struct proxy *proxy, struct exchange *h)
{
    if (!h)
        return NULL;
    release(h);
    buf_done(&h->request);
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

static const struct route *find_route(struct exchange *h, struct bytes path, enum reason *ret_why)
{
    uint8_t *memory = malloc(path.len + 1);
    const struct route *route = NULL;

    *ret_why = REASON_NO_MEMORY;
    if (!memory)
        return NULL;
    *ret_why = REASON_TARGET_WRONG;
    if (url_path_normalise(path, memory, &h->path)) {
        route = snapshot_route(h->snapshot, h->host, &h->path, NULL);
        *ret_why = REASON_NO_ROUTE;
    }
    if (route && h->path.has_encoded_slash &&
        route->settings->encoded_slashes == ENCODED_SLASHES_REFUSE) {
        route = NULL;
        *ret_why = REASON_TARGET_WRONG;
    }
    free(memory);
    return route;
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
    struct url_target target;
    enum reason why;

    if (bytes_equal(request->method, bytes_of("CONNECT")))
        return REASON_METHOD_UNKNOWN;
    if (!url_target_parse(request->target, &target))
        return REASON_TARGET_WRONG;
    if (bytes_equal(target.path, bytes_of("*")) &&
        !bytes_equal(request->method, bytes_of("OPTIONS")))
        return REASON_TARGET_WRONG;
    h->route = find_route(h, target.path, &why);
    return h->route ? take_origin_form(h, &target) : why;
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

static int append_hops(struct exchange *h, struct bytes dropped[DROPPED_MAX],
                       struct http1_edits *edits)
{
    char line[40];

    if (h->hops_left == NO_HOPS_LIMIT)
        return 0;
    dropped[edits->dropped_count++] = bytes_of("max-forwards");
    snprintf(line, sizeof line, "Max-Forwards: %u\r\n", h->hops_left);
    return buf_append(&h->lines, bytes_of(line));
}

enum reason exchange_write_request(struct exchange *h)
{
    struct http1_edits edits = {.target = h->target};
    struct bytes dropped[DROPPED_MAX];

    buf_done(&h->asking);
    buf_done(&h->lines);
    int error = forwarded_write(&h->lines, &h->request_head, &h->forwarded, &edits);
    for (size_t i = 0; i < edits.dropped_count; i++)
        dropped[i] = edits.dropped[i];
    edits.dropped = dropped;
    if (!error)
        error = append_hops(h, dropped, &edits);
    edits.extra = buf_bytes(&h->lines);
    if (!error)
        error = http1_write_request(&h->asking, &h->request_head, h->is_handshake, &edits);
    buf_done(&h->lines);

    if (error == -EPERM)
        return REASON_PROTECTED_FIELD;
    if (error == -EMSGSIZE)
        return REASON_HEAD_TOO_LARGE;
    return error ? REASON_NO_MEMORY : REASON_DONE;
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
    struct http1_edits edits = {0};
    unsigned version = h->request_head.minor_version;
    size_t pending = buf_bytes(&h->out).len; /* of an interim answer before */

    buf_done(&h->lines);
    int error = h->reply_head.status < 200 && !is_handshake
                    ? 0
                    : forwarded_write_via(&h->lines, h->reply_head.minor_version);
    edits.extra = buf_bytes(&h->lines);
    if (!error)
        error =
            http1_write_answer(&h->out, &h->reply_head, is_handshake, keeps, version, date, &edits);
    buf_done(&h->lines);
    if (error)
        buf_cut(&h->out, pending);
    if (error == -EMSGSIZE)
        return REASON_ANSWER_TOO_LARGE;
    return error ? REASON_NO_MEMORY : REASON_DONE;
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

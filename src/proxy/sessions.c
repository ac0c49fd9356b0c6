/* The flow of a server that asks for its sessions' state: request by request, each a question to
 * the store. A connection that rests is one small struct; what a request needs is a block of its
 * own. After an answer that left a body unread, or that refused a head, the connection closes. */
#include "proxy/sessions.h"

#include "codec/http1_write.h"
#include "http/read_head.h"
#include "proxy/sessions_judge.h"

#include <errno.h>
#include <stdlib.h>

#define SESSIONS_STEPS(STEP)                                                                       \
    STEP(secure)        /* TLS: until its handshake is done */                                     \
    STEP(await_request) /* until the first byte of a request */                                    \
    STEP(read_request)  /* until its head is whole */                                              \
    STEP(take_body)     /* of a PUT, until it is whole */                                          \
    STEP(ask)           /* until the store has answered, or has not */                             \
    STEP(answer)        /* until it is written */                                                  \
    STEP(linger)        /* what is closed: until the peer has read it, or a second is over */

#define HEAD_MAX_BYTES 16384u
#define FIELDS_MAX     100u
#define OUT_MAX_BYTES  (STORE_STATE_MAX + 4096u)
#define LINGER_USEC    1000000u
#define LINGER_BYTES   65536u
#define ANSWER_USEC    10000000u
#define BODY_USEC      10000000u

struct session_exchange {
    struct buf in, head_text, body, out;
    struct read_head read;
    struct tls_accept accept;
    struct session_request request;
    struct session_answer answer;
    struct store_ask ask;
    bool keeps;
    struct http1_head head; /* big, and not zeroed */
};

struct sessions {
    struct flow flow;
    struct stream client;
    struct snapshot *snapshot; /* counted */
    unsigned gate;             /* in it */
    unsigned lingered_bytes;
    bool has_asked;                    /* a request was answered */
    struct session_exchange *exchange; /* NULL between requests */
};

FLOW(sessions, SESSIONS_STEPS)

static struct session_exchange *session_exchange_new(void)
{
    struct session_exchange *x = malloc(sizeof *x);

    if (!x)
        return NULL;
    memset(x, 0, offsetof(struct session_exchange, head));
    buf_init(&x->in, HEAD_MAX_BYTES + STORE_STATE_MAX + 16384u);
    buf_init(&x->head_text, HEAD_MAX_BYTES + STORE_STATE_MAX + 16384u);
    buf_init(&x->body, STORE_STATE_MAX);
    buf_init(&x->out, OUT_MAX_BYTES);
    return x;
}

static struct session_exchange *session_exchange_free(struct session_exchange *x)
{
    if (!x)
        return NULL;
    buf_done(&x->in);
    buf_done(&x->head_text);
    buf_done(&x->body);
    buf_done(&x->out);
    if (flow_is_started(&x->ask.flow))
        store_ask_done(&x->ask);
    free(x);
    return NULL;
}

static const struct gate_spec *gate_of(const struct sessions *s)
{
    return &s->snapshot->gates[s->gate];
}

static enum next secure(struct sessions *s)
{
    unsigned worker = worker_of(&s->flow)->runner.number;
    struct tls_context *context = gate_of(s)->tls ? gate_of(s)->tls[worker] : NULL;
    struct session_exchange *x = s->exchange;

    if (!context)
        return NEXT;
    if (!x) {
        x = s->exchange = session_exchange_new();
        if (!x)
            return flow_leave(&s->flow, REASON_NO_MEMORY);
        tls_accept_start(&x->accept, &s->flow, &s->client, context,
                         s->snapshot->deadlines.request_head);
    }
    if (!flow_is_over(&x->accept.flow))
        return flow_wait_child(&s->flow, &x->accept.flow);
    if (x->accept.flow.reason != REASON_DONE)
        return flow_leave(&s->flow, x->accept.flow.reason);
    flow_adopt(&s->flow, &s->client.source, REASON_DONE);
    s->exchange = session_exchange_free(x);
    return NEXT;
}

/* --- a request -----------------------------------------------------------------------------------
 */

/* The store may have changed. False: nothing is served any more where the peer came in. */
static bool take_newest_snapshot(struct sessions *s)
{
    struct snapshot *newest = proxy_of(&s->flow)->snapshot;

    for (size_t i = 0; i < newest->settings->listener_count; i++) {
        if (!newest->gates[i].settings->sessions ||
            !endpoint_equal(&newest->gates[i].endpoint, &gate_of(s)->endpoint))
            continue;
        snapshot_ref(newest);
        snapshot_unref(s->snapshot);
        s->snapshot = newest;
        s->gate = (unsigned)i;
        return true;
    }
    return false;
}

static enum next await_request(struct sessions *s)
{
    const struct deadlines *deadlines = &s->snapshot->deadlines;
    bool is_pipelined = s->exchange && !buf_is_empty(&s->exchange->in);

    if (!is_pipelined) {
        s->exchange = session_exchange_free(s->exchange);
        if (!(s->client.source.ready & READABLE))
            return flow_wait_source(
                &s->flow, &s->client.source, READABLE,
                WITHIN(s->has_asked ? deadlines->keepalive : deadlines->request_head,
                       REASON_CLIENT_SILENT));
    }
    if (!take_newest_snapshot(s))
        return flow_leave(&s->flow, REASON_REMOVED);
    if (!s->exchange)
        s->exchange = session_exchange_new();
    struct session_exchange *x = s->exchange;
    if (!x)
        return flow_leave(&s->flow, REASON_NO_MEMORY);
    x->read = (struct read_head){
        .kind = &head_of_request,
        .stream = &s->client,
        .into = &x->in,
        .head = &x->head,
        .limit_bytes = HEAD_MAX_BYTES,
        .fields_max = FIELDS_MAX,
        .within_usec = s->snapshot->deadlines.request_head,
    };
    x->request.is_head = false;
    read_head_start(&x->read, &s->flow);
    return NEXT;
}

/* What came behind the head goes elsewhere: the head's views point into memory that stays. */
static int split(struct session_exchange *x)
{
    struct buf rest;

    buf_init(&rest, x->in.limit_bytes);
    int error = buf_append(&rest, bytes_from(buf_bytes(&x->in), x->read.used));
    if (error)
        return error;
    x->head_text = x->in;
    x->in = rest;
    return 0;
}

static enum next refuse(struct sessions *s, unsigned status, const char *words)
{
    s->exchange->keeps = false;
    sessions_refuse(status, words, &s->exchange->answer);
    return flow_goto(&s->flow, STEP_answer);
}

static enum next read_request(struct sessions *s)
{
    struct session_exchange *x = s->exchange;
    const struct reason_row *row;

    if (!flow_is_over(&x->read.flow))
        return flow_wait_child(&s->flow, &x->read.flow);
    flow_adopt(&s->flow, &s->client.source, REASON_DONE);
    row = reason_row(x->read.flow.reason);
    if (x->read.flow.reason != REASON_DONE)
        return row->http_status ? refuse(s, row->http_status, row->words)
                                : flow_leave(&s->flow, x->read.flow.reason);
    atomic_fetch_add_explicit(&proxy_of(&s->flow)->counters.session_requests_ever, 1,
                              memory_order_relaxed);
    s->has_asked = true;
    if (split(x))
        return flow_leave(&s->flow, REASON_NO_MEMORY);
    x->keeps = http1_keeps(&x->head);
    if (!sessions_judge(&x->head, &x->request, &x->answer)) {
        x->keeps = x->keeps && x->answer.status != 413 &&
                   !http1_find(&x->head, "Content-Length").at &&
                   !http1_find(&x->head, "Transfer-Encoding").at; /* else a body is still to come */
        return flow_goto(&s->flow, STEP_answer);
    }
    if (x->request.framing.kind != BODY_NONE && http1_find(&x->head, "Expect").at &&
        buf_append(&x->out, bytes_of("HTTP/1.1 100 Continue\r\n\r\n")))
        return flow_leave(&s->flow, REASON_NO_MEMORY);
    return NEXT;
}

enum collected { WHOLE, WANTS_MORE, IS_TOO_LARGE, IS_MALFORMED };

static enum collected collect(struct session_exchange *x)
{
    struct http1_body *framing = &x->request.framing;
    struct bytes payload;

    while (!buf_is_empty(&x->in) && !http1_body_has_ended(framing)) {
        ssize_t used = http1_body_piece(framing, buf_bytes(&x->in), &payload);
        if (used <= 0)
            return IS_MALFORMED;
        if (payload.len && buf_append(&x->body, payload))
            return IS_TOO_LARGE;
        buf_consume(&x->in, (size_t)used);
    }
    return http1_body_has_ended(framing) ? WHOLE : WANTS_MORE;
}

static enum next begin_ask(struct sessions *s)
{
    struct session_exchange *x = s->exchange;
    struct store *store = s->snapshot->stores[gate_of(s)->settings->sessions_index];

    x->request.question.state = buf_bytes(&x->body);
    store_ask_start(&x->ask, store, &x->request.question, &s->flow);
    return NEXT;
}

static enum next take_body(struct sessions *s)
{
    struct session_exchange *x = s->exchange;

    for (;;) {
        int error = stream_write_from(&s->client, &x->out); /* 100 Continue */
        if (error && error != -EAGAIN)
            return flow_leave(&s->flow, REASON_CLIENT_LEFT);
        switch (collect(x)) {
        case WHOLE:
            return begin_ask(s);
        case IS_TOO_LARGE:
            return refuse(s, 413, "a state has 8192 bytes at most\n");
        case IS_MALFORMED:
            return refuse(s, 400, "the body's chunks are malformed\n");
        case WANTS_MORE:
            break;
        }
        ssize_t got = stream_read_into(&s->client, &x->in, worker_of(&s->flow)->scratch);
        if (got == -EAGAIN)
            return flow_wait_source(&s->flow, &s->client.source, READABLE,
                                    WITHIN(BODY_USEC, REASON_BODY_TOO_SLOW));
        if (got == -EMSGSIZE)
            return refuse(s, 413, "a state has 8192 bytes at most\n");
        if (got <= 0)
            return flow_leave(&s->flow, got == -ENOMEM ? REASON_NO_MEMORY : REASON_CLIENT_LEFT);
    }
}

static enum next ask(struct sessions *s)
{
    struct session_exchange *x = s->exchange;

    if (!flow_is_over(&x->ask.flow))
        return flow_wait_child(&s->flow, &x->ask.flow);
    sessions_read(&x->request, &x->ask, &x->answer);
    return NEXT;
}

/* --- the answer ----------------------------------------------------------------------------------
 */

static int write_answer(struct sessions *s)
{
    struct session_exchange *x = s->exchange;
    const struct session_answer *answer = &x->answer;
    const struct http1_own own = {
        .status = answer->status,
        .type = answer->words ? bytes_of("text/plain; charset=utf-8") : answer->type,
        .body = answer->words ? bytes_of(answer->words) : answer->state,
        .extra = bytes_of(answer->lines),
        .keeps = x->keeps,
        .is_for_head = x->request.is_head,
    };

    return http1_write_own(&x->out, &own, bytes_of(proxy_date(proxy_of(&s->flow))));
}

/* What an answered request leaves behind: nothing. */
static void forget(struct session_exchange *x)
{
    buf_done(&x->head_text);
    buf_done(&x->body);
    if (flow_is_started(&x->ask.flow))
        store_ask_done(&x->ask);
    x->answer.status = 0;
}

static enum next answer(struct sessions *s)
{
    struct session_exchange *x = s->exchange;

    if (x->answer.status) {
        if (write_answer(s))
            return flow_leave(&s->flow, REASON_NO_MEMORY);
        forget(x);
    }
    int error = stream_write_from(&s->client, &x->out);
    if (!error && stream_has_unsent(&s->client))
        error = stream_flush(&s->client);
    if (error == -EAGAIN)
        return flow_wait_source(&s->flow, &s->client.source, WRITABLE,
                                WITHIN(ANSWER_USEC, REASON_CLIENT_STALLED));
    if (error)
        return flow_leave(&s->flow, REASON_CLIENT_LEFT);
    if (x->keeps)
        return flow_goto(&s->flow, STEP_await_request);
    stream_end(&s->client);
    return NEXT;
}

static enum next linger(struct sessions *s)
{
    uint8_t *scratch = worker_of(&s->flow)->scratch;

    for (;;) {
        ssize_t got = stream_read(&s->client, scratch, WORKER_SCRATCH_BYTES);
        if (got == -EAGAIN)
            return flow_wait_source(&s->flow, &s->client.source, READABLE,
                                    WITHIN(LINGER_USEC, REASON_CLIENT_SILENT));
        s->lingered_bytes += got > 0 ? (unsigned)got : 0;
        if (got <= 0 || s->lingered_bytes > LINGER_BYTES)
            return flow_leave(&s->flow, REASON_DONE);
    }
}

static void sessions_leave(struct sessions *s)
{
    atomic_fetch_sub_explicit(&proxy_of(&s->flow)->counters.session_clients, 1,
                              memory_order_relaxed);
    s->exchange = session_exchange_free(s->exchange);
    stream_close(&s->client);
    s->snapshot = snapshot_unref(s->snapshot);
}

void sessions_start(struct proxy *proxy, unsigned gate, int take_fd)
{
    struct sessions *s = atomic_load_explicit(&proxy->counters.session_clients,
                                              memory_order_relaxed) < SESSIONS_CLIENTS_MAX
                             ? calloc(1, sizeof *s)
                             : NULL;

    if (!s) {
        stream_refuse(take_fd);
        return;
    }
    if (stream_open(&s->client, &proxy->worker.runner.loop, take_fd)) {
        free(s);
        return;
    }
    atomic_fetch_add_explicit(&proxy->counters.session_clients, 1, memory_order_relaxed);
    s->snapshot = snapshot_ref(proxy->snapshot);
    s->gate = gate;
    flow_start(&s->flow, &sessions_kind, &proxy->worker.runner, NULL);
    flow_adopt(&s->flow, &s->client.source, REASON_DONE);
}

/* One connection for one question: it is closed after the answer. The timeout is for all of it
 * together. A body of the answer is of use only to a client that is refused, so after a 2xx nobody
 * reads it; one that is cut or too long is left out, and the refusal stands. */
#include "access/subrequest.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define BODY_MAX_BYTES 65536u

#define SUBREQUEST_STEPS(STEP)                                                                     \
    STEP(connect_to) /* a connection is begun */                                                   \
    STEP(settle)     /* until there is one */                                                      \
    STEP(ask)        /* until the request is sent */                                               \
    STEP(hear)       /* until the answer's head is whole */                                        \
    STEP(take_body)  /* of a refusal */
FLOW(subrequest, SUBREQUEST_STEPS)

/* --- what is asked -----------------------------------------------------------------------------
 */

/* It is about the request, and is none: no body, no handshake. */
static bool is_asked(struct bytes name)
{
    static const char *const left_out[] = {"content-length",
                                           "transfer-encoding",
                                           "expect",
                                           "te",
                                           "trailer",
                                           "max-forwards",
                                           "host",
                                           "x-original-uri",
                                           "x-original-method",
                                           "upgrade",
                                           "x-forwarded-uri",
                                           "x-forwarded-method"};
    struct bytes websocket = bytes_of("sec-websocket-");

    for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
        if (bytes_equal_nocase(name, bytes_of(left_out[i])))
            return false;
    return !bytes_equal_nocase(bytes_slice(name, 0, websocket.len), websocket);
}

static void copy_head(const struct http1_head *from, const struct access_auth *auth,
                      struct http1_head *to)
{
    uint16_t count = 1;

    to->method = bytes_of("GET");
    to->target = bytes_of(auth->target);
    to->minor_version = 1;
    to->field[0] = (struct http1_field){bytes_of("Host"), bytes_of(auth->host)};
    for (uint16_t i = 0; i < from->field_count; i++)
        if (count < HTTP1_FIELDS_MAX && is_asked(from->field[i].name))
            to->field[count++] = from->field[i];
    to->field_count = count;
}

static int append_line(struct buf *to, struct bytes name, struct bytes value)
{
    int error = buf_append(to, name);

    if (!error)
        error = buf_append(to, bytes_of(": "));
    if (!error)
        error = buf_append(to, value);
    return error ? error : buf_append(to, bytes_of("\r\n"));
}

/* As the usual ones are called: nginx' auth_request, Traefik's ForwardAuth. */
static int append_original(struct buf *to, const struct http1_head *request)
{
    static const struct {
        const char *name;
        bool is_method;
    } rows[] = {{"X-Original-Method", true},
                {"X-Original-URI", false},
                {"X-Forwarded-Method", true},
                {"X-Forwarded-Uri", false}};
    int error = 0;

    for (size_t i = 0; !error && i < ARRAY_LEN(rows); i++)
        error = append_line(to, bytes_of(rows[i].name),
                            rows[i].is_method ? request->method : request->target);
    return error ? error : buf_append(to, bytes_of("Connection: close\r\n"));
}

static int write_request(struct subrequest *s, const struct subrequest_ask *ask)
{
    struct http1_edits edits = {0};

    copy_head(ask->request, ask->auth, &s->head);
    int error = forwarded_write(&s->lines, ask->request, ask->forwarded, &edits);
    if (!error)
        error = append_original(&s->lines, ask->request);
    edits.extra = buf_bytes(&s->lines);
    if (!error)
        error = http1_write_request(&s->asking, &s->head, false, &edits);
    buf_done(&s->lines);
    return error;
}

enum reason subrequest_new(const struct subrequest_ask *ask, struct subrequest **ret_subrequest)
{
    struct subrequest *s = malloc(sizeof *s);

    if (!s)
        return REASON_NO_MEMORY;
    memset(s, 0, offsetof(struct subrequest, head));
    s->auth = ask->auth;
    s->tuning = ask->tuning;
    buf_init(&s->asking, 2 * ask->head_limit_bytes + 8192u);
    buf_init(&s->reply, ask->head_limit_bytes + BODY_MAX_BYTES);
    buf_init(&s->lines, 2 * ask->head_limit_bytes + 8192u);
    buf_init(&s->body, BODY_MAX_BYTES);
    s->read = (struct read_head){
        .kind = &head_of_answer,
        .stream = &s->stream,
        .into = &s->reply,
        .head = &s->head,
        .limit_bytes = ask->head_limit_bytes,
        .fields_max = ask->fields_max,
    };
    int error = write_request(s, ask);
    if (!error) {
        *ret_subrequest = s;
        return REASON_DONE;
    }
    subrequest_free(s);
    return error == -EPERM      ? REASON_PROTECTED_FIELD
           : error == -EMSGSIZE ? REASON_HEAD_TOO_LARGE
                                : REASON_NO_MEMORY;
}

struct subrequest *subrequest_free(struct subrequest *s)
{
    if (!s)
        return NULL;
    buf_done(&s->asking);
    buf_done(&s->reply);
    buf_done(&s->lines);
    buf_done(&s->body);
    free(s);
    return NULL;
}

/* --- asking ------------------------------------------------------------------------------------
 */

/* What is left of the timeout, counted from the moment the step was entered. */
static uint64_t left(const struct subrequest *s)
{
    uint64_t spent = s->flow.entered_usec - s->began_usec;

    if (!s->auth->timeout_usec)
        return FOREVER;
    return spent < s->auth->timeout_usec ? s->auth->timeout_usec - spent : 1;
}

static enum next connect_to(struct subrequest *s)
{
    const struct dial_opts opts = {.limit_usec = left(s), .tuning = s->tuning};

    dial_start(&s->dial, &s->flow, &s->auth->address, &opts, &s->stream);
    return NEXT;
}

static enum next settle(struct subrequest *s)
{
    if (!flow_is_over(&s->dial.flow))
        return flow_wait_child(&s->flow, &s->dial.flow);
    if (s->dial.flow.reason != REASON_DONE)
        return flow_leave(&s->flow, REASON_AUTH_FAILED);
    flow_adopt(&s->flow, &s->stream.source, REASON_DONE);
    return NEXT;
}

static enum next ask(struct subrequest *s)
{
    int error = stream_write_from(&s->stream, &s->asking);

    if (error == -EAGAIN)
        return flow_wait_source(&s->flow, &s->stream.source, WRITABLE,
                                WITHIN(left(s), REASON_AUTH_FAILED));
    s->read.within_usec = left(s); /* it may have answered before it broke */
    read_head_start(&s->read, &s->flow);
    return NEXT;
}

/* --- the answer --------------------------------------------------------------------------------
 */

static bool is_refusal(unsigned status)
{
    return status == 401 || status == 403 || status == 429 ||
           (status >= 301 && status <= 308 && status != 304);
}

static int copy_fields(struct subrequest *s, const char *const *names, size_t count)
{
    int error = 0;

    for (uint16_t i = 0; i < s->head.field_count; i++)
        for (size_t k = 0; !error && k < count; k++)
            if (bytes_equal_nocase(s->head.field[i].name, bytes_of(names[k])))
                error = append_line(&s->lines, bytes_of(names[k]), s->head.field[i].value);
    return error;
}

static enum next hear(struct subrequest *s)
{
    static const char *const told[] = {"WWW-Authenticate", "Content-Type", "Location",
                                       "Set-Cookie",       "Retry-After",  "Cache-Control"};

    if (!flow_is_over(&s->read.flow))
        return flow_wait_child(&s->flow, &s->read.flow);
    flow_adopt(&s->flow, &s->stream.source, REASON_DONE);
    if (s->read.flow.reason != REASON_DONE)
        return flow_leave(&s->flow, REASON_AUTH_FAILED);
    if (s->head.status >= 200 && s->head.status < 300)
        return flow_leave(&s->flow, copy_fields(s, s->auth->copy, s->auth->copy_count)
                                        ? REASON_AUTH_FAILED
                                        : REASON_DONE);
    if (!is_refusal(s->head.status) ||
        http1_response_body(&s->head, bytes_of("GET"), &s->framing) != REASON_DONE)
        return flow_leave(&s->flow, REASON_AUTH_FAILED);
    s->status = s->head.status;
    if (copy_fields(s, told, ARRAY_LEN(told)))
        buf_done(&s->lines); /* no memory: it is refused without them */
    buf_consume(&s->reply, s->read.used);
    return NEXT;
}

/* Moves what has come. False: it is malformed, or too long. */
static bool collect(struct subrequest *s)
{
    struct bytes payload;

    while (!buf_is_empty(&s->reply) && !http1_body_has_ended(&s->framing)) {
        ssize_t used = http1_body_piece(&s->framing, buf_bytes(&s->reply), &payload);
        if (used <= 0 || buf_append(&s->body, payload))
            return false;
        buf_consume(&s->reply, (size_t)used);
    }
    return true;
}

static enum next take_body(struct subrequest *s)
{
    for (;;) {
        bool is_good = collect(s);
        if (is_good && http1_body_has_ended(&s->framing))
            return flow_leave(&s->flow, REASON_AUTH_DENIED);
        ssize_t got = is_good
                          ? stream_read_into(&s->stream, &s->reply, worker_of(&s->flow)->scratch)
                          : -EBADMSG;
        if (got == -EAGAIN)
            return flow_wait_source(&s->flow, &s->stream.source, READABLE,
                                    WITHIN(left(s), REASON_AUTH_DENIED));
        if (got > 0)
            continue;
        if (got < 0 || s->framing.kind != BODY_UNTIL_CLOSE)
            buf_done(&s->body);
        return flow_leave(&s->flow, REASON_AUTH_DENIED);
    }
}

static void subrequest_leave(struct subrequest *s)
{
    if (s->status && s->framing.kind != BODY_UNTIL_CLOSE && !http1_body_has_ended(&s->framing))
        buf_done(&s->body); /* a part of it would look whole */
    stream_close(&s->stream);
}

void subrequest_start(struct subrequest *s, struct flow *parent)
{
    s->began_usec = now_of(parent);
    flow_start(&s->flow, &subrequest_kind, parent->runner, parent);
}

enum reason subrequest_verdict(const struct subrequest *s)
{
    if (s->status)
        return REASON_AUTH_DENIED;
    return s->flow.reason == REASON_DONE ? REASON_DONE : REASON_AUTH_FAILED;
}

/* One flow per client: read a request, ask the threads it concerns, answer, read the next; or, for
 * the live events, stream until the client leaves. Everything a client controls is bounded: its
 * head, its number, its patience. */
#include "admin/admin.h"

#include "admin/admin_priv.h"
#include "admin/door.h"
#include "codec/http1_write.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ADMIN_NUMBER    254 /* of its worker */
#define CLIENTS_MAX     100
#define HEAD_MAX_BYTES  16384u
#define IN_MAX_BYTES    32768u
#define OUT_MAX_BYTES   (64u << 20)
#define REST_USEC       60000000u
#define ANSWER_USEC     2000000u /* what a thread may take */
#define BODY_USEC       10000000u
#define LINGER_USEC     1000000u
#define LINGER_BYTES    262144u
#define EVENTS_USEC     50000u
#define KEEPALIVE_SEC   30
#define USER_TIMEOUT_MS 60000

#define ADMIN_CLIENT_STEPS(STEP)                                                                   \
    STEP(hear)      /* until a request head is whole */                                            \
    STEP(decide)    /* which door it asks for */                                                   \
    STEP(take_body) /* until it is whole, whether anyone reads it or not */                        \
    STEP(enter)     /* through the door: an answer, or other threads to ask */                     \
    STEP(gather)    /* until all threads have answered, or have had their time */                  \
    STEP(answer)    /* until it is written */                                                      \
    STEP(linger)    /* until the client has read the last answer, or for a second */               \
    STEP(stream)    /* live events, until the client leaves */

FLOW(admin_client, ADMIN_CLIENT_STEPS)

/* --- a door's means -----------------------------------------------------------------------------
 */

static int put_text(struct buf *to, const char *text)
{
    return buf_append(to, bytes_of(text));
}

enum next admin_answer_text(struct admin_client *c, unsigned status, const char *type,
                            const char *body)
{
    char head[320];

    snprintf(
        head, sizeof head,
        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n%s%s%s%s\r\n",
        status, http1_status_words(status), type, strlen(body), c->allow[0] ? "Allow: " : "",
        c->allow, c->allow[0] ? "\r\n" : "", c->keeps ? "" : "Connection: close\r\n");
    if (put_text(&c->out, head) || put_text(&c->out, body))
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    return flow_goto(&c->flow, STEP_answer);
}

enum next admin_answer_json(struct admin_client *c, unsigned status, json_t *take_json)
{
    char *body = json_dumps(take_json, JSON_COMPACT);
    enum next next = body ? admin_answer_text(c, status, "application/json", body)
                          : flow_leave(&c->flow, REASON_NO_MEMORY);

    free(body);
    json_decref(take_json);
    return next;
}

json_t *admin_error(const char *error, const char *what_to_do)
{
    return json_pack("{s:s, s:s}", "error", error, "what_to_do", what_to_do);
}

enum next admin_refuse(struct admin_client *c, unsigned status, const char *error,
                       const char *what_to_do)
{
    return admin_answer_json(c, status, admin_error(error, what_to_do));
}

enum next admin_ask(struct admin_client *c, struct inquiry *take_inquiry, gathered_fn *gathered)
{
    c->inquiry = take_inquiry;
    c->gathered = gathered;
    c->patience_usec = ANSWER_USEC;
    inquiry_send(take_inquiry);
    return flow_goto(&c->flow, STEP_gather);
}

json_t *admin_take_only(struct admin_client *c, unsigned *ret_status)
{
    struct errand *errand = &c->inquiry->errand[0];

    const struct call *call = c->inquiry->call;

    *ret_status = !errand->is_back ? 503 : call ? call->status : 200;
    return errand->is_back ? TAKE(errand->answer)
                           : admin_error("the thread that knows has not answered in time",
                                         "ask again; a reload may be under way");
}

enum next admin_stream(struct admin_client *c)
{
    c->streams = true;
    return flow_goto(&c->flow, STEP_answer);
}

/* --- the client's flow --------------------------------------------------------------------------
 */

static enum next hear(struct admin_client *c)
{
    if (!flow_is_started(&c->read.flow)) {
        c->read = (struct read_head){
            .kind = &head_of_request,
            .stream = &c->stream,
            .into = &c->in,
            .head = &c->head,
            .limit_bytes = HEAD_MAX_BYTES,
            .fields_max = 100,
            .within_usec = REST_USEC,
        };
        read_head_start(&c->read, &c->flow);
    }
    if (!flow_is_over(&c->read.flow))
        return flow_wait_child(&c->flow, &c->read.flow);
    flow_adopt(&c->flow, &c->stream.source, REASON_CLIENT_LEFT);
    enum reason reason = c->read.flow.reason;
    if (reason == REASON_DONE)
        return NEXT;
    if (!reason_row(reason)->http_status || buf_is_empty(&c->in))
        return flow_leave(&c->flow, reason);
    c->keeps = false; /* what follows cannot be told from what was not understood */
    return admin_refuse(c, reason_row(reason)->http_status, reason_row(reason)->words,
                        "ask in HTTP/1.1");
}

/* The head is behind us then, and with it all that points into it. */
static enum next decide(struct admin_client *c)
{
    struct refusal refusal;

    c->keeps = http1_keeps(&c->head);
    c->call = call_new(c->head.target);
    if (!c->call)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    bool is_found = doors_find(c, &refusal);
    buf_consume(&c->in, c->read.used);
    c->read = (struct read_head){0};
    if (is_found)
        return NEXT;
    c->keeps = c->keeps && c->body.kind == BODY_NONE; /* its body is not waited for */
    return admin_refuse(c, refusal.status, refusal.error, refusal.what_to_do);
}

/* > 0: some more of the body has come; 0: that was all; -EAGAIN; -EMSGSIZE: it is too large;
 * -EBADMSG: its chunks are malformed; else it cannot go on. */
static ssize_t take_some(struct admin_client *c)
{
    uint8_t *scratch = worker_of(&c->flow)->scratch;
    struct bytes payload;

    if (c->body.kind == BODY_NONE || http1_body_has_ended(&c->body))
        return 0;
    if (buf_is_empty(&c->in)) {
        ssize_t got = stream_read(&c->stream, scratch, IN_MAX_BYTES / 2);
        if (got <= 0)
            return got ? got : -EPIPE;
        if (buf_append(&c->in, (struct bytes){scratch, (size_t)got}))
            return -ENOMEM;
    }
    ssize_t used = http1_body_piece(&c->body, buf_bytes(&c->in), &payload);
    if (used <= 0)
        return -EBADMSG;
    int error = buf_append(&c->body_text, payload);
    buf_consume(&c->in, (size_t)used);
    return error ? error : used;
}

static enum next take_body(struct admin_client *c)
{
    ssize_t taken;

    do
        taken = take_some(c);
    while (taken > 0);
    if (taken == 0)
        return NEXT;
    if (taken == -EAGAIN)
        return flow_wait_source(&c->flow, &c->stream.source, READABLE,
                                WITHIN(BODY_USEC, REASON_BODY_TOO_SLOW));
    if (taken != -EMSGSIZE && taken != -EBADMSG)
        return flow_leave(&c->flow, taken == -ENOMEM ? REASON_NO_MEMORY : REASON_CLIENT_LEFT);
    c->keeps = false;
    if (taken == -EBADMSG)
        return admin_refuse(c, 400, "the body's chunks cannot be read", "send it by its length");
    return admin_refuse(c, 413, "no request here needs so large a body", "send 64 KiB at most");
}

static void run_on_main(struct errand *errand)
{
    struct call *call = errand->inquiry->call;

    call->house = errand->target;
    errand->answer = call->house->is_over ? NULL : call->door->on_main(call);
}

static enum next ask_main(struct admin_client *c)
{
    struct admin_house *house = c->admin->means.house;
    struct inquiry *inquiry = inquiry_new(&c->flow, 1);
    uint64_t patience_usec = c->call->door->patience_usec;

    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run_on_main;
    inquiry->call = TAKE(c->call);
    inquiry_ask(inquiry, 0, &house->main->mailbox, house);
    enum next next = admin_ask(c, inquiry, admin_take_only);
    if (patience_usec)
        c->patience_usec = patience_usec;
    return next;
}

static enum next enter(struct admin_client *c)
{
    const struct door *door = c->call->door;
    char error[256], what_to_do[256];
    bool is_good = !door->body || call_take_body(c->call, buf_bytes(&c->body_text), error);

    buf_done(&c->body_text);
    if (!is_good) {
        snprintf(what_to_do, sizeof what_to_do, "send, for example, %s", door->body);
        return admin_refuse(c, 400, error, what_to_do);
    }
    return door->on_main ? ask_main(c) : door->open(c, c->call);
}

/* A deadline would end the client; here it ends only the waiting. */
static enum next gather(struct admin_client *c)
{
    uint64_t until_usec = c->flow.entered_usec + c->patience_usec;
    unsigned status = 500;

    if (!inquiry_is_over(c->inquiry) && now_of(&c->flow) < until_usec) {
        flow_wake_at(&c->flow, until_usec);
        return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_ANSWER_TOO_SLOW));
    }
    json_t *json = c->gathered(c, &status);
    inquiry_leave(TAKE(c->inquiry));
    return json ? admin_answer_json(c, status, json) : flow_leave(&c->flow, REASON_NO_MEMORY);
}

static enum next answer(struct admin_client *c)
{
    int error = stream_write_from(&c->stream, &c->out);

    if (error == -EAGAIN)
        return flow_wait_source(&c->flow, &c->stream.source, WRITABLE,
                                WITHIN(ADMIN_WRITE_USEC, REASON_CLIENT_LEFT));
    if (error)
        return flow_leave(&c->flow, REASON_CLIENT_LEFT);
    c->call = call_free(c->call);
    buf_done(&c->body_text);
    c->allow[0] = '\0';
    if (c->streams)
        return flow_goto(&c->flow, STEP_stream);
    return flow_goto(&c->flow, c->keeps ? STEP_hear : STEP_linger);
}

/* Reads and forgets. False: the client will send no more, or sends more than anyone has to. */
static bool drink(struct admin_client *c)
{
    size_t drunk = 0;
    ssize_t got;

    while ((got = stream_read(&c->stream, worker_of(&c->flow)->scratch, IN_MAX_BYTES)) > 0) {
        drunk += (size_t)got;
        if (drunk > LINGER_BYTES)
            return false;
    }
    return got == -EAGAIN;
}

/* Closing with unread input would be a reset that could overtake the answer. */
static enum next linger(struct admin_client *c)
{
    stream_end(&c->stream);
    if (!drink(c))
        return flow_leave(&c->flow, REASON_DONE);
    return flow_wait_source(&c->flow, &c->stream.source, READABLE,
                            WITHIN(LINGER_USEC, REASON_DONE));
}

/* The client's leaving is a FIN like any other, so it has to be read. */
static enum next stream(struct admin_client *c)
{
    if (!live_go_on(c) || !drink(c))
        return flow_leave(&c->flow, REASON_CLIENT_LEFT);
    flow_wake_at(&c->flow, now_of(&c->flow) + EVENTS_USEC);
    return flow_wait_source(&c->flow, &c->stream.source, READABLE,
                            WITHIN(FOREVER, REASON_CLIENT_LEFT));
}

static void admin_client_leave(struct admin_client *c)
{
    inquiry_leave(TAKE(c->inquiry));
    c->call = call_free(c->call);
    stream_close(&c->stream);
    buf_done(&c->body_text);
    buf_done(&c->in);
    buf_done(&c->out);
    c->admin->clients--;
}

static void on_accept(struct listener_sink *sink, int take_fd, const struct address *peer,
                      bool is_short)
{
    struct admin *admin = container_of(sink, struct admin, sink);
    struct admin_client *c = admin->clients < CLIENTS_MAX ? calloc(1, sizeof *c) : NULL;

    (void)peer, (void)is_short; /* the spare descriptors are for us */
    if (!c) {
        sys_send(take_fd, bytes_of("HTTP/1.1 503 Service Unavailable\r\nConnection: "
                                   "close\r\nContent-Length: 0\r\n\r\n"));
        stream_refuse(take_fd);
        return;
    }
    admin->clients++;
    c->admin = admin;
    buf_init(&c->in, IN_MAX_BYTES);
    buf_init(&c->body_text, ADMIN_BODY_MAX_BYTES);
    buf_init(&c->out, OUT_MAX_BYTES);
    flow_start(&c->flow, &admin_client_kind, &admin->worker.runner, NULL);
    if (stream_open(&c->stream, &admin->worker.runner.loop, take_fd))
        flow_stop(&c->flow, REASON_NO_MEMORY);
    else
        flow_adopt(&c->flow, &c->stream.source, REASON_CLIENT_LEFT);
}

static void on_shortage(struct listener_sink *sink, int error)
{
    struct admin *admin = container_of(sink, struct admin, sink);

    log_say(admin->means.log, EVENT_shortage, "the admin listener cannot accept: %s",
            strerror(-error));
}

/* --- the thread ---------------------------------------------------------------------------------
 */

int admin_start(struct admin **ret_admin, const struct admin_means *means)
{
    struct admin *admin = calloc(1, sizeof *admin);
    int error = admin ? worker_init(&admin->worker, ADMIN_NUMBER, means->log) : -ENOMEM;

    if (error) {
        free(admin);
        stream_refuse(means->fd);
        return error;
    }
    admin->means = *means;
    if (!means->endpoint.is_unix)
        tcp_tune(means->fd, &(struct tcp_tuning){KEEPALIVE_SEC, USER_TIMEOUT_MS});
    admin->sink = (struct listener_sink){on_accept, on_shortage};
    error = listener_open(&admin->listener, &admin->worker.runner.loop, means->fd,
                          means->endpoint.is_unix, &admin->sink);
    if (!error)
        error = worker_start(&admin->worker);
    if (error) {
        worker_done(&admin->worker);
        free(admin);
        return error;
    }
    pthread_setname_np(admin->worker.thread, "admin"); /* as top -H shows it */
    *ret_admin = admin;
    return 0;
}

void admin_stop(struct admin *admin)
{
    if (!admin)
        return;
    worker_stop(&admin->worker);
    listener_close(&admin->listener);
    runner_stop_all(&admin->worker.runner, REASON_STOPPING);
}

struct admin *admin_free(struct admin *admin)
{
    if (!admin)
        return NULL;
    worker_done(&admin->worker);
    free(admin);
    return NULL;
}

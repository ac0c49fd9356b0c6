/* Honest: a handshake is answered as RFC 6455 asks, frames must be masked, text and binary messages
 * come back frame by frame with the same fragmentation, ping becomes pong, close is answered with
 * close. Payload is unmasked as it comes, in place, so that a message of any length costs no
 * memory, and an idle connection holds no buffer. */
#include "daemon/echo.h"

#include "codec/http1_write.h"
#include "codec/ws_handshake.h"
#include "http/read_head.h"
#include "net/listener.h"
#include "net/tcp.h"
#include "sys/sys.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define HEAD_MAX_BYTES 65536u
#define UNSENT_BYTES   (512u * 1024u)
#define REST_USEC      3600000000u
#define SLOW_MSEC      2000u
#define SLOW_MAX_MSEC  60000u
#define LISTENS_MAX    16
#define READS_AT_ONCE  8

#define ECHO_STEPS(STEP)                                                                           \
    STEP(hear)   /* until a request head is whole */                                               \
    STEP(judge)  /* what it asks for */                                                            \
    STEP(dawdle) /* /slow */                                                                       \
    STEP(tell)   /* until the answer is written */                                                 \
    STEP(frames) /* until one side closes */

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct echo_server {
    struct worker worker; /* first */
    struct listener_sink sink;
    struct listener listener[LISTENS_MAX];
    size_t count;
    const char *name;
    struct source signals;
};

/* Of the frame under way. */
struct frame {
    uint64_t left;
    uint8_t head[14];
    uint8_t have;
    uint8_t mask[4], mask_at;
    uint8_t opcode;
    bool is_open; /* its header is whole */
};

struct echo {
    struct flow flow;
    struct stream stream;
    struct echo_server *server;
    struct buf in, out;
    struct frame frame;
    uint64_t dawdle_usec;
    bool is_websocket, keeps, has_closed;
    struct read_head *read; /* with its head; only while a head is awaited */
};

struct reading {
    struct read_head read;
    struct http1_head head;
};

FLOW(echo, ECHO_STEPS)

/* --- HTTP ------------------------------------------------------------------------------------- */

static struct http1_head *head_of(const struct echo *e)
{
    return e->read->head;
}

static enum next hear(struct echo *e)
{
    if (!e->read) {
        if (buf_is_empty(&e->in) && !(e->stream.source.ready & READABLE))
            return flow_wait_source(&e->flow, &e->stream.source, READABLE,
                                    WITHIN(REST_USEC, REASON_CLIENT_SILENT));
        struct reading *reading = calloc(1, sizeof *reading);
        if (!reading)
            return flow_leave(&e->flow, REASON_NO_MEMORY);
        reading->read = (struct read_head){
            .kind = &head_of_request,
            .stream = &e->stream,
            .into = &e->in,
            .head = &reading->head,
            .limit_bytes = HEAD_MAX_BYTES,
            .fields_max = HTTP1_FIELDS_MAX,
            .within_usec = REST_USEC,
        };
        e->read = &reading->read;
        read_head_start(e->read, &e->flow);
    }
    if (!flow_is_over(&e->read->flow))
        return flow_wait_child(&e->flow, &e->read->flow);
    flow_adopt(&e->flow, &e->stream.source, REASON_CLIENT_LEFT);
    return e->read->flow.reason == REASON_DONE ? NEXT : flow_leave(&e->flow, e->read->flow.reason);
}

static bool path_is(struct bytes path, const char *wanted)
{
    return bytes_equal(bytes_slice(path, 0, bytes_find(path, bytes_of("?"), 0)), bytes_of(wanted));
}

static unsigned number_at(struct bytes text)
{
    unsigned number = 0;

    for (size_t i = 0; i < text.len && i < 6 && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        number = number * 10 + (unsigned)(text.at[i] - '0');
    return number;
}

/* /refuse/403: that status, else 0. */
static unsigned refused_status(struct bytes path)
{
    struct bytes prefix = bytes_of("/refuse/");
    unsigned status = bytes_equal(bytes_slice(path, 0, prefix.len), prefix)
                          ? number_at(bytes_from(path, prefix.len))
                          : 0;

    return status >= 400 && status <= 599 ? status : 0;
}

static uint64_t slow_usec(struct bytes path)
{
    size_t at = bytes_find(path, bytes_of("?ms="), 0);
    unsigned msec = at < path.len ? number_at(bytes_from(path, at + 4)) : SLOW_MSEC;

    return path_is(path, "/slow") ? (uint64_t)(msec > SLOW_MAX_MSEC ? SLOW_MAX_MSEC : msec) * 1000
                                  : 0;
}

static int write_name(struct echo *e, char *extra, size_t size)
{
    return snprintf(extra, size, "X-Server: %s\r\n", e->server->name);
}

static int write_plain(struct echo *e, unsigned status, struct bytes body)
{
    char extra[256];

    write_name(e, extra, sizeof extra);
    return http1_write_own(&e->out, status, body, e->keeps, (struct bytes){0}, bytes_of(extra));
}

static int write_switch(struct echo *e)
{
    struct bytes key = http1_find(head_of(e), "sec-websocket-key");
    struct bytes offered = http1_find(head_of(e), "sec-websocket-protocol");
    uint8_t accept[WS_ACCEPT_LEN];
    char head[512];

    ws_accept_write(key, accept);
    int len =
        snprintf(head, sizeof head,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %.*s\r\nX-Server: %s\r\n",
                 WS_ACCEPT_LEN, (const char *)accept, e->server->name);
    if (offered.len) {
        offered = bytes_slice(offered, 0, bytes_find(offered, bytes_of(","), 0));
        len += snprintf(head + len, sizeof head - (size_t)len, "Sec-WebSocket-Protocol: %.*s\r\n",
                        (int)(offered.len < 128 ? offered.len : 128), (const char *)offered.at);
    }
    return buf_append(&e->out, (struct bytes){(const uint8_t *)head, (size_t)len}) ||
           buf_append(&e->out, bytes_of("\r\n"));
}

static enum next judge(struct echo *e)
{
    const struct http1_head *head = head_of(e);
    enum reason why = REASON_DONE;
    struct http1_body body;
    enum ws_asked asked = ws_request_judge(head, true, &why);
    bool has_body = http1_request_body(head, &body) != REASON_DONE || body.kind != BODY_NONE;
    bool is_wrong_version = !bytes_equal(http1_find(head, "sec-websocket-version"), bytes_of("13"));
    unsigned status = refused_status(head->target);
    char text[128];
    int error;

    e->keeps = http1_keeps(head) && !has_body;
    e->dawdle_usec = slow_usec(head->target);
    if (status) {
        snprintf(text, sizeof text, "refused with %u by %s\n", status, e->server->name);
        error = write_plain(e, status, bytes_of(text));
    } else if (asked == WS_BAD) {
        error = write_plain(e, reason_row(why)->http_status, bytes_of(reason_row(why)->words));
    } else if (asked == WS_HANDSHAKE && is_wrong_version) {
        error = write_plain(e, 426, bytes_of("only version 13 is spoken here\n"));
    } else if (asked == WS_HANDSHAKE) {
        e->is_websocket = true;
        error = write_switch(e);
    } else if (path_is(head->target, "/healthz")) {
        error = write_plain(e, 200, bytes_of("ok\n"));
    } else {
        snprintf(text, sizeof text, "this is %s\n", e->server->name);
        error = write_plain(e, 200, bytes_of(text));
    }
    buf_consume(&e->in, e->read->used);
    free(TAKE(e->read));
    return error ? flow_leave(&e->flow, REASON_NO_MEMORY) : NEXT;
}

static enum next dawdle(struct echo *e)
{
    if (now_of(&e->flow) - e->flow.entered_usec >= e->dawdle_usec)
        return NEXT;
    flow_wake_at(&e->flow, e->flow.entered_usec + e->dawdle_usec);
    return flow_wait_notice(&e->flow, WITHIN(FOREVER, REASON_LIFETIME));
}

static enum next tell(struct echo *e)
{
    int error = stream_write_from(&e->stream, &e->out);

    if (error == -EAGAIN)
        return flow_wait_source(&e->flow, &e->stream.source, WRITABLE,
                                WITHIN(REST_USEC, REASON_CLIENT_LEFT));
    if (error)
        return flow_leave(&e->flow, REASON_CLIENT_LEFT);
    if (e->is_websocket)
        return NEXT;
    return e->keeps ? flow_goto(&e->flow, STEP_hear) : flow_leave(&e->flow, REASON_DONE);
}

/* --- frames ----------------------------------------------------------------------------------- */

/* Sends; what is not taken waits. */
static int send_or_keep(struct echo *e, struct bytes bytes)
{
    if (buf_is_empty(&e->out)) {
        ssize_t sent = stream_write(&e->stream, bytes);
        if (sent < 0 && sent != -EAGAIN)
            return (int)sent;
        bytes = bytes_from(bytes, sent < 0 ? 0 : (size_t)sent);
    }
    return buf_append(&e->out, bytes);
}

/* Fills the header. Bytes used; -1: no frame that a client may send. */
static ssize_t take_header(struct frame *f, struct bytes in)
{
    size_t used = 0;

    while (used < in.len) {
        f->head[f->have++] = in.at[used++];
        if (f->have < 2)
            continue;
        unsigned short_len = f->head[1] & 0x7f;
        size_t extended = short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
        if (!(f->head[1] & 0x80) || f->head[0] & 0x70)
            return -1;
        if (f->have < 2 + extended + 4)
            continue;
        f->left = extended ? 0 : short_len;
        for (size_t i = 0; i < extended; i++)
            f->left = f->left << 8 | f->head[2 + i];
        memcpy(f->mask, f->head + 2 + extended, 4);
        f->mask_at = 0;
        f->opcode = f->head[0] & 0x0f;
        f->is_open = true;
        bool is_control = f->opcode & 8;
        return (f->left >> 63) || (is_control && (f->left > 125 || !(f->head[0] & 0x80)))
                   ? -1
                   : (ssize_t)used;
    }
    return (ssize_t)used;
}

static void unmask(struct frame *f, uint8_t *at, size_t len)
{
    size_t i = 0;

    for (; i < len && f->mask_at; i++, f->mask_at = (f->mask_at + 1) & 3)
        at[i] ^= f->mask[f->mask_at];
    uint64_t wide;
    memcpy(&wide, f->mask, 4);
    memcpy((uint8_t *)&wide + 4, f->mask, 4);
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        word ^= wide;
        memcpy(at + i, &word, 8);
    }
    for (; i < len; i++, f->mask_at = (f->mask_at + 1) & 3)
        at[i] ^= f->mask[f->mask_at];
}

/* The same header, unmasked: written over the place before the payload in `out`. Its length. */
static size_t answer_header(const struct frame *f, uint8_t *out)
{
    size_t len = f->have - 4u;

    memcpy(out, f->head, len);
    out[1] &= 0x7f;
    if (f->opcode == OP_PING)
        out[0] = (uint8_t)((out[0] & 0xf0) | OP_PONG);
    return len;
}

/* Turns a batch of masked frames into the answer, in place: an answer is never longer than what it
 * answers. The bytes of the answer; -1: the client broke the protocol. */
static ssize_t turn_round(struct echo *e, uint8_t *at, size_t len)
{
    struct frame *f = &e->frame;
    size_t from = 0, to = 0;

    while (from < len && !e->has_closed) {
        if (!f->is_open) {
            ssize_t used = take_header(f, (struct bytes){at + from, len - from});
            if (used < 0)
                return -1;
            from += (size_t)used;
            if (!f->is_open)
                break;
            if (f->opcode != OP_PONG)
                to += answer_header(f, at + to);
        }
        size_t piece = f->left < len - from ? (size_t)f->left : len - from;
        unmask(f, at + from, piece);
        if (f->opcode != OP_PONG) {
            memmove(at + to, at + from, piece);
            to += piece;
        }
        from += piece;
        f->left -= piece;
        if (f->left)
            break;
        e->has_closed = f->opcode == OP_CLOSE;
        f->is_open = false;
        f->have = 0;
    }
    return (ssize_t)to;
}

static int answer_batch(struct echo *e, uint8_t *at, size_t len)
{
    ssize_t answered = turn_round(e, at, len);

    if (answered < 0) { /* 1002: protocol error */
        e->has_closed = true;
        return send_or_keep(e, BYTES(0x88, 0x02, 0x03, 0xea));
    }
    return send_or_keep(e, (struct bytes){at, (size_t)answered});
}

static enum next close_frames(struct echo *e)
{
    int error = stream_write_from(&e->stream, &e->out);

    if (error == -EAGAIN)
        return flow_wait_source(&e->flow, &e->stream.source, WRITABLE,
                                WITHIN(REST_USEC, REASON_CLIENT_LEFT));
    return flow_leave(&e->flow, REASON_DONE);
}

static enum next frames(struct echo *e)
{
    uint8_t *scratch = worker_of(&e->flow)->scratch;

    if (!buf_is_empty(&e->in)) { /* what came with the handshake */
        size_t len = buf_bytes(&e->in).len;
        memcpy(scratch, buf_bytes(&e->in).at, len);
        buf_consume(&e->in, len);
        if (answer_batch(e, scratch, len))
            return flow_leave(&e->flow, REASON_CLIENT_RESET);
    }
    for (int i = 0; i < READS_AT_ONCE; i++) {
        if (e->has_closed)
            return close_frames(e);
        int error = stream_write_from(&e->stream, &e->out);
        if (error == -EAGAIN)
            return flow_wait_source(&e->flow, &e->stream.source, WRITABLE,
                                    WITHIN(FOREVER, REASON_LIFETIME));
        ssize_t got = error ? error : stream_read(&e->stream, scratch, WORKER_SCRATCH_BYTES);
        if (got == -EAGAIN)
            return flow_wait_source(&e->flow, &e->stream.source, READABLE,
                                    WITHIN(FOREVER, REASON_LIFETIME));
        if (got <= 0)
            return flow_leave(&e->flow, got ? REASON_CLIENT_RESET : REASON_DONE);
        if (answer_batch(e, scratch, (size_t)got))
            return flow_leave(&e->flow, REASON_CLIENT_RESET);
    }
    flow_wake(&e->flow);
    return flow_wait_notice(&e->flow, WITHIN(FOREVER, REASON_LIFETIME));
}

static void echo_leave(struct echo *e)
{
    stream_close(&e->stream);
    buf_done(&e->in);
    buf_done(&e->out);
    free(TAKE(e->read));
}

/* --- the program ------------------------------------------------------------------------------ */

static void on_accept(struct listener_sink *sink, int take_fd, const struct address *peer,
                      bool is_short)
{
    struct echo_server *server = container_of(sink, struct echo_server, sink);
    struct echo *e = is_short ? NULL : calloc(1, sizeof *e);

    (void)peer;
    if (!e) {
        stream_refuse(take_fd);
        return;
    }
    e->server = server;
    buf_init(&e->in, 2 * HEAD_MAX_BYTES);
    buf_init(&e->out, UNSENT_BYTES);
    flow_start(&e->flow, &echo_kind, &server->worker.runner, NULL);
    if (stream_open(&e->stream, &server->worker.runner.loop, take_fd))
        flow_stop(&e->flow, REASON_NO_MEMORY);
    else
        flow_adopt(&e->flow, &e->stream.source, REASON_DONE);
}

static void on_shortage(struct listener_sink *sink, int error)
{
    (void)sink;
    fprintf(stderr, "turnout echo: cannot accept: %s\n", strerror(-error));
}

static void on_signal(struct source *source, unsigned ready)
{
    struct echo_server *server = source->owner;

    (void)ready;
    server->worker.is_stopping = true;
}

static int listen_to_signals(struct echo_server *server)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    source_init(&server->signals, fd);
    server->signals.owner = server;
    server->signals.on_ready = on_signal;
    return loop_watch(&server->worker.runner.loop, &server->signals);
}

static int open_listener(struct echo_server *server, const char *text)
{
    struct endpoint endpoint;
    int fd = endpoint_parse(text, &endpoint);

    if (fd) {
        fprintf(
            stderr,
            "turnout echo: --listen \"%s\": write 127.0.0.1:9001, \"[::1]:9001\" or unix:/path\n",
            text);
        return fd;
    }
    fd = listener_socket(&endpoint, true, 0660);
    if (fd < 0) {
        fprintf(stderr, "turnout echo: cannot listen on %s: %s\n", text, strerror(-fd));
        return fd;
    }
    return listener_open(&server->listener[server->count++], &server->worker.runner.loop, fd,
                         endpoint.is_unix, &server->sink);
}

static void serve(struct echo_server *server)
{
    while (!server->worker.is_stopping && worker_turn(&server->worker) == 0)
        ;
    for (size_t i = 0; i < server->count; i++)
        listener_close(&server->listener[i]);
    runner_stop_all(&server->worker.runner, REASON_STOPPING);
}

static void drop_line(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

int echo_run(const char *const *listens, size_t count, const char *name)
{
    static struct log quiet = {.write = drop_line, .level = LEVEL_ERROR};
    struct echo_server *server = calloc(1, sizeof *server);
    struct rlimit limit;
    int error = server ? worker_init(&server->worker, 0, &quiet) : -ENOMEM;

    if (error) {
        fprintf(stderr, "turnout echo: %s\n", strerror(-error));
        free(server);
        return 1;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    server->sink = (struct listener_sink){on_accept, on_shortage};
    server->name = name ? name : listens[0];
    error = listen_to_signals(server);
    for (size_t i = 0; !error && i < count && i < LISTENS_MAX; i++)
        error = open_listener(server, listens[i]);
    if (!error)
        serve(server);
    sys_close(server->signals.fd);
    worker_done(&server->worker);
    free(server);
    return error ? 1 : 0;
}

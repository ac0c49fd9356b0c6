/* Honest: a handshake is answered as RFC 6455 asks, and frames as mirror.h says. Messages pass
 * through the worker's scratch memory, so one of any length costs none, and an idle connection
 * holds no buffer. Whatever was said last is read by the peer: we end by FIN, and close when it has
 * closed, or after a second. */
#include "daemon/echo.h"

#include "codec/http1_write.h"
#include "codec/ws_handshake.h"
#include "crypto/crypto.h"
#include "daemon/mirror.h"
#include "http/read_head.h"
#include "net/listener.h"
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
#define PART_USEC      1000000u
#define SLOW_MSEC      2000u
#define SLOW_MAX_MSEC  60000u
#define NAME_MAX_LEN   100
#define READS_AT_ONCE  8

#define ECHO_STEPS(STEP)                                                                           \
    STEP(hear)   /* until a request head is whole */                                               \
    STEP(judge)  /* what it asks for */                                                            \
    STEP(dawdle) /* /slow */                                                                       \
    STEP(tell)   /* until the answer is written */                                                 \
    STEP(frames) /* until one side closes */                                                       \
    STEP(part)   /* FIN, and patience until it is read */

struct echo_server {
    struct worker worker; /* first */
    struct listener_sink sink;
    struct listener *listener;
    size_t count; /* of those that are open */
    const char *name;
    struct source signals;
};

struct echo {
    struct flow flow;
    struct stream stream;
    struct echo_server *server;
    struct buf in, out;
    struct mirror mirror;
    uint64_t dawdle_usec;
    bool is_websocket, keeps, has_ended;
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

static int write_own(struct echo *e, unsigned status, struct bytes body, const char *field)
{
    char extra[NAME_MAX_LEN + 128];

    snprintf(extra, sizeof extra, "X-Server: %s\r\n%s", e->server->name, field);
    const struct http1_own own = {
        .status = status,
        .type = bytes_of("text/plain; charset=utf-8"),
        .body = body,
        .extra = bytes_of(extra),
        .keeps = e->keeps,
    };

    return http1_write_own(&e->out, &own, (struct bytes){0});
}

/* The first subprotocol offered is the one that is spoken. */
static int write_subprotocol(struct echo *e)
{
    struct bytes offered = http1_find(head_of(e), "sec-websocket-protocol");

    if (!offered.len)
        return 0;
    offered = bytes_slice(offered, 0, bytes_find(offered, bytes_of(","), 0));
    while (offered.len && offered.at[offered.len - 1] == ' ')
        offered.len--;
    return buf_append(&e->out, bytes_of("Sec-WebSocket-Protocol: ")) ||
           buf_append(&e->out, offered) || buf_append(&e->out, bytes_of("\r\n"));
}

static int write_switch(struct echo *e)
{
    uint8_t accept[WS_ACCEPT_LEN];
    char head[NAME_MAX_LEN + 256];

    int error = ws_accept_write(http1_find(head_of(e), "sec-websocket-key"), accept);
    if (error)
        return error;
    snprintf(head, sizeof head,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %.*s\r\nX-Server: %s\r\n",
             WS_ACCEPT_LEN, (const char *)accept, e->server->name);
    return buf_append(&e->out, bytes_of(head)) || write_subprotocol(e) ||
           buf_append(&e->out, bytes_of("\r\n"));
}

static int write_answer(struct echo *e, enum ws_asked asked, enum reason why)
{
    const struct http1_head *head = head_of(e);
    unsigned status = refused_status(head->target);
    char text[NAME_MAX_LEN + 64];

    if (status) {
        snprintf(text, sizeof text, "refused with %u by %s\n", status, e->server->name);
        return write_own(e, status, bytes_of(text), "");
    }
    if (asked == WS_BAD)
        return write_own(e, reason_row(why)->http_status, bytes_of(reason_row(why)->words), "");
    if (asked == WS_HANDSHAKE &&
        !bytes_equal(http1_find(head, "sec-websocket-version"), bytes_of("13")))
        return write_own(e, 426, bytes_of("only version 13 is spoken here\n"),
                         "Sec-WebSocket-Version: 13\r\n");
    if (asked == WS_HANDSHAKE) {
        e->is_websocket = true;
        return write_switch(e);
    }
    snprintf(text, sizeof text, "this is %s\n", e->server->name);
    return write_own(e, 200, bytes_of(path_is(head->target, "/healthz") ? "ok\n" : text), "");
}

/* A body is not read: such a connection is not kept, and what comes of it is thrown away when we
 * part. */
static enum next judge(struct echo *e)
{
    const struct http1_head *head = head_of(e);
    enum reason why = REASON_DONE;
    struct http1_body body;
    enum ws_asked asked = ws_request_judge(head, true, &why);
    bool has_body = http1_request_body(head, &body) != REASON_DONE || body.kind != BODY_NONE;

    e->keeps = http1_keeps(head) && !has_body;
    e->dawdle_usec = slow_usec(head->target);
    int error = write_answer(e, asked, why);
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
    return flow_goto(&e->flow, e->keeps ? STEP_hear : STEP_part);
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

/* The `len` bytes at `at + MIRROR_ROOM`. */
static int answer_batch(struct echo *e, uint8_t *at, size_t len)
{
    size_t answered = mirror_turn(&e->mirror, at, len);
    int error = send_or_keep(e, (struct bytes){at, answered});

    if (!error && e->mirror.is_broken)
        error = send_or_keep(e, BYTES(0x88, 0x02, 0x03, 0xea)); /* 1002: protocol error */
    return error;
}

/* What came with the handshake. */
static int answer_first(struct echo *e, uint8_t *scratch)
{
    size_t len = buf_bytes(&e->in).len;

    if (!len)
        return 0;
    memcpy(scratch + MIRROR_ROOM, buf_bytes(&e->in).at, len);
    buf_consume(&e->in, len);
    return answer_batch(e, scratch, len);
}

static enum next frames(struct echo *e)
{
    uint8_t *scratch = worker_of(&e->flow)->scratch;
    int error = answer_first(e, scratch);

    for (int i = 0; i < READS_AT_ONCE; i++) {
        error = error ? error : stream_write_from(&e->stream, &e->out);
        if (error == -EAGAIN)
            return flow_wait_source(&e->flow, &e->stream.source, WRITABLE,
                                    WITHIN(FOREVER, REASON_LIFETIME));
        if (!error && (e->mirror.has_closed || e->mirror.is_broken))
            return NEXT;
        ssize_t got = error ? error
                            : stream_read(&e->stream, scratch + MIRROR_ROOM,
                                          WORKER_SCRATCH_BYTES - MIRROR_ROOM);
        if (got == -EAGAIN)
            return flow_wait_source(&e->flow, &e->stream.source, READABLE,
                                    WITHIN(FOREVER, REASON_LIFETIME));
        if (got <= 0)
            return flow_leave(&e->flow, got ? REASON_CLIENT_RESET : REASON_DONE);
        error = answer_batch(e, scratch, (size_t)got);
    }
    flow_wake(&e->flow);
    return flow_wait_notice(&e->flow, WITHIN(FOREVER, REASON_LIFETIME));
}

static enum next part(struct echo *e)
{
    if (!e->has_ended)
        stream_end(&e->stream);
    e->has_ended = true;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        ssize_t got = stream_read(&e->stream, worker_of(&e->flow)->scratch, WORKER_SCRATCH_BYTES);
        if (got == -EAGAIN)
            return flow_wait_source(&e->flow, &e->stream.source, READABLE,
                                    WITHIN(PART_USEC, REASON_DONE));
        if (got <= 0)
            return flow_leave(&e->flow, REASON_DONE);
    }
    flow_wake(&e->flow);
    return flow_wait_notice(&e->flow, WITHIN(PART_USEC, REASON_DONE));
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
    int error = listener_open(&server->listener[server->count], &server->worker.runner.loop, fd,
                              endpoint.is_unix, &server->sink);
    server->count += !error;
    return error;
}

static void serve(struct echo_server *server)
{
    while (!server->worker.is_stopping && worker_turn(&server->worker) == 0)
        ;
}

static void close_all(struct echo_server *server)
{
    for (size_t i = 0; i < server->count; i++)
        listener_close(&server->listener[i]);
    runner_stop_all(&server->worker.runner, REASON_STOPPING);
}

/* Twenty thousand connections are twenty thousand descriptors. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_and_serve(struct echo_server *server, const char *const *listens, size_t count)
{
    int error = listen_to_signals(server);

    if (error)
        fprintf(stderr, "turnout echo: %s\n", strerror(-error));
    for (size_t i = 0; !error && i < count; i++)
        error = open_listener(server, listens[i]);
    if (!error)
        serve(server);
    close_all(server);
    return error;
}

static void drop_line(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

int echo_run(const char *const *listens, size_t count, const char *name)
{
    struct log quiet = {.write = drop_line, .level = LEVEL_ERROR};
    struct echo_server server = {
        .sink = {on_accept, on_shortage},
        .listener = calloc(count, sizeof *server.listener),
        .name = name ? name : listens[0],
        .signals = {.fd = -1},
    };

    if (strlen(server.name) > NAME_MAX_LEN) {
        fprintf(stderr, "turnout echo: the name has more than %d characters\n", NAME_MAX_LEN);
        free(server.listener);
        return 2;
    }
    int error = server.listener ? worker_init(&server.worker, 0, &quiet) : -ENOMEM;
    if (error) {
        fprintf(stderr, "turnout echo: %s\n", strerror(-error));
        free(server.listener);
        return 1;
    }
    raise_limit();
    crypto_self_test();
    signal(SIGPIPE, SIG_IGN);
    error = open_and_serve(&server, listens, count);
    if (server.signals.fd >= 0)
        sys_close(server.signals.fd);
    worker_done(&server.worker);
    free(server.listener);
    return error ? 1 : 0;
}

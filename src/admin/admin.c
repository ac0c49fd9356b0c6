/* One flow per client: read a request, ask the threads it concerns, answer, read the next; or, for
 * the live events, stream until the client leaves. Everything a client controls is bounded: its
 * head, its number, its patience. */
#include "admin/admin.h"

#include "admin/inquiry.h"
#include "admin/query.h"
#include "admin/view.h"
#include "codec/http1_write.h"
#include "http/read_head.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ADMIN_NUMBER   254 /* of its worker */
#define CLIENTS_MAX    100
#define HEAD_MAX_BYTES 16384u
#define IN_MAX_BYTES   32768u
#define OUT_MAX_BYTES  (64u << 20)
#define EVENTS_MAX_BYTES                                                                           \
    262144u /* of events that wait for a slow client; more are lost, and counted */
#define REST_USEC   60000000u
#define ANSWER_USEC 2000000u
#define WRITE_USEC  30000000u
#define EVENTS_USEC 50000u
#define PAGE_MAX    500
#define WORKERS_MAX 64

#define ADMIN_CLIENT_STEPS(STEP)                                                                   \
    STEP(hear)   /* until a request head is whole */                                               \
    STEP(decide) /* what it asks for, and whom to ask */                                           \
    STEP(gather) /* until all threads have answered */                                             \
    STEP(answer) /* until it is written */                                                         \
    STEP(stream) /* live events, until the client leaves */

struct admin {
    struct worker worker; /* first */
    struct admin_means means;
    struct listener listener;
    struct listener_sink sink;
    unsigned clients;
};

struct admin_client {
    struct flow flow;
    struct admin *admin;
    struct stream stream;
    struct buf in, out;
    struct read_head read;
    struct http1_head head;
    struct inquiry *inquiry;
    json_t *(*gathered)(struct admin_client *client, unsigned *ret_status);
    bool keeps;
    bool streams;
    uint64_t follows;           /* a connection's number; 0: all */
    uint64_t seen[WORKERS_MAX]; /* of each worker's ring */
    struct timer tick;
};

FLOW(admin_client, ADMIN_CLIENT_STEPS)

/* --- answers
 * --------------------------------------------------------------------------------------- */

static int put_text(struct buf *to, const char *text)
{
    return buf_append(to, bytes_of(text));
}

static enum next answer_text(struct admin_client *c, unsigned status, const char *type,
                             const char *body)
{
    char head[256];

    snprintf(head, sizeof head,
             "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
             "no-store\r\n%s\r\n",
             status, http1_status_words(status), type, strlen(body),
             c->keeps ? "" : "Connection: close\r\n");
    if (put_text(&c->out, head) || put_text(&c->out, body))
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    return flow_goto(&c->flow, STEP_answer);
}

static enum next answer_json(struct admin_client *c, unsigned status, json_t *take_json)
{
    char *body = json_dumps(take_json, JSON_COMPACT);
    enum next next = body ? answer_text(c, status, "application/json", body)
                          : flow_leave(&c->flow, REASON_NO_MEMORY);

    free(body);
    json_decref(take_json);
    return next;
}

static enum next refuse(struct admin_client *c, unsigned status, const char *error,
                        const char *what_to_do)
{
    return answer_json(c, status,
                       json_pack("{s:s, s:s}", "error", error, "what_to_do", what_to_do));
}

/* --- asking
 * ---------------------------------------------------------------------------------------- */

static enum next ask(struct admin_client *c, struct inquiry *take_inquiry,
                     json_t *(*gathered)(struct admin_client *, unsigned *))
{
    c->inquiry = take_inquiry;
    c->gathered = gathered;
    inquiry_send(take_inquiry);
    return flow_goto(&c->flow, STEP_gather);
}

/* The asked thread is main: what only the program knows. */
static enum next ask_house(struct admin_client *c, void (*run)(struct errand *),
                           json_t *(*gathered)(struct admin_client *, unsigned *))
{
    struct inquiry *inquiry = inquiry_new(&c->flow, 1);

    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run;
    inquiry_ask(inquiry, 0, &c->admin->means.main->mailbox, c->admin->means.house);
    return ask(c, inquiry, gathered);
}

static struct inquiry *inquiry_of_workers(struct admin_client *c, unsigned from, unsigned count)
{
    struct inquiry *inquiry = inquiry_new(&c->flow, count);

    for (unsigned i = 0; inquiry && i < count; i++) {
        struct proxy *proxy = c->admin->means.proxies[from + i];
        inquiry_ask(inquiry, i, &proxy->worker.mailbox, proxy);
    }
    return inquiry;
}

static json_t *take_first(struct admin_client *c)
{
    return TAKE(c->inquiry->errand[0].answer);
}

/* --- status, servers, routes: on main
 * --------------------------------------------------------------- */

static void run_status(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_status status;

    house->status(house, &status);
    errand->answer = view_status(&status);
    snapshot_unref(status.snapshot);
}

static void run_servers(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_status status;

    house->status(house, &status);
    errand->answer = json_pack("{s:o}", "servers", view_servers(status.snapshot));
    snapshot_unref(status.snapshot);
}

static void run_routes(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_status status;

    house->status(house, &status);
    errand->answer = json_pack("{s:o}", "routes", view_routes(status.snapshot));
    snapshot_unref(status.snapshot);
}

static void run_ready(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_status status;

    house->status(house, &status);
    errand->answer = json_pack("{s:b}", "ready", !status.is_draining);
    snapshot_unref(status.snapshot);
}

static void run_reload(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_reload_result result;

    house->reload(house, &result);
    errand->answer = view_reload(&result);
}

static json_t *gathered_one(struct admin_client *c, unsigned *ret_status)
{
    *ret_status = 200;
    return take_first(c);
}

static void add_numbers(json_t *sum, json_t *more)
{
    const char *key;
    json_t *value;

    json_object_foreach(more, key, value) json_object_set_new(
        sum, key,
        json_integer(json_integer_value(json_object_get(sum, key)) + json_integer_value(value)));
}

/* The workers' counters are relaxed atomics: any thread may read them. */
static json_t *gathered_status(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = take_first(c), *counters = json_array(), *total = json_object();

    *ret_status = 200;
    for (unsigned i = 0; i < c->admin->means.count; i++) {
        json_t *one = view_counters(c->admin->means.proxies[i]);
        add_numbers(total, one);
        json_array_append_new(counters, one);
    }
    json_object_set_new(json, "counters", total);
    json_object_set_new(json, "counters_by_worker", counters);
    return json;
}

static json_t *gathered_ready(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = take_first(c);

    *ret_status = json_is_true(json_object_get(json, "ready")) ? 200 : 503;
    return json;
}

static json_t *gathered_reload(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = take_first(c);
    const char *result = json_string_value(json_object_get(json, "result"));

    *ret_status = result && strcmp(result, "ok") == 0 ? 200 : 422;
    return json;
}

/* --- connections: on their workers
 * ------------------------------------------------------------------ */

static bool differs(const char *wanted, const char *is)
{
    return wanted[0] && (!is || strcmp(wanted, is) != 0);
}

static bool matches(const struct inquiry *inquiry, const struct connection *c)
{
    char client[ADDRESS_TEXT_BYTES];

    if (c->flow.number <= inquiry->after)
        return false;
    if (differs(inquiry->pool, c->route ? pool_name(c->route->pool) : NULL) ||
        differs(inquiry->route, c->route ? c->route->name : NULL) ||
        differs(inquiry->server, c->chosen ? c->chosen->name : NULL))
        return false;
    address_write(&c->peer, client);
    return !inquiry->client[0] || strncmp(client, inquiry->client, strlen(inquiry->client)) == 0;
}

static void run_connections(struct errand *errand)
{
    const struct proxy *proxy = errand->target;
    const struct inquiry *inquiry = errand->inquiry;

    errand->answer = json_array();
    list_each(node, &proxy->connections) {
        const struct connection *c = container_of(node, struct connection, node);
        if (json_array_size(errand->answer) > inquiry->limit) /* one more says that there is more */
            return;
        if (matches(inquiry, c))
            json_array_append_new(errand->answer, view_connection(c, false));
    }
}

static void run_connection(struct errand *errand)
{
    const struct proxy *proxy = errand->target;

    list_each(node, &proxy->connections) {
        const struct connection *c = container_of(node, struct connection, node);
        if (c->flow.number == errand->inquiry->number)
            errand->answer = view_connection(c, true);
    }
    if (!errand->answer)
        errand->answer = json_null();
}

static json_int_t number_of(const json_t *connection)
{
    return json_integer_value(json_object_get(connection, "connection"));
}

/* The worker whose next connection is the oldest of all. */
static json_t *take_oldest(struct inquiry *inquiry)
{
    json_t *best_list = NULL;

    for (unsigned i = 0; i < inquiry->count; i++) {
        json_t *list = inquiry->errand[i].answer;
        if (json_array_size(list) == 0)
            continue;
        if (!best_list ||
            number_of(json_array_get(list, 0)) < number_of(json_array_get(best_list, 0)))
            best_list = list;
    }
    if (!best_list)
        return NULL;
    json_t *first = json_incref(json_array_get(best_list, 0));
    json_array_remove(best_list, 0);
    return first;
}

static json_t *gathered_connections(struct admin_client *c, unsigned *ret_status)
{
    json_t *page = json_array(), *one;
    json_int_t last = 0;

    *ret_status = 200;
    while (json_array_size(page) < c->inquiry->limit && (one = take_oldest(c->inquiry))) {
        last = number_of(one);
        json_array_append_new(page, one);
    }
    one = take_oldest(c->inquiry);
    json_t *json = json_pack("{s:o, s:o}", "connections", page, "next",
                             one ? json_integer(last) : json_null());
    json_decref(one);
    return json;
}

static json_t *gathered_connection(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = take_first(c);

    *ret_status = 200;
    if (!json_is_null(json))
        return json;
    *ret_status = 404;
    json_decref(json);
    return json_pack("{s:s, s:s}", "error", "there is no connection of that number", "what_to_do",
                     "it may have ended: the log has its `close` line; GET /api/v1/connections "
                     "lists those that live");
}

static void copy_filter(char *to, size_t size, const struct query *query, const char *name)
{
    const char *value = query_find(query, name);

    snprintf(to, size, "%s", value ? value : "");
}

static enum next ask_connections(struct admin_client *c, const struct query *query)
{
    uint64_t limit, after;

    if (!query_number(query, "limit", 100, PAGE_MAX, &limit) || limit == 0 ||
        !query_number(query, "after", 0, UINT64_MAX, &after))
        return refuse(c, 400, "limit or after is no number in its bounds",
                      "write limit=1 to 500, after=NUMBER");
    struct inquiry *inquiry = inquiry_of_workers(c, 0, c->admin->means.count);
    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run_connections;
    inquiry->limit = limit;
    inquiry->after = after;
    copy_filter(inquiry->pool, sizeof inquiry->pool, query, "pool");
    copy_filter(inquiry->server, sizeof inquiry->server, query, "server");
    copy_filter(inquiry->route, sizeof inquiry->route, query, "route");
    copy_filter(inquiry->client, sizeof inquiry->client, query, "client");
    return ask(c, inquiry, gathered_connections);
}

static bool parse_number(struct bytes text, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || i > 18)
            return false;
        number = number * 10 + (uint64_t)(text.at[i] - '0');
    }
    *ret_number = number;
    return text.len > 0;
}

static enum next ask_connection(struct admin_client *c, struct bytes number_text)
{
    uint64_t number;

    if (!parse_number(number_text, &number))
        return refuse(c, 400, "a connection is named by its number",
                      "GET /api/v1/connections/4711");
    unsigned worker = runner_of_number(number);
    struct inquiry *inquiry = inquiry_of_workers(c, worker < c->admin->means.count ? worker : 0, 1);
    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run_connection;
    inquiry->number = number;
    return ask(c, inquiry, gathered_connection);
}

/* --- events
 * ---------------------------------------------------------------------------------------- */

static const char *step_name(const struct flow_kind *kind, unsigned step)
{
    return step == EVENT_NO_STEP ? NULL : kind->steps[step].name;
}

static int put_event(struct admin_client *c, const struct runner *runner, const struct event *event)
{
    const struct flow_kind *kind = runner_kind(runner, event->kind);
    const char *from = kind ? step_name(kind, event->from_step) : NULL,
               *to = kind ? step_name(kind, event->to_step) : NULL;
    uint64_t wall = sys_wall_usec() - (c->flow.runner->loop.now_usec - event->usec);
    char time[LOG_TIME_BYTES], line[320], chunk[352];

    if (!kind || (c->follows && c->follows != event->flow_number))
        return 0;
    log_time_write(wall, time);
    int len = snprintf(line, sizeof line,
                       "{\"time\":\"%s\",\"connection\":%llu,\"flow\":\"%s\",\"from\":%s%s%s,"
                       "\"to\":%s%s%s%s%s%s}\n",
                       time, (unsigned long long)event->flow_number, kind->name, from ? "\"" : "",
                       from ? from : "null", from ? "\"" : "", to ? "\"" : "", to ? to : "null",
                       to ? "\"" : "", to ? "" : ",\"reason\":\"",
                       to ? "" : reason_row(event->reason)->name, to ? "" : "\"");
    snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)len, line);
    return put_text(&c->out, chunk);
}

static int put_lost(struct admin_client *c, uint64_t lost)
{
    char line[64], chunk[96];
    int len = snprintf(line, sizeof line, "{\"lost\":%llu}\n", (unsigned long long)lost);

    snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)len, line);
    return put_text(&c->out, chunk);
}

/* What a worker's ring holds since the last time; what was overwritten meanwhile is said as a
 * number. */
static int put_events(struct admin_client *c, unsigned i)
{
    const struct runner *runner = &c->admin->means.proxies[i]->worker.runner;
    uint64_t written = ring_written(&runner->ring), lost = 0;
    struct event event;
    int error = 0;

    for (; !error && c->seen[i] < written; c->seen[i]++) {
        if (buf_bytes(&c->out).len > EVENTS_MAX_BYTES ||
            !ring_read(&runner->ring, c->seen[i], &event))
            lost++;
        else
            error = put_event(c, runner, &event);
    }
    return !error && lost ? put_lost(c, lost) : error;
}

static void on_tick(struct timer *timer)
{
    flow_wake(&container_of(timer, struct admin_client, tick)->flow);
}

static enum next begin_stream(struct admin_client *c, const struct query *query)
{
    if (!query_number(query, "connection", 0, UINT64_MAX, &c->follows))
        return refuse(c, 400, "connection is no number", "GET /api/v1/events?connection=4711");
    for (unsigned i = 0; i < c->admin->means.count; i++)
        c->seen[i] = ring_written(&c->admin->means.proxies[i]->worker.runner.ring);
    c->streams = true;
    if (put_text(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: "
                          "application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
                          "Cache-Control: no-store\r\nConnection: close\r\n\r\n"))
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    return flow_goto(&c->flow, STEP_answer);
}

/* --- which request
 * --------------------------------------------------------------------------------- */

/* Against rebinding: a page's own name never means us. Names are those that only this machine gives
 * out. */
static bool host_is_ours(const struct admin_client *c)
{
    struct bytes name;
    uint16_t port;

    if (c->admin->means.endpoint.is_unix)
        return true;
    if (http1_request_host(&c->head, &name, &port) != REASON_DONE || !name.len)
        return false;
    bool is_numeric =
        name.at[0] == '[' || (name.at[name.len - 1] >= '0' && name.at[name.len - 1] <= '9');
    return is_numeric || bytes_equal_nocase(name, bytes_of("localhost"));
}

static bool begins_with(struct bytes path, const char *prefix, struct bytes *ret_rest)
{
    struct bytes wanted = bytes_of(prefix);

    *ret_rest = bytes_from(path, wanted.len);
    return bytes_equal(bytes_slice(path, 0, wanted.len), wanted);
}

static enum next answer_get(struct admin_client *c, const struct query *query)
{
    static const struct {
        const char *path;
        void (*run)(struct errand *);
        json_t *(*gathered)(struct admin_client *, unsigned *);
    } of_house[] = {
        {"/api/v1/status", run_status, gathered_status},
        {"/api/v1/servers", run_servers, gathered_one},
        {"/api/v1/routes", run_routes, gathered_one},
        {"/ready", run_ready, gathered_ready},
    };
    struct bytes rest;

    for (size_t i = 0; i < ARRAY_LEN(of_house); i++)
        if (bytes_equal(query->path, bytes_of(of_house[i].path)))
            return ask_house(c, of_house[i].run, of_house[i].gathered);
    if (bytes_equal(query->path, bytes_of("/healthz")))
        return answer_text(c, 200, "text/plain", "ok\n");
    if (bytes_equal(query->path, bytes_of("/api/v1/connections")))
        return ask_connections(c, query);
    if (begins_with(query->path, "/api/v1/connections/", &rest))
        return ask_connection(c, rest);
    if (bytes_equal(query->path, bytes_of("/api/v1/flows")))
        return answer_json(c, 200,
                           json_pack("{s:o}", "flows",
                                     view_flows(c->admin->means.proxies, c->admin->means.count)));
    if (bytes_equal(query->path, bytes_of("/api/v1/events")))
        return begin_stream(c, query);
    if (bytes_equal(query->path, bytes_of("/api/v1/reload")))
        return refuse(c, 405, "reload changes something", "POST /api/v1/reload");
    return refuse(c, 404, "there is nothing here",
                  "try /api/v1/status, /connections, /connections/N, /servers, /routes, /flows, "
                  "/events, /healthz or /ready");
}

static enum next decide(struct admin_client *c)
{
    const struct http1_head *head = &c->head;
    struct query query;
    struct http1_body body;

    c->keeps = http1_keeps(head);
    if (http1_request_body(head, &body) != REASON_DONE || body.kind != BODY_NONE) {
        c->keeps = false;
        return refuse(c, 413, "no request here has a body", "leave it out");
    }
    if (!host_is_ours(c))
        return refuse(c, 403, "this Host is not ours", "ask by address or as localhost");
    if (!query_parse(head->target, &query))
        return refuse(c, 400, "the query cannot be read",
                      "write name=value, %-escaped, at most 8 of them");
    if (bytes_equal(head->method, bytes_of("GET")))
        return answer_get(c, &query);
    if (!bytes_equal(head->method, bytes_of("POST")))
        return refuse(c, 405, "only GET and POST are known here", "see docs/admin.md");
    if (http1_find(head, "origin").at)
        return refuse(c, 403, "a page of another origin may not change anything here",
                      "ask without Origin");
    if (bytes_equal(query.path, bytes_of("/api/v1/reload")))
        return ask_house(c, run_reload, gathered_reload);
    return refuse(c, 404, "there is nothing to POST to here", "POST /api/v1/reload");
}

/* --- the client's flow
 * ------------------------------------------------------------------------------ */

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
    return refuse(c, reason_row(reason)->http_status, reason_row(reason)->words, "ask in HTTP/1.1");
}

static enum next gather(struct admin_client *c)
{
    unsigned status = 500;

    if (!inquiry_is_over(c->inquiry))
        return flow_wait_notice(&c->flow, WITHIN(ANSWER_USEC, REASON_ANSWER_TOO_SLOW));
    json_t *json = c->gathered(c, &status);
    inquiry_leave(TAKE(c->inquiry));
    return json ? answer_json(c, status, json) : flow_leave(&c->flow, REASON_NO_MEMORY);
}

static enum next answer(struct admin_client *c)
{
    int error = stream_write_from(&c->stream, &c->out);

    if (error == -EAGAIN)
        return flow_wait_source(&c->flow, &c->stream.source, WRITABLE,
                                WITHIN(WRITE_USEC, REASON_CLIENT_LEFT));
    if (error)
        return flow_leave(&c->flow, REASON_CLIENT_LEFT);
    if (c->streams)
        return NEXT;
    if (!c->keeps) {
        stream_end(&c->stream);
        return flow_leave(&c->flow, REASON_DONE);
    }
    buf_consume(&c->in, c->read.used);
    c->read = (struct read_head){0};
    return flow_goto(&c->flow, STEP_hear);
}

static enum next stream(struct admin_client *c)
{
    struct loop *loop = &c->flow.runner->loop;
    int error = 0;

    for (unsigned i = 0; !error && i < c->admin->means.count; i++)
        error = put_events(c, i);
    if (!error)
        error = stream_write_from(&c->stream, &c->out);
    if (error && error != -EAGAIN)
        return flow_leave(&c->flow, REASON_CLIENT_LEFT);
    loop_arm(loop, &c->tick, loop->now_usec + EVENTS_USEC);
    return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_CLIENT_LEFT));
}

static void admin_client_leave(struct admin_client *c)
{
    timer_cancel(&c->tick);
    inquiry_leave(TAKE(c->inquiry));
    stream_close(&c->stream);
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
        stream_refuse(take_fd);
        return;
    }
    admin->clients++;
    c->admin = admin;
    buf_init(&c->in, IN_MAX_BYTES);
    buf_init(&c->out, OUT_MAX_BYTES);
    timer_init(&c->tick, on_tick);
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

/* --- the thread
 * ------------------------------------------------------------------------------------- */

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

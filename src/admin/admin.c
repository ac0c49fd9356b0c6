/* One flow per client: read a request, ask the threads it concerns, answer, read the next; or, for
 * the live events, stream until the client leaves. Everything a client controls is bounded: its
 * head, its number, its patience. */
#include "admin/admin.h"

#include "admin/events.h"
#include "admin/filter.h"
#include "admin/guard.h"
#include "admin/inquiry.h"
#include "admin/view.h"
#include "codec/http1_write.h"
#include "http/read_head.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ADMIN_NUMBER    254 /* of its worker */
#define CLIENTS_MAX     100
#define HEAD_MAX_BYTES  16384u
#define BODY_MAX_BYTES  65536u
#define IN_MAX_BYTES    32768u
#define OUT_MAX_BYTES   (64u << 20)
#define REST_USEC       60000000u
#define ANSWER_USEC     2000000u  /* what a thread may take */
#define RELOAD_USEC     30000000u /* and main, for a reload: certificates and names are read */
#define BODY_USEC       10000000u
#define WRITE_USEC      30000000u
#define LINGER_USEC     1000000u
#define LINGER_BYTES    262144u
#define EVENTS_USEC     50000u
#define KEEPALIVE_SEC   30
#define USER_TIMEOUT_MS 60000

#define ADMIN_CLIENT_STEPS(STEP)                                                                   \
    STEP(hear)   /* until a request head is whole */                                               \
    STEP(decide) /* what it asks for, and whom to ask */                                           \
    STEP(gather) /* until all threads have answered, or have had their time */                     \
    STEP(answer) /* until it is written */                                                         \
    STEP(pass)   /* until the request's body is behind us; no one reads it */                      \
    STEP(linger) /* until the client has read the last answer, or for a second */                  \
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
    struct http1_body body;
    uint32_t body_bytes; /* that were passed over */
    struct inquiry *inquiry;
    json_t *(*gathered)(struct admin_client *client, unsigned *ret_status);
    uint64_t patience_usec; /* with the inquiry */
    const char *allow;      /* the methods of what was asked for */
    bool keeps;
    bool streams;
    struct events events;
    uint64_t written_usec; /* when the stream's client last took something, or had all */
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
    char head[320];

    snprintf(
        head, sizeof head,
        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n%s%s%s%s\r\n",
        status, http1_status_words(status), type, strlen(body), c->allow ? "Allow: " : "",
        c->allow ? c->allow : "", c->allow ? "\r\n" : "", c->keeps ? "" : "Connection: close\r\n");
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

static json_t *error_json(const char *error, const char *what_to_do)
{
    return json_pack("{s:s, s:s}", "error", error, "what_to_do", what_to_do);
}

static enum next refuse(struct admin_client *c, unsigned status, const char *error,
                        const char *what_to_do)
{
    return answer_json(c, status, error_json(error, what_to_do));
}

/* --- asking
 * ---------------------------------------------------------------------------------------- */

static enum next ask(struct admin_client *c, struct inquiry *take_inquiry,
                     json_t *(*gathered)(struct admin_client *, unsigned *))
{
    c->inquiry = take_inquiry;
    c->gathered = gathered;
    c->patience_usec = ANSWER_USEC;
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

/* Of the only thread that was asked. *ret_status is 200, or 503 when it has not answered in time:
 * it is busy, or it hangs; this thread goes on. NULL: no memory. */
static json_t *take_only(struct admin_client *c, unsigned *ret_status)
{
    struct errand *errand = &c->inquiry->errand[0];

    *ret_status = errand->is_back ? 200 : 503;
    return errand->is_back ? TAKE(errand->answer)
                           : error_json("the thread that knows has not answered in time",
                                        "ask again; a reload may be under way");
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
    return take_only(c, ret_status);
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
    json_t *json = take_only(c, ret_status), *counters = json_array(), *total = json_object();

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
    json_t *json = take_only(c, ret_status);

    if (*ret_status == 200 && !json_is_true(json_object_get(json, "ready")))
        *ret_status = 503;
    return json;
}

static json_t *gathered_reload(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = take_only(c, ret_status);
    const char *result = json_string_value(json_object_get(json, "result"));

    if (*ret_status == 200 && (!result || strcmp(result, "ok") != 0))
        *ret_status = 422;
    return json;
}

/* --- connections: on their workers
 * ------------------------------------------------------------------ */

static void run_connections(struct errand *errand)
{
    const struct proxy *proxy = errand->target;
    const struct filter *filter = &errand->inquiry->filter;

    errand->answer = json_array();
    list_each(node, &proxy->connections) {
        const struct connection *c = container_of(node, struct connection, node);
        if (json_array_size(errand->answer) > filter->limit) /* one more says that there is more */
            return;
        if (filter_matches(filter, c))
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
        json_t *list = inquiry->errand[i].is_back ? inquiry->errand[i].answer : NULL;
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

static json_t *late_workers(const struct inquiry *inquiry)
{
    json_t *late = json_array();

    for (unsigned i = 0; i < inquiry->count; i++)
        if (!inquiry->errand[i].is_back)
            json_array_append_new(late, json_integer(i));
    return late;
}

static json_t *gathered_connections(struct admin_client *c, unsigned *ret_status)
{
    json_t *page = json_array(), *one;
    json_int_t last = 0;

    *ret_status = 200;
    while (json_array_size(page) < c->inquiry->filter.limit && (one = take_oldest(c->inquiry))) {
        last = number_of(one);
        json_array_append_new(page, one);
    }
    one = take_oldest(c->inquiry);
    json_t *json =
        json_pack("{s:o, s:o, s:o}", "connections", page, "next",
                  one ? json_integer(last) : json_null(), "late", late_workers(c->inquiry));
    json_decref(one);
    return json;
}

static json_t *gathered_connection(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = take_only(c, ret_status);

    if (!json_is_null(json))
        return json;
    *ret_status = 404;
    json_decref(json);
    return error_json("there is no connection of that number",
                      "it may have ended: the log has its `close` line; GET /api/v1/connections "
                      "lists those that live");
}

static enum next ask_connections(struct admin_client *c, const struct query *query)
{
    struct filter filter;
    const char *what_to_do;

    if (!filter_parse(query, &filter, &what_to_do))
        return refuse(c, 400, "the filter cannot be read", what_to_do);
    struct inquiry *inquiry = inquiry_of_workers(c, 0, c->admin->means.count);
    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run_connections;
    inquiry->filter = filter;
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

static enum next begin_stream(struct admin_client *c, const struct query *query)
{
    if (!query_number(query, "connection", 0, UINT64_MAX, &c->events.connection))
        return refuse(c, 400, "connection is no number", "GET /api/v1/events?connection=4711");
    for (unsigned i = 0; i < c->admin->means.count; i++)
        events_begin(&c->events, i, &c->admin->means.proxies[i]->worker.runner);
    c->events.wall_offset_usec = sys_wall_usec() - now_of(&c->flow);
    c->written_usec = now_of(&c->flow);
    c->streams = true;
    if (put_text(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: "
                          "application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
                          "Cache-Control: no-store\r\nX-Content-Type-Options: "
                          "nosniff\r\nConnection: close\r\n\r\n"))
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    return flow_goto(&c->flow, STEP_answer);
}

/* --- which request
 * --------------------------------------------------------------------------------- */

static enum next say_health(struct admin_client *c)
{
    return answer_text(c, 200, "text/plain", "ok\n");
}

static enum next say_flows(struct admin_client *c)
{
    const struct admin_means *means = &c->admin->means;

    return answer_json(c, 200,
                       json_pack("{s:o}", "flows", view_flows(means->proxies, means->count)));
}

static enum next ask_status(struct admin_client *c)
{
    return ask_house(c, run_status, gathered_status);
}

static enum next ask_servers(struct admin_client *c)
{
    return ask_house(c, run_servers, gathered_one);
}

static enum next ask_routes(struct admin_client *c)
{
    return ask_house(c, run_routes, gathered_one);
}

static enum next ask_ready(struct admin_client *c)
{
    return ask_house(c, run_ready, gathered_ready);
}

static enum next ask_reload(struct admin_client *c)
{
    enum next next = ask_house(c, run_reload, gathered_reload);

    c->patience_usec = RELOAD_USEC;
    return next;
}

#define CONNECTIONS "/api/v1/connections"

/* What can be asked without more than its name. */
static const struct plain_door {
    const char *path, *method;
    enum next (*open)(struct admin_client *);
} plain_doors[] = {
    {"/api/v1/status", "GET", ask_status},  {"/api/v1/servers", "GET", ask_servers},
    {"/api/v1/routes", "GET", ask_routes},  {"/api/v1/flows", "GET", say_flows},
    {"/api/v1/reload", "POST", ask_reload}, {"/healthz", "GET", say_health},
    {"/ready", "GET", ask_ready},
};

static enum next refuse_method(struct admin_client *c, const char *allowed)
{
    c->allow = allowed; /* RFC 9110 section 15.5.6 */
    return refuse(c, 405, "that method is not for this path",
                  allowed[0] == 'P' ? "POST it" : "GET it");
}

/* Against cross-site requests: a browser names the page that asks, in everything that could change
 * something. */
static bool is_of_foreign_page(const struct admin_client *c)
{
    struct bytes origin = http1_find(&c->head, "origin");

    return origin.at && !guard_is_same_host(origin, http1_find(&c->head, "host"));
}

static enum next open_plain(struct admin_client *c, const struct plain_door *door)
{
    if (!bytes_equal(c->head.method, bytes_of(door->method)))
        return refuse_method(c, door->method);
    if (door->method[0] == 'P' && is_of_foreign_page(c))
        return refuse(c, 403, "a page of another origin may not change anything here",
                      "ask without Origin");
    return door->open(c);
}

static enum next open_door(struct admin_client *c, const struct query *query)
{
    const struct bytes list = bytes_of(CONNECTIONS), one = bytes_of(CONNECTIONS "/"),
                       events = bytes_of("/api/v1/events");
    bool is_list = bytes_equal(query->path, list), is_events = bytes_equal(query->path, events);

    for (size_t i = 0; i < ARRAY_LEN(plain_doors); i++)
        if (bytes_equal(query->path, bytes_of(plain_doors[i].path)))
            return open_plain(c, &plain_doors[i]);
    if (!is_list && !is_events && !bytes_equal(bytes_slice(query->path, 0, one.len), one))
        return refuse(c, 404, "there is nothing here",
                      "try /api/v1/status, /connections, /connections/N, /servers, /routes, "
                      "/flows, /events, /reload, /healthz "
                      "or /ready");
    if (!bytes_equal(c->head.method, bytes_of("GET")))
        return refuse_method(c, "GET");
    if (is_list)
        return ask_connections(c, query);
    return is_events ? begin_stream(c, query) : ask_connection(c, bytes_from(query->path, one.len));
}

/* Against rebinding: a page's own name never means us. Who sends no Host (HTTP/1.0) is no browser;
 * whom a Unix socket lets in is none either. */
static bool host_is_ours(const struct admin_client *c, struct bytes name)
{
    return c->admin->means.endpoint.is_unix || !name.len || guard_is_local_name(name);
}

static enum next decide(struct admin_client *c)
{
    struct query query;
    struct bytes host;
    uint16_t port;

    c->keeps = http1_keeps(&c->head);
    c->allow = NULL;
    c->body_bytes = 0;
    if (http1_request_host(&c->head, &host, &port) != REASON_DONE ||
        http1_request_body(&c->head, &c->body) != REASON_DONE) {
        c->keeps = false;
        return refuse(c, 400, "the request's Host or its body's length can be read two ways",
                      "ask in plain HTTP/1.1");
    }
    if (c->body.kind == BODY_LENGTH && c->body.left > BODY_MAX_BYTES) {
        c->keeps = false;
        return refuse(c, 413, "no request here needs a body", "leave it out");
    }
    if (!host_is_ours(c, host))
        return refuse(c, 403, "this Host is not ours", "ask by address or as localhost");
    if (!query_parse(c->head.target, &query))
        return refuse(c, 400, "the query cannot be read",
                      "write name=value, %-escaped, at most 8 of them");
    return open_door(c, &query);
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
    c->keeps = false; /* what follows cannot be told from what was not understood */
    return refuse(c, reason_row(reason)->http_status, reason_row(reason)->words, "ask in HTTP/1.1");
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
        return flow_goto(&c->flow, STEP_stream);
    if (!c->keeps)
        return flow_goto(&c->flow, STEP_linger);
    buf_consume(&c->in, c->read.used);
    c->read = (struct read_head){0};
    return NEXT;
}

/* > 0: some more of the body is behind us; 0: all; -EAGAIN; else it cannot go on. */
static ssize_t pass_some(struct admin_client *c)
{
    uint8_t *scratch = worker_of(&c->flow)->scratch;

    if (c->body.kind == BODY_NONE || http1_body_has_ended(&c->body))
        return 0;
    if (c->body_bytes > BODY_MAX_BYTES)
        return -EMSGSIZE;
    if (buf_is_empty(&c->in)) {
        ssize_t got = stream_read(&c->stream, scratch, IN_MAX_BYTES / 2);
        if (got <= 0)
            return got ? got : -EPIPE;
        if (buf_append(&c->in, (struct bytes){scratch, (size_t)got}))
            return -ENOMEM;
    }
    ssize_t used = http1_body_feed(&c->body, buf_bytes(&c->in));
    if (used <= 0)
        return -EBADMSG;
    buf_consume(&c->in, (size_t)used);
    c->body_bytes += (uint32_t)used;
    return used;
}

static enum next pass(struct admin_client *c)
{
    ssize_t passed;

    do
        passed = pass_some(c);
    while (passed > 0);
    if (passed == -EAGAIN)
        return flow_wait_source(&c->flow, &c->stream.source, READABLE,
                                WITHIN(BODY_USEC, REASON_BODY_TOO_SLOW));
    return passed ? NEXT : flow_goto(&c->flow, STEP_hear);
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

/* The client's leaving is a FIN like any other, so it has to be read; and one that takes nothing
 * does not stay. */
static enum next stream(struct admin_client *c)
{
    uint64_t now = now_of(&c->flow);
    size_t before;
    int error = 0;

    for (unsigned i = 0; !error && i < c->admin->means.count; i++)
        error = events_put(&c->events, i, &c->admin->means.proxies[i]->worker.runner, &c->out);
    before = buf_bytes(&c->out).len;
    if (!error)
        error = stream_write_from(&c->stream, &c->out);
    if (!error || buf_bytes(&c->out).len < before)
        c->written_usec = now;
    if ((error && error != -EAGAIN) || !drink(c) || now - c->written_usec > WRITE_USEC)
        return flow_leave(&c->flow, REASON_CLIENT_LEFT);
    flow_wake_at(&c->flow, now + EVENTS_USEC);
    return flow_wait_source(&c->flow, &c->stream.source, READABLE,
                            WITHIN(FOREVER, REASON_CLIENT_LEFT));
}

static void admin_client_leave(struct admin_client *c)
{
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
        sys_send(take_fd, bytes_of("HTTP/1.1 503 Service Unavailable\r\nConnection: "
                                   "close\r\nContent-Length: 0\r\n\r\n"));
        stream_refuse(take_fd);
        return;
    }
    admin->clients++;
    c->admin = admin;
    buf_init(&c->in, IN_MAX_BYTES);
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

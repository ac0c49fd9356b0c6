/* Which request it is, whether it may be asked, and of whom. What only the program knows is asked
 * of main. */
#include "admin/admin_priv.h"

#include "admin/guard.h"
#include "admin/view.h"

#define RELOAD_USEC 30000000u /* certificates and names are read */

/* --- asked of main ------------------------------------------------------------------------------
 */

static enum next ask_main(struct admin_client *c, struct inquiry *take_inquiry,
                          void (*run)(struct errand *), gathered_fn *gathered)
{
    if (!take_inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    take_inquiry->run = run;
    inquiry_ask(take_inquiry, 0, &c->admin->means.main->mailbox, c->admin->means.house);
    return admin_ask(c, take_inquiry, gathered);
}

static void run_view(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_status status;

    house->status(house, &status);
    errand->answer = errand->inquiry->view(&status);
    snapshot_unref(status.snapshot);
}

static void run_reload(struct errand *errand)
{
    struct admin_house *house = errand->target;
    struct admin_reload_result result;

    house->reload(house, &result);
    errand->answer = view_reload(&result);
}

static json_t *view_ready(const struct admin_status *status)
{
    return json_pack("{s:b}", "ready", !status->is_draining);
}

static json_t *list_servers(const struct admin_status *status)
{
    return json_pack("{s:o}", "servers", view_servers(status->snapshot));
}

static json_t *list_routes(const struct admin_status *status)
{
    return json_pack("{s:o}", "routes", view_routes(status->snapshot));
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
    json_t *json = admin_take_only(c, ret_status), *counters = json_array(), *total = json_object();

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
    json_t *json = admin_take_only(c, ret_status);

    if (*ret_status == 200 && !json_is_true(json_object_get(json, "ready")))
        *ret_status = 503;
    return json;
}

static json_t *gathered_reload(struct admin_client *c, unsigned *ret_status)
{
    json_t *json = admin_take_only(c, ret_status);
    const char *result = json_string_value(json_object_get(json, "result"));

    if (*ret_status == 200 && (!result || strcmp(result, "ok") != 0))
        *ret_status = 422;
    return json;
}

/* --- doors --------------------------------------------------------------------------------------
 */

#define CONNECTIONS "/api/v1/connections"

/* What can be asked without more than its name. */
struct door {
    const char *path, *method;
    enum next (*open)(struct admin_client *, const struct door *);
    json_t *(*view)(const struct admin_status *); /* ask_view: of what main knows */
    gathered_fn *gathered;
};

static enum next ask_view(struct admin_client *c, const struct door *door)
{
    struct inquiry *inquiry = inquiry_new(&c->flow, 1);

    if (inquiry)
        inquiry->view = door->view;
    return ask_main(c, inquiry, run_view, door->gathered);
}

static enum next ask_reload(struct admin_client *c, const struct door *door)
{
    enum next next = ask_main(c, inquiry_new(&c->flow, 1), run_reload, door->gathered);

    c->patience_usec = RELOAD_USEC;
    return next;
}

static enum next say_health(struct admin_client *c, const struct door *door)
{
    (void)door;
    return admin_answer_text(c, 200, "text/plain", "ok\n");
}

static enum next say_flows(struct admin_client *c, const struct door *door)
{
    const struct admin_means *means = &c->admin->means;

    (void)door;
    return admin_answer_json(c, 200,
                             json_pack("{s:o}", "flows", view_flows(means->proxies, means->count)));
}

static const struct door plain_doors[] = {
    {"/api/v1/status", "GET", ask_view, view_status, gathered_status},
    {"/api/v1/servers", "GET", ask_view, list_servers, admin_take_only},
    {"/api/v1/routes", "GET", ask_view, list_routes, admin_take_only},
    {"/api/v1/flows", "GET", say_flows, NULL, NULL},
    {"/api/v1/reload", "POST", ask_reload, NULL, gathered_reload},
    {"/healthz", "GET", say_health, NULL, NULL},
    {"/ready", "GET", ask_view, view_ready, gathered_ready},
};

static enum next refuse_method(struct admin_client *c, const char *allowed)
{
    c->allow = allowed; /* RFC 9110 section 15.5.6 */
    return admin_refuse(c, 405, "that method is not for this path",
                        allowed[0] == 'P' ? "POST it" : "GET it");
}

/* Against cross-site requests: a browser names the page that asks, in everything that could change
 * something. */
static bool is_of_foreign_page(const struct admin_client *c)
{
    struct bytes origin = http1_find(&c->head, "origin");

    return origin.at && !guard_is_same_host(origin, http1_find(&c->head, "host"));
}

static enum next open_plain(struct admin_client *c, const struct door *door)
{
    if (!bytes_equal(c->head.method, bytes_of(door->method)))
        return refuse_method(c, door->method);
    if (door->method[0] == 'P' && is_of_foreign_page(c))
        return admin_refuse(c, 403, "a page of another origin may not change anything here",
                            "ask without Origin");
    return door->open(c, door);
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
        return admin_refuse(c, 404, "there is nothing here",
                            "try /api/v1/status, /connections, /connections/N, /servers, /routes, "
                            "/flows, /events, /reload, /healthz "
                            "or /ready");
    if (!bytes_equal(c->head.method, bytes_of("GET")))
        return refuse_method(c, "GET");
    if (is_list)
        return connections_ask(c, query);
    return is_events ? live_begin(c, query)
                     : connections_ask_one(c, bytes_from(query->path, one.len));
}

/* Against rebinding: a page's own name never means us. Who sends no Host (HTTP/1.0) is no browser;
 * whom a Unix socket lets in is none either. */
static bool host_is_ours(const struct admin_client *c, struct bytes name)
{
    return c->admin->means.endpoint.is_unix || !name.len || guard_is_local_name(name);
}

enum next doors_open(struct admin_client *c)
{
    struct query query;
    struct bytes host;
    uint16_t port;

    if (http1_request_host(&c->head, &host, &port) != REASON_DONE ||
        http1_request_body(&c->head, &c->body) != REASON_DONE) {
        c->keeps = false;
        return admin_refuse(c, 400, "the request's Host or its body's length can be read two ways",
                            "ask in plain HTTP/1.1");
    }
    if (c->body.kind == BODY_LENGTH && c->body.left > ADMIN_BODY_MAX_BYTES) {
        c->keeps = false;
        return admin_refuse(c, 413, "no request here needs a body", "leave it out");
    }
    if (!host_is_ours(c, host))
        return admin_refuse(c, 403, "this Host is not ours", "ask by address or as localhost");
    if (!query_parse(c->head.target, &query))
        return admin_refuse(c, 400, "the query cannot be read",
                            "write name=value, %-escaped, at most 8 of them");
    return open_door(c, &query);
}

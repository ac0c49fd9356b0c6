/* How the program is, as main knows it, and how it is told to read its configuration again. */
#include "admin/door.h"

#include "admin/admin_priv.h"
#include "admin/view.h"

#define RELOAD_USEC 30000000u /* certificates and names are read */

static void add_numbers(json_t *sum, json_t *more)
{
    const char *key;
    json_t *value;

    json_object_foreach(more, key, value) json_object_set_new(
        sum, key,
        json_integer(json_integer_value(json_object_get(sum, key)) + json_integer_value(value)));
}

/* The workers' counters are relaxed atomics: any thread may read them. */
static void add_counters(json_t *json, const struct admin_house *house)
{
    json_t *counters = json_array(), *total = json_object();

    for (unsigned i = 0; i < house->count; i++) {
        json_t *one = view_counters(house->proxies[i]);
        add_numbers(total, one);
        json_array_append_new(counters, one);
    }
    json_object_set_new(json, "counters", total);
    json_object_set_new(json, "counters_by_worker", counters);
}

static json_t *say_status(struct call *call)
{
    struct admin_status status;

    call->house->status(call->house, &status);
    json_t *json = view_status(&status, *call->house->in_force);
    add_counters(json, call->house);
    view_live_drains(json, call->house);
    return json;
}

static json_t *say_ready(struct call *call)
{
    struct admin_status status;

    call->house->status(call->house, &status);
    call->status = status.is_draining ? 503 : 200;
    return json_pack("{s:b}", "ready", !status.is_draining);
}

static json_t *reload(struct call *call)
{
    struct admin_reload_result result;

    call->house->reload(call->house, &result);
    call->status = result.is_good ? 200 : 422;
    return view_reload(&result);
}

static json_t *list_routes(struct call *call)
{
    return json_pack("{s:o}", "routes", view_routes(*call->house->in_force));
}

static enum next say_health(struct admin_client *c, const struct call *call)
{
    (void)call;
    return admin_answer_text(c, 200, "text/plain", "ok\n");
}

static enum next say_flows(struct admin_client *c, const struct call *call)
{
    const struct admin_means *means = &c->admin->means;

    (void)call;
    return admin_answer_json(c, 200,
                             json_pack("{s:o}", "flows", view_flows(means->proxies, means->count)));
}

const struct door doors_of_status[] = {
    {"GET", "/api/v1/status", .on_main = say_status},
    {"GET", "/api/v1/routes", .on_main = list_routes},
    {"GET", "/api/v1/flows", .open = say_flows},
    {"POST", "/api/v1/reload", .on_main = reload, .patience_usec = RELOAD_USEC},
    {"GET", "/healthz", .open = say_health},
    {"GET", "/ready", .on_main = say_ready},
    {0},
};

/* Drains and rebalances: begun, looked at, undone. All of it on the main thread. */
#include "admin/door.h"

#include "admin/admin.h"
#include "admin/form.h"
#include "admin/named.h"
#include "admin/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OVER_MOST_USEC    86400000000u
#define OVER_DEFAULT_USEC 30000000u
#define CODE_DEFAULT      1012
#define TOLERANCE_DEFAULT 10
#define RATE_MOST         1000000u /* a second */

/* What is to be drained, as a body or a query names it. */
struct what {
    enum drain_kind kind;
    const char *name;                     /* "POOL/ADDRESS", a pool's, a route's; "" of the node */
    struct named named;                   /* of a server or a pool; else zeroed */
    const struct pool_settings *settings; /* for defaults; NULL: none of its own */
};

static const struct snapshot *in_force(const struct call *call)
{
    return *call->house->in_force;
}

/* --- finding ------------------------------------------------------------------------------------
 */

static bool find_route(struct call *call, struct what *what, json_t **ret_answer)
{
    const struct settings *settings = in_force(call)->settings;
    const struct route *route;

    if (!named_route(call, what->name, &route, ret_answer))
        return false;
    if (route->settings->kind == ROUTE_POOLS)
        what->settings = &settings->pools[route->settings->pool_index];
    return true;
}

/* False: *ret_answer says why not (NULL: no memory). */
static bool find(struct call *call, struct what *what, json_t **ret_answer)
{
    bool is_found = true;

    switch (what->kind) {
    case DRAIN_SERVER:
        is_found = named_server(call, what->name, &what->named, ret_answer);
        break;
    case DRAIN_POOL:
        is_found = named_pool(call, what->name, &what->named, ret_answer);
        break;
    case DRAIN_ROUTE:
        return find_route(call, what, ret_answer);
    case DRAIN_NODE:
    case DRAIN_CHOSEN:
        break;
    }
    what->settings = what->named.settings;
    return is_found;
}

/* --- showing ------------------------------------------------------------------------------------
 */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *wall(uint64_t usec)
{
    char time[LOG_TIME_BYTES];

    log_time_write(usec, time);
    return json_string(time);
}

static const char *state_of(const struct drain *drain, const struct drain_progress *at)
{
    if (at->is_undone)
        return "undone";
    if (!at->is_done)
        return "draining";
    return drain_is_live(drain) ? "drained" : "done";
}

json_t *view_drain(const struct drain *drain)
{
    const struct drain_spec *spec = drain_spec_of(drain);
    struct drain_progress at;
    json_t *json = json_object();

    drain_progress(drain, &at);
    json_object_set_new(json, "id", number(drain_id(drain)));
    json_object_set_new(json, "what", json_string(drain_kind_name(spec->kind)));
    json_object_set_new(json, "name", json_string(drain_name(drain)));
    json_object_set_new(json, "state", json_string(state_of(drain, &at)));
    json_object_set_new(json, "reason", json_string(reason_row(spec->reason)->name));
    json_object_set_new(json, "started", wall(drain_started_wall_usec(drain)));
    json_object_set_new(json, "over_usec", number(spec->over_usec));
    json_object_set_new(json, "code", number(spec->code));
    json_object_set_new(json, "left", number(at.left));
    json_object_set_new(json, "closed", number(at.closed));
    json_object_set_new(json, "unaligned", number(at.unaligned));
    json_object_set_new(json, "ended", number(at.ended));
    json_object_set_new(json, "requests", number(at.requests));
    json_object_set_new(json, "done", json_boolean(at.is_done));
    if (at.is_short)
        json_object_set_new(json, "short", json_string("out of memory: not all were found"));
    return json;
}

json_t *view_rebalance(const struct rebalance *rebalance)
{
    struct rebalance_progress at;
    json_t *json = json_object();

    rebalance_progress(rebalance, &at);
    json_object_set_new(json, "id", number(at.id));
    json_object_set_new(json, "pool", json_string(at.pool));
    json_object_set_new(json, "started", wall(at.started_wall_usec));
    json_object_set_new(json, "per_second",
                        json_real((double)at.rate.count * 1e6 / (double)at.rate.per_usec));
    json_object_set_new(json, "tolerance_percent", number(at.tolerance_percent));
    json_object_set_new(json, "above_percent", number(at.above_percent));
    json_object_set_new(json, "left", number(at.left));
    json_object_set_new(json, "closed", number(at.closed));
    json_object_set_new(json, "unaligned", number(at.unaligned));
    json_object_set_new(json, "done", json_boolean(at.is_done));
    json_object_set_new(json, "undone", json_boolean(at.is_undone));
    return json;
}

static void add_drain(void *to, const struct drain *drain)
{
    json_array_append_new(to, view_drain(drain));
}

static void add_live_drain(void *to, const struct drain *drain)
{
    if (drain_is_live(drain))
        add_drain(to, drain);
}

static void add_rebalance(void *to, struct rebalance *rebalance)
{
    json_array_append_new(to, view_rebalance(rebalance));
}

static void add_live_rebalance(void *to, struct rebalance *rebalance)
{
    struct rebalance_progress at;

    rebalance_progress(rebalance, &at);
    if (!at.is_done)
        add_rebalance(to, rebalance);
}

void view_live_drains(json_t *json, const struct admin_house *house)
{
    json_t *drains = json_array(), *rebalances = json_array();

    drains_each(house->drains, add_live_drain, drains);
    rebalances_each(house->rebalances, add_live_rebalance, rebalances);
    json_object_set_new(json, "drains", drains);
    json_object_set_new(json, "rebalances", rebalances);
}

/* --- drains -------------------------------------------------------------------------------------
 */

static int set_admin(const struct what *what, enum server_admin admin)
{
    struct pool_change change = {.what = CHANGE_STATE, .admin = admin};

    change.member.address = what->named.address;
    return pool_change(what->named.pool, &change);
}

/* Exactly one of the four. */
static void read_what(struct form *form, struct what *what)
{
    static const char what_to_do[] =
        "name one of server (POOL/ADDRESS), pool, route, or \"node\": true";
    static const char *const fields[] = {"server", "pool", "route"};
    unsigned count = 0;
    bool is_node = false;

    *what = (struct what){.kind = DRAIN_NODE, .name = ""};
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if (!form_has(form, fields[i]))
            continue;
        what->kind = (enum drain_kind)i;
        form_text(form, fields[i], &what->name);
        count++;
    }
    form_flag(form, "node", &is_node);
    if (count + is_node != 1)
        form_complain(form, "server", what_to_do, "%s",
                      (count + is_node) ? "that is more than one thing to drain"
                                        : "nothing is named that could be drained");
}

static json_t *refuse_start(struct call *call, int error)
{
    if (error == -EBUSY)
        return call_refuse(call, 409, "wait until some are done, or undo them",
                           "%d drains run, and that is the most", DRAINS_MAX);
    return call_refuse(call, 503, "ask again later", "there is not enough memory");
}

static json_t *start(struct call *call, const struct what *what, uint64_t over, uint64_t code)
{
    const struct drain_spec spec = {
        .kind = what->kind,
        .server = what->named.server,
        .name = what->name,
        .over_usec = over,
        .code = (uint16_t)code,
        .reason = REASON_DRAINED,
        .keeps_out = what->kind != DRAIN_SERVER,
    };
    struct drain *drain;
    int error = what->named.server ? set_admin(what, SERVER_DRAIN) : 0;

    if (!error)
        error = drains_start(call->house->drains, &spec, &drain);
    if (error)
        return refuse_start(call, error);
    json_t *json = view_drain(drain);
    drain_unref(drain);
    call->status = 201;
    return json;
}

static json_t *begin_drain(struct call *call)
{
    static const char *const fields[] = {"server", "pool", "route", "node", "over", "code", NULL};
    static const char code_to_do[] = "1001 (going away) or 1012 (service restart)";
    uint64_t over = UINT64_MAX, code = 0;
    struct form form = form_of(call, fields);
    struct what what;
    json_t *answer;

    read_what(&form, &what);
    form_time(&form, "over", OVER_MOST_USEC, &over);
    form_number(&form, "code", 1001, 1012, &code);
    if (code && code != 1001 && code != 1012)
        form_complain(&form, "code", code_to_do, "code: %llu says something else",
                      (unsigned long long)code);
    if (form.wrong)
        return form_refuse(&form);
    if (!find(call, &what, &answer))
        return answer;
    if (over == UINT64_MAX)
        over = what.settings ? what.settings->drain_over : OVER_DEFAULT_USEC;
    if (!code)
        code = what.settings ? what.settings->drain_code : CODE_DEFAULT;
    return start(call, &what, over, code);
}

static json_t *list_drains(struct call *call)
{
    json_t *drains = json_array();

    drains_each(call->house->drains, add_drain, drains);
    return json_pack("{s:o}", "drains", drains);
}

static json_t *refuse_id(struct call *call, const char *kind)
{
    return call_refuse(call, 404, "ask for the list of them", "there is no %s %.30s", kind,
                       call_text(call, "id"));
}

/* 0: no number. */
static uint64_t id_of(const struct call *call)
{
    const char *text = call_text(call, "id");
    char *end;
    unsigned long long id = strtoull(text, &end, 10);

    return *end || text[0] < '0' || text[0] > '9' ? 0 : id;
}

static json_t *say_drain(struct call *call)
{
    const struct drain *drain = drains_find(call->house->drains, id_of(call));

    return drain ? view_drain(drain) : refuse_id(call, "drain");
}

/* A server that is drained by hand is up again, if nothing else drains it. */
static void undo_one(struct call *call, struct drain *drain)
{
    const struct drain_spec *spec = drain_spec_of(drain);
    struct what what = {.kind = spec->kind, .name = drain_name(drain)};
    json_t *gone;

    drains_undo(call->house->drains, drain);
    if (spec->kind != DRAIN_SERVER)
        return;
    const struct drain *other = drains_find_target(call->house->drains, DRAIN_SERVER, what.name);
    if (other && drain_spec_of(other)->reason == REASON_DRAINED)
        return;
    if (!find(call, &what, &gone))
        json_decref(gone);
    else if (atomic_load(&what.named.server->admin) == SERVER_DRAIN)
        set_admin(&what, SERVER_UP);
    call->status = 200;
}

static json_t *undo_drain(struct call *call)
{
    struct drain *drain = drains_find(call->house->drains, id_of(call));

    if (!drain)
        return refuse_id(call, "drain");
    undo_one(call, drain);
    return view_drain(drain);
}

/* ?server=, pool=, route= or node=: which of them is. */
static bool read_query(struct call *call, struct what *what)
{
    static const char *const names[] = {"server", "pool", "route", "node"};
    unsigned count = 0;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = call_text(call, names[i]);
        if (!value)
            continue;
        *what = (struct what){.kind = (enum drain_kind)i, .name = i == DRAIN_NODE ? "" : value};
        count++;
    }
    return count == 1;
}

/* A server may be drained without a drain of ours: by PATCH. */
static bool set_up(struct call *call, struct what *what, json_t **ret_answer)
{
    *ret_answer = NULL;
    if (!find(call, what, ret_answer) || !what->named.server ||
        atomic_load(&what->named.server->admin) != SERVER_DRAIN)
        return false;
    set_admin(what, SERVER_UP);
    return true;
}

static json_t *undo_target(struct call *call)
{
    json_t *undone = json_array(), *answer = NULL;
    struct drain *drain;
    struct what what;

    if (!read_query(call, &what)) {
        json_decref(undone);
        return call_refuse(
            call, 400, "?server=POOL/ADDRESS, ?pool=, ?route= or ?node=", "which of the drains?");
    }
    while ((drain = drains_find_target(call->house->drains, what.kind, what.name))) {
        undo_one(call, drain);
        json_array_append_new(undone, view_drain(drain));
    }
    if (!json_array_size(undone) && !set_up(call, &what, &answer)) {
        json_decref(undone);
        return answer ? answer
                      : call_refuse(call, 409, "`turnout status` lists what is",
                                    "%s%s%.150s is not drained", drain_kind_name(what.kind),
                                    what.name[0] ? " " : "", what.name);
    }
    return json_pack("{s:o}", "undone", undone);
}

/* --- rebalances ---------------------------------------------------------------------------------
 */

static json_t *begin_rebalance(struct call *call)
{
    static const char *const fields[] = {"pool", "rate", "tolerance", NULL};
    struct rebalance_spec spec = {.tolerance_percent = TOLERANCE_DEFAULT};
    struct form form = form_of(call, fields);
    struct rebalance *rebalance;
    struct named named;
    json_t *answer;

    form_text(&form, "pool", &spec.pool);
    form_rate(&form, "rate", RATE_MOST, &spec.rate);
    form_percent(&form, "tolerance", 100, &spec.tolerance_percent);
    if (!spec.pool)
        form_complain(&form, "pool", "name one", "pool is missing");
    if (form_has(&form, "rate") && !form.wrong && !spec.rate.count)
        form_complain(&form, "rate", "write such as 50/s", "rate: nothing would be closed");
    if (form.wrong)
        return form_refuse(&form);
    if (!named_pool(call, spec.pool, &named, &answer))
        return answer;
    int error = rebalance_start(call->house->rebalances, &spec, &rebalance);
    if (error == -EBUSY)
        return call_refuse(call, 409, "wait until it is done, or DELETE it",
                           "a rebalance of pool \"%.100s\" runs, or too many do", spec.pool);
    if (error)
        return refuse_start(call, error);
    call->status = 201;
    return view_rebalance(rebalance);
}

static json_t *list_rebalances(struct call *call)
{
    json_t *rebalances = json_array();

    rebalances_each(call->house->rebalances, add_rebalance, rebalances);
    return json_pack("{s:o}", "rebalances", rebalances);
}

static json_t *say_rebalance(struct call *call)
{
    const struct rebalance *rebalance = rebalances_find(call->house->rebalances, id_of(call));

    return rebalance ? view_rebalance(rebalance) : refuse_id(call, "rebalance");
}

static json_t *stop_rebalance(struct call *call)
{
    struct rebalance *rebalance = rebalances_find(call->house->rebalances, id_of(call));

    if (!rebalance)
        return refuse_id(call, "rebalance");
    rebalance_stop(rebalance);
    return view_rebalance(rebalance);
}

#define A_DRAIN     "{ \"server\": \"chat/127.0.0.1:9001\", \"over\": \"30s\", \"code\": 1012 }"
#define A_REBALANCE "{ \"pool\": \"chat\", \"rate\": \"50/s\", \"tolerance\": \"10%\" }"

const struct door doors_of_drains[] = {
    {"GET", "/api/v1/drains", .on_main = list_drains},
    {"POST", "/api/v1/drains", .on_main = begin_drain, .body = A_DRAIN},
    {"DELETE", "/api/v1/drains", .on_main = undo_target},
    {"GET", "/api/v1/drains/{id}", .on_main = say_drain},
    {"DELETE", "/api/v1/drains/{id}", .on_main = undo_drain},
    {"GET", "/api/v1/rebalances", .on_main = list_rebalances},
    {"POST", "/api/v1/rebalances", .on_main = begin_rebalance, .body = A_REBALANCE},
    {"GET", "/api/v1/rebalances/{id}", .on_main = say_rebalance},
    {"DELETE", "/api/v1/rebalances/{id}", .on_main = stop_rebalance},
    {0},
};

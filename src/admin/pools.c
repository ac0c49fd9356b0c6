/* Pools and their servers: shown, and changed while tunnels run. All of it on the main thread,
 * which alone changes members; a change is whole or does not happen, and touches no other server.
 */
#include "admin/door.h"

#include "admin/admin.h"
#include "admin/form.h"
#include "admin/named.h"
#include "admin/view.h"

#include <errno.h>
#include <stdio.h>

static const struct snapshot *in_force(const struct call *call)
{
    return *call->house->in_force;
}

static uint64_t now_of_main(const struct call *call)
{
    return call->house->main->runner.loop.now_usec;
}

/* --- what is meant ------------------------------------------------------------------------------
 */

/* False: *ret_answer says so. */
static bool find_pool(struct call *call, struct named *named, json_t **ret_answer)
{
    return named_pool(call, call_text(call, "pool"), named, ret_answer);
}

static bool find_server(struct call *call, struct named *named, json_t **ret_answer)
{
    const char *address = call_text(call, "address");

    if (!find_pool(call, named, ret_answer))
        return false;
    if (address)
        return named_address(call, address, named, ret_answer);
    *ret_answer =
        call_refuse(call, 400, "/api/v1/pools/POOL/servers/ADDRESS, or ?address=", "which server?");
    return false;
}

/* The server as it is now. */
static json_t *view_found(const struct call *call, const struct named *named)
{
    size_t number = 0;

    for (size_t i = 0; i < pool_count(named->pool); i++)
        if (address_equal(&pool_server(named->pool, i)->address, &named->address))
            number = i;
    return view_server(in_force(call), named->pool_number, number, now_of_main(call));
}

/* Who is in such a pool is not said here. */
static json_t *refuse_discovered(struct call *call, const struct named *named)
{
    const struct pool_settings *settings = named->settings;
    const char *what_to_do = settings->dns
                                 ? "change what the name resolves to; PATCH takes a server's state "
                                   "or weight, and state drain or down keeps work away from it"
                                 : "change that file; PATCH takes a server's state or weight, and "
                                   "state drain or down keeps work away from it";

    return call_refuse(call, 409, what_to_do, "who is in pool \"%.100s\" is what %s %.200s says",
                       settings->name, settings->dns ? "dns" : "the file",
                       settings->dns ? settings->dns : settings->file);
}

/* --- looking ------------------------------------------------------------------------------------
 */

static json_t *list_pools(struct call *call)
{
    const struct snapshot *snapshot = in_force(call);
    json_t *pools = json_array();

    for (size_t i = 0; i < snapshot->settings->pool_count; i++)
        json_array_append_new(pools, view_pool(snapshot, i, now_of_main(call)));
    return json_pack("{s:o}", "pools", pools);
}

static json_t *say_pool(struct call *call)
{
    struct named named;
    json_t *answer;

    if (!find_pool(call, &named, &answer))
        return answer;
    return view_pool(in_force(call), named.pool_number, now_of_main(call));
}

static json_t *list_all_servers(struct call *call)
{
    return json_pack("{s:o}", "servers", view_servers(in_force(call), SIZE_MAX, now_of_main(call)));
}

static json_t *list_servers(struct call *call)
{
    struct named named;
    json_t *answer;

    if (!find_pool(call, &named, &answer))
        return answer;
    return json_pack("{s:s, s:o}", "pool", named.settings->name, "servers",
                     view_servers(in_force(call), named.pool_number, now_of_main(call)));
}

static json_t *say_server(struct call *call)
{
    struct named named;
    json_t *answer;

    if (!find_server(call, &named, &answer))
        return answer;
    return view_found(call, &named);
}

/* --- changing -----------------------------------------------------------------------------------
 */

static json_t *refuse_change(struct call *call, const struct named *named, int error)
{
    char address[ADDRESS_TEXT_BYTES];

    address_write(&named->address, address);
    switch (error) {
    case -EEXIST:
        return call_refuse(call, 409, "PATCH it to change its weight or limit",
                           "pool \"%.100s\" has the server %s already", named->settings->name,
                           address);
    case -E2BIG:
        return call_refuse(call, 422, "remove one, or use another pool",
                           "pool \"%.100s\" has %d servers, and that is the most",
                           named->settings->name, POOL_SERVERS_MAX);
    default:
        return call_refuse(call, 503, "ask again later", "there is not enough memory");
    }
}

static void log_change(const struct call *call, const struct named *named, const char *what)
{
    char address[ADDRESS_TEXT_BYTES];

    log_say(call->house->main->log, EVENT_changed, "%s/%s %s", named->settings->name,
            address_write(&named->address, address), what);
}

static void read_limits(struct form *form, struct pool_member_spec *member)
{
    uint64_t weight = member->weight, most = member->max_connections;

    form_number(form, "weight", 1, BALANCER_WEIGHT_MAX, &weight);
    form_number(form, "max_connections", 0, UINT32_MAX, &most);
    member->weight = (uint32_t)weight;
    member->max_connections = (uint32_t)most;
}

static void read_address(struct form *form, struct address *address)
{
    static const char what_to_do[] =
        "write an address and a port, such as 127.0.0.1:9001 or [::1]:9001";
    const char *text = NULL;

    form_text(form, "address", &text);
    if (!text)
        form_complain(form, "address", what_to_do, "address is missing");
    else if (address_parse(text, address))
        form_complain(form, "address", what_to_do, "address: \"%.60s\" is no server address", text);
}

static json_t *add_server(struct call *call)
{
    static const char *const fields[] = {"address", "weight", "max_connections", "backup", NULL};
    struct pool_change change = {.what = CHANGE_ADD, .member.weight = 1};
    struct form form = form_of(call, fields);
    struct named named;
    json_t *answer;
    char what[80];

    if (!find_pool(call, &named, &answer))
        return answer;
    if (named.settings->dns || named.settings->file)
        return refuse_discovered(call, &named);
    read_address(&form, &change.member.address);
    read_limits(&form, &change.member);
    form_flag(&form, "backup", &change.member.is_backup);
    if (form.wrong)
        return form_refuse(&form);
    named.address = change.member.address;
    int error = pool_change(named.pool, &change);
    if (error)
        return refuse_change(call, &named, error);
    call->house->members_changed(call->house);
    call->status = 201;
    snprintf(what, sizeof what, "was added, with weight %u", change.member.weight);
    log_change(call, &named, what);
    return view_found(call, &named);
}

static json_t *remove_server(struct call *call)
{
    struct pool_change change = {.what = CHANGE_REMOVE};
    struct named named;
    json_t *answer;

    if (!find_server(call, &named, &answer))
        return answer;
    if (named.settings->dns || named.settings->file)
        return refuse_discovered(call, &named);
    struct server *server = server_ref(named.server);
    change.member.address = named.address;
    int error = pool_change(named.pool, &change);
    if (error) {
        answer = refuse_change(call, &named, error);
    } else {
        call->house->members_changed(call->house);
        log_change(call, &named, "was removed");
        answer = json_pack("{s:s, s:I, s:s}", "removed", server->name, "tunnels",
                           (json_int_t)atomic_load(&server->tunnels), "on_removed",
                           named.settings->on_removed == ON_REMOVED_KEEP ? "keep" : "close");
    }
    server_unref(server);
    return answer;
}

/* Each of the fields that are given is a change of its own. 0 or a negative errno. */
static int change_one(struct call *call, const struct named *named, struct pool_change change,
                      enum pool_change_kind what, const char *words)
{
    change.what = what;
    int error = pool_change(named->pool, &change);

    if (!error)
        log_change(call, named, words);
    return error;
}

static int change_all(const struct form *form, const struct named *named,
                      const struct pool_change *change)
{
    char words[80];
    int error = 0;

    if (form_has(form, "weight")) {
        snprintf(words, sizeof words, "has the weight %u", change->member.weight);
        error = change_one(form->call, named, *change, CHANGE_WEIGHT, words);
    }
    if (!error && form_has(form, "max_connections")) {
        snprintf(words, sizeof words, "takes %u connections at most%s",
                 change->member.max_connections,
                 change->member.max_connections ? "" : " (0: any number)");
        error = change_one(form->call, named, *change, CHANGE_MAX_CONNECTIONS, words);
    }
    if (!error && form_has(form, "state")) {
        snprintf(words, sizeof words, "is set to %s", server_admin_name(change->admin));
        error = change_one(form->call, named, *change, CHANGE_STATE, words);
        if (!error)
            form->call->house->server_set(form->call->house,
                                          pool_find(named->pool, &named->address), named->settings);
    }
    return error;
}

static json_t *change_server(struct call *call)
{
    static const char *const fields[] = {"state", "weight", "max_connections", NULL};
    static const char *const states[] = {"up", "drain", "down", NULL};
    struct pool_change change = {.member.weight = 1};
    struct form form = form_of(call, fields);
    unsigned admin = SERVER_UP;
    struct named named;
    json_t *answer;

    if (!find_server(call, &named, &answer))
        return answer;
    read_limits(&form, &change.member);
    form_word(&form, "state", states, &admin);
    if (!json_object_size(call->body))
        form_complain(&form, "state", "give state, weight or max_connections",
                      "there is nothing to change");
    if (form.wrong)
        return form_refuse(&form);
    change.member.address = named.address;
    change.admin = (enum server_admin)admin;
    int error = change_all(&form, &named, &change);
    if (error)
        return refuse_change(call, &named, error);
    return view_found(call, &named);
}

#define SERVERS "/api/v1/pools/{pool}/servers"
#define A_NEW   "{ \"address\": \"127.0.0.1:9001\", \"weight\": 1, \"max_connections\": 0 }"
#define A_PATCH "{ \"state\": \"drain\", \"weight\": 5, \"max_connections\": 100 }"

const struct door doors_of_pools[] = {
    {"GET", "/api/v1/servers", .on_main = list_all_servers},
    {"GET", "/api/v1/pools", .on_main = list_pools},
    {"GET", "/api/v1/pools/{pool}", .on_main = say_pool},
    {"GET", SERVERS, .on_main = list_servers},
    {"POST", SERVERS, .on_main = add_server, .body = A_NEW},
    {"DELETE", SERVERS, .on_main = remove_server},
    {"PATCH", SERVERS, .on_main = change_server, .body = A_PATCH},
    {"GET", SERVERS "/{address}", .on_main = say_server},
    {"DELETE", SERVERS "/{address}", .on_main = remove_server},
    {"PATCH", SERVERS "/{address}", .on_main = change_server, .body = A_PATCH},
    {0},
};

/* Names are compared whole, as the configuration and all answers write them. */
#include "admin/named.h"

#include <stdio.h>

#define NAMES_BYTES 700

struct names { /* "there is: a, b, ..." */
    char text[NAMES_BYTES];
};

static void add_name(struct names *names, const char *name)
{
    size_t len = strlen(names->text);
    bool is_first = names->text[len - 1] == ' ', is_full = names->text[len - 1] == '.';

    if (len + strlen(name) + 8 < NAMES_BYTES && !is_full)
        snprintf(names->text + len, NAMES_BYTES - len, "%s%s", is_first ? "" : ", ", name);
    else if (!is_full)
        snprintf(names->text + len, NAMES_BYTES - len, ", ...");
}

static const struct snapshot *in_force(const struct call *call)
{
    return *call->house->in_force;
}

bool named_pool(struct call *call, const char *name, struct named *named, json_t **ret_answer)
{
    const struct snapshot *snapshot = in_force(call);
    struct names names = {"there is: "};

    for (size_t i = 0; i < snapshot->settings->pool_count; i++) {
        const struct pool_settings *settings = &snapshot->settings->pools[i];
        add_name(&names, settings->name);
        if (strcmp(settings->name, name) != 0)
            continue;
        *named = (struct named){.pool_number = i, .pool = snapshot->pools[i], .settings = settings};
        return true;
    }
    *ret_answer = call_refuse(call, 404, names.text, "there is no pool \"%.100s\"", name);
    return false;
}

static json_t *refuse_address(struct call *call, const struct named *named, const char *address)
{
    struct names names = {"it has: "};
    char one[ADDRESS_TEXT_BYTES];
    size_t count = pool_count(named->pool);

    for (size_t i = 0; i < count && strlen(names.text) + 8 < NAMES_BYTES; i++)
        add_name(&names, address_write(&pool_server(named->pool, i)->address, one));
    return call_refuse(call, 404, count ? names.text : "its pool has no server at this time",
                       "there is no server \"%.100s/%.60s\"", named->settings->name, address);
}

bool named_address(struct call *call, const char *address, struct named *named, json_t **ret_answer)
{
    named->server = address_parse(address, &named->address) == 0
                        ? pool_find(named->pool, &named->address)
                        : NULL;
    if (!named->server)
        *ret_answer = refuse_address(call, named, address);
    return named->server;
}

bool named_server(struct call *call, const char *name, struct named *named, json_t **ret_answer)
{
    const char *slash = strrchr(name, '/');
    char pool[128];

    if (!slash || slash == name) {
        *ret_answer = call_refuse(call, 422, "write POOL/ADDRESS, such as chat/127.0.0.1:9001",
                                  "\"%.150s\" names no server", name);
        return false;
    }
    snprintf(pool, sizeof pool, "%.*s", (int)(slash - name), name);
    return named_pool(call, pool, named, ret_answer) &&
           named_address(call, slash + 1, named, ret_answer);
}

bool named_route(struct call *call, const char *name, const struct route **ret_route,
                 json_t **ret_answer)
{
    const struct snapshot *snapshot = in_force(call);
    size_t count = snapshot->settings->route_count;
    struct names names = {"there is: "};

    for (size_t i = 0; i < count; i++) {
        add_name(&names, snapshot->routes[i].name);
        if (strcmp(snapshot->routes[i].name, name) != 0)
            continue;
        *ret_route = &snapshot->routes[i];
        return true;
    }
    *ret_answer = call_refuse(call, 404, count ? names.text : "there is none at all",
                              "there is no route \"%.100s\"", name);
    return false;
}

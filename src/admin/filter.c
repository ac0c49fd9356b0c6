/* Names are compared whole, as the log and the other answers write them. */
#include "admin/filter.h"

#include <stdio.h>

static void copy(char to[160], const struct query *query, const char *name)
{
    const char *value = query_find(query, name);

    _Static_assert(sizeof query->param[0].value <= 160, "a value fits");
    snprintf(to, 160, "%s", value ? value : "");
}

/* A name that is misspelt would otherwise select everything. */
static bool is_known(struct bytes name)
{
    static const char *const known[] = {"pool",  "server",    "route", "client",
                                        "state", "idle_usec", "after", "limit"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (bytes_equal(name, bytes_of(known[i])))
            return true;
    return false;
}

bool filter_parse(const struct query *query, struct filter *ret_filter, const char **ret_what_to_do)
{
    struct filter filter;

    for (size_t i = 0; i < query->count; i++) {
        if (is_known(query->param[i].name))
            continue;
        *ret_what_to_do =
            "write pool=, server=, route=, client=, state=, idle_usec=, limit= or after=";
        return false;
    }
    if (!query_number(query, "limit", FILTER_LIMIT_DEFAULT, FILTER_LIMIT_MAX, &filter.limit) ||
        filter.limit == 0 || !query_number(query, "after", 0, UINT64_MAX, &filter.after) ||
        !query_number(query, "idle_usec", 0, UINT64_MAX, &filter.idle_usec)) {
        *ret_what_to_do = "write limit=1 to 1000, after=NUMBER, idle_usec=MICROSECONDS";
        return false;
    }
    copy(filter.pool, query, "pool");
    copy(filter.server, query, "server");
    copy(filter.route, query, "route");
    copy(filter.state, query, "state");
    copy(filter.client, query, "client");
    *ret_filter = filter;
    return true;
}

static bool differs(const char *wanted, const char *is)
{
    return wanted[0] && (!is || strcmp(wanted, is) != 0);
}

/* Since the last byte of either end; before there is a relay, since its step began. */
static uint64_t silent_usec(const struct connection *c)
{
    const struct lane *lane = c->relay.lane;
    uint64_t since = c->flow.entered_usec;

    if (relay_is_started(&c->relay))
        since =
            lane[0].active_usec > lane[1].active_usec ? lane[0].active_usec : lane[1].active_usec;
    return now_of(&c->flow) - since;
}

bool filter_matches(const struct filter *filter, const struct connection *c)
{
    char client[ADDRESS_TEXT_BYTES];

    if (c->flow.number <= filter->after ||
        (filter->idle_usec && silent_usec(c) < filter->idle_usec))
        return false;
    if (differs(filter->pool, connection_pool(c) ? pool_name(connection_pool(c)) : NULL) ||
        differs(filter->route, c->route ? c->route->name : NULL) ||
        differs(filter->server, c->chosen ? c->chosen->name : NULL) ||
        differs(filter->state, flow_step_name(&c->flow)))
        return false;
    return !filter->client[0] ||
           strncmp(address_write(&c->peer, client), filter->client, strlen(filter->client)) == 0;
}

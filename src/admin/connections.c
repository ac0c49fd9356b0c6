/* Connections, asked of the workers that own them: a page of all that match, or one with its story.
 * Numbers grow with time, so a page is merged out of the workers' lists by number, and the next one
 * begins behind its last. */
#include "admin/door.h"

#include "admin/admin_priv.h"
#include "admin/view.h"

#include <stdlib.h>

static struct inquiry *inquiry_of_workers(struct admin_client *c, unsigned from, unsigned count)
{
    struct inquiry *inquiry = inquiry_new(&c->flow, count);

    for (unsigned i = 0; inquiry && i < count; i++) {
        struct proxy *proxy = c->admin->means.proxies[from + i];
        inquiry_ask(inquiry, i, &proxy->worker.mailbox, proxy);
    }
    return inquiry;
}

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
    json_t *json = admin_take_only(c, ret_status);

    if (!json_is_null(json))
        return json;
    *ret_status = 404;
    json_decref(json);
    return admin_error("there is no connection of that number",
                       "it may have ended: the log has its `close` line; GET /api/v1/connections "
                       "lists those that live");
}

static enum next list_connections(struct admin_client *c, const struct call *call)
{
    struct filter filter;
    const char *what_to_do;

    if (!filter_parse(&call->query, &filter, &what_to_do))
        return admin_refuse(c, 400, "the filter cannot be read", what_to_do);
    struct inquiry *inquiry = inquiry_of_workers(c, 0, c->admin->means.count);
    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run_connections;
    inquiry->filter = filter;
    return admin_ask(c, inquiry, gathered_connections);
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

static enum next say_connection(struct admin_client *c, const struct call *call)
{
    uint64_t number;

    if (!parse_number(bytes_of(call_text(call, "number")), &number))
        return admin_refuse(c, 400, "a connection is named by its number",
                            "GET /api/v1/connections/4711");
    unsigned worker = runner_of_number(number);
    struct inquiry *inquiry = inquiry_of_workers(c, worker < c->admin->means.count ? worker : 0, 1);
    if (!inquiry)
        return flow_leave(&c->flow, REASON_NO_MEMORY);
    inquiry->run = run_connection;
    inquiry->number = number;
    return admin_ask(c, inquiry, gathered_connection);
}

const struct door doors_of_connections[] = {
    {"GET", "/api/v1/connections", .open = list_connections},
    {"GET", "/api/v1/connections/{number}", .open = say_connection},
    {0},
};

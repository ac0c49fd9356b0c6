/* `connections`: page after page. */
#include "admin/client_priv.h"

#define PAGE "/api/v1/connections?limit=1000&after="

/* "copy", or what serves each way: "splice/copy". */
static const char *tiers_of(const json_t *c, char *text, size_t size)
{
    const char *to_server = client_word(json_object_get(c, "to_server_relay"), "tier"),
               *to_client = client_word(json_object_get(c, "to_client_relay"), "tier");
    bool is_one = strcmp(to_server, to_client) == 0;

    snprintf(text, size, "%s%s%s", to_server, is_one ? "" : "/", is_one ? "" : to_client);
    return text;
}

static void show_connections(const json_t *json)
{
    char tiers[64];
    const json_t *c;
    size_t i;

    printf("%-10s %-22s %-30s %-13s %-13s %12s %12s\n", "connection", "client", "server", "state",
           "tier", "to server", "to client");
    json_array_foreach(json_object_get(json, "connections"), i, c)
        printf("%-10lld %-22s %-30s %-13s %-13s %12lld %12lld\n", client_count(c, "connection"),
               client_word(c, "client"), client_word(c, "server"), client_word(c, "state"),
               tiers_of(c, tiers, sizeof tiers), client_count(c, "to_server_bytes"),
               client_count(c, "to_client_bytes"));
    json_array_foreach(json_object_get(json, "late"), i, c)
        fprintf(stderr, "worker %lld has not answered in time: its connections are missing here\n",
                (long long)json_integer_value(c));
}

/* The next page at the end of the first. 0: not reached; else its status. */
static int add_page(const struct client_options *options, json_t *all, json_int_t after)
{
    char path[80];
    int status;

    snprintf(path, sizeof path, PAGE "%" JSON_INTEGER_FORMAT, after);
    json_t *page = client_request(options, "GET", path, NULL, &status);
    json_array_extend(json_object_get(all, "connections"), json_object_get(page, "connections"));
    json_array_extend(json_object_get(all, "late"), json_object_get(page, "late"));
    json_object_set(all, "next", json_object_get(page, "next"));
    json_decref(page);
    return page ? status : 0;
}

/* Page after page: numbers only rise, so it ends, and none comes twice. */
int client_connections(const struct client_options *options)
{
    int status;
    json_t *all = client_request(options, "GET", PAGE "0", NULL, &status);

    while (all && status == 200 && json_is_integer(json_object_get(all, "next")))
        status = add_page(options, all, json_integer_value(json_object_get(all, "next")));
    if (all && !status) {
        json_decref(all);
        return CLIENT_NOT_REACHED;
    }
    return client_show_answer(options, all, status, show_connections);
}

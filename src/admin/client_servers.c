/* `servers`: who serves, and how. */
#include "admin/client_priv.h"

static void show_servers(const json_t *json)
{
    const json_t *server;
    size_t i;

    printf("%-36s %6s %7s %8s %12s %12s %10s\n", "server", "weight", "active", "tunnels",
           "tunnels ever", "requests ever", "failures");
    json_array_foreach(json_object_get(json, "servers"), i, server)
        printf("%-36s %6lld %7lld %8lld %12lld %12lld %10lld\n", client_word(server, "server"),
               client_count(server, "weight"), client_count(server, "active"),
               client_count(server, "tunnels"), client_count(server, "tunnels_ever"),
               client_count(server, "requests_ever"), client_count(server, "failures_ever"));
}

int client_servers(const struct client_options *options)
{
    return client_show(options, "GET", "/api/v1/servers", NULL, show_servers);
}

/* `servers`, `weight`, `add`, `remove`: who serves, and how it is changed while tunnels run. */
#include "admin/client_priv.h"

#include <stdlib.h>

#define PATH "/api/v1/pools/"

/* --- servers ------------------------------------------------------------------------------------
 */

/* The last thing that a check found wrong; NULL: nothing. */
static const char *last_wrong(const json_t *server)
{
    const json_t *outcome;
    size_t i;

    json_array_foreach(
        json_object_get(server, "health"), i,
        outcome) if (!json_is_true(json_object_get(outcome, "good"))) return client_word(outcome,
                                                                                         "reason");
    return NULL;
}

/* What keeps it from being simply up: what was found wrong with it, by whom. */
static void show_why(const json_t *server, char *words, size_t size)
{
    const char *until = json_string_value(json_object_get(server, "ejected_until"));
    const char *check = client_word(server, "check"), *wrong = last_wrong(server);

    if (until)
        snprintf(words, size, "ejected until %.8s", strlen(until) > 11 ? until + 11 : until);
    else if (wrong && strcmp(check, "up") != 0)
        snprintf(words, size, "%s: %s", check, wrong);
    else
        snprintf(words, size, "%s", check);
}

static void show_changed(const json_t *server)
{
    const json_t *word;
    size_t i;

    json_array_foreach(json_object_get(server, "changed"), i, word)
        printf("%s%s", i ? ", " : "  by hand: ", json_string_value(word));
    putchar('\n');
}

static void show_server(const json_t *server)
{
    char health[64];

    show_why(server, health, sizeof health);
    printf("%-36s %-8s %6lld %7lld %8lld %12lld %12lld %10lld  %-24s",
           client_word(server, "server"), client_word(server, "state"),
           client_count(server, "weight"), client_count(server, "active"),
           client_count(server, "tunnels"), client_count(server, "tunnels_ever"),
           client_count(server, "requests_ever"), client_count(server, "failures_ever"), health);
    show_changed(server);
}

static void show_servers(const json_t *json)
{
    const json_t *server;
    size_t i;

    printf("%-36s %-8s %6s %7s %8s %12s %12s %10s  %s\n", "server", "state", "weight", "active",
           "tunnels", "tunnels ever", "requests ever", "failures", "health");
    json_array_foreach(json_object_get(json, "servers"), i, server) show_server(server);
}

int client_servers(const struct client_options *options)
{
    const char *pool = client_given(options, "POOL");
    char path[CLIENT_PATH_BYTES], name[CLIENT_PATH_BYTES - 40];

    if (!pool)
        return client_show(options, "GET", "/api/v1/servers", NULL, show_servers);
    if (!client_escape(pool, name, sizeof name))
        return CLIENT_FAILED;
    snprintf(path, sizeof path, PATH "%s/servers", name);
    return client_show(options, "GET", path, NULL, show_servers);
}

/* --- changes ------------------------------------------------------------------------------------
 */

/* "POOL/ADDRESS" in its two parts, of which the pool is escaped. */
struct named {
    char pool[CLIENT_PATH_BYTES / 2];
    char address[80];
};

static bool take_apart(const struct client_options *options, struct named *ret_named)
{
    const char *text = client_given(options, "POOL/ADDRESS"), *slash = strrchr(text, '/');
    char *pool = strndup(text, (size_t)(slash - text));
    bool fits = pool && client_escape(pool, ret_named->pool, sizeof ret_named->pool) &&
                strlen(slash + 1) < sizeof ret_named->address;

    free(pool);
    if (fits)
        snprintf(ret_named->address, sizeof ret_named->address, "%s", slash + 1);
    else
        fprintf(stderr, "turnout: \"%s\" is too long for a server's name\n", text);
    return fits;
}

/* Of the server itself; false: it is too long. */
static bool path_of(const struct named *named, char path[CLIENT_PATH_BYTES])
{
    char address[3 * sizeof named->address];

    if (!client_escape(named->address, address, sizeof address))
        return false;
    snprintf(path, CLIENT_PATH_BYTES, PATH "%s/servers/%s", named->pool, address);
    return true;
}

static void set_number(json_t *body, const char *key, const char *digits)
{
    if (digits)
        json_object_set_new(body, key, json_integer(strtoll(digits, NULL, 10)));
}

static void show_weight(const json_t *server)
{
    printf("%s has the weight %lld\n", client_word(server, "server"),
           client_count(server, "weight"));
}

int client_weight(const struct client_options *options)
{
    json_t *body = json_object();
    char path[CLIENT_PATH_BYTES];
    struct named named;

    set_number(body, "weight", client_given(options, "WEIGHT"));
    if (take_apart(options, &named) && path_of(&named, path))
        return client_show(options, "PATCH", path, body, show_weight);
    json_decref(body);
    return CLIENT_FAILED;
}

static void show_added(const json_t *server)
{
    printf("%s is there, with weight %lld\n", client_word(server, "server"),
           client_count(server, "weight"));
}

int client_add(const struct client_options *options)
{
    char path[CLIENT_PATH_BYTES];
    struct named named;

    if (!take_apart(options, &named))
        return CLIENT_FAILED;
    json_t *body = json_pack("{s:s}", "address", named.address);
    set_number(body, "weight", client_given(options, "weight"));
    set_number(body, "max_connections", client_given(options, "max-connections"));
    if (client_given(options, "backup"))
        json_object_set_new(body, "backup", json_true());
    snprintf(path, sizeof path, PATH "%s/servers", named.pool);
    return client_show(options, "POST", path, body, show_added);
}

static void show_removed(const json_t *json)
{
    static const char *const words[2][2] = {{"are closed", "is closed"},
                                            {"stay until they end", "stays until it ends"}};
    long long tunnels = client_count(json, "tunnels");
    bool stay = strcmp(client_word(json, "on_removed"), "keep") == 0, is_one = tunnels == 1;

    printf("%s is gone", client_word(json, "removed"));
    if (tunnels)
        printf("; its %lld tunnel%s %s (on_removed: %s)", tunnels, is_one ? "" : "s",
               words[stay][is_one], client_word(json, "on_removed"));
    putchar('\n');
}

int client_remove(const struct client_options *options)
{
    char path[CLIENT_PATH_BYTES];
    struct named named;

    if (!take_apart(options, &named) || !path_of(&named, path))
        return CLIENT_FAILED;
    return client_show(options, "DELETE", path, NULL, show_removed);
}

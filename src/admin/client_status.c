/* `status` and `reload`. */
#include "admin/client_priv.h"

#define CHANGES_SHOWN 20

static void print_error(FILE *out, const json_t *error)
{
    fprintf(out, "%s:%lld:%lld: error: %s\n", client_word(error, "file"),
            client_count(error, "line"), client_count(error, "column"),
            client_word(error, "words"));
    if (json_is_string(json_object_get(error, "hint")))
        fprintf(out, "  %s\n", client_word(error, "hint"));
}

static void show_last_reload(const json_t *reload)
{
    const json_t *error;
    size_t i;

    if (!json_is_object(reload) || strcmp(client_word(reload, "result"), "ok") == 0)
        return;
    printf("the last reload, at %s, was refused:\n", client_word(reload, "at"));
    json_array_foreach(json_object_get(reload, "errors"), i, error) print_error(stdout, error);
}

/* "weight 5", "added, with weight 1", "state drain" */
static void show_change(const json_t *change)
{
    const char *what = client_word(change, "change");

    printf("  %s %s", client_word(change, "server"), what);
    if (strcmp(what, "added") == 0)
        printf(", with weight %lld", client_count(change, "weight"));
    else if (strcmp(what, "state") == 0)
        printf(" %s", client_word(change, "state"));
    else if (strcmp(what, "removed") != 0)
        printf(" %lld", client_count(change, what));
    putchar('\n');
}

static void show_changes(const json_t *changes)
{
    const json_t *change;
    size_t i;

    if (json_array_size(changes))
        printf("changed by hand; a reload keeps it until the file says otherwise:\n");
    json_array_foreach(changes, i, change)
    {
        if (i < CHANGES_SHOWN)
            show_change(change);
    }
    if (i > CHANGES_SHOWN)
        printf("  and %zu more (--json lists all)\n", i - CHANGES_SHOWN);
}

/* How pools are found that list no servers. */
static void show_discovery(const json_t *all)
{
    const json_t *origin;
    size_t i;

    json_array_foreach(all, i, origin)
    {
        const char *error = json_string_value(json_object_get(origin, "error"));
        const json_t *next = json_object_get(origin, "next_usec");
        printf("pool %s: %lld servers, by %s %s, ", client_word(origin, "pool"),
               client_count(origin, "servers"), client_word(origin, "by"),
               client_word(origin, "what"));
        if (json_is_integer(next))
            printf("again in %.1f s", (double)json_integer_value(next) / 1e6);
        else
            printf("being asked");
        printf("%s%s\n", error ? "; " : "", error ? error : "");
    }
}

/* Once there was any check. */
static void show_checks(const json_t *health)
{
    if (client_count(health, "checks_ever") + client_count(health, "checks_not_made_ever") == 0)
        return;
    printf("health: %lld checks, %lld failed, %lld under way, %lld waiting",
           client_count(health, "checks_ever"), client_count(health, "checks_failed_ever"),
           client_count(health, "checks_under_way"), client_count(health, "checks_waiting"));
    if (client_count(health, "checks_not_made_ever"))
        printf(", %lld not made for want of descriptors, ports or memory",
               client_count(health, "checks_not_made_ever"));
    putchar('\n');
}

/* Where sessions are kept. */
static void show_stores(const json_t *all)
{
    const json_t *store;
    size_t i;

    json_array_foreach(all, i, store)
    {
        const char *breaker = client_word(store, "breaker");
        printf("store %s, %s: %lld of %lld found, %lld put", client_word(store, "store"),
               client_word(store, "kind"), client_count(store, "hits_ever"),
               client_count(store, "gets_ever"), client_count(store, "puts_ever"));
        if (client_count(store, "failures_ever"))
            printf(", %lld failed", client_count(store, "failures_ever"));
        if (strcmp(breaker, "closed") != 0)
            printf("; its breaker is %s", breaker);
        putchar('\n');
    }
}

static void show_drains(const json_t *json)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(json, "drains"), i, one) client_show_drain(one);
    json_array_foreach(json_object_get(json, "rebalances"), i, one) client_show_rebalance(one);
}

static void show_status(const json_t *json)
{
    const json_t *counters = json_object_get(json, "counters"),
                 *tiers = json_object_get(json, "tiers"), *tier;
    size_t i;

    printf("turnout %s, pid %lld, %s since %s\n", client_word(json, "version"),
           client_count(json, "pid"), client_word(json, "state"), client_word(json, "started"));
    printf(
        "configuration %lld from %s, in force since %s, %lld workers, at most %lld descriptors\n",
        client_count(json, "configuration"), client_word(json, "file"),
        client_word(json, "configuration_since"), client_count(json, "workers"),
        client_count(json, "descriptor_limit"));
    printf("connections %lld (%lld ever), tunnels %lld (%lld ever), requests %lld, refused %lld\n",
           client_count(counters, "connections"), client_count(counters, "connections_ever"),
           client_count(counters, "tunnels"), client_count(counters, "tunnels_ever"),
           client_count(counters, "requests_ever"), client_count(counters, "refused_ever"));
    printf("relay tiers");
    json_array_foreach(tiers, i, tier)
    {
        const char *why = json_string_value(json_object_get(tier, "why"));
        printf("%s %s%s%s%s", i ? "," : "", client_word(tier, "tier"), why ? " (no: " : "",
               why ? why : "", why ? ")" : "");
    }
    printf("; %s\n", client_word(json, "kernel"));
    if (client_count(json, "log_lines_lost"))
        printf("%lld lines of the log were lost: its reader is too slow, or its disk full\n",
               client_count(json, "log_lines_lost"));
    show_changes(json_object_get(json, "changes"));
    show_discovery(json_object_get(json, "discovery"));
    show_checks(json_object_get(json, "health"));
    show_stores(json_object_get(json, "stores"));
    show_drains(json);
    show_last_reload(json_object_get(json, "last_reload"));
}

static void show_reload(const json_t *json)
{
    const json_t *error;
    size_t i;

    if (strcmp(client_word(json, "result"), "ok") == 0)
        printf("configuration %lld is in force\n", client_count(json, "number"));
    json_array_foreach(json_object_get(json, "errors"), i, error) print_error(stderr, error);
    if (i)
        fprintf(stderr, "the configuration was refused; the one before serves on\n");
}

int client_status(const struct client_options *options)
{
    return client_show(options, "GET", "/api/v1/status", NULL, show_status);
}

int client_reload(const struct client_options *options)
{
    return client_show(options, "POST", "/api/v1/reload", NULL, show_reload);
}

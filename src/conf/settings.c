/* From a tree to settings: each section by its table, then what refers to something else. Errors
 * never stop the way: whatever can still be checked is. Every list is bounded, so that comparing
 * each with each stays quick. */
#include "conf/settings.h"

#include "base/check.h"
#include "conf/access.h"
#include "conf/include.h"
#include "conf/load.h"
#include "conf/sections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STICKY_KEY_BYTES 16 /* the least */

/* --- routes
 * ---------------------------------------------------------------------------------------- */

static void load_timeouts(struct loader *loader, const struct tree *map, struct timeouts *timeouts,
                          uint64_t *jitter)
{
    const struct tree_entry *entry =
        map && map->kind == TREE_MAP ? tree_find(map, "lifetime_jitter") : NULL;

    section_load(loader, &section_timeouts, map, timeouts);
    if (entry)
        section_load_one(loader, &section_lifetime, entry, jitter);
}

/* What must not be shown must not be shown of the copy either. */
static void copy_timeouts(struct loader *loader, struct route_settings *route)
{
    struct settings *settings = loader->settings;
    const char *from = (const char *)&settings->timeouts;

    route->timeouts = settings->timeouts;
    route->lifetime_jitter = settings->lifetime_jitter;
    for (size_t at = 0; at < sizeof settings->timeouts; at += sizeof(uint64_t))
        if (settings_is_secret(settings, from + at))
            settings_keep_secret(loader, (char *)&route->timeouts + at);
    if (settings_is_secret(settings, &settings->lifetime_jitter))
        settings_keep_secret(loader, &route->lifetime_jitter);
}

size_t find_pool_named(struct loader *loader, struct mark mark, const char *const *name)
{
    const struct settings *settings = loader->settings;
    char hint[WORDS_BYTES] = "there are: ";

    for (size_t i = 0; i < settings->pool_count; i++)
        if (strcmp(settings->pools[i].name, *name) == 0)
            return i;
    if (!settings->pool_count)
        return SIZE_MAX; /* said already */
    list_words(hint, sizeof hint, loader->pool_names);
    const char *near = nearest_word(*name, loader->pool_names);
    if (near)
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", near);
    complain_at(loader, mark, hint, "there is no pool \"%s\"", settings_shown(settings, name));
    return SIZE_MAX;
}

/* The host is tried alone first, so that an error points at the right key. */
static void check_match(struct loader *loader, const struct route_settings *route)
{
    struct conf_source *source = loader->source;
    const struct settings *settings = loader->settings;
    char words[256] = "";
    bool is_secret = settings_is_secret(settings, &route->host) ||
                     settings_is_secret(settings, &route->path) ||
                     settings_is_secret(settings, &route->prefix);
    const char *shown = is_secret ? "match: a value from elsewhere will not do" : words;

    if (!source->is_match)
        return;
    if (!source->is_match(route->host, NULL, NULL, words))
        complain_at(loader, route->host_mark, NULL, "%s", shown);
    else if (!source->is_match(route->host, route->path, route->prefix, words))
        complain_at(loader, route->path ? route->path_mark : route->prefix_mark, NULL, "%s", shown);
}

static void load_match(struct loader *loader, const struct tree *match,
                       struct route_settings *route)
{
    section_load(loader, &section_match, match, route);
    if (match->kind != TREE_MAP)
        return;
    route->host_mark = mark_of(match, "host");
    route->path_mark = mark_of(match, "path");
    route->prefix_mark = mark_of(match, "prefix");
    load_match_more(loader, match, &route->more);
    check_match(loader, route);
}

static bool is_named(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The last of all tiers never refuses, so it has to be among those that are named. */
static void check_tiers(struct loader *loader, const struct texts *tiers)
{
    const char *const *known = loader->source->tiers;
    char hint[WORDS_BYTES] = "write some of: ";
    size_t count = 0;

    while (known && known[count])
        count++;
    if (!tiers->count || !count)
        return;
    list_words(hint, sizeof hint, known);
    for (size_t i = 0; i < tiers->count; i++)
        if (tiers->at[i] && !is_named(tiers->at[i], known, count))
            complain_at(loader, tiers->marks[i], hint, "relay.tiers: there is no tier \"%s\"",
                        settings_shown(loader->settings, &tiers->at[i]));
    if (is_named(known[count - 1], tiers->at, tiers->count))
        return;
    snprintf(hint, sizeof hint, "add %s", known[count - 1]);
    complain_at(loader, tiers->marks[0], hint,
                "relay.tiers: %s must be among them, for what the others refuse", known[count - 1]);
}

static void load_relay(struct loader *loader, const struct tree *map, struct relay_settings *relay)
{
    if (!map)
        return;
    section_load(loader, &section_relay, map, relay);
    check_tiers(loader, &relay->tiers);
}

static void load_route(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct route_settings *route = ret_fields;

    route->mark = element->mark;
    route->relay = loader->settings->relay;
    copy_timeouts(loader, route);
    section_preset(loader, &section_route, route);
    section_preset(loader, &section_match, route);
    section_preset(loader, &section_websocket, route);
    access_preset(loader, route);
    policy_preset_route(loader, route);
    section_load(loader, &section_route, element, route);
    if (element->kind != TREE_MAP)
        return;
    if (child(element, "match"))
        load_match(loader, child(element, "match"), route);
    if (child(element, "websocket"))
        section_load(loader, &section_websocket, child(element, "websocket"), route);
    load_relay(loader, child(element, "relay"), &route->relay);
    load_timeouts(loader, child(element, "timeouts"), &route->timeouts, &route->lifetime_jitter);
    access_load(loader, element, route);
    load_action(loader, element, route);
    policy_load_route(loader, element, route);
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether nothing can reach `later`, as far as that is plain: where the one before takes any path,
 * or the same. */
static bool covers(const struct route_settings *before, const struct route_settings *later)
{
    bool any_path = !before->path && (!before->prefix || strcmp(before->prefix, "/") == 0);
    bool any_host = !before->host;
    bool any_else = before->more.scheme == SCHEME_ANY && !before->more.method_count &&
                    !before->more.field_count;
    bool same_host = before->host && later->host &&
                     bytes_equal_nocase(bytes_of(before->host), bytes_of(later->host));
    bool same_path = is_same(before->path, later->path) && is_same(before->prefix, later->prefix);

    return any_else && (any_host || same_host) && (any_path || same_path);
}

static void check_reach(struct loader *loader, size_t number)
{
    const struct route_settings *routes = loader->settings->routes;

    for (size_t k = 0; k < number; k++) {
        if (!covers(&routes[k], &routes[number]))
            continue;
        complain_at(loader, routes[number].mark, "put it before that one, or leave it out",
                    "nothing reaches this route: the one in %s:%u:%u takes all of it",
                    routes[k].mark.file, routes[k].mark.line, routes[k].mark.column);
        return;
    }
}

static void check_name(struct loader *loader, size_t number)
{
    const struct route_settings *routes = loader->settings->routes, *route = &routes[number];

    for (size_t k = 0; k < number; k++) {
        if (!is_same(routes[k].name, route->name))
            continue;
        complain_at(loader, route->mark, "give it another name",
                    "two routes are named \"%s\"; the first in %s:%u:%u",
                    settings_shown(loader->settings, &route->name), routes[k].mark.file,
                    routes[k].mark.line, routes[k].mark.column);
        return;
    }
}

/* Those without a name get their number first, so that none can be taken twice. */
static void finish_routes(struct loader *loader)
{
    struct settings *settings = loader->settings;
    char text[24];

    for (size_t i = 0; i < settings->route_count; i++) {
        if (settings->routes[i].name)
            continue;
        snprintf(text, sizeof text, "%zu", i + 1);
        settings->routes[i].name = loader_text(loader, bytes_of(text));
    }
    for (size_t i = 0; i < settings->route_count; i++) {
        check_name(loader, i);
        check_reach(loader, i);
    }
}

/* A route that nothing but its pool and the general settings make. */
static void preset_route(struct loader *loader, struct route_settings *route, size_t pool)
{
    const struct settings *settings = loader->settings;

    section_preset(loader, &section_route, route);
    section_preset(loader, &section_match, route);
    section_preset(loader, &section_websocket, route);
    access_preset(loader, route);
    policy_preset_route(loader, route);
    copy_timeouts(loader, route);
    route->relay = settings->relay;
    route->pool = settings->pools[pool].name;
    route->pool_index = pool;
    route->on_removed = settings->pools[pool].on_removed;
    route->mark = settings->pools[pool].mark;
}

static void make_tcp_route(struct loader *loader, struct listener_settings *listener)
{
    size_t pool = find_pool_named(loader, listener->tcp_mark, &listener->tcp_pool);

    if (pool == SIZE_MAX)
        return;
    listener->tcp_route = loader_alloc(loader, sizeof *listener->tcp_route);
    if (listener->tcp_route)
        preset_route(loader, listener->tcp_route, pool);
}

/* Whether no listener asks for a route. */
static bool is_all_tcp(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listener_count; i++)
        if (!settings->listeners[i].tcp_pool && !settings->listeners[i].sessions)
            return false;
    return settings->listener_count > 0;
}

/* Without routes and with one pool everything goes there. */
static void make_only_route(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;

    if (is_all_tcp(settings))
        return;
    if (settings->pool_count != 1) {
        if (settings->pool_count > 1)
            complain_at(loader, whole->mark, "add routes: [ { match: { host: ... }, pool: ... } ]",
                        "with more than one pool, \"routes\" must say which is meant");
        return;
    }
    settings->routes = loader_alloc(loader, sizeof *settings->routes);
    if (!settings->routes)
        return;
    preset_route(loader, settings->routes, 0);
    settings->route_count = 1;
}

/* --- the whole
 * ------------------------------------------------------------------------------------- */

static void load_admin(struct loader *loader, const struct tree *admin)
{
    struct settings *settings = loader->settings;

    section_preset(loader, &section_admin, settings);
    settings->admin_is_default = true;
    if (!admin)
        return;
    settings->admin_is_default = false;
    settings->admin_mark = admin->mark;
    bool is_off = admin->kind == TREE_SCALAR && strcmp(admin->text, "no") == 0;
    if (!is_off)
        section_load(loader, &section_admin, admin, settings);
    if (!is_off && admin->kind == TREE_MAP)
        settings->admin_mark = mark_of(admin, "listen");
    if (is_off || strcmp(settings->admin_listen, "no") == 0)
        settings->admin_listen = NULL;
    else if (loader->source->is_endpoint && !loader->source->is_endpoint(settings->admin_listen))
        complain_at(
            loader, settings->admin_mark, "write \"unix:/run/turnout.sock\" or 127.0.0.1:9900",
            "\"%s\" is no address to listen on", settings_shown(settings, &settings->admin_listen));
}

static void load_proxy(struct loader *loader, const struct tree *element, void *ret_fields)
{
    const char **text = ret_fields;
    bool is_secret;

    *text = value_text(loader, element, "trusted_proxies", &is_secret);
    if (!*text)
        return;
    if (is_secret)
        settings_keep_secret(loader, text);
    complain_network(loader, element->mark, "trusted_proxies", text);
}

static void check_resolvers(struct loader *loader, const struct texts *resolvers)
{
    for (size_t i = 0; i < resolvers->count && loader->source->is_address; i++)
        if (resolvers->at[i][0] && !loader->source->is_address(resolvers->at[i]))
            complain_at(loader, resolvers->marks[i],
                        "write an address with port, such as 127.0.0.1:53 or \"[::1]:53\"",
                        "resolver: \"%s\" will not do",
                        settings_shown(loader->settings, &resolvers->at[i]));
}

/* They are never shown, wherever they stand. */
static void load_secrets(struct loader *loader)
{
    const struct texts *keys = &loader->settings->sticky_keys;

    for (size_t i = 0; i < keys->count; i++) {
        settings_keep_secret(loader, &keys->at[i]);
        if (keys->at[i][0] && strlen(keys->at[i]) < STICKY_KEY_BYTES)
            complain_at(loader, keys->marks[i], "make one by: openssl rand -base64 32",
                        "sticky_keys: a key has at least %d characters", STICKY_KEY_BYTES);
    }
}

static void load_whole(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;

    section_load(loader, &section_top, whole, settings);
    if (child(whole, "user"))
        settings->user_mark = child(whole, "user")->mark;
    load_admin(loader, child(whole, "admin"));
    load_timeouts(loader, child(whole, "timeouts"), &settings->timeouts,
                  &settings->lifetime_jitter);
    section_load(loader, &section_tcp, child(whole, "tcp"), settings);
    section_load(loader, &section_limits, child(whole, "limits"), settings);
    section_load(loader, &section_log, child(whole, "log"), settings);
    settings->trusted_proxies =
        load_list(loader, child(whole, "trusted_proxies"), "trusted_proxies",
                  sizeof *settings->trusted_proxies, load_proxy, &settings->trusted_proxy_count);
    load_error_pages(loader, child(whole, "error_pages"));
    load_relay(loader, child(whole, "relay"), &settings->relay);
    load_secrets(loader);
    check_resolvers(loader, &settings->resolvers);
    load_stores(loader, child(whole, "stores"));
    load_listeners(loader, whole);
    load_pools(loader, whole);
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (!settings->listeners[i].tcp_pool)
            continue;
        make_tcp_route(loader, &settings->listeners[i]);
        policy_check_tcp(loader, &settings->listeners[i]);
    }
    if (child(whole, "routes"))
        settings->routes = load_list(loader, child(whole, "routes"), "routes",
                                     sizeof *settings->routes, load_route, &settings->route_count);
    else
        make_only_route(loader, whole);
    if (child(whole, "routes") && child(whole, "routes")->kind == TREE_LIST &&
        !child(whole, "routes")->first)
        complain_at(loader, child(whole, "routes")->mark, "add one, or leave \"routes\" out",
                    "there is no route");
    finish_routes(loader);
}

static void preset_whole(struct loader *loader)
{
    section_preset(loader, &section_top, loader->settings);
    section_preset(loader, &section_timeouts, &loader->settings->timeouts);
    section_preset(loader, &section_lifetime, &loader->settings->lifetime_jitter);
    section_preset(loader, &section_tcp, loader->settings);
    section_preset(loader, &section_limits, loader->settings);
    section_preset(loader, &section_log, loader->settings);
}

/* --- memory and secrets
 * ---------------------------------------------------------------------------- */

void *loader_alloc(struct loader *loader, size_t size)
{
    void *memory = arena_alloc(loader->arena, size);

    loader->has_no_memory |= !memory;
    return memory;
}

char *loader_text(struct loader *loader, struct bytes text)
{
    char *copy = arena_text(loader->arena, text);

    loader->has_no_memory |= !copy;
    return copy;
}

void settings_keep_secret(struct loader *loader, const void *field)
{
    struct settings *settings = loader->settings;

    if (settings->secret_count == loader->secrets_room) {
        size_t room = loader->secrets_room ? 2 * loader->secrets_room : 8;
        const void **more = loader_alloc(loader, room * sizeof *more);
        if (!more)
            return;
        if (settings->secret_count)
            memcpy(more, settings->secrets, settings->secret_count * sizeof *more);
        settings->secrets = more;
        loader->secrets_room = room;
    }
    settings->secrets[settings->secret_count++] = field;
}

bool settings_is_secret(const struct settings *settings, const void *field)
{
    for (size_t i = 0; i < settings->secret_count; i++)
        if (settings->secrets[i] == field)
            return true;
    return false;
}

const char *settings_shown(const struct settings *settings, const char *const *field)
{
    return settings_is_secret(settings, field) ? "***" : *field;
}

/* --- the door
 * -------------------------------------------------------------------------------------- */

/* `text.at` NULL: `name` is a file to read. */
static struct settings *load(struct conf_source *source, const char *name, struct bytes text,
                             struct report *report)
{
    struct settings *settings = calloc(1, sizeof *settings);
    size_t errors = report_count(report);

    if (!settings) {
        report_add(report, (struct mark){0}, NULL, "out of memory");
        return NULL;
    }
    arena_init(&settings->arena);
    struct loader loader = {
        .arena = &settings->arena, .source = source, .report = report, .settings = settings};
    preset_whole(&loader);
    const char *own_name = loader_text(&loader, bytes_of(name));
    const struct tree *tree = !own_name  ? NULL
                              : !text.at ? include_file(&loader, own_name)
                                         : include_text(&loader, own_name, text);
    if (tree)
        load_whole(&loader, tree);
    if (loader.has_no_memory)
        report_add(report, (struct mark){0}, NULL, "out of memory");
    if (report_count(report) == errors)
        return settings;
    return settings_free(settings);
}

struct settings *settings_load(struct conf_source *source, const char *path, struct report *report)
{
    return load(source, path, (struct bytes){0}, report);
}

struct settings *settings_parse(struct conf_source *source, const char *name, struct bytes text,
                                struct report *report)
{
    return load(source, name, text.at ? text : bytes_of(""), report);
}

struct settings *settings_free(struct settings *settings)
{
    if (!settings)
        return NULL;
    arena_done(&settings->arena);
    free(settings);
    return NULL;
}

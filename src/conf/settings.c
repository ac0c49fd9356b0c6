/* From files to settings: read and merge what includes bring, then each section by its table, then what
 * refers to something else. Errors never stop the way: whatever can still be checked is. */
#include "conf/settings.h"

#include "base/check.h"
#include "conf/sections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX        1000
#define INCLUDE_DEPTH    8
#define ALL_FILES_BYTES  (16u << 20)
#define WORDS_BYTES      512

/* --- files ----------------------------------------------------------------------------------------- */

struct reading {
    struct loader *loader;
    const char *chain[INCLUDE_DEPTH + 1]; /* the files that include one another, from the first */
    unsigned depth, files;
    size_t bytes;
};

static void merge(struct loader *loader, struct tree *into, struct tree *from);

static void merge_entry(struct loader *loader, struct tree *into, struct tree_entry *entry)
{
    struct tree_entry *there = tree_find(into, entry->key);

    if (!there)
        tree_add(into, entry);
    else if (there->value->kind != entry->value->kind || entry->value->kind == TREE_SCALAR)
        complain_at(loader, entry->mark, "leave one of the two out", "\"%s\" is set here and in %s:%u", entry->key,
                    there->mark.file, there->mark.line);
    else
        merge(loader, there->value, entry->value);
}

/* Lists are appended, maps merged. */
static void merge(struct loader *loader, struct tree *into, struct tree *from)
{
    struct tree_entry *next;

    for (struct tree_entry *entry = from->first; entry; entry = next) {
        next = entry->next;
        if (into->kind == TREE_LIST)
            tree_add(into, entry);
        else
            merge_entry(loader, into, entry);
    }
}

static struct tree *read_text(struct reading *r, const char *name, struct bytes text);

static struct tree *read_file(struct reading *r, const char *path, struct mark from)
{
    struct bytes text = {0};
    struct conf_source *source = r->loader->source;
    int error = source->read(source, path, &text);

    if (error) {
        report_add(r->loader->report, from.file ? from : (struct mark){path, 0, 0}, NULL, "cannot read %s: %s", path,
                   strerror(-error));
        return NULL;
    }
    r->bytes += text.len;
    const char *name = arena_text(r->loader->arena, bytes_of(path));
    struct tree *tree = NULL;
    if (++r->files > FILES_MAX || r->bytes > ALL_FILES_BYTES)
        report_add(r->loader->report, from, NULL, "more than %d files, or 16 MiB, of configuration", FILES_MAX);
    else if (name)
        tree = read_text(r, name, text);
    free((void *)(uintptr_t)text.at);
    return tree;
}

static bool is_in_chain(const struct reading *r, const char *path)
{
    for (unsigned i = 0; i < r->depth; i++)
        if (strcmp(r->chain[i], path) == 0)
            return true;
    return false;
}

static void include_one(struct reading *r, struct tree *into, const char *path, struct mark mark)
{
    if (is_in_chain(r, path)) {
        complain_at(r->loader, mark, "take one of the includes out", "%s includes itself, by way of %s", path,
                    r->chain[r->depth - 1]);
        return;
    }
    if (r->depth > INCLUDE_DEPTH) {
        complain_at(r->loader, mark, NULL, "includes are nested more than %d deep", INCLUDE_DEPTH);
        return;
    }
    struct tree *tree = read_file(r, path, mark);
    if (tree)
        merge(r->loader, into, tree);
}

static void include_pattern(struct reading *r, struct tree *into, const struct tree *pattern)
{
    struct loader *loader = r->loader;
    char **paths = NULL;
    size_t count = 0;
    bool is_secret;
    const char *text = value_text(loader, pattern, "include", &is_secret);
    const char *path = text ? path_beside(loader->arena, pattern->mark.file, text) : NULL;

    if (!path)
        return;
    int error = loader->source->expand(loader->source, path, &paths, &count);
    if (error)
        complain_at(loader, pattern->mark, NULL, "include: cannot look for %s: %s", path, strerror(-error));
    else if (count == 0 && !strpbrk(path, "*?["))
        complain_at(loader, pattern->mark, "is the path right?", "include: there is no file %s", path);
    for (size_t i = 0; i < count; i++) {
        include_one(r, into, paths[i], pattern->mark);
        free(paths[i]);
    }
    free(paths);
}

static void follow_includes(struct reading *r, struct tree *tree)
{
    struct tree_entry *include = tree_find(tree, "include");

    if (!include)
        return;
    if (include->value->kind != TREE_LIST) {
        include_pattern(r, tree, include->value);
        return;
    }
    for (struct tree_entry *entry = include->value->first; entry; entry = entry->next)
        include_pattern(r, tree, entry->value);
}

/* An included file's own `include` is followed, and is no key of the whole. */
static void drop_include(struct tree *tree)
{
    struct tree_entry *entry = tree->first, *next;

    tree->first = tree->last = NULL;
    for (; entry; entry = next) {
        next = entry->next;
        if (strcmp(entry->key, "include") != 0)
            tree_add(tree, entry);
    }
}

static struct tree *read_text(struct reading *r, const char *name, struct bytes text)
{
    struct tree *tree = yaml_parse(r->loader->arena, name, text, r->loader->report);

    if (!tree || !value_is_map(r->loader, tree, "a configuration"))
        return NULL;
    r->chain[r->depth++] = name;
    follow_includes(r, tree);
    r->depth--;
    drop_include(tree);
    return tree;
}

/* --- sections -------------------------------------------------------------------------------------- */

static const struct tree *child(const struct tree *map, const char *key)
{
    const struct tree_entry *entry = tree_find(map, key);

    return entry ? entry->value : NULL;
}

/* A section that is a list of maps: one element each. */
typedef void element_fn(struct loader *loader, const struct tree *element, void *ret_fields);

static void *load_list(struct loader *loader, const struct tree *list, const char *what, size_t size,
                       element_fn *load, size_t *ret_count)
{
    size_t count = 0;
    char *fields, *at;

    *ret_count = 0;
    if (!list || !value_is_list(loader, list, what))
        return NULL;
    for (const struct tree_entry *entry = list->first; entry; entry = entry->next)
        count++;
    fields = at = arena_alloc(loader->arena, count * size + 1);
    for (const struct tree_entry *entry = fields ? list->first : NULL; entry; entry = entry->next, at += size)
        load(loader, entry->value, at);
    if (fields)
        *ret_count = count;
    return fields;
}

static const char *wanted_text(struct loader *loader, struct mark mark, const char *text, const char *key,
                               const char *hint)
{
    if (!text)
        complain_at(loader, mark, hint, "\"%s\" is missing", key);
    return text ? text : "";
}

static struct mark mark_of(const struct tree *map, const char *key)
{
    const struct tree_entry *entry = tree_find(map, key);

    return entry ? entry->value->mark : map->mark;
}

static void load_certificate(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct certificate_settings *certificate = ret_fields;

    certificate->mark = element->mark;
    section_load(loader, &section_certificate, element, certificate);
    if (element->kind != TREE_MAP)
        return;
    certificate->cert = wanted_text(loader, element->mark, certificate->cert, "cert", "write { cert: FILE, key: FILE }");
    certificate->key = wanted_text(loader, element->mark, certificate->key, "key", "write { cert: FILE, key: FILE }");
}

static void load_tls(struct loader *loader, const struct tree *tls, struct listener_settings *listener)
{
    section_load(loader, &section_tls, tls, listener);
    if (tls->kind != TREE_MAP)
        return;
    listener->certificates =
        load_list(loader, child(tls, "certificates"), "certificates", sizeof *listener->certificates,
                  load_certificate, &listener->certificate_count);
    if (!tree_find(tls, "mode"))
        complain_at(loader, tls->mark, "write mode: terminate or mode: passthrough", "\"mode\" is missing");
    else if (listener->tls_mode == TLS_TERMINATE && !listener->certificate_count)
        complain_at(loader, tls->mark, "add certificates: [ { cert: FILE, key: FILE } ]",
                    "to terminate TLS, a certificate is needed");
    else if (listener->tls_mode == TLS_PASSTHROUGH && tree_find(tls, "certificates"))
        complain_at(loader, mark_of(tls, "certificates"), "leave them out, or write mode: terminate",
                    "passthrough uses no certificates: the servers have them");
}

static void load_listener(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct listener_settings *listener = ret_fields;
    const char *hint = "write 127.0.0.1:8080, \"[::1]:8080\" or \"unix:/run/x.sock\"";

    listener->mark = element->mark;
    section_preset(loader, &section_listener, listener);
    section_load(loader, &section_listener, element, listener);
    if (element->kind != TREE_MAP)
        return;
    bool is_there = tree_find(element, "listen");
    listener->mark = mark_of(element, "listen");
    if (!is_there)
        complain_at(loader, element->mark, hint, "\"listen\" is missing");
    if (child(element, "tls"))
        load_tls(loader, child(element, "tls"), listener);
    if (listener->listen && loader->source->is_endpoint && !loader->source->is_endpoint(listener->listen))
        complain_at(loader, listener->mark, hint, "\"%s\" is no address to listen on", listener->listen);
    if (!listener->listen)
        listener->listen = "";
}

static void load_server(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct server_settings *server = ret_fields;
    const char *hint = "write an address with port, such as 127.0.0.1:9001 or \"[::1]:9001\"";
    bool is_secret, is_plain = element->kind == TREE_SCALAR;

    section_preset(loader, &section_server, server);
    server->mark = element->mark;
    if (is_plain) {
        server->address = value_text(loader, element, "servers", &is_secret);
    } else {
        section_load(loader, &section_server, element, server);
        if (element->kind == TREE_MAP && !tree_find(element, "address"))
            complain_at(loader, element->mark, hint, "\"address\" is missing");
        if (element->kind == TREE_MAP)
            server->mark = mark_of(element, "address");
    }
    if (server->address && loader->source->is_address && !loader->source->is_address(server->address))
        complain_at(loader, server->mark, hint, "\"%s\" is no server address", server->address);
    if (!server->address)
        server->address = "";
}

static bool is_good_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_alnum && c != '_' && c != '-' && c != '.')
            return false;
    }
    return len > 0 && len <= 64;
}

static void check_balance(struct loader *loader, const struct tree *map, const struct pool_settings *pool)
{
    const char *const *names = loader->source->balancers;
    char hint[WORDS_BYTES] = "write one of:";
    size_t used = strlen(hint);

    for (size_t i = 0; names && names[i]; i++) {
        if (strcmp(names[i], pool->balance) == 0)
            return;
        used += (size_t)snprintf(hint + used, sizeof hint - used, " %s", names[i]);
    }
    if (names)
        complain_at(loader, mark_of(map, "balance"), hint, "pools.balance: there is no balancer \"%s\"", pool->balance);
}

static void load_pool(struct loader *loader, const struct tree_entry *entry, struct pool_settings *pool)
{
    pool->mark = entry->mark;
    pool->name = entry->key;
    pool->on_removed = loader->settings->on_removed;
    section_preset(loader, &section_pool, pool);
    section_load(loader, &section_pool, entry->value, pool);
    if (!is_good_name(pool->name))
        complain_at(loader, entry->mark, "use letters, digits, \"_\", \"-\" and \".\", 64 at most",
                    "\"%s\" will not do as a pool's name", pool->name);
    if (entry->value->kind != TREE_MAP)
        return;
    check_balance(loader, entry->value, pool);
    pool->servers = load_list(loader, child(entry->value, "servers"), "servers", sizeof *pool->servers, load_server,
                              &pool->server_count);
    if (!pool->server_count)
        complain_at(loader, entry->mark, "add servers: [ 127.0.0.1:9001 ]", "pool \"%s\" has no server", pool->name);
}

static void load_pools(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;
    const struct tree *pools = child(whole, "pools");
    size_t count = 0;

    if (!pools) {
        complain_at(loader, whole->mark, "add pools: { NAME: { servers: [ 127.0.0.1:9001 ] } }", "\"pools\" is missing");
        return;
    }
    if (!value_is_map(loader, pools, "pools"))
        return;
    for (const struct tree_entry *entry = pools->first; entry; entry = entry->next)
        count++;
    settings->pools = arena_alloc(loader->arena, count * sizeof *settings->pools + 1);
    if (!settings->pools)
        return;
    for (const struct tree_entry *entry = pools->first; entry; entry = entry->next)
        load_pool(loader, entry, &settings->pools[settings->pool_count++]);
    if (!count)
        complain_at(loader, pools->mark, "add one: NAME: { servers: [ 127.0.0.1:9001 ] }", "there is no pool");
}

/* --- routes ---------------------------------------------------------------------------------------- */

static void load_timeouts(struct loader *loader, const struct tree *map, struct timeouts *timeouts, uint64_t *jitter)
{
    struct route_settings holder = {.lifetime_jitter = *jitter};

    section_load(loader, &section_timeouts, map, timeouts);
    const struct tree_entry *entry = map && map->kind == TREE_MAP ? tree_find(map, "lifetime_jitter") : NULL;
    if (entry)
        section_load_one(loader, &section_lifetime, entry, &holder);
    *jitter = holder.lifetime_jitter;
}

static void find_pool(struct loader *loader, const struct tree *element, struct route_settings *route)
{
    const struct settings *settings = loader->settings;
    const char **names = arena_alloc(loader->arena, (settings->pool_count + 1) * sizeof *names);
    char hint[WORDS_BYTES];

    route->pool_mark = mark_of(element, "pool");
    if (!route->pool) {
        complain_at(loader, element->mark, "add pool: NAME", "\"pool\" is missing");
        route->pool = "";
        return;
    }
    for (size_t i = 0; names && i < settings->pool_count; i++) {
        names[i] = settings->pools[i].name;
        if (strcmp(names[i], route->pool) != 0)
            continue;
        route->pool_index = i;
        if (!tree_find(element, "on_removed"))
            route->on_removed = settings->pools[i].on_removed;
        return;
    }
    const char *near = names ? nearest_word(route->pool, names) : NULL;
    snprintf(hint, sizeof hint, near ? "did you mean \"%s\"?" : "name one that stands under pools%s", near ? near : "");
    complain_at(loader, route->pool_mark, hint, "there is no pool \"%s\"", route->pool);
}

/* The host is tried alone first, so that an error points at the right key. */
static void check_match(struct loader *loader, const struct route_settings *route)
{
    struct conf_source *source = loader->source;
    char words[256] = "";

    if (!source->is_match)
        return;
    if (!source->is_match(route->host, NULL, NULL, words))
        complain_at(loader, route->host_mark, NULL, "%s", words);
    else if (!source->is_match(route->host, route->path, route->prefix, words))
        complain_at(loader, route->path ? route->path_mark : route->prefix_mark, NULL, "%s", words);
}

static void load_match(struct loader *loader, const struct tree *match, struct route_settings *route)
{
    section_load(loader, &section_match, match, route);
    if (match->kind != TREE_MAP)
        return;
    route->host_mark = mark_of(match, "host");
    route->path_mark = mark_of(match, "path");
    route->prefix_mark = mark_of(match, "prefix");
    check_match(loader, route);
}

static void load_route(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct route_settings *route = ret_fields;

    route->mark = element->mark;
    route->timeouts = loader->settings->timeouts;
    route->lifetime_jitter = loader->settings->lifetime_jitter;
    section_preset(loader, &section_route, route);
    section_preset(loader, &section_websocket, route);
    section_load(loader, &section_route, element, route);
    if (element->kind != TREE_MAP)
        return;
    if (child(element, "match"))
        load_match(loader, child(element, "match"), route);
    if (child(element, "websocket"))
        section_load(loader, &section_websocket, child(element, "websocket"), route);
    load_timeouts(loader, child(element, "timeouts"), &route->timeouts, &route->lifetime_jitter);
    find_pool(loader, element, route);
}

static void name_routes(struct loader *loader)
{
    struct settings *settings = loader->settings;
    char text[24];

    for (size_t i = 0; i < settings->route_count; i++) {
        struct route_settings *route = &settings->routes[i];
        for (size_t k = 0; route->name && k < i; k++)
            if (settings->routes[k].name && strcmp(settings->routes[k].name, route->name) == 0)
                complain_at(loader, route->mark, "give it another name", "two routes are named \"%s\"", route->name);
        if (!route->name) {
            snprintf(text, sizeof text, "%zu", i + 1);
            route->name = arena_text(loader->arena, bytes_of(text));
        }
    }
}

/* Without routes and with one pool everything goes there. */
static void make_only_route(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;

    if (settings->pool_count != 1) {
        if (settings->pool_count > 1)
            complain_at(loader, whole->mark, "add routes: [ { match: { host: ... }, pool: ... } ]",
                        "with more than one pool, \"routes\" must say which is meant");
        return;
    }
    settings->routes = arena_alloc(loader->arena, sizeof *settings->routes);
    if (!settings->routes)
        return;
    section_preset(loader, &section_route, settings->routes);
    section_preset(loader, &section_websocket, settings->routes);
    settings->routes->timeouts = settings->timeouts;
    settings->routes->lifetime_jitter = settings->lifetime_jitter;
    settings->routes->pool = settings->pools[0].name;
    settings->routes->on_removed = settings->pools[0].on_removed;
    settings->routes->mark = settings->pools[0].mark;
    settings->route_count = 1;
}

/* --- the whole ------------------------------------------------------------------------------------- */

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
        complain_at(loader, settings->admin_mark, "write \"unix:/run/turnout.sock\" or 127.0.0.1:9900",
                    "\"%s\" is no address to listen on", settings->admin_listen);
}

static void load_trusted(struct loader *loader, const struct tree *list)
{
    struct settings *settings = loader->settings;
    size_t count = 0;
    bool is_secret;

    if (!list || !value_is_list(loader, list, "trusted_proxies"))
        return;
    for (const struct tree_entry *entry = list->first; entry; entry = entry->next)
        count++;
    settings->trusted_proxies = arena_alloc(loader->arena, (count + 1) * sizeof *settings->trusted_proxies);
    for (const struct tree_entry *entry = settings->trusted_proxies ? list->first : NULL; entry; entry = entry->next) {
        const char *text = value_text(loader, entry->value, "trusted_proxies", &is_secret);
        if (text)
            settings->trusted_proxies[settings->trusted_proxy_count++] = text;
    }
}

static void load_listeners(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;

    if (!child(whole, "listeners"))
        complain_at(loader, whole->mark, "add listeners: [ { listen: 127.0.0.1:8080 } ]", "\"listeners\" is missing");
    settings->listeners = load_list(loader, child(whole, "listeners"), "listeners", sizeof *settings->listeners,
                                    load_listener, &settings->listener_count);
    for (size_t i = 0; i < settings->listener_count; i++)
        for (size_t k = 0; k < i; k++)
            if (settings->listeners[i].listen[0] &&
                strcmp(settings->listeners[i].listen, settings->listeners[k].listen) == 0)
                complain_at(loader, settings->listeners[i].mark, "leave one of the two out",
                            "two listeners on %s; the first in line %u", settings->listeners[i].listen,
                            settings->listeners[k].mark.line);
    if (child(whole, "listeners") && child(whole, "listeners")->kind == TREE_LIST && !settings->listener_count)
        complain_at(loader, child(whole, "listeners")->mark, "add { listen: 127.0.0.1:8080 }", "there is no listener");
}

static void load_whole(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;
    const struct tree_entry *on_removed = tree_find(whole, "on_removed");
    struct pool_settings holder = {0};

    section_load(loader, &section_top, whole, settings);
    if (child(whole, "user"))
        settings->user_mark = child(whole, "user")->mark;
    load_admin(loader, child(whole, "admin"));
    load_timeouts(loader, child(whole, "timeouts"), &settings->timeouts, &settings->lifetime_jitter);
    section_load(loader, &section_tcp, child(whole, "tcp"), settings);
    section_load(loader, &section_limits, child(whole, "limits"), settings);
    section_load(loader, &section_log, child(whole, "log"), settings);
    if (on_removed)
        section_load_one(loader, &section_pool, on_removed, &holder);
    settings->on_removed = holder.on_removed;
    load_trusted(loader, child(whole, "trusted_proxies"));
    load_listeners(loader, whole);
    load_pools(loader, whole);
    if (child(whole, "routes"))
        settings->routes = load_list(loader, child(whole, "routes"), "routes", sizeof *settings->routes, load_route,
                                     &settings->route_count);
    else
        make_only_route(loader, whole);
    if (child(whole, "routes") && child(whole, "routes")->kind == TREE_LIST && !settings->route_count)
        complain_at(loader, child(whole, "routes")->mark, "add one, or leave \"routes\" out", "there is no route");
    name_routes(loader);
}

static void preset_whole(struct loader *loader)
{
    struct route_settings holder = {0};

    section_preset(loader, &section_top, loader->settings);
    section_preset(loader, &section_timeouts, &loader->settings->timeouts);
    section_preset(loader, &section_lifetime, &holder);
    loader->settings->lifetime_jitter = holder.lifetime_jitter;
    section_preset(loader, &section_tcp, loader->settings);
    section_preset(loader, &section_limits, loader->settings);
    section_preset(loader, &section_log, loader->settings);
}

void settings_keep_secret(struct loader *loader, const void *field)
{
    struct settings *settings = loader->settings;
    const void **more = arena_alloc(loader->arena, (settings->secret_count + 1) * sizeof *more);

    if (!more)
        return;
    if (settings->secret_count)
        memcpy(more, settings->secrets, settings->secret_count * sizeof *more);
    more[settings->secret_count++] = field;
    settings->secrets = more;
}

/* `text.at` NULL: `name` is a file to read. */
static struct settings *load(struct conf_source *source, const char *name, struct bytes text, struct report *report)
{
    struct settings *settings = calloc(1, sizeof *settings);
    size_t errors = report_count(report);

    if (!settings) {
        report_add(report, (struct mark){0}, NULL, "out of memory");
        return NULL;
    }
    arena_init(&settings->arena);
    struct loader loader = {&settings->arena, source, report, settings};
    struct reading reading = {.loader = &loader};
    preset_whole(&loader);
    const char *own_name = arena_text(&settings->arena, bytes_of(name));
    struct tree *tree = !own_name  ? NULL
                        : !text.at ? read_file(&reading, own_name, (struct mark){0})
                                   : read_text(&reading, own_name, text);
    if (tree)
        load_whole(&loader, tree);
    if (report_count(report) == errors)
        return settings;
    return settings_free(settings);
}

struct settings *settings_load(struct conf_source *source, const char *path, struct report *report)
{
    return load(source, path, (struct bytes){0}, report);
}

struct settings *settings_parse(struct conf_source *source, const char *name, struct bytes text, struct report *report)
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

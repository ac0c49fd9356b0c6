/* Built from top to bottom, every error into the report; a half-made snapshot is freed like a whole
 * one. The parts are in build_pools.c, build_routes.c and build_gates.c. */
#include "proxy/snapshot_priv.h"

#include "base/check.h"
#include "proxy/aim.h"
#include "proxy/guarding.h"
#include "proxy/stickiness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_MAGIC 0x736e6170u

static struct tcp_tuning tuning_of(const struct settings *settings)
{
    return (struct tcp_tuning){
        .keepalive_sec = (uint32_t)((settings->tcp_keepalive + 999999u) / 1000000u),
        .user_timeout_msec = (uint32_t)(settings->tcp_user_timeout / 1000u),
    };
}

/* --- error pages -------------------------------------------------------------------------------
 */

#define PAGE_MAX_BYTES 65536u

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"}, {".htm", "text/html; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"}, {".json", "application/json"},
    {".xml", "application/xml"},
};

static const char *type_of(const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t ending = strlen(types[i].ending);
        if (len > ending && strcasecmp(path + len - ending, types[i].ending) == 0)
            return types[i].type;
    }
    return NULL;
}

static void build_page(struct build *b, size_t number)
{
    const struct error_page_settings *settings = &b->made->settings->error_pages[number];
    struct error_page *page = &b->made->pages[number];

    page->status = (unsigned)settings->status;
    page->type = type_of(settings->path);
    if (!page->type)
        report_add(b->report, settings->mark, "name it .html, .txt, .json or .xml",
                   "error_pages: nothing says of what type this file is");
    int error = b->means->source->read(b->means->source, settings->path, &page->body);
    if (error)
        report_add(b->report, settings->mark, "is the path right, and may this user read it?",
                   "cannot read this error page: %s", strerror(-error));
    else if (page->body.len > PAGE_MAX_BYTES)
        report_add(b->report, settings->mark, "64k is the most",
                   "this error page is too large: %zu bytes", page->body.len);
}

const struct error_page *snapshot_error_page(const struct snapshot *snapshot, unsigned status)
{
    for (size_t i = 0; i < snapshot->settings->error_page_count; i++)
        if (snapshot->pages[i].status == status)
            return &snapshot->pages[i];
    return NULL;
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static struct snapshot *allocate(struct settings *take_settings)
{
    struct snapshot *made = calloc(1, sizeof *made);

    if (!made) {
        settings_free(take_settings);
        return NULL;
    }
    made->magic = SNAPSHOT_MAGIC;
    atomic_init(&made->references, 1);
    made->settings = take_settings;
    made->pools = calloc(take_settings->pool_count, sizeof(struct pool *));
    made->routes = calloc(take_settings->route_count + 1, sizeof *made->routes);
    made->gates = calloc(take_settings->listener_count, sizeof *made->gates);
    made->pages = calloc(take_settings->error_page_count + 1, sizeof *made->pages);
    made->stores = calloc(take_settings->store_count + 1, sizeof(struct store *));
    if (!made->pools || !made->routes || !made->gates || !made->pages || !made->stores)
        return snapshot_unref(made);
    return made;
}

struct snapshot *snapshot_new(const struct snapshot_means *means, struct settings *take_settings,
                              struct snapshot *before, struct report *report)
{
    struct build b = {means, before, report, allocate(take_settings)};
    size_t errors = report_count(report);

    if (!b.made) {
        out_of_memory(&b);
        return NULL;
    }
    b.made->number = before ? before->number + 1 : 1;
    b.made->workers = means->workers;
    b.made->deadlines = deadlines_of(&b.made->settings->timeouts);
    b.made->tuning = tuning_of(b.made->settings);
    if (cidr_set_init(&b.made->trusted, b.made->settings->trusted_proxies,
                      b.made->settings->trusted_proxy_count, NULL))
        out_of_memory(&b); /* wrong ones are found when the settings are read */
    for (size_t i = 0; i < b.made->settings->pool_count; i++)
        build_pool(&b, i);
    for (size_t i = 0; i < b.made->settings->store_count; i++)
        build_store(&b, i);
    for (size_t i = 0; i < b.made->settings->route_count; i++)
        build_route(&b, i);
    if (aim_prepare(b.made, report))
        out_of_memory(&b);
    build_rates(&b);
    stickiness_build(b.made, before, report);
    guarding_judge(b.made, report);
    for (size_t i = 0; i < b.made->settings->listener_count; i++)
        build_gate(&b, i);
    for (size_t i = 0; i < b.made->settings->error_page_count; i++)
        build_page(&b, i);
    return report_count(report) == errors ? b.made : snapshot_unref(b.made);
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    CHECK_OBJ(snapshot, SNAPSHOT_MAGIC);
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

static void free_all(struct snapshot *snapshot)
{
    const struct settings *settings = snapshot->settings;

    for (size_t i = 0; snapshot->gates && i < settings->listener_count; i++)
        free_gate(&snapshot->gates[i], snapshot->workers);
    for (size_t i = 0; snapshot->routes && i < settings->route_count; i++)
        free_route(&snapshot->routes[i]);
    for (size_t i = 0; snapshot->pages && i < settings->error_page_count; i++)
        free((void *)(uintptr_t)snapshot->pages[i].body.at);
    for (size_t i = 0; snapshot->pools && i < settings->pool_count; i++)
        pool_unref(snapshot->pools[i]);
    for (size_t i = 0; snapshot->stores && i < settings->store_count; i++)
        store_unref(snapshot->stores[i]);
    cidr_set_done(&snapshot->trusted);
    rate_table_unref(snapshot->rates);
    stickiness_done(snapshot);
    free(snapshot->gates);
    free(snapshot->pages);
    free(snapshot->stores);
    free(snapshot->routes);
    free(snapshot->pools);
    free(snapshot->hash_keys);
    settings_free(snapshot->settings);
    snapshot->magic = 0;
    free(snapshot);
}

struct snapshot *snapshot_unref(struct snapshot *snapshot)
{
    if (!snapshot)
        return NULL;
    CHECK_OBJ(snapshot, SNAPSHOT_MAGIC);
    if (atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1)
        free_all(snapshot);
    return NULL;
}

struct pool *snapshot_pool(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->settings->pool_count; i++)
        if (snapshot->pools[i] && strcmp(snapshot->settings->pools[i].name, name) == 0)
            return snapshot->pools[i];
    return NULL;
}

void snapshot_in_force(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->settings->pool_count; i++)
        pool_in_force(snapshot->pools[i]);
}

bool snapshot_trusts(const struct snapshot *snapshot, const struct ip *ip)
{
    return cidr_set_has(&snapshot->trusted, ip);
}

const struct route *snapshot_route(const struct snapshot *snapshot, const struct route_asked *asked,
                                   struct route_params *ret_params)
{
    for (size_t i = 0; i < snapshot->settings->route_count; i++)
        if (route_rule_matches(snapshot->routes[i].rule, asked, ret_params))
            return &snapshot->routes[i];
    return NULL;
}

bool route_goes_by_name(const struct route *route)
{
    const struct match_settings *more = &route->settings->more;

    return route->pool && !route->settings->path && !route->settings->prefix &&
           !more->method_count && !more->field_count && !access_wants_head(route->access);
}

const char *snapshot_passthrough(const struct snapshot *snapshot)
{
    const struct settings *settings = snapshot->settings;

    for (size_t i = 0; i < settings->listener_count; i++)
        if (settings->listeners[i].tls_mode == TLS_PASSTHROUGH)
            return settings->listeners[i].listen;
    return NULL;
}

const struct route *snapshot_route_by_name(const struct snapshot *snapshot, struct bytes name)
{
    const struct url_path root = {.count = 1};
    const struct route_asked asked = {.host = name, .path = &root, .is_https = true};

    for (size_t i = 0; i < snapshot->settings->route_count; i++) {
        const struct route *route = &snapshot->routes[i];
        if (route_goes_by_name(route) && route_rule_matches(route->rule, &asked, NULL))
            return route;
    }
    return NULL;
}

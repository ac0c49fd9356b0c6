/* Built from top to bottom, every error into the report; a half-made snapshot is freed like a whole
 * one. Certificates that did not change since the snapshot before keep their TLS contexts: a reload
 * under thousands of wss connections costs nothing, and its memory does not grow. */
#include "proxy/snapshot.h"

#include "base/check.h"
#include "proxy/aim.h"
#include "proxy/guarding.h"
#include "proxy/stickiness.h"
#include "route/shares.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT_MAGIC 0x736e6170u

struct build {
    const struct snapshot_means *means;
    struct snapshot *before;
    struct report *report;
    struct snapshot *made;
};

static uint64_t forever_if_none(uint64_t usec)
{
    return usec ? usec : FOREVER;
}

static struct deadlines deadlines_of(const struct timeouts *timeouts)
{
    return (struct deadlines){
        .request_head = forever_if_none(timeouts->request_head),
        .body = forever_if_none(timeouts->body),
        .queue = forever_if_none(timeouts->queue),
        .connect = forever_if_none(timeouts->connect),
        .handshake = forever_if_none(timeouts->handshake),
        .response = forever_if_none(timeouts->response),
        .keepalive = forever_if_none(timeouts->keepalive),
    };
}

static struct tcp_tuning tuning_of(const struct settings *settings)
{
    return (struct tcp_tuning){
        .keepalive_sec = (uint32_t)((settings->tcp_keepalive + 999999u) / 1000000u),
        .user_timeout_msec = (uint32_t)(settings->tcp_user_timeout / 1000u),
    };
}

static void out_of_memory(const struct build *b)
{
    report_add(b->report, (struct mark){0}, NULL, "out of memory");
}

/* --- pools -------------------------------------------------------------------------------------
 */

static void set_keepalive(struct pool *pool, const struct pool_settings *settings)
{
    const struct pool_keepalive keepalive = {
        .idle_usec = forever_if_none(settings->keepalive_idle),
        .max = (uint32_t)settings->keepalive_max,
    };

    pool_set_keepalive(pool, &keepalive);
}

#define NSEC_PER_USEC 1000u

static struct pool_admission admission_of(const struct admission_settings *settings)
{
    const struct rate *rate = &settings->rate;

    return (struct pool_admission){
        .interval_nsec = rate->count ? rate->per_usec * NSEC_PER_USEC / rate->count : 0,
        .burst = (uint32_t)settings->burst,
    };
}

static void set_policy(struct pool *pool, const struct pool_settings *settings)
{
    uint64_t queue =
        settings->admission.rate.count ? settings->admission.queue : settings->admission_pool.queue;
    const struct pool_policy policy = {
        .per_server = admission_of(&settings->admission),
        .whole = admission_of(&settings->admission_pool),
        .queue_max = (uint32_t)queue,
        .slow_start_usec = settings->slow_start,
        .panic_percent = (uint32_t)settings->panic,
    };

    pool_set_policy(pool, &policy);
}

static void set_all(struct pool *pool, const struct pool_settings *settings)
{
    set_keepalive(pool, settings);
    set_policy(pool, settings);
    pool_set_proxy_protocol(pool, settings->proxy_out);
}

static bool is_discovered(const struct pool_settings *settings)
{
    return settings->dns || settings->file;
}

static void build_pool(struct build *b, size_t number)
{
    const struct pool_settings *settings = &b->made->settings->pools[number];
    struct pool *before = b->before ? snapshot_pool(b->before, settings->name) : NULL;
    struct pool_member_spec *members = calloc(settings->server_count + 1, sizeof *members);

    if (!members) {
        out_of_memory(b);
        return;
    }
    for (size_t i = 0; i < settings->server_count; i++) {
        const struct server_settings *server = &settings->servers[i];
        members[i].weight = (uint32_t)server->weight;
        members[i].max_connections = (uint32_t)server->max_connections;
        members[i].is_backup = server->backup;
        if (address_parse(server->address, &members[i].address))
            report_add(b->report, server->mark,
                       "write an address such as 127.0.0.1:9001 or \"[::1]:9001\"",
                       "\"%s\" is no server address", server->address);
    }
    int error = pool_new(settings->name, balancer_find(settings->balance),
                         is_discovered(settings) ? NULL : members, settings->server_count, before,
                         &b->made->pools[number]);
    if (error == -EEXIST)
        report_add(b->report, settings->mark, "give it a weight instead of a second entry",
                   "pool \"%s\" names one server twice", settings->name);
    else if (error == -E2BIG)
        report_add(b->report, settings->mark, "spread them over several pools",
                   "pool \"%s\" has more than %d servers", settings->name, POOL_SERVERS_MAX);
    else if (error)
        out_of_memory(b);
    else
        set_all(b->made->pools[number], settings);
    free(members);
}

/* --- routes ------------------------------------------------------------------------------------
 */

/* A bit for each tier that is not named; none where none is. */
static uint8_t tiers_left_out(const struct texts *tiers)
{
    const char *const *names = relay_tier_names();
    unsigned left_out = 0;

    for (unsigned i = 0; tiers->count && names[i]; i++) {
        bool is_named = false;
        for (size_t k = 0; k < tiers->count; k++)
            is_named |= strcmp(names[i], tiers->at[k]) == 0;
        left_out |= is_named ? 0 : 1u << i;
    }
    return (uint8_t)left_out;
}

static struct relay_opts relay_opts_of(const struct settings *settings,
                                       const struct route_settings *route)
{
    const struct timeouts *timeouts = &route->timeouts;

    return (struct relay_opts){
        .idle_usec = forever_if_none(timeouts->tunnel_idle),
        .fin_usec = forever_if_none(timeouts->fin),
        .lifetime_usec = forever_if_none(timeouts->lifetime),
        .unsent_bytes = (uint32_t)settings->limits.unsent,
        .is_websocket = true,
        .tiers_left_out = tiers_left_out(&route->relay.tiers),
    };
}

/* The host is tried alone first, so that an error points at the right key. */
static void build_rule(struct build *b, const struct route_settings *settings, struct route *route)
{
    const struct route_match host_only = {.host = settings->host};
    const struct route_match match = {settings->host, settings->path, settings->prefix,
                                      &settings->more};
    struct mark mark = settings->path ? settings->path_mark : settings->prefix_mark;
    char words[256];

    int error = route_rule_new(&host_only, &route->rule, words);
    if (error == -EINVAL)
        report_add(b->report, settings->host_mark, NULL, "%s", words);
    else if (error)
        out_of_memory(b);
    route->rule = route_rule_free(route->rule);
    if (error)
        return;

    error = route_rule_new(&match, &route->rule, words);
    if (error == -EINVAL)
        report_add(b->report, mark, NULL, "%s", words);
    else if (error)
        out_of_memory(b);
}

static void hear_action(void *to, struct mark mark, const char *words)
{
    const struct build *b = to;

    report_add(b->report, mark, NULL, "%s", words);
}

#define TURNS_ALIGN 8 /* numbers: two workers never write to one cache line */

static size_t turns_per_worker(size_t count)
{
    return (count + TURNS_ALIGN - 1) / TURNS_ALIGN * TURNS_ALIGN;
}

static void build_shares(struct build *b, struct route *route)
{
    const struct route_settings *settings = route->settings;
    size_t count = settings->share_count;
    unsigned workers = b->means->workers ? b->means->workers : 1;

    if (count < 2)
        return;
    route->pools = calloc(count, sizeof(struct pool *));
    route->weights = calloc(count, sizeof *route->weights);
    route->turns = aligned_alloc(TURNS_ALIGN * sizeof *route->turns,
                                 workers * turns_per_worker(count) * sizeof *route->turns);
    if (!route->pools || !route->weights || !route->turns) {
        out_of_memory(b);
        return;
    }
    memset(route->turns, 0, workers * turns_per_worker(count) * sizeof *route->turns);
    for (size_t i = 0; i < count; i++) {
        route->pools[i] = b->made->pools[settings->shares[i].pool_index];
        route->weights[i] = (uint32_t)settings->shares[i].weight;
    }
}

static struct route route_of(const struct snapshot *made, const struct route_settings *settings)
{
    return (struct route){
        .name = settings->name,
        .pool = settings->kind == ROUTE_POOLS ? made->pools[settings->pool_index] : NULL,
        .settings = settings,
        .deadlines = deadlines_of(&settings->timeouts),
        .relay = relay_opts_of(made->settings, settings),
        .rate_key = settings->name ? rate_route(settings->name) : 0, /* raw TCP has no route */
        .is_rated = settings->rate.connections || settings->rate.handshakes.count ||
                    settings->rate.requests.count,
    };
}

static void build_route(struct build *b, size_t number)
{
    const struct route_settings *settings = &b->made->settings->routes[number];
    struct route *route = &b->made->routes[number];

    *route = route_of(b->made, settings);
    route->number = (unsigned)number;
    build_rule(b, settings, route);
    build_shares(b, route);
    if (route_action_new(settings, hear_action, b, &route->action) == -ENOMEM)
        out_of_memory(b);
    route->access = access_new(b->made->settings, &settings->access, b->report);
    if (route->pool)
        sticky_init(&route->sticky, &settings->sticky, pool_name(route->pool));
}

/* One table for all configurations, so that a reload forgets nobody. */
static void build_rates(struct build *b)
{
    struct rate_table *before = b->before ? b->before->rates : NULL;
    const uint64_t seed[2] = {sys_random(), sys_random()};
    bool is_wanted = false;

    for (size_t i = 0; i < b->made->settings->route_count; i++)
        is_wanted = is_wanted || b->made->routes[i].is_rated;
    if (before)
        b->made->rates = rate_table_ref(before);
    else if (is_wanted)
        b->made->rates = rate_table_new(seed);
    if (is_wanted && !b->made->rates)
        out_of_memory(b);
}

uint8_t route_next_share(const struct route *route, unsigned worker)
{
    size_t count = route->settings->share_count;

    if (!route->turns)
        return 0;
    return (uint8_t)shares_pick(route->weights, count,
                                route->turns + worker * turns_per_worker(count));
}

struct pool *route_pool(const struct route *route, uint8_t share)
{
    return route->pools ? route->pools[share] : route->pool;
}

size_t route_pool_number(const struct route *route, uint8_t share)
{
    return route->pools ? route->settings->shares[share].pool_index : route->settings->pool_index;
}

/* --- stores ------------------------------------------------------------------------------------
 */

static const struct store *store_before(const struct build *b, const char *name)
{
    for (size_t i = 0; b->before && i < b->before->settings->store_count; i++)
        if (strcmp(b->before->settings->stores[i].name, name) == 0)
            return b->before->stores[i];
    return NULL;
}

static void build_store(struct build *b, size_t number)
{
    const struct store_settings *settings = &b->made->settings->stores[number];
    char words[256] = "";
    int error =
        store_new(settings, store_before(b, settings->name), &b->made->stores[number], words);

    if (error == -EINVAL)
        report_add(b->report, settings->redis_mark, NULL, "stores.redis: %s", words);
    else if (error)
        out_of_memory(b);
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

/* --- gates -------------------------------------------------------------------------------------
 */

struct pems {
    struct tls_certificate *certificate;
    size_t count;
    uint64_t hash; /* of all their bytes: only to see whether anything changed */
};

static uint64_t hash_more(uint64_t hash, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.at[i]) * 0x100000001b3u; /* FNV-1a */
    return (hash ^ 0xff) * 0x100000001b3u;
}

static void free_pems(struct pems *pems)
{
    for (size_t i = 0; i < pems->count; i++) {
        free((void *)(uintptr_t)pems->certificate[i].certificate.at);
        struct bytes key = pems->certificate[i].key;
        if (key.at)
            explicit_bzero((void *)(uintptr_t)key.at, key.len);
        free((void *)(uintptr_t)key.at);
    }
    free(pems->certificate);
}

static bool read_pem(struct build *b, struct mark mark, const char *path, struct bytes *ret_text)
{
    int error = b->means->source->read(b->means->source, path, ret_text);

    if (error)
        report_add(b->report, mark, "is the path right, and may this user read it?",
                   "cannot read \"%s\": %s", path, strerror(-error));
    return !error;
}

static bool read_pems(struct build *b, const struct listener_settings *settings,
                      struct pems *ret_pems)
{
    bool is_good = true;

    *ret_pems = (struct pems){.hash = 0xcbf29ce484222325u};
    ret_pems->certificate = calloc(settings->certificate_count, sizeof *ret_pems->certificate);
    if (!ret_pems->certificate) {
        out_of_memory(b);
        return false;
    }
    ret_pems->count = settings->certificate_count;
    for (size_t i = 0; i < settings->certificate_count; i++) {
        const struct certificate_settings *from = &settings->certificates[i];
        struct tls_certificate *to = &ret_pems->certificate[i];
        is_good = read_pem(b, from->mark, from->cert, &to->certificate) && is_good;
        is_good = read_pem(b, from->mark, from->key, &to->key) && is_good;
        ret_pems->hash = hash_more(hash_more(ret_pems->hash, to->certificate), to->key);
    }
    return is_good;
}

static bool make_context(struct build *b, const struct listener_settings *settings,
                         const struct pems *pems, struct tls_worker *worker,
                         struct tls_context **ret_context)
{
    char words[256] = "";
    size_t which = 0;
    int error = tls_context_new(worker, pems->certificate, pems->count, b->means->tickets,
                                ret_context, &which, words);

    if (error == -EINVAL)
        report_add(b->report, settings->certificates[which].mark, NULL, "%s", words);
    else if (error)
        out_of_memory(b);
    return !error;
}

/* Without workers (`check`) the certificates are tried in a context that is thrown away. */
static void try_certificates(struct build *b, const struct listener_settings *settings,
                             const struct pems *pems)
{
    struct tls_worker *worker = NULL;
    struct tls_context *context = NULL;

    if (tls_worker_new(&worker)) {
        out_of_memory(b);
        return;
    }
    make_context(b, settings, pems, worker, &context);
    tls_context_unref(context);
    tls_worker_free(worker);
}

/* The gate of the snapshot before that has the very same certificates. */
static const struct gate_spec *same_certificates(const struct build *b,
                                                 const struct gate_spec *gate)
{
    for (size_t i = 0; b->before && i < b->before->settings->listener_count; i++) {
        const struct gate_spec *old = &b->before->gates[i];
        if (old->tls && old->certificates_hash == gate->certificates_hash)
            return old;
    }
    return NULL;
}

static void make_contexts(struct build *b, struct gate_spec *gate, const struct pems *pems)
{
    const struct gate_spec *same = same_certificates(b, gate);

    gate->tls = calloc(b->means->workers, sizeof *gate->tls);
    if (!gate->tls) {
        out_of_memory(b);
        return;
    }
    for (unsigned i = 0; i < b->means->workers; i++) {
        if (same)
            gate->tls[i] = tls_context_ref(same->tls[i]);
        else if (!make_context(b, gate->settings, pems, b->means->tls[i], &gate->tls[i]))
            return;
    }
}

static void build_tcp_route(struct build *b, struct gate_spec *gate)
{
    gate->tcp = calloc(1, sizeof *gate->tcp);
    if (gate->tcp)
        *gate->tcp = route_of(b->made, gate->settings->tcp_route);
    else
        out_of_memory(b);
}

static void build_gate(struct build *b, size_t number)
{
    struct gate_spec *gate = &b->made->gates[number];
    const struct listener_settings *settings = &b->made->settings->listeners[number];
    struct pems pems;

    gate->settings = settings;
    if (endpoint_parse(settings->listen, &gate->endpoint))
        report_add(b->report, settings->mark,
                   "write 127.0.0.1:8080, \"[::1]:8080\" or \"unix:/run/x.sock\"",
                   "\"%s\" is no address to listen on", settings->listen);
    if (settings->tcp_route)
        build_tcp_route(b, gate);
    if (settings->tls_mode != TLS_TERMINATE)
        return;
    if (read_pems(b, settings, &pems)) {
        gate->certificates_hash = pems.hash;
        if (b->means->tls)
            make_contexts(b, gate, &pems);
        else
            try_certificates(b, settings, &pems);
    }
    free_pems(&pems);
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

static void free_gate(struct gate_spec *gate, unsigned workers)
{
    for (unsigned i = 0; gate->tls && i < workers; i++)
        tls_context_unref(gate->tls[i]);
    free(gate->tls);
    free(gate->tcp);
}

static void free_route(struct route *route)
{
    access_free(route->access);
    route_rule_free(route->rule);
    route_action_free(route->action);
    free(route->pools);
    free(route->weights);
    free(route->turns);
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

/* Pools and their servers as JSON: what is configured, what was changed by hand, and how they are.
 */
#include "admin/view.h"

#include "health/checker.h"
#include "health/outcomes.h"
#include "sys/sys.h"

#define NSEC_PER_USEC 1000u

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *text(const char *value)
{
    return value ? json_string(value) : json_null();
}

static void set(json_t *object, const char *key, json_t *take_value)
{
    json_object_set_new(object, key, take_value); /* NULL in, nothing set: memory is short */
}

static uint64_t load(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

/* --- what was changed --------------------------------------------------------------------------
 */

static json_t *view_change(const struct pool *pool, const struct pool_change *change)
{
    static const char *const names[] = {"added", "removed", "weight", "max_connections", "state"};
    char address[ADDRESS_TEXT_BYTES], server[SERVER_NAME_BYTES + ADDRESS_TEXT_BYTES];
    bool is_added = change->what == CHANGE_ADD;
    json_t *json = json_object();

    address_write(&change->member.address, address);
    snprintf(server, sizeof server, "%s/%s", pool_name(pool), address);
    set(json, "server", text(server));
    set(json, "pool", text(pool_name(pool)));
    set(json, "address", text(address));
    set(json, "change", text(names[change->what]));
    if (is_added || change->what == CHANGE_WEIGHT)
        set(json, "weight", number(change->member.weight));
    if (is_added || change->what == CHANGE_MAX_CONNECTIONS)
        set(json, "max_connections", number(change->member.max_connections));
    if (is_added && change->member.is_backup)
        set(json, "backup", json_true());
    if (change->what == CHANGE_STATE)
        set(json, "state", text(server_admin_name(change->admin)));
    return json;
}

struct listing {
    const struct pool *pool;
    json_t *list;
};

static void list_change(void *to, const struct pool_change *change)
{
    struct listing *listing = to;

    json_array_append_new(listing->list, view_change(listing->pool, change));
}

json_t *view_changes(const struct snapshot *snapshot)
{
    struct listing listing = {.list = json_array()};

    for (size_t i = 0; i < snapshot->settings->pool_count; i++) {
        listing.pool = snapshot->pools[i];
        pool_each_change(listing.pool, list_change, &listing);
    }
    return listing.list;
}

/* "address" -> [ "weight", ... ], so that a pool of thousands is looked through once. */
static void note_change(void *to, const struct pool_change *change)
{
    static const char *const names[] = {"added", "removed", "weight", "max_connections", "state"};
    char address[ADDRESS_TEXT_BYTES];
    json_t *words = json_object_get(to, address_write(&change->member.address, address));

    if (!words) {
        words = json_array();
        set(to, address, words);
    }
    json_array_append_new(words, json_string(names[change->what]));
}

/* Of one server alone: so it costs little in a pool of thousands. */
struct noting {
    const struct address *address;
    json_t *changes;
};

static void note_change_of(void *to, const struct pool_change *change)
{
    const struct noting *noting = to;

    if (address_equal(&change->member.address, noting->address))
        note_change(noting->changes, change);
}

static json_t *changes_by_address(const struct pool *pool)
{
    json_t *changes = json_object();

    pool_each_change(pool, note_change, changes);
    return changes;
}

/* --- a server -----------------------------------------------------------------------------------
 */

/* One word for all that decides whether it gets new work. */
static const char *state_of(const struct server *server, uint64_t now_usec)
{
    uint8_t admin = atomic_load(&server->admin), check = atomic_load(&server->check);

    if (admin != SERVER_UP)
        return server_admin_name(admin);
    if (check == CHECK_DOWN || check == CHECK_DRAINING)
        return check == CHECK_DOWN ? "down" : "drain";
    return load(&server->passive.ejected_until_usec) > now_usec ? "ejected" : "up";
}

static json_t *wall_of(uint64_t usec, uint64_t now_usec)
{
    char time[LOG_TIME_BYTES];

    if (usec <= now_usec)
        return json_null();
    log_time_write(sys_wall_usec() + (usec - now_usec), time);
    return json_string(time);
}

static json_t *view_slow_start(const struct pool *pool, const struct server *server,
                               uint64_t now_usec)
{
    uint64_t whole = pool_policy(pool)->slow_start_usec;
    uint64_t since = server_ramp_usec(server, now_usec);
    uint64_t past = now_usec > since ? now_usec - since : 0;

    if (!whole || !since || past >= whole)
        return json_null();
    return json_pack("{s:I, s:I}", "since_usec", (json_int_t)past, "left_usec",
                     (json_int_t)(whole - past));
}

/* Of its handshakes: how many a second it may get, and for how long the last ones count still. */
static json_t *view_admission(const struct pool *pool, const struct server *server,
                              uint64_t now_usec)
{
    const struct pool_admission *admission = &pool_policy(pool)->per_server;
    uint64_t until = load(&server->admitted_nsec) / NSEC_PER_USEC;

    if (!admission->interval_nsec)
        return json_null();
    return json_pack("{s:f, s:I, s:I}", "per_sec", 1e9 / (double)admission->interval_nsec, "burst",
                     (json_int_t)(admission->burst ? admission->burst : 1), "spoken_for_usec",
                     (json_int_t)(until > now_usec ? until - now_usec : 0));
}

static void add_figures(json_t *json, const struct server *server)
{
    set(json, "active", number(atomic_load(&server->active)));
    set(json, "tunnels", number(load(&server->tunnels)));
    set(json, "tunnels_ever", number(load(&server->tunnels_ever)));
    set(json, "requests", number(load(&server->requests_ever)));
    set(json, "requests_ever", number(load(&server->requests_ever)));
    set(json, "handshakes_ever", number(load(&server->handshakes_ever)));
    set(json, "failures_ever", number(load(&server->failures_ever)));
    set(json, "latency_usec", number(atomic_load(&server->latency_usec)));
}

/* In a list of more servers than that each one's newest outcome has to do: the thread that writes
 * it has other things to do, too. */
#define SERVERS_TOLD_WHOLE 1000

/* What its checks found last, newest first. */
static json_t *view_outcomes(const struct server *server, size_t most)
{
    struct health_outcome outcomes[HEALTH_OUTCOMES_MAX];
    size_t count = health_outcomes(server, outcomes);
    json_t *all = json_array();

    for (size_t i = 0; i < count && i < most; i++) {
        const struct health_outcome *outcome = &outcomes[i];
        const struct reason_row *row = reason_row(outcome->reason);
        char at[LOG_TIME_BYTES];
        json_t *json = json_object();
        log_time_write(outcome->wall_usec, at);
        set(json, "at", text(at));
        set(json, "check", text(checker_of(outcome->kind)->name));
        set(json, "good", json_boolean(outcome->reason == REASON_DONE));
        set(json, "reason", text(row->name));
        set(json, "words", text(row->words));
        set(json, "status", outcome->status ? number(outcome->status) : json_null());
        set(json, "took_usec", number(outcome->took_usec));
        json_array_append_new(all, json);
    }
    return all;
}

static json_t *view_member(const struct pool *pool, const struct pool_member_spec *spec,
                           const struct server *server, json_t *changes, uint64_t now_usec)
{
    char address[ADDRESS_TEXT_BYTES];
    json_t *json = json_object();

    address_write(&server->address, address);
    set(json, "server", text(server->name));
    set(json, "pool", text(pool_name(pool)));
    set(json, "address", text(address));
    set(json, "state", text(state_of(server, now_usec)));
    set(json, "by_hand", text(server_admin_name(atomic_load(&server->admin))));
    set(json, "check", text(server_check_name(atomic_load(&server->check))));
    set(json, "ejected_until", wall_of(load(&server->passive.ejected_until_usec), now_usec));
    set(json, "weight", number(spec->weight));
    set(json, "max_connections", number(spec->max_connections));
    set(json, "backup", json_boolean(spec->is_backup));
    add_figures(json, server);
    set(json, "waiting", number(pool_waiting(pool)));
    set(json, "slow_start", view_slow_start(pool, server, now_usec));
    set(json, "admission", view_admission(pool, server, now_usec));
    json_t *words = json_object_get(changes, address);
    set(json, "changed", words ? json_incref(words) : json_array());
    return json;
}

static void add_servers(json_t *all, struct pool *pool, uint64_t now_usec)
{
    struct members *members = pool_members(pool);
    size_t outcomes = members_count(members) > SERVERS_TOLD_WHOLE ? 1 : HEALTH_OUTCOMES_MAX;
    json_t *changes = changes_by_address(pool);

    for (size_t i = 0; i < members_count(members); i++) {
        const struct server *server = members_server(members, i);
        json_t *json = view_member(pool, members_spec(members, i), server, changes, now_usec);
        set(json, "health", view_outcomes(server, outcomes));
        json_array_append_new(all, json);
    }
    json_decref(changes);
    members_unref(members);
}

json_t *view_server(const struct snapshot *snapshot, size_t pool, size_t server, uint64_t now_usec)
{
    struct pool *of = snapshot->pools[pool];
    struct members *members = pool_members(of);
    const struct server *one = members_server(members, server);
    struct noting noting = {&one->address, json_object()};

    pool_each_change(of, note_change_of, &noting);
    json_t *json = view_member(of, members_spec(members, server), one, noting.changes, now_usec);
    set(json, "health", view_outcomes(one, HEALTH_OUTCOMES_MAX));
    json_decref(noting.changes);
    members_unref(members);
    return json;
}

json_t *view_servers(const struct snapshot *snapshot, size_t pool, uint64_t now_usec)
{
    json_t *all = json_array();

    for (size_t i = 0; i < snapshot->settings->pool_count; i++)
        if (pool == i || pool == SIZE_MAX)
            add_servers(all, snapshot->pools[i], now_usec);
    return all;
}

/* --- a pool -------------------------------------------------------------------------------------
 */

static json_t *view_discovery(const struct pool_settings *settings)
{
    if (!settings->dns && !settings->file)
        return json_null();
    return json_pack("{s:s}", settings->dns ? "dns" : "file",
                     settings->dns ? settings->dns : settings->file);
}

/* Sums over its servers. */
static void add_sums(json_t *json, const struct pool *pool, uint64_t now_usec)
{
    uint64_t usable = 0, active = 0, tunnels = 0;

    for (size_t i = 0; i < pool_count(pool); i++) {
        const struct server *server = pool_server(pool, i);
        usable += server_is_usable(server, now_usec);
        active += atomic_load(&server->active);
        tunnels += load(&server->tunnels);
    }
    set(json, "servers", number(pool_count(pool)));
    set(json, "usable", number(usable));
    set(json, "active", number(active));
    set(json, "tunnels", number(tunnels));
    set(json, "waiting", number(pool_waiting(pool)));
}

json_t *view_pool(const struct snapshot *snapshot, size_t pool, uint64_t now_usec)
{
    static const char *const on_down[] = {"keep", "close", "drain"};
    const struct pool_settings *settings = &snapshot->settings->pools[pool];
    const struct pool *of = snapshot->pools[pool];
    json_t *json = json_object();

    set(json, "pool", text(settings->name));
    set(json, "balance", text(pool_balancer(of)->name));
    set(json, "hash", text(settings->hash));
    set(json, "discovered", view_discovery(settings));
    add_sums(json, of, now_usec);
    set(json, "slow_start_usec", number(settings->slow_start));
    set(json, "panic_percent", number(settings->panic));
    set(json, "on_down", text(on_down[settings->on_down]));
    set(json, "on_removed", text(settings->on_removed == ON_REMOVED_KEEP ? "keep" : "close"));
    return json;
}

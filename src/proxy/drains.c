/* The main thread's part: what drains there are, and the letters that begin and end them.
 *
 * References: one while it is remembered, one for each worker that has a share of it, one for each
 * letter that is on its way. */
#include "proxy/drains_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *drain_kind_name(enum drain_kind kind)
{
    static const char *const names[] = {"server", "pool", "route", "node", "chosen"};

    return names[kind];
}

/* --- one ----------------------------------------------------------------------------------------
 */

struct drain *drain_ref(struct drain *drain)
{
    CHECK_OBJ(drain, DRAIN_MAGIC);
    atomic_fetch_add_explicit(&drain->references, 1, memory_order_relaxed);
    return drain;
}

struct drain *drain_unref(struct drain *drain)
{
    if (!drain)
        return NULL;
    CHECK_OBJ(drain, DRAIN_MAGIC);
    if (atomic_fetch_sub_explicit(&drain->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    drain->magic = 0;
    server_unref(drain->spec.server);
    if (drain->spec.free_by)
        drain->spec.free_by(drain->spec.take_by);
    free(drain);
    return NULL;
}

static uint64_t load(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

void drain_progress(const struct drain *drain, struct drain_progress *ret_progress)
{
    struct drain_progress sum = {
        .is_done = atomic_load(&drain->working) == 0,
        .is_undone = atomic_load(&drain->is_undone),
        .is_short = atomic_load(&drain->is_short),
    };

    for (unsigned i = 0; i < drain->count; i++) {
        const struct drain_share *share = &drain->share[i];
        sum.closed += load(&share->closed);
        sum.ended += load(&share->ended);
        sum.unaligned += load(&share->unaligned);
        sum.requests += load(&share->requests);
        sum.found += load(&share->found);
    }
    sum.left = sum.found > sum.closed + sum.ended ? sum.found - sum.closed - sum.ended : 0;
    *ret_progress = sum;
}

uint64_t drain_id(const struct drain *drain)
{
    return drain->id;
}

const struct drain_spec *drain_spec_of(const struct drain *drain)
{
    return &drain->spec;
}

const char *drain_name(const struct drain *drain)
{
    return drain->name;
}

uint64_t drain_started_wall_usec(const struct drain *drain)
{
    return drain->started_wall_usec;
}

bool drain_is_live(const struct drain *drain)
{
    return atomic_load(&drain->working) ||
           (drain->spec.keeps_out && !atomic_load(&drain->is_undone));
}

/* A letter that is still on its way carries this grant as well. */
static void tell_grant(struct drain_share *share)
{
    if (atomic_exchange(&share->grant_travels, true))
        return;
    drain_ref(share->drain);
    mailbox_send(&share->proxy->worker.mailbox, &share->grant);
}

/* Who waits there, and nobody was granted yet. */
static uint64_t share_left(const struct drain_share *share)
{
    uint64_t asked = load(&share->asked), granted = load(&share->granted);
    uint64_t waiting = load(&share->waiting), meant = granted > asked ? granted - asked : 0;

    return waiting > meant ? waiting - meant : 0;
}

/* The one with most of them; NULL: nobody waits. */
static struct drain_share *share_with_most(struct drain *drain)
{
    struct drain_share *most = NULL;
    uint64_t most_left = 0;

    for (unsigned i = 0; i < drain->count; i++) {
        uint64_t left = share_left(&drain->share[i]);
        if (left > most_left) {
            most = &drain->share[i];
            most_left = left;
        }
    }
    return most;
}

size_t drain_grant(struct drain *drain, size_t count)
{
    struct drain_share *share;
    size_t given = 0;

    while (given < count && (share = share_with_most(drain))) {
        atomic_fetch_add(&share->granted, 1);
        tell_grant(share);
        given++;
    }
    return given;
}

uint64_t drain_pending(const struct drain *drain)
{
    uint64_t pending = 0;

    for (unsigned i = 0; i < drain->count; i++) {
        uint64_t granted = load(&drain->share[i].granted), gone = load(&drain->share[i].gone);
        pending += granted > gone ? granted - gone : 0;
    }
    return pending;
}

/* --- all ----------------------------------------------------------------------------------------
 */

void drains_init(struct drains *drains, struct worker *main, struct proxy *const *proxies,
                 unsigned count)
{
    *drains = (struct drains){.main = main, .proxies = proxies, .count = count};
    list_init(&drains->all);
}

static struct drain *drain_at(struct list *node)
{
    return container_of(node, struct drain, node);
}

static void forget(struct drain *drain)
{
    list_remove(&drain->node);
    drain_unref(drain);
}

void drains_done(struct drains *drains)
{
    struct list *next;

    if (!drains->main)
        return;
    for (struct list *node = drains->all.next; node != &drains->all; node = next) {
        next = node->next;
        drain_unref(drain_at(node));
    }
    list_init(&drains->all);
    drains->main = NULL;
}

/* Those that ended longest ago are forgotten. Returns how many are alive. */
static unsigned sweep(struct drains *drains)
{
    unsigned live = 0, ended = 0;
    struct list *prev;

    for (struct list *node = drains->all.prev; node != &drains->all; node = prev) {
        prev = node->prev;
        if (drain_is_live(drain_at(node)))
            live++;
        else if (++ended > DRAINS_ENDED_MAX)
            forget(drain_at(node));
    }
    return live;
}

static struct drain *drain_new(const struct drains *drains, const struct drain_spec *spec)
{
    struct drain *drain = calloc(1, sizeof *drain + drains->count * sizeof drain->share[0]);

    if (!drain)
        return NULL;
    drain->magic = DRAIN_MAGIC;
    atomic_init(&drain->references, 1 + drains->count);
    atomic_init(&drain->working, drains->count);
    drain->spec = *spec;
    drain->count = drains->count;
    drain->started_wall_usec = sys_wall_usec();
    if (spec->server)
        server_ref(spec->server);
    if (!spec->code)
        drain->spec.code = reason_row(spec->reason)->ws_code;
    snprintf(drain->name, sizeof drain->name, "%s",
             spec->server ? spec->server->name
             : spec->name ? spec->name
                          : "");
    drain->spec.name = drain->name;
    for (unsigned i = 0; i < drains->count; i++) {
        struct drain_share *share = &drain->share[i];
        share->drain = drain;
        share->proxy = drains->proxies[i];
        share->begin.on_arrival = drain_share_begin;
        share->undo.on_arrival = drain_share_undo;
        share->grant.on_arrival = drain_share_grant;
    }
    return drain;
}

static void log_begin(const struct drains *drains, const struct drain *drain)
{
    const struct drain_spec *spec = &drain->spec;

    if (spec->is_granted)
        return;
    log_say(drains->main->log, EVENT_drain,
            "drain %llu of %s%s%s begins: its tunnels are closed with %u over %.3f s%s",
            (unsigned long long)drain->id, drain_kind_name(spec->kind), drain->name[0] ? " " : "",
            drain->name, spec->code, (double)spec->over_usec / 1e6,
            spec->keeps_out ? ", new requests get 503" : "");
}

int drains_start(struct drains *drains, const struct drain_spec *spec, struct drain **ret_drain)
{
    struct drain *drain = sweep(drains) < DRAINS_MAX ? drain_new(drains, spec) : NULL;

    if (!drain) {
        if (spec->free_by)
            spec->free_by(spec->take_by);
        return sweep(drains) < DRAINS_MAX ? -ENOMEM : -EBUSY;
    }
    drain->id = ++drains->last_id;
    list_add_last(&drains->all, &drain->node);
    log_begin(drains, drain);
    if (ret_drain)
        *ret_drain = drain_ref(drain);
    for (unsigned i = 0; i < drain->count; i++)
        mailbox_send(&drain->share[i].proxy->worker.mailbox, &drain->share[i].begin);
    return 0;
}

void drains_undo(struct drains *drains, struct drain *drain)
{
    if (atomic_exchange(&drain->is_undone, true))
        return;
    if (!drain->spec.is_granted)
        log_say(drains->main->log, EVENT_drain, "drain %llu of %s%s%s is undone",
                (unsigned long long)drain->id, drain_kind_name(drain->spec.kind),
                drain->name[0] ? " " : "", drain->name);
    for (unsigned i = 0; i < drain->count; i++) {
        drain_ref(drain);
        mailbox_send(&drain->share[i].proxy->worker.mailbox, &drain->share[i].undo);
    }
}

struct drain *drains_find(const struct drains *drains, uint64_t id)
{
    list_each(node, &drains->all)
        if (drain_at(node)->id == id && !drain_at(node)->spec.is_granted)
            return drain_at(node);
    return NULL;
}

struct drain *drains_find_target(const struct drains *drains, enum drain_kind kind,
                                 const char *name)
{
    for (struct list *node = drains->all.prev; node != &drains->all; node = node->prev) {
        struct drain *drain = drain_at(node);
        if (drain->spec.kind == kind && !drain->spec.is_granted && drain_is_live(drain) &&
            !atomic_load(&drain->is_undone) && strcmp(drain->name, name) == 0)
            return drain;
    }
    return NULL;
}

void drains_each(const struct drains *drains, void (*tell)(void *to, const struct drain *drain),
                 void *to)
{
    list_each(node, &drains->all)
        if (!drain_at(node)->spec.is_granted)
            tell(to, drain_at(node));
}

bool drains_whole_node(const struct drains *drains)
{
    list_each(node, &drains->all) {
        const struct drain *drain = drain_at(node);
        if (drain->spec.kind == DRAIN_NODE && drain->spec.keeps_out && drain_is_live(drain))
            return true;
    }
    return false;
}

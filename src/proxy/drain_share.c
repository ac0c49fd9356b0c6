/* One worker's part of a drain. All of it runs on that worker's thread, from letters and tasks,
 * never inside a connection's own step: so closing a tunnel never happens under anyone's feet.
 *
 * What always holds: a share that is active is in proxy.drains and has a reference to its drain;
 * each tunnel that it concerns has an entry, whose `c` is NULL from the moment that it ends. */
#include "proxy/drains_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define AT_ONCE         256u    /* closed in one turn; the others have theirs in between */
#define RECHECK_USEC    100000u /* how often is looked for requests that are under way */
#define RECHECK_PER_ONE 5u      /* the more connections there are to look at, the rarer */

static uint64_t now_here(const struct drain_share *share)
{
    return share->proxy->worker.runner.loop.now_usec;
}

/* One writer per figure. */
static void add(_Atomic uint64_t *figure, int64_t more)
{
    atomic_store_explicit(figure,
                          atomic_load_explicit(figure, memory_order_relaxed) + (uint64_t)more,
                          memory_order_relaxed);
}

static bool concerns(const struct drain *drain, const struct connection *c)
{
    const struct pool *pool;

    switch (drain->spec.kind) {
    case DRAIN_SERVER:
        return c->chosen == drain->spec.server;
    case DRAIN_POOL:
        pool = connection_pool(c);
        return pool && strcmp(pool_name(pool), drain->name) == 0;
    case DRAIN_ROUTE:
        return c->route && c->route->name && strcmp(c->route->name, drain->name) == 0;
    case DRAIN_NODE:
        return true;
    case DRAIN_CHOSEN:
        return drain->spec.chooses(c, drain->spec.take_by);
    }
    return false;
}

/* --- entries ------------------------------------------------------------------------------------
 */

static bool grow(struct drain_share *share)
{
    size_t room = share->room ? share->room * 2 : 64;
    struct drain_entry *entry = realloc(share->entry, room * sizeof *entry);

    if (!entry)
        return false;
    share->entry = entry;
    share->room = room;
    return true;
}

static void enter(struct drain_share *share, struct connection *c)
{
    if (share->count == share->room && !grow(share)) {
        atomic_store(&share->drain->is_short, true);
        return;
    }
    share->entry[share->count++] =
        (struct drain_entry){.number = c->flow.number & (UINT64_MAX >> 1), .c = c};
    share->here++;
    add(&share->waiting, 1);
    add(&share->found, 1);
}

static struct drain_entry *find(struct drain_share *share, uint64_t number)
{
    size_t from = 0, to = share->sorted;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (share->entry[middle].number < number)
            from = middle + 1;
        else
            to = middle;
    }
    if (from < share->sorted && share->entry[from].number == number)
        return &share->entry[from];
    for (size_t i = share->sorted; i < share->count; i++)
        if (share->entry[i].number == number)
            return &share->entry[i];
    return NULL;
}

static struct drain_entry *next_entry(struct drain_share *share)
{
    while (share->visited < share->count) {
        size_t k = share->visited++;
        size_t at = k < share->sorted ? pace_place(k, share->stride, share->sorted) : k;
        if (share->entry[at].c)
            return &share->entry[at];
    }
    return NULL;
}

/* --- beginning and ending -----------------------------------------------------------------------
 */

static void log_done(const struct drain_share *share)
{
    const struct drain *drain = share->drain;
    struct drain_progress at;

    if (drain->spec.is_granted || atomic_load(&drain->is_undone))
        return;
    drain_progress(drain, &at);
    log_say(share->proxy->worker.log, EVENT_drain,
            "drain %llu of %s%s%s is done: %llu closed, %llu of them unaligned, %llu ended by "
            "themselves%s",
            (unsigned long long)drain->id, drain_kind_name(drain->spec.kind),
            drain->name[0] ? " " : "", drain->name, (unsigned long long)at.closed,
            (unsigned long long)at.unaligned, (unsigned long long)at.ended,
            at.is_short ? "; out of memory: there may be more" : "");
}

/* The node's flag is that of all its drains together. */
static void set_draining(struct proxy *proxy)
{
    proxy->is_draining = proxy->is_stopping;
    list_each(node, &proxy->drains) {
        const struct drain *drain = container_of(node, struct drain_share, node)->drain;
        if (drain->spec.kind == DRAIN_NODE && drain->spec.keeps_out)
            proxy->is_draining = true;
    }
}

/* Nothing it concerns is left here. */
static void finish(struct drain_share *share)
{
    if (share->is_finished)
        return;
    share->is_finished = true;
    if (atomic_fetch_sub(&share->drain->working, 1) == 1)
        log_done(share);
}

/* What is closing already counts as closed: its end is not waited for. */
static void count_closing(struct drain_share *share)
{
    for (size_t i = 0; i < share->count; i++)
        if (share->entry[i].c && share->entry[i].is_asked)
            add(&share->closed, 1);
}

static void drop(struct drain_share *share)
{
    count_closing(share);
    list_remove(&share->node);
    timer_cancel(&share->timer);
    task_cancel(&share->look);
    share->is_active = false;
    free(TAKE(share->entry));
    share->count = share->sorted = share->room = 0;
    atomic_store_explicit(&share->requests, 0, memory_order_relaxed);
    set_draining(share->proxy);
    finish(share);
    drain_unref(share->drain);
}

/* --- at work ------------------------------------------------------------------------------------
 */

static void ask(struct drain_share *share, struct drain_entry *entry)
{
    const struct drain_spec *spec = &share->drain->spec;

    entry->is_asked = 1;
    add(&share->asked, 1);
    add(&share->waiting, -1);
    connection_close_with(entry->c, spec->reason, spec->code, RELAY_PATIENCE_USEC);
}

static size_t how_many(struct drain_share *share)
{
    size_t waiting = (size_t)atomic_load_explicit(&share->waiting, memory_order_relaxed);

    if (!share->drain->spec.is_granted)
        return pace_due(&share->pace, now_here(share), waiting, AT_ONCE);
    uint64_t granted = atomic_load(&share->granted);
    uint64_t asked = atomic_load_explicit(&share->asked, memory_order_relaxed);
    return granted > asked ? (size_t)(granted - asked) : 0;
}

/* Handshakes and requests that are under way at what is drained: they may become tunnels. */
static uint64_t count_requests(const struct drain_share *share)
{
    uint64_t count = 0;

    list_each(node, &share->proxy->connections) {
        const struct connection *c = container_of(node, struct connection, node);
        count += !c->is_tunnel && c->chosen && concerns(share->drain, c);
    }
    return count;
}

static void look_around(struct drain_share *share)
{
    uint64_t requests = count_requests(share);
    uint64_t around = proxy_connection_count(share->proxy);

    atomic_store_explicit(&share->requests, requests, memory_order_relaxed);
    if (requests) {
        loop_arm(&share->proxy->worker.runner.loop, &share->timer,
                 now_here(share) + RECHECK_USEC + RECHECK_PER_ONE * around);
        return;
    }
    finish(share);
    if (!share->drain->spec.keeps_out)
        drop(share);
}

static void look(struct task *task)
{
    struct drain_share *share = container_of(task, struct drain_share, look);
    struct drain_entry *entry;
    size_t due = how_many(share);

    while (due && (entry = next_entry(share))) {
        ask(share, entry);
        due--;
    }
    if (share->drain->spec.is_granted)
        atomic_fetch_sub(&share->granted, due); /* whom it was meant for has left by itself */
    if (share->drain->spec.is_granted || share->is_finished)
        return;
    if (share->pace.next_usec)
        loop_arm(&share->proxy->worker.runner.loop, &share->timer, share->pace.next_usec);
    else if (share->here == 0)
        look_around(share);
}

static void on_due(struct timer *timer)
{
    struct drain_share *share = container_of(timer, struct drain_share, timer);

    loop_post(&share->proxy->worker.runner.loop, &share->look);
}

static void look_soon(struct drain_share *share)
{
    loop_post(&share->proxy->worker.runner.loop, &share->look);
}

/* --- letters ------------------------------------------------------------------------------------
 */

void drain_share_begin(struct mail *take_mail)
{
    struct drain_share *share = container_of(take_mail, struct drain_share, begin);
    struct proxy *proxy = share->proxy;
    struct list *next;

    CHECK_OBJ(share->drain, DRAIN_MAGIC);
    timer_init(&share->timer, on_due);
    task_init(&share->look, look);
    list_add_last(&proxy->drains, &share->node);
    share->is_active = true;
    set_draining(proxy);
    for (struct list *node = proxy->connections.next; node != &proxy->connections; node = next) {
        struct connection *c = container_of(node, struct connection, node);
        next = node->next;
        if (c->is_tunnel && concerns(share->drain, c))
            enter(share, c);
        else if (proxy->is_draining)
            tunnel_drain(c);
    }
    share->sorted = share->count;
    share->stride = pace_stride(share->sorted);
    pace_begin(&share->pace, now_here(share), share->drain->spec.over_usec);
    look_soon(share);
}

void drain_share_undo(struct mail *take_mail)
{
    struct drain_share *share = container_of(take_mail, struct drain_share, undo);
    struct drain *drain = share->drain;

    if (share->is_active)
        drop(share);
    drain_unref(drain);
}

void drain_share_grant(struct mail *take_mail)
{
    struct drain_share *share = container_of(take_mail, struct drain_share, grant);
    struct drain *drain = share->drain;

    atomic_store(&share->grant_travels, false);
    if (share->is_active)
        look_soon(share);
    drain_unref(drain);
}

/* --- what connections tell ----------------------------------------------------------------------
 */

/* One that finished, because nothing was left, goes on. */
static void resume(struct drain_share *share)
{
    if (!share->is_finished)
        return;
    share->is_finished = false;
    atomic_fetch_add(&share->drain->working, 1);
}

void drains_joined(struct connection *c)
{
    list_each(node, &proxy_of(&c->flow)->drains) {
        struct drain_share *share = container_of(node, struct drain_share, node);
        if (!concerns(share->drain, c))
            continue;
        resume(share);
        enter(share, c);
        look_soon(share);
    }
}

/* Whoever asked it to end: it has done what a drain is for. */
static bool was_closed(const struct connection *c)
{
    return c->end_reason && c->flow.reason == c->end_reason;
}

void drains_left(struct connection *c)
{
    list_each(node, &proxy_of(&c->flow)->drains) {
        struct drain_share *share = container_of(node, struct drain_share, node);
        struct drain_entry *entry = find(share, c->flow.number);
        if (!entry || !entry->c)
            continue;
        entry->c = NULL;
        share->here--;
        if (entry->is_asked)
            add(&share->gone, 1);
        else
            add(&share->waiting, -1);
        add(was_closed(c) ? &share->closed : &share->ended, 1);
        if (was_closed(c) && c->is_unaligned)
            add(&share->unaligned, 1);
        if (share->here == 0)
            look_soon(share);
    }
}

void drains_forget(struct proxy *proxy)
{
    while (!list_is_empty(&proxy->drains))
        drop(container_of(proxy->drains.next, struct drain_share, node));
}

/* --- what requests ask --------------------------------------------------------------------------
 */

enum reason drains_refusal(const struct proxy *proxy, const struct route *route)
{
    if (proxy->is_stopping)
        return REASON_STOPPING;
    list_each(node, &proxy->drains) {
        const struct drain *drain = container_of(node, struct drain_share, node)->drain;
        if (!drain->spec.keeps_out)
            continue;
        if (drain->spec.kind == DRAIN_NODE)
            return REASON_NODE_DRAINED;
        if (drain->spec.kind == DRAIN_ROUTE && route->name && strcmp(drain->name, route->name) == 0)
            return REASON_ROUTE_DRAINED;
    }
    return REASON_DONE;
}

static bool is_kept_out(const struct proxy *proxy, const struct pool *pool)
{
    list_each(node, &proxy->drains) {
        const struct drain *drain = container_of(node, struct drain_share, node)->drain;
        if (drain->spec.kind == DRAIN_POOL && drain->spec.keeps_out &&
            strcmp(drain->name, pool_name(pool)) == 0)
            return true;
    }
    return false;
}

enum reason drains_choose_share(struct connection *c)
{
    const struct proxy *proxy = proxy_of(&c->flow);
    size_t shares = c->route->settings->share_count;

    c->share = route_next_share(c->route, proxy->worker.runner.number);
    if (!is_kept_out(proxy, connection_pool(c)))
        return REASON_DONE;
    for (size_t i = 0; i < shares; i++)
        if (c->route->weights[i] && !is_kept_out(proxy, route_pool(c->route, (uint8_t)i))) {
            c->share = (uint8_t)i;
            return REASON_DONE;
        }
    return REASON_POOL_DRAINED;
}

bool drains_keep_out(const struct proxy *proxy, const struct pool *pool)
{
    return is_kept_out(proxy, pool);
}

/* Each tick: whose count is too high, less what is closing already? As many as the rate allows are
 * granted to it, one at a time, so that the fullest is always the next. */
#include "proxy/rebalance.h"

#include "proxy/pace.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_USEC    20000u
#define DEFAULT_RATE ((struct rate){50, 1000000})

/* A server from which tunnels are taken. */
struct source_server {
    struct server *server; /* counted */
    struct drain *drain;   /* counted */
};

struct rebalance {
    struct list node; /* in rebalances.all */
    struct rebalances *all;
    uint64_t id, started_wall_usec;
    struct rate rate;
    uint64_t tolerance_percent;
    uint64_t least_total; /* tunnels that there were at the beginning */
    uint64_t budget;      /* how many may still be closed */
    uint64_t next_usec;   /* when the next one may */
    struct timer timer;
    struct source_server *from;
    size_t from_count;
    uint64_t closed, unaligned, above_percent; /* once it is done */
    bool is_done, is_undone;
    char pool[DRAIN_NAME_BYTES];
};

/* The loads of the servers that take part, and who they are. */
struct view {
    struct pace_load *load;
    struct server **server; /* borrowed */
    size_t count;
};

static uint64_t now_of_main(const struct rebalance *r)
{
    return r->all->drains->main->runner.loop.now_usec;
}

static struct source_server *find_from(const struct rebalance *r, const struct server *server)
{
    for (size_t i = 0; i < r->from_count; i++)
        if (r->from[i].server == server)
            return &r->from[i];
    return NULL;
}

/* --- looking ------------------------------------------------------------------------------------
 */

static void view_done(struct view *view)
{
    free(view->load);
    free(view->server);
}

static void view_add(struct view *view, const struct rebalance *r, struct server *server,
                     const struct pool_member_spec *spec)
{
    const struct source_server *from = find_from(r, server);
    uint64_t tunnels = atomic_load_explicit(&server->tunnels, memory_order_relaxed);
    uint64_t closing = from ? drain_pending(from->drain) : 0;

    view->load[view->count] = (struct pace_load){
        .tunnels = tunnels > closing ? tunnels - closing : 0,
        .weight = spec->weight ? spec->weight : 1,
    };
    view->server[view->count++] = server;
}

/* 0; -ENOENT: there is no such pool any more; -ENOMEM. */
static int look(const struct rebalance *r, struct view *ret_view)
{
    struct pool *pool = snapshot_pool(*r->all->in_force, r->pool);

    *ret_view = (struct view){0};
    if (!pool)
        return -ENOENT;
    struct members *members = pool_members(pool);
    size_t count = members_count(members);
    ret_view->load = calloc(count + 1, sizeof *ret_view->load);
    ret_view->server = calloc(count + 1, sizeof *ret_view->server);
    if (!ret_view->load || !ret_view->server) {
        view_done(ret_view);
        members_unref(members);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        struct server *server = members_server(members, i);
        const struct pool_member_spec *spec = members_spec(members, i);
        if (!spec->is_backup && server_is_usable(server, now_of_main(r)))
            view_add(ret_view, r, server, spec);
    }
    members_unref(members); /* the configuration in force keeps them until this thread changes it */
    return 0;
}

static uint64_t total_of(const struct view *view)
{
    uint64_t total = 0;

    for (size_t i = 0; i < view->count; i++)
        total += view->load[i].tunnels;
    return total;
}

/* How many are too many. */
static uint64_t excess_of(const struct rebalance *r, struct view *view)
{
    uint64_t excess = 0;
    size_t fullest;

    while ((fullest = pace_fullest(view->load, view->count, r->least_total, r->tolerance_percent)) <
           view->count) {
        view->load[fullest].tunnels--;
        excess++;
    }
    return excess;
}

/* --- closing ------------------------------------------------------------------------------------
 */

static void collect(const struct rebalance *r, uint64_t *ret_closed, uint64_t *ret_unaligned,
                    uint64_t *ret_pending)
{
    *ret_closed = *ret_unaligned = *ret_pending = 0;
    for (size_t i = 0; i < r->from_count; i++) {
        struct drain_progress progress;
        drain_progress(r->from[i].drain, &progress);
        *ret_closed += progress.closed;
        *ret_unaligned += progress.unaligned;
        *ret_pending += drain_pending(r->from[i].drain);
    }
}

static void let_go(struct rebalance *r)
{
    for (size_t i = 0; i < r->from_count; i++) {
        drains_undo(r->all->drains, r->from[i].drain);
        drain_unref(r->from[i].drain);
        server_unref(r->from[i].server);
    }
    free(TAKE(r->from));
    r->from_count = 0;
}

/* How far the fullest is above the mean that is aimed at. */
static uint64_t above_percent(const struct rebalance *r)
{
    uint64_t total, weights = 0;
    double most = 0;
    struct view view;

    if (look(r, &view))
        return 0;
    total = total_of(&view);
    total = total > r->least_total ? total : r->least_total;
    for (size_t i = 0; i < view.count; i++) {
        double here = (double)view.load[i].tunnels / view.load[i].weight;
        weights += view.load[i].weight;
        most = here > most ? here : most;
    }
    view_done(&view);
    double above = total ? most * (double)weights / (double)total - 1 : 0;
    return above > 0 ? (uint64_t)(above * 100 + 0.5) : 0;
}

static void finish(struct rebalance *r, const char *why)
{
    uint64_t pending;

    if (r->is_done)
        return;
    collect(r, &r->closed, &r->unaligned, &pending);
    r->closed += pending; /* their Close frames are on their way */
    r->above_percent = above_percent(r);
    r->is_done = true;
    timer_cancel(&r->timer);
    let_go(r);
    log_say(r->all->drains->main->log, EVENT_drain,
            "rebalance %llu of pool %s %s: %llu tunnels were closed, %llu of them unaligned",
            (unsigned long long)r->id, r->pool, why, (unsigned long long)r->closed,
            (unsigned long long)r->unaligned);
}

/* The drain by which that server's tunnels are closed, begun when it is needed first. */
static struct drain *drain_from(struct rebalance *r, struct server *server)
{
    struct source_server *from = find_from(r, server);
    const struct drain_spec spec = {
        .kind = DRAIN_SERVER,
        .server = server,
        .reason = REASON_REBALANCED,
        .is_granted = true,
    };

    if (from)
        return from->drain;
    from = realloc(r->from, (r->from_count + 1) * sizeof *from);
    if (!from)
        return NULL;
    r->from = from;
    from = &r->from[r->from_count];
    if (drains_start(r->all->drains, &spec, &from->drain))
        return NULL;
    from->server = server_ref(server);
    r->from_count++;
    return from->drain;
}

/* One tunnel of the fullest, if anyone has too many. False: nobody, or its workers have not said
 * yet what they have. */
static bool close_one(struct rebalance *r, struct view *view)
{
    size_t fullest = pace_fullest(view->load, view->count, r->least_total, r->tolerance_percent);
    struct drain *drain = fullest < view->count ? drain_from(r, view->server[fullest]) : NULL;

    if (!drain || !drain_grant(drain, 1))
        return false;
    view->load[fullest].tunnels--;
    r->budget--;
    return true;
}

static uint64_t interval_usec(const struct rebalance *r)
{
    return r->rate.per_usec / r->rate.count;
}

static void close_due(struct rebalance *r, struct view *view)
{
    uint64_t now = now_of_main(r), interval = interval_usec(r);

    if (r->next_usec + 2 * (uint64_t)TICK_USEC + interval <
        now) /* a grant that could not be used is gone */
        r->next_usec = now;
    while (r->budget && r->next_usec <= now && close_one(r, view))
        r->next_usec += interval ? interval : 1;
}

static void on_tick(struct timer *timer)
{
    struct rebalance *r = container_of(timer, struct rebalance, timer);
    uint64_t closed, unaligned, pending;
    struct view view;
    int error = look(r, &view);

    if (error == -ENOENT) {
        finish(r, "ends, since there is no such pool any more");
        return;
    }
    if (!error) {
        uint64_t total = total_of(&view);
        r->least_total = total > r->least_total ? total : r->least_total;
        close_due(r, &view);
        collect(r, &closed, &unaligned, &pending);
        if (!pending && (!r->budget || pace_fullest(view.load, view.count, r->least_total,
                                                    r->tolerance_percent) == view.count))
            finish(r, "is done");
        view_done(&view);
    }
    if (!r->is_done)
        loop_arm(&r->all->drains->main->runner.loop, timer, now_of_main(r) + TICK_USEC);
}

/* --- all ----------------------------------------------------------------------------------------
 */

void rebalances_init(struct rebalances *all, struct drains *drains,
                     struct snapshot *const *in_force)
{
    *all = (struct rebalances){.drains = drains, .in_force = in_force};
    list_init(&all->all);
}

static struct rebalance *rebalance_at(struct list *node)
{
    return container_of(node, struct rebalance, node);
}

static void rebalance_free(struct rebalance *r)
{
    timer_cancel(&r->timer);
    let_go(r);
    free(r);
}

void rebalances_done(struct rebalances *all)
{
    struct list *next;

    if (!all->drains)
        return;
    for (struct list *node = all->all.next; node != &all->all; node = next) {
        next = node->next;
        rebalance_free(rebalance_at(node));
    }
    list_init(&all->all);
    all->drains = NULL;
}

/* Makes room for one more. False: all of them run, or one of that pool does. */
static bool make_room(struct rebalances *all, const char *pool)
{
    struct rebalance *oldest = NULL;
    size_t count = 0;

    list_each(node, &all->all) {
        struct rebalance *r = rebalance_at(node);
        if (!r->is_done && strcmp(r->pool, pool) == 0)
            return false;
        if (r->is_done && !oldest)
            oldest = r;
        count++;
    }
    if (count >= REBALANCES_MAX && oldest) {
        list_remove(&oldest->node);
        rebalance_free(oldest);
    }
    return count < REBALANCES_MAX || oldest;
}

static int begin(struct rebalance *r)
{
    struct view view;
    int error = look(r, &view);

    if (error)
        return error;
    r->least_total = total_of(&view);
    r->budget = excess_of(r, &view);
    view_done(&view);
    r->next_usec = now_of_main(r);
    loop_arm(&r->all->drains->main->runner.loop, &r->timer, r->next_usec + TICK_USEC);
    return 0;
}

int rebalance_start(struct rebalances *all, const struct rebalance_spec *spec,
                    struct rebalance **ret_rebalance)
{
    if (!make_room(all, spec->pool))
        return -EBUSY;
    struct rebalance *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->all = all;
    r->rate = spec->rate.count ? spec->rate : DEFAULT_RATE;
    r->tolerance_percent = spec->tolerance_percent;
    r->started_wall_usec = sys_wall_usec();
    snprintf(r->pool, sizeof r->pool, "%s", spec->pool);
    list_init(&r->node);
    timer_init(&r->timer, on_tick);
    int error = begin(r);
    if (error) {
        free(r);
        return error;
    }
    r->id = ++all->drains->last_id;
    list_add_last(&all->all, &r->node);
    log_say(all->drains->main->log, EVENT_drain,
            "rebalance %llu of pool %s begins: %llu tunnels are too many, for a tolerance of "
            "%llu %%",
            (unsigned long long)r->id, r->pool, (unsigned long long)r->budget,
            (unsigned long long)r->tolerance_percent);
    *ret_rebalance = r;
    return 0;
}

void rebalance_stop(struct rebalance *r)
{
    if (r->is_done)
        return;
    r->is_undone = true;
    finish(r, "is undone");
}

struct rebalance *rebalances_find(const struct rebalances *all, uint64_t id)
{
    list_each(node, &all->all)
        if (rebalance_at(node)->id == id)
            return rebalance_at(node);
    return NULL;
}

void rebalances_each(const struct rebalances *all,
                     void (*tell)(void *to, struct rebalance *rebalance), void *to)
{
    list_each(node, &all->all)
        tell(to, rebalance_at(node));
}

void rebalance_progress(const struct rebalance *r, struct rebalance_progress *ret_progress)
{
    uint64_t pending = 0;

    *ret_progress = (struct rebalance_progress){
        .id = r->id,
        .started_wall_usec = r->started_wall_usec,
        .pool = r->pool,
        .rate = r->rate,
        .tolerance_percent = r->tolerance_percent,
        .closed = r->closed,
        .unaligned = r->unaligned,
        .above_percent = r->is_done ? r->above_percent : above_percent(r),
        .is_done = r->is_done,
        .is_undone = r->is_undone,
    };
    if (r->is_done)
        return;
    collect(r, &ret_progress->closed, &ret_progress->unaligned, &pending);
    ret_progress->left = r->budget + pending;
}

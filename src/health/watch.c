/* A server is as its worst check says, and draining when it says so itself. What changes is told in
 * this order: the server's own flag, the log, the owner. */
#include "health/health_priv.h"

#include "base/check.h"
#include "health/outcomes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static enum server_check verdict_of(const struct watch *w)
{
    bool is_checked = false, is_unknown = false, is_draining = w->is_asked;

    for (size_t i = 0; i < CHECK_KINDS; i++) {
        if (!w->plan->checks[i].is_on)
            continue;
        is_checked = true;
        if (w->streak[i].verdict == CHECK_DOWN)
            return CHECK_DOWN;
        is_draining = is_draining || w->streak[i].verdict == CHECK_DRAINING;
        is_unknown = is_unknown || w->streak[i].verdict == CHECK_UNKNOWN;
    }
    if (is_draining)
        return CHECK_DRAINING;
    return is_checked && !is_unknown ? CHECK_UP : CHECK_UNKNOWN;
}

static void tell(const struct watch *w, const char *from, const char *to, enum reason why,
                 unsigned status)
{
    struct log *log = w->health->worker->log;
    struct log_fields fields = log_fields_none();

    if (!log_wants(log, EVENT_health))
        return;
    fields.pool = bytes_of(pool_name(w->plan->pool));
    fields.server = bytes_of(w->server->name);
    fields.from = bytes_of(from);
    fields.to = bytes_of(to);
    fields.reason = bytes_of(reason_row(why)->name);
    if (status)
        fields.status = status;
    fields.words = bytes_of(reason_row(why)->words);
    log_event(log, EVENT_health, &fields);
}

/* Puts in force what is known now. */
static void settle(struct watch *w, enum reason why, unsigned status)
{
    enum server_check from = atomic_load_explicit(&w->server->check, memory_order_relaxed);
    enum server_check to = verdict_of(w);

    if (from == to)
        return;
    server_set_check(w->server, to, w->health->worker->runner.loop.now_usec);
    health_count(&w->health->counters.verdicts_ever, 1);
    tell(w, server_check_name(from), server_check_name(to), why, status);
    if (to == CHECK_UP || to == CHECK_UNKNOWN)
        pool_serve_waiters(w->plan->pool); /* it has free seats */
    const struct health_change change = {w->plan->pool, w->server, from, to, &w->plan->policy};
    w->health->sink->on_change(w->health->sink, &change);
}

/* --- what checks find ---------------------------------------------------------------------------
 */

static enum outcome_kind kind_of(enum reason reason)
{
    switch (reason) {
    case REASON_DONE:
        return OUTCOME_GOOD;
    case REASON_SERVER_DRAINS:
        return OUTCOME_DRAINING;
    case REASON_PORTS_SHORT:
    case REASON_DESCRIPTORS_SHORT:
    case REASON_NO_MEMORY:
    case REASON_CHECK_UNTIMED:
    case REASON_STOPPING:
        return OUTCOME_NONE; /* it says something about us */
    default:
        return OUTCOME_BAD;
    }
}

static void count(struct health_counters *counters, enum outcome_kind kind)
{
    if (kind == OUTCOME_NONE) {
        health_count(&counters->checks_not_made_ever, 1);
        return;
    }
    health_count(&counters->checks_ever, 1);
    if (kind == OUTCOME_BAD)
        health_count(&counters->checks_failed_ever, 1);
}

static void stop_draining(struct watch *w)
{
    w->is_asked = false;
    timer_cancel(&w->drain);
}

void watch_hear(struct watch *w, const struct finding *finding)
{
    const struct check_settings *settings = &w->plan->checks[finding->kind];
    const struct worker *worker = w->health->worker;
    enum outcome_kind kind = kind_of(finding->reason);
    const struct health_outcome outcome = {
        .wall_usec = worker->log->now_usec(worker->log),
        .took_usec = worker->runner.loop.now_usec - finding->began_usec,
        .kind = finding->kind,
        .reason = finding->reason,
        .status = finding->status,
    };

    health_note_outcome(w->server, &outcome);
    count(&w->health->counters, kind);
    streak_note(&w->streak[finding->kind], kind, settings->rise, settings->fall);
    /* a good answer to a later question, without the header, takes the wish back */
    if (kind == OUTCOME_GOOD && finding->carries_headers &&
        finding->began_usec >
            atomic_load_explicit(&w->server->drain_asked_usec, memory_order_relaxed))
        stop_draining(w);
    settle(w, finding->reason, finding->status);
}

/* --- what answers to clients say ----------------------------------------------------------------
 */

static void arm_drain(struct watch *w)
{
    uint64_t asked = atomic_load_explicit(&w->server->drain_asked_usec, memory_order_relaxed);

    loop_arm(&w->health->worker->runner.loop, &w->drain, asked + HEALTH_DRAIN_USEC);
}

static void on_drain_due(struct timer *timer)
{
    struct watch *w = container_of(timer, struct watch, drain);
    uint64_t asked = atomic_load_explicit(&w->server->drain_asked_usec, memory_order_relaxed);

    if (w->health->worker->runner.loop.now_usec < asked + HEALTH_DRAIN_USEC) {
        arm_drain(w);
        return;
    }
    stop_draining(w);
    settle(w, REASON_DRAIN_FORGOTTEN, 0);
}

void watch_hear_drain(struct watch *w)
{
    w->is_asked = true;
    arm_drain(w);
    settle(w, REASON_SERVER_DRAINS, 0);
}

/* --- what passive health has decided ------------------------------------------------------------
 */

static void arm_ejection(struct watch *w)
{
    loop_arm(&w->health->worker->runner.loop, &w->ejection,
             atomic_load_explicit(&w->server->passive.ejected_until_usec, memory_order_relaxed));
}

static void on_ejection_due(struct timer *timer)
{
    struct watch *w = container_of(timer, struct watch, ejection);
    uint64_t until =
        atomic_load_explicit(&w->server->passive.ejected_until_usec, memory_order_relaxed);

    if (w->health->worker->runner.loop.now_usec < until) {
        arm_ejection(w);
        return;
    }
    tell(w, "ejected", "up", REASON_EJECTION_OVER, 0);
    pool_serve_waiters(w->plan->pool);
}

void watch_hear_ejection(struct watch *w)
{
    arm_ejection(w);
}

/* --- life ---------------------------------------------------------------------------------------
 */

struct watch *watch_new(struct health *health, struct server *server, struct plan *plan)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->health = health;
    w->server = server_ref(server);
    w->plan = plan_ref(plan);
    timer_init(&w->drain, on_drain_due);
    timer_init(&w->ejection, on_ejection_due);
    return w;
}

struct watch *watch_free(struct watch *w)
{
    if (!w)
        return NULL;
    for (size_t i = 0; i < CHECK_KINDS; i++)
        check_stop(w->check[i]);
    timer_cancel(&w->drain);
    timer_cancel(&w->ejection);
    server_unref(w->server);
    plan_unref(w->plan);
    free(w);
    return NULL;
}

/* 0 or -ENOMEM. */
static int adopt_kind(struct watch *w, enum check_kind kind)
{
    if (!w->plan->checks[kind].is_on) {
        check_stop(w->check[kind]); /* which it takes off */
        w->streak[kind] = (struct streak){0};
        return 0;
    }
    if (w->check[kind]) {
        check_hurry(w->check[kind]);
        return 0;
    }
    w->check[kind] = check_start(w, kind);
    return w->check[kind] ? 0 : -ENOMEM;
}

int watch_adopt(struct watch *w, struct plan *plan)
{
    struct plan *before = w->plan;
    int error = 0;

    w->plan = plan_ref(plan);
    plan_unref(before);
    for (int kind = 0; kind < CHECK_KINDS; kind++)
        if (adopt_kind(w, (enum check_kind)kind))
            error = -ENOMEM;
    settle(w, REASON_CHECKS_CHANGED, 0);
    return error;
}

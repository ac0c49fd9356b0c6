/* Between health.c, watch.c and check.c. */
#pragma once

#include "base/random.h"
#include "health/plan.h"
#include "health/streak.h"

struct check;

struct health {
    struct worker *worker;
    struct health_sink *sink;
    struct random random;
    struct health_counters counters;
    struct list turns;      /* checks that wait for theirs */
    struct watch **watches; /* by their server's address in memory */
    size_t count;
};

/* What is known of one server. */
struct watch {
    struct health *health;
    struct server *server;            /* counted */
    struct plan *plan;                /* counted; its pool's */
    struct check *check[CHECK_KINDS]; /* their flows; NULL: not configured */
    struct streak streak[CHECK_KINDS];
    struct timer drain;    /* when a wish to be drained is forgotten */
    struct timer ejection; /* when it ends */
    bool is_asked;         /* to drain it, by a header to a client */
    bool is_kept;          /* health_adopt has found it again */
};

/* What a check found. */
struct finding {
    enum check_kind kind;
    enum reason reason;
    uint16_t status;
    uint64_t began_usec;
    bool carries_headers;
};

struct watch *watch_new(struct health *health, struct server *server, struct plan *plan);
struct watch *watch_free(struct watch *watch); /* accepts NULL, returns NULL */
/* Another configuration: checks begin and end, verdicts of those that stay are kept. */
int watch_adopt(struct watch *watch, struct plan *plan); /* 0 or -ENOMEM */
void watch_hear(struct watch *watch, const struct finding *finding);
void watch_hear_drain(struct watch *watch);
void watch_hear_ejection(struct watch *watch);

/* NULL: no memory. It lives on the runner until check_stop. */
struct check *check_start(struct watch *watch, enum check_kind kind);
void check_stop(struct check *check);  /* accepts NULL; never from its own step */
void check_hurry(struct check *check); /* its plan has changed: not later than that says */

static inline void health_count(_Atomic uint64_t *figure, uint64_t more)
{
    atomic_fetch_add_explicit(figure, more, memory_order_relaxed);
}

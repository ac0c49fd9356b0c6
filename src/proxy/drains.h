/* Drains: tunnels that are closed on purpose, over a while, at an even rate, each by a Close frame
 * to both its ends at a frame boundary; by FIN where there is none.
 *
 * A drain is begun by the main thread. Each worker gets a letter, finds its own connections, and
 * ends them by its own clock; progress is counted in atomics. Handshakes that are under way when it
 * begins become tunnels that it closes as well. It is done when nothing it concerns is left on any
 * worker; one that keeps requests out does so until it is undone. Names are looked for, not
 * objects, so a reload changes nothing. */
#pragma once

#include "proxy/connection.h"

#define DRAINS_MAX       1000 /* that run or are in force at once */
#define DRAINS_ENDED_MAX 100  /* that are remembered */
#define DRAIN_NAME_BYTES 256

struct drain; /* counted */

enum drain_kind {
    DRAIN_SERVER,
    DRAIN_POOL,
    DRAIN_ROUTE,
    DRAIN_NODE,  /* whatever is here */
    DRAIN_CHOSEN /* what `chooses` says */
};
const char *drain_kind_name(enum drain_kind kind); /* "server", "pool", "route", "node", "chosen" */

struct drain_spec {
    enum drain_kind kind;
    struct server *server; /* DRAIN_SERVER; the drain takes a reference of its own */
    const char *name;      /* of the pool or the route, or how a chosen lot is told; copied */
    /* DRAIN_CHOSEN: asked on the workers' threads, of connections that have a server. */
    bool (*chooses)(const struct connection *c, const void *by);
    void *take_by;             /* the drain's, also when it is not begun; may be NULL */
    void (*free_by)(void *by); /* on any thread; may be NULL */
    uint64_t over_usec;
    uint16_t code;      /* of the Close frames; 0: the reason's */
    enum reason reason; /* as logged; a row whose words say what is drained */
    bool keeps_out;     /* pool, route, node: new requests and handshakes get 503 until undone */
    bool is_granted;    /* not over a while, but as many as drain_grant says */
};

/* Of the main thread. */
struct drains {
    struct worker *main;
    struct proxy *const *proxies;
    unsigned count;
    struct list all; /* oldest first */
    unsigned live;
    uint64_t last_id;
};

void drains_init(struct drains *drains, struct worker *main, struct proxy *const *proxies,
                 unsigned count);
void drains_done(struct drains *drains); /* after proxy_done of all; harmless when it is zeroed */

/* 0; -EBUSY: DRAINS_MAX run; -ENOMEM. ret_drain may be NULL, else it is a reference of the
 * caller's. */
int drains_start(struct drains *drains, const struct drain_spec *spec, struct drain **ret_drain);
/* What is not closed yet is left alone, and who was kept out may come in. Harmless twice. */
void drains_undo(struct drains *drains, struct drain *drain);
/* Borrowed; NULL: none. */
struct drain *drains_find(const struct drains *drains, uint64_t id);
/* The newest that runs, or keeps requests out. */
struct drain *drains_find_target(const struct drains *drains, enum drain_kind kind,
                                 const char *name);
void drains_each(const struct drains *drains, void (*tell)(void *to, const struct drain *drain),
                 void *to);
bool drains_whole_node(const struct drains *drains); /* it is kept out: /ready says no */

/* --- one of them, from any thread
 * ---------------------------------------------------------------------------------- */

struct drain *drain_ref(struct drain *drain);
struct drain *drain_unref(struct drain *drain); /* accepts NULL, returns NULL */

struct drain_progress {
    uint64_t found;     /* tunnels */
    uint64_t left;      /* of those, not ended yet */
    uint64_t closed;    /* by us */
    uint64_t ended;     /* by themselves */
    uint64_t unaligned; /* of the closed: an end was told by FIN or reset, not by a Close frame */
    uint64_t requests;  /* handshakes and requests of its own that were last seen under way */
    bool is_done, is_undone, is_short; /* short: of memory, so not all were found */
};
void drain_progress(const struct drain *drain, struct drain_progress *ret_progress);
uint64_t drain_id(const struct drain *drain);
const struct drain_spec *drain_spec_of(const struct drain *drain);
const char *drain_name(const struct drain *drain); /* as commands name it; "" of the node */
uint64_t drain_started_wall_usec(const struct drain *drain);
bool drain_is_live(const struct drain *drain); /* it runs, or keeps requests out */

/* Main thread, of a granted one: `count` more may be closed, as far as there are any: how many
 * that are. */
size_t drain_grant(struct drain *drain, size_t count);
uint64_t drain_pending(const struct drain *drain); /* granted, and not gone yet */

/* --- on a worker's thread
 * ------------------------------------------------------------------------------------------ */

struct drain_share;

/* Why the route's requests are refused now; REASON_DONE: they are not. */
enum reason drains_refusal(const struct proxy *proxy, const struct route *route);
/* Chooses which of the route's pools is asked (c->share): one that is drained only if there is no
 * other, and then the reason says so. */
enum reason drains_choose_share(struct connection *c);
/* Whether the pool is drained, so that nothing new may go there. */
bool drains_keep_out(const struct proxy *proxy, const struct pool *pool);
void drains_joined(struct connection *c); /* a tunnel has begun */
void drains_left(struct connection *c);   /* a tunnel has ended */
void drains_forget(struct proxy *proxy);  /* of a worker that ends */

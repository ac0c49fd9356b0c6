/* One server of a pool, as long as anything refers to it: through every configuration that names
 * it and every tunnel that runs to it. Counted. Everything that changes is an atomic that any
 * thread reads; who writes is said beside it. */
#pragma once

#include "base/list.h"
#include "net/address.h"

#include <stdatomic.h>
#include <stddef.h>

#define SERVER_NAME_BYTES 160

struct pool_state;

enum server_admin { SERVER_UP, SERVER_DRAIN, SERVER_DOWN }; /* what the operator says */
enum server_check {                                         /* what the active checks say */
                    CHECK_UNKNOWN, /* none is configured, or none has ended yet: taken for up */
                    CHECK_UP,
                    CHECK_DOWN,
                    CHECK_DRAINING /* the server itself asks for no more: its tunnels are drained */
};
const char *server_admin_name(enum server_admin admin); /* "up", "drain", "down" */
const char *server_check_name(enum server_check check); /* "unknown", "up", "down", "draining" */

/* What requests tell of a server (health/passive.c); workers write. */
struct server_passive {
    _Atomic uint64_t window_usec;        /* when the window that is counted began */
    atomic_uint failures;                /* in it */
    atomic_uint ejections;               /* in a row, so the next one lasts longer */
    _Atomic uint64_t ejected_until_usec; /* of the loops' clock; 0: it is not */
};

/* What checks found last (health/outcomes.c); the main thread writes. */
#define SERVER_OUTCOMES 9
struct server_outcomes {
    atomic_uint count; /* ever */
    _Atomic uint64_t wall_usec[SERVER_OUTCOMES], packed[SERVER_OUTCOMES];
};

/* A choice among thousands reads the first cache line of each, and nothing else of it. */
#define SERVER_LINE_BYTES 64

struct server {
    _Alignas(SERVER_LINE_BYTES) uint64_t id; /* of its address alone: the same on every node */
    atomic_uint active;                      /* seats taken: tunnels and requests in flight */
    atomic_uint latency_usec;                /* until its answer's head, smoothed; 0: not known */
    _Atomic uint8_t admin;                   /* enum server_admin; the main thread writes */
    _Atomic uint8_t check;                   /* enum server_check; the main thread writes */
    struct server_passive passive;           /* 24 bytes */
    _Atomic uint64_t ramp_usec; /* when its slow start began, of the loops' clock; 0: it has none */
    _Atomic uint64_t admitted_nsec; /* admission.c: what it admitted is spoken for until then */

    uint32_t magic;
    atomic_uint references;
    struct address address;
    _Atomic uint64_t tunnels;      /* established now */
    _Atomic uint64_t tunnels_ever; /* established since the start */
    _Atomic uint64_t requests_ever;
    _Atomic uint64_t handshakes_ever; /* asked of it, whatever it answered */
    _Atomic uint64_t failures_ever;   /* refused, too slow, or wrong before an answer */
    struct server_outcomes outcomes;
    _Atomic uint64_t drain_asked_usec; /* when an answer last asked to drain it; workers write */
    atomic_bool is_drain_told;         /* a letter about it is on its way to the main thread */
    struct pool_state *state;          /* counted */
    struct list lost;                  /* in the state's: no configuration names it, tunnels do */
    char name[SERVER_NAME_BYTES];      /* "POOL/ADDRESS", as everywhere */
};
_Static_assert(offsetof(struct server, magic) <= SERVER_LINE_BYTES, "one line for a choice");

struct server *server_ref(struct server *server);
struct server *server_unref(struct server *server); /* accepts NULL, returns NULL */

/* The one with that address that anything still refers to, or a new one. NULL: no memory. */
struct server *server_obtain(struct pool_state *state, const char *pool_name,
                             const struct address *address);
/* No configuration names it any more: whoever names it again obtains it with its counts. */
void server_lose(struct server *server);
void server_regain(struct server *server); /* one does again */

/* Whether new handshakes and requests may go there. */
bool server_is_usable(const struct server *server, uint64_t now_usec);
/* By the main thread. Becoming usable begins a slow start. */
void server_set_admin(struct server *server, enum server_admin admin, uint64_t now_usec);
void server_set_check(struct server *server, enum server_check check, uint64_t now_usec);
/* When its slow start began: because it is new, was taken in again, or its ejection ended; 0: it
 * has none. */
uint64_t server_ramp_usec(const struct server *server, uint64_t now_usec);
/* It answered in so long: smoothed (an eighth of each new figure). */
void server_note_latency(struct server *server, uint64_t usec);

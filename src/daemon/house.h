/* The running program: what main wires together. It lives on the main thread; admin and workers
 * talk to it by mail. */
#pragma once

#include "admin/admin.h"
#include "daemon/features.h"
#include "daemon/log.h"
#include "discovery/discovery.h"
#include "proxy/drains.h"
#include "proxy/moves.h"
#include "proxy/proxy.h"
#include "proxy/rebalance.h"

#include <signal.h>

#define HOUSE_WORKERS_MAX 64
#define HOUSE_NUMBER      255 /* of the main thread's worker */

/* A letter to a worker: what its proxy shall do. */
struct house_errand {
    struct mail mail;
    struct proxy *proxy;
    void (*run)(struct proxy *proxy);
};

enum house_state { HOUSE_SERVING, HOUSE_DRAINING, HOUSE_ENDING };

struct house {
    struct worker main; /* its loop hears signals, timers and mail */
    struct log_sink log;
    bool log_hangs; /* in the end: its writer still needs us */
    struct conf_source *source;
    const char *path; /* of the configuration file; NULL: `text` */
    const char *text; /* `proxy`: what the command line says */
    struct snapshot *snapshot;
    struct discovery *discovery; /* of the snapshot's pools */
    struct tls_tickets tickets;
    struct proxy *proxy[HOUSE_WORKERS_MAX];
    struct tls_worker *tls[HOUSE_WORKERS_MAX]; /* the proxy's, once there is one */
    unsigned count, started;
    struct drains drains;
    struct moves moves;
    struct health *health;
    struct health_sink health_sink;
    struct rebalances rebalances;
    struct admin *admin;
    struct admin_house sink;
    enum house_state state;
    uint64_t started_wall_usec;
    uint64_t configured_wall_usec; /* since when `snapshot` is in force */
    struct admin_reload_result last_reload;
    sigset_t signal_set;
    struct source signals;
    struct timer tick;          /* while draining */
    struct timer members_timer; /* armed: they have changed, and it is not told yet */
    struct task on_signal;
    uint64_t drain_until_usec;
    struct house_errand drain[HOUSE_WORKERS_MAX], goodbye[HOUSE_WORKERS_MAX];
    int descriptor_limit;
    char features[FEATURES_BYTES];
};

/* Serves until told to stop. The exit code; what is wrong has been said on stderr. */
int house_run(const char *path, const char *text);

/* Reads the configuration again and puts it in force. On failure the old one serves on, and the
 * result says why. */
void house_reload(struct house *house, struct admin_reload_result *ret_result);

/* health.c: between make_proxies and the first thread. 0 or -ENOMEM. */
int house_start_health(struct house *house);
/* Those whom the configuration in force names now are watched. */
void house_watch_health(struct house *house);
/* An operator has set a server's state. */
void house_server_set(struct house *house, struct server *server,
                      const struct pool_settings *settings);

/* Servers came or went at run time, by hand or by discovery: workers follow. */
void house_members_changed(struct house *house);
void house_members_init(struct house *house); /* before the first change */

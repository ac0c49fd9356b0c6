/* The admin listener: HTTP and JSON on a thread of its own, so that it answers whatever the workers
 * do. It knows the floors below through their doors, and asks each thread for what is that thread's
 * by mail. */
#pragma once

#include "conf/settings.h"
#include "discovery/discovery.h"
#include "proxy/rebalance.h"

struct admin_reload_result {
    uint64_t wall_usec; /* 0: there was none */
    uint64_t number;    /* of the configuration in force afterwards */
    bool is_good;
    struct report *report; /* why not; the house's */
};

struct admin_status {
    const char *path;
    uint64_t started_wall_usec;
    uint64_t configured_wall_usec; /* since when the snapshot is in force */
    uint64_t log_lines_lost;       /* ever */
    bool is_draining;
    int descriptor_limit;
    struct admin_reload_result last_reload;
    const struct discovery *discovery; /* main's */
    char features[512];
    const struct health_counters *health; /* any thread reads them */
    const char *refused[RELAY_TIERS_MAX]; /* relay tiers: why not; NULL: it serves */
};

/* The program as doors see it, on the main thread only. A new subject is a pointer more to what is
 * asked, not a function more. */
struct admin_house {
    void (*status)(struct admin_house *house, struct admin_status *ret_status);
    void (*reload)(struct admin_house *house, struct admin_reload_result *ret_result);
    /* A server was taken out of a pool: whoever has to do with it follows. */
    void (*members_changed)(struct admin_house *house);
    /* An operator has said how a server is to be taken. */
    void (*server_set)(struct admin_house *house, struct server *server,
                       const struct pool_settings *settings);
    struct snapshot *const *in_force; /* the configuration of the moment; borrowed */
    struct worker *main;              /* for its clock, and to send mail from */
    struct drains *drains;
    struct rebalances *rebalances;
    struct proxy *const *proxies; /* one per worker: told by mail */
    unsigned count;
    bool is_over; /* it is being taken apart: no door opens any more */
};

struct admin_means {
    int fd; /* listening; taken */
    struct endpoint endpoint;
    struct proxy **proxies; /* borrowed: they outlive the admin thread */
    unsigned count;
    struct admin_house *house; /* on its `main` doors are opened */
    struct log *log;
};

struct admin;
int admin_start(struct admin **ret_admin,
                const struct admin_means *means); /* 0 or a negative errno */
/* Ends the thread; letters that are still on their way find their memory until admin_free, which
 * comes after every thread that was asked has ended. Both accept NULL. */
void admin_stop(struct admin *admin);
struct admin *admin_free(struct admin *admin);

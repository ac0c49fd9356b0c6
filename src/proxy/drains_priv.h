/* Between the main thread's part of a drain (drains.c) and the workers' (drain_share.c). */
#pragma once

#include "proxy/drains.h"
#include "proxy/pace.h"

#define DRAIN_MAGIC 0x64726169u

struct drain_entry {
    uint64_t number : 63; /* the connection's */
    uint64_t is_asked : 1;
    struct connection *c; /* NULL: it has ended */
};

/* One worker's. The letters and what is atomic belong to all, the rest to the worker. */
struct drain_share {
    struct mail begin, undo, grant;
    atomic_bool grant_travels;
    _Atomic uint64_t granted;     /* ever, but for what was given back */
    _Atomic uint64_t asked, gone; /* who was, ever, and has ended since */
    _Atomic uint64_t found, waiting, closed, ended, unaligned, requests;
    struct drain *drain;
    struct proxy *proxy;
    struct list node; /* in proxy.drains */
    struct timer timer;
    struct task look;
    struct pace pace;
    struct drain_entry *entry; /* the first `sorted` by number, then who came later */
    size_t count, sorted, room;
    size_t visited, stride; /* the order of those that are sorted; then as they came */
    size_t here;            /* that have not ended */
    bool is_active, is_finished;
};

struct drain {
    uint32_t magic;
    atomic_uint references;
    struct list node; /* in drains.all */
    uint64_t id;
    uint64_t started_wall_usec;
    struct drain_spec spec; /* server, name and by are its own */
    char name[DRAIN_NAME_BYTES];
    atomic_uint working; /* shares that are not finished */
    atomic_bool is_undone, is_short;
    unsigned count;
    struct drain_share share[];
};

void drain_share_begin(struct mail *take_mail);
void drain_share_undo(struct mail *take_mail);
void drain_share_grant(struct mail *take_mail);

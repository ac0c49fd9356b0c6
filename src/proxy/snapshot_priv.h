/* Between the files that build a snapshot, part by part. What is wrong goes into the report; the
 * half-made snapshot is freed like a whole one. */
#pragma once

#include "proxy/snapshot.h"

struct build {
    const struct snapshot_means *means;
    struct snapshot *before;
    struct report *report;
    struct snapshot *made;
};

static inline uint64_t forever_if_none(uint64_t usec)
{
    return usec ? usec : FOREVER;
}

static inline void out_of_memory(const struct build *b)
{
    report_add(b->report, (struct mark){0}, NULL, "out of memory");
}

/* Each makes the part of that number in the settings; in this order. */
void build_pool(struct build *b, size_t number);
void build_store(struct build *b, size_t number);
void build_route(struct build *b, size_t number);
void build_rates(struct build *b); /* after the routes */
void build_gate(struct build *b, size_t number);
void free_route(struct route *route); /* what it holds, not itself */
void free_gate(struct gate_spec *gate, unsigned workers);

struct deadlines deadlines_of(const struct timeouts *timeouts);
struct route route_of(const struct snapshot *made, const struct route_settings *settings);

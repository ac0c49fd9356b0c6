/* A flow that does nothing but have children, and a loop to turn. */
#pragma once

#include "fake_sys.h"
#include "loop/worker.h"
#include "test.h"

#include <stdlib.h>

static struct worker parent_worker;
static struct flow *parent;

static enum next parent_lives(struct flow *flow)
{
    return flow_wait_notice(flow, WITHIN(FOREVER, REASON_DONE));
}

static void parent_leaves(struct flow *flow)
{
    (void)flow;
}

static const struct flow_step parent_steps[] = {{"lives", parent_lives}};
static const struct flow_kind parent_kind = {
    "parent", parent_steps, 1, 0, parent_leaves, NULL, FLOW_NO_LAST_STEP,
};

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

static inline void parent_turn(void)
{
    EXPECT(loop_look(&parent_worker.runner.loop) == 0);
    loop_run(&parent_worker.runner.loop);
}

static inline void parent_begin(void)
{
    static struct log log = {.write = write_nowhere};

    fake_reset();
    EXPECT(worker_init(&parent_worker, 1, &log) == 0);
    parent = calloc(1, sizeof *parent);
    EXPECT(parent != NULL);
    flow_start(parent, &parent_kind, &parent_worker.runner, NULL);
    parent_turn();
}

static inline void parent_end(void)
{
    flow_stop(parent, REASON_STOPPING);
    parent_turn();
    worker_done(&parent_worker);
}

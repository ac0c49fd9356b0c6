/* Questions to a store, asked and answered within a turn or more of a parent's loop. */
#pragma once

#include "net/parent.h"
#include "session/store.h"

#define TTL_USEC 10000000u

static inline struct store_settings store_settings_of(uint64_t entries)
{
    return (struct store_settings){.name = "sessions",
                                   .kind = STORE_MEMORY,
                                   .timeout = 50000,
                                   .ttl = TTL_USEC,
                                   .entries = entries};
}

/* Answered within this turn; the caller is done with it. */
static inline void put_question(struct store_ask *ask, struct store *store,
                                struct store_question question)
{
    store_ask_done(ask);
    store_ask_start(ask, store, &question, parent);
    parent_turn();
    parent_turn();
    EXPECT(flow_is_over(&ask->flow));
}

static inline enum store_outcome outcome_of(struct store *store, struct store_question question)
{
    struct store_ask ask = {0};

    put_question(&ask, store, question);
    store_ask_done(&ask);
    return ask.outcome;
}

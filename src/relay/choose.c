/* The one that chooses. Every lane begins in the last tier of the list, which can always serve.
 * When its batches have been large for some time it is given a better one, and taken out of that
 * again when they have not.
 *
 * A score per lane counts the batches in a row that speak against its present tier. It changes
 * tiers only with nothing unsent, for what is unsent lies where its tier put it. */
#include "relay/relay_priv.h"

#include "base/check.h"
#include "base/log.h"

#define BATCHES     4u /* in a row */
#define SECOND_USEC 1000000u

static unsigned score_of(const struct relay *relay, unsigned lane)
{
    return relay->score >> 4 * lane & 15u;
}

static void set_score(struct relay *relay, unsigned lane, unsigned score)
{
    relay->score = (uint8_t)((relay->score & ~(15u << 4 * lane)) | score << 4 * lane);
}

/* Why a tier cannot serve a lane; NULL: it can. */
static const char *refusal(const struct relay *relay, unsigned lane, unsigned tier)
{
    if (relay->shared->refused[tier])
        return relay->shared->refused[tier];
    if (relay->tiers_left_out >> tier & 1)
        return "the configuration leaves it out";
    if (relay->is_guarded)
        return "the frame guard reads every byte";
    return relay_tier_at(tier)->refuses(relay, lane);
}

static void log_change(const struct relay *relay, unsigned lane, const char *why)
{
    struct log *log = worker_of(relay->owner)->log;
    struct log_fields fields = log_fields_none();

    if (!log_wants(log, EVENT_tier))
        return;
    fields.connection = relay->owner->number;
    fields.direction = bytes_of(lane == 0 ? "to server" : "to client");
    fields.tier = bytes_of(relay_lane_tier(relay, lane));
    fields.words = bytes_of(why);
    log_event(log, EVENT_tier, &fields);
}

static void change(struct relay *relay, unsigned lane, unsigned tier, const char *why)
{
    relay->tier[lane] = (uint8_t)tier;
    relay->tier_since[lane] = (uint32_t)(now_of(relay->owner) / SECOND_USEC);
    set_score(relay, lane, 0);
    log_change(relay, lane, why);
}

/* The next worse tier that can serve it. */
static unsigned next_worse(const struct relay *relay, unsigned lane)
{
    unsigned tier = relay->tier[lane] + 1u;

    while (refusal(relay, lane, tier))
        tier++;
    return tier;
}

static void try_better(struct relay *relay, unsigned lane)
{
    for (unsigned tier = 0; tier < relay->tier[lane]; tier++) {
        const struct relay_tier_ops *ops = relay_tier_at(tier);
        if (refusal(relay, lane, tier) || (ops->is_ready && !ops->is_ready(relay, lane)))
            continue;
        change(relay, lane, tier, "its batches are large");
        return;
    }
    set_score(relay, lane, 0); /* asked again after as many */
}

void relay_note_batch(struct relay *relay, unsigned lane, uint64_t piece_bytes)
{
    bool is_last = relay->tier[lane] == relay_tier_count() - 1;
    bool is_against = is_last ? piece_bytes >= LARGE_BYTES : piece_bytes < LARGE_BYTES;
    unsigned score = score_of(relay, lane);

    if (!is_against) {
        if (score)
            set_score(relay, lane, 0);
        return;
    }
    if (score < BATCHES)
        set_score(relay, lane, score + 1);
    if (score + 1 < BATCHES || lane_has_unsent(relay, lane))
        return;
    if (is_last)
        try_better(relay, lane);
    else
        change(relay, lane, next_worse(relay, lane), "its batches have become small");
}

void relay_step_back(struct relay *relay, unsigned lane, const char *why)
{
    CHECK(!relay->pipe[lane]);
    change(relay, lane, next_worse(relay, lane), why);
}

const char *relay_lane_why(const struct relay *relay, unsigned lane)
{
    const char *why = NULL;

    for (unsigned tier = relay->tier[lane]; tier > 0; tier--) {
        why = refusal(relay, lane, tier - 1);
        if (!why && relay->shared->pipe_error)
            why = "no pipe could be had";
        if (!why)
            return "its batches are small";
    }
    return why;
}

void relay_worker_probe(struct relay_worker *shared)
{
    const struct relay_tier_ops *tier;

    for (unsigned i = 0; (tier = relay_tier_at(i)); i++)
        if (tier->probe)
            shared->refused[i] = tier->probe();
}

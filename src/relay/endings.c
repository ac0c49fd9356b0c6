/* How a relay ends. Half-close and reset meet in every combination, so it is a table: what a lane is, what
 * was found, what it becomes, and what is done. Read a row as a sentence.
 *
 * A reason is decided by the first end that breaks or, when none does, is DONE. The relay is over when both
 * lanes are done. */
#include "relay/relay_priv.h"

#include "base/check.h"

enum action {
    NOTHING,
    PASS_END,     /* FIN to the destination */
    BLAME_SOURCE, /* the source is the one that broke: the other lane has no one to speak to */
    BLAME_TARGET, /* the destination broke: its last words may still be unread, the other lane looks */
};

struct ending {
    uint8_t state, event;
    bool has_unsent; /* for END, SOURCE_GONE and BOUNDARY: whether bytes are still to be sent */
    uint8_t next, action;
};

static const struct ending endings[] = {
    /* a lane that is  finds               with bytes left  becomes         and           */
    {LANE_OPEN,        FOUND_END,          false,           LANE_DONE,      PASS_END},
    {LANE_OPEN,        FOUND_END,          true,            LANE_ENDING,    NOTHING},
    {LANE_OPEN,        FOUND_SOURCE_GONE,  false,           LANE_DONE,      BLAME_SOURCE},
    {LANE_OPEN,        FOUND_SOURCE_GONE,  true,            LANE_BREAKING,  BLAME_SOURCE},
    {LANE_OPEN,        FOUND_TARGET_GONE,  false,           LANE_DONE,      BLAME_TARGET},
    {LANE_OPEN,        FOUND_BOUNDARY,     false,           LANE_DONE,      NOTHING},
    {LANE_OPEN,        FOUND_BOUNDARY,     true,            LANE_STOPPED,   NOTHING},
    {LANE_ENDING,      FOUND_FLUSHED,      false,           LANE_DONE,      PASS_END},
    {LANE_ENDING,      FOUND_TARGET_GONE,  false,           LANE_DONE,      BLAME_TARGET},
    {LANE_BREAKING,    FOUND_FLUSHED,      false,           LANE_DONE,      NOTHING},
    {LANE_BREAKING,    FOUND_TARGET_GONE,  false,           LANE_DONE,      BLAME_TARGET},
    {LANE_STOPPED,     FOUND_FLUSHED,      false,           LANE_DONE,      NOTHING},
    {LANE_STOPPED,     FOUND_TARGET_GONE,  false,           LANE_DONE,      BLAME_TARGET},
};

static const struct ending *find(uint8_t state, enum lane_event event, bool has_unsent)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (endings[i].state == state && endings[i].event == event && endings[i].has_unsent == has_unsent)
            return &endings[i];
    return NULL; /* FOUND_FLUSHED of an open lane: it goes on */
}

void relay_blame(struct relay *relay, unsigned end)
{
    relay->reset_ends |= (uint8_t)(1u << !end);
    if (relay->has_reason)
        return;
    relay->has_reason = true;
    relay->reason = end == 0 ? REASON_CLIENT_RESET : REASON_SERVER_RESET;
}

static void act(struct relay *relay, unsigned lane, enum action action)
{
    struct lane *other = &relay->lane[!lane];

    switch (action) {
    case NOTHING:
        return;
    case PASS_END:
        if (other->state != LANE_DONE) /* else closing says it */
            stream_end(lane_to(relay, lane));
        return;
    case BLAME_SOURCE:
        copy_forget(relay, !lane);
        other->state = LANE_DONE;
        relay_blame(relay, lane);
        return;
    case BLAME_TARGET:
        copy_forget(relay, lane);
        relay_blame(relay, !lane);
        loop_post(loop_of(relay->owner), &relay->again);
        return;
    }
}

void relay_found(struct relay *relay, unsigned number, enum lane_event event)
{
    struct lane *lane = &relay->lane[number];
    bool asks = event != FOUND_FLUSHED && event != FOUND_TARGET_GONE && lane->state == LANE_OPEN;
    const struct ending *row = find(lane->state, event, asks && lane_has_unsent(relay, number));

    if (!row || relay->is_over)
        return;
    lane->state = row->next;
    act(relay, number, row->action);
    relay_look_over(relay);
}

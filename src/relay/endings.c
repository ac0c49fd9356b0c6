/* How a relay ends. Half-close, reset, deadlines and reclaim meet in every combination, so it is
 * one table: what a lane is, what it finds, what it becomes, what is done, and the reason that this
 * gives. Read a row as a sentence.
 *
 * What always holds: the first reason given stands. The relay is over when both lanes are done, or
 * at END_ALL. A lane that is done finds nothing more. */
#include "relay/relay_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#include <errno.h>

_Static_assert(REASON_DONE == 0, "a relay begins with no reason");

enum action {
    NOTHING,
    PASS_END,   /* FIN to the destination */
    DROP_OTHER, /* the source broke: nothing can go back to it; the destination shall see a reset */
    DROP_OWN, /* the destination broke: its last words may still be unread, the other lane looks */
    END_ALL,  /* over at once; what is unsent is lost */
};

#define LANE_ANY 0xff /* whatever it is, it stays */

struct ending {
    uint8_t state, event, next, action;
    uint8_t reason[2]; /* on lane 0, on lane 1; REASON_DONE: none */
};

/* clang-format off */
#define NONE         {REASON_DONE, REASON_DONE}
#define BOTH(name)   {REASON_##name, REASON_##name}
#define SOURCE_BROKE {REASON_CLIENT_RESET, REASON_SERVER_RESET}
#define TARGET_BROKE {REASON_SERVER_RESET, REASON_CLIENT_RESET}
#define SOURCE_LOST  {REASON_CLIENT_UNREACHABLE, REASON_SERVER_UNREACHABLE}
#define TARGET_LOST  {REASON_SERVER_UNREACHABLE, REASON_CLIENT_UNREACHABLE}
#define SOURCE_WAITS {REASON_FIN_TOO_SLOW, REASON_SERVER_FIN_TOO_SLOW}
#define TARGET_WAITS {REASON_SERVER_FIN_TOO_SLOW, REASON_FIN_TOO_SLOW}

static const struct ending endings[] = {
    /* a lane that is  finds               becomes         and         for            */
    {LANE_OPEN,        FOUND_END,          LANE_DONE,      PASS_END,   NONE},
    {LANE_OPEN,        FOUND_SOURCE_GONE,  LANE_BREAKING,  DROP_OTHER, SOURCE_BROKE},
    {LANE_OPEN,        FOUND_SOURCE_LOST,  LANE_BREAKING,  DROP_OTHER, SOURCE_LOST},
    {LANE_OPEN,        FOUND_TARGET_GONE,  LANE_DONE,      DROP_OWN,   TARGET_BROKE},
    {LANE_OPEN,        FOUND_TARGET_LOST,  LANE_DONE,      DROP_OWN,   TARGET_LOST},
    {LANE_OPEN,        FOUND_BOUNDARY,     LANE_STOPPED,   NOTHING,    BOTH(RECLAIMED)},
    {LANE_OPEN,        FOUND_FAULT,        LANE_STOPPED,   NOTHING,    NONE},
    {LANE_OPEN,        FOUND_SOURCE_SLOW,  LANE_OPEN,      END_ALL,    SOURCE_WAITS},
    {LANE_OPEN,        FOUND_TARGET_SLOW,  LANE_OPEN,      END_ALL,    TARGET_WAITS},
    {LANE_STOPPED,     FOUND_DELIVERED,    LANE_DONE,      NOTHING,    NONE},
    {LANE_STOPPED,     FOUND_TARGET_GONE,  LANE_DONE,      DROP_OWN,   TARGET_BROKE},
    {LANE_STOPPED,     FOUND_TARGET_LOST,  LANE_DONE,      DROP_OWN,   TARGET_LOST},
    {LANE_STOPPED,     FOUND_TARGET_SLOW,  LANE_STOPPED,   END_ALL,    TARGET_WAITS},
    {LANE_BREAKING,    FOUND_DELIVERED,    LANE_DONE,      NOTHING,    NONE},
    {LANE_BREAKING,    FOUND_TARGET_GONE,  LANE_DONE,      DROP_OWN,   TARGET_BROKE},
    {LANE_BREAKING,    FOUND_TARGET_LOST,  LANE_DONE,      DROP_OWN,   TARGET_LOST},
    {LANE_BREAKING,    FOUND_TARGET_SLOW,  LANE_BREAKING,  END_ALL,    TARGET_WAITS},
    {LANE_ANY,         FOUND_SILENCE,      LANE_ANY,       END_ALL,    BOTH(TUNNEL_IDLE)},
    {LANE_ANY,         FOUND_LATE,         LANE_ANY,       END_ALL,    BOTH(RECLAIMED)},
    {LANE_ANY,         FOUND_NO_MEMORY,    LANE_ANY,       END_ALL,    BOTH(NO_MEMORY)},
};
/* clang-format on */

/* The kernel gave up by itself: user_timeout, unanswered probes, or what it was told of the way. */
static bool is_lost(ssize_t error)
{
    return error == -ETIMEDOUT || error == -EHOSTUNREACH || error == -ENETUNREACH;
}

enum lane_event source_broken_by(ssize_t error)
{
    return is_lost(error) ? FOUND_SOURCE_LOST : FOUND_SOURCE_GONE;
}

enum lane_event target_broken_by(ssize_t error)
{
    return is_lost(error) ? FOUND_TARGET_LOST : FOUND_TARGET_GONE;
}

static const struct ending *find(uint8_t state, enum lane_event event)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if ((endings[i].state == state || endings[i].state == LANE_ANY) &&
            endings[i].event == event)
            return &endings[i];
    return NULL;
}

static void mark_reset(struct relay *relay, unsigned end)
{
    relay->reset_ends = (relay->reset_ends | 1u << end) & 3u;
}

static void mark_deaf(struct relay *relay, unsigned end)
{
    relay->deaf_ends = (relay->deaf_ends | 1u << end) & 3u;
}

/* Bytes that will not arrive must not end in what looks like an orderly end. */
static void end_all(struct relay *relay)
{
    for (unsigned lane = 0; lane < 2; lane++)
        if (relay->lane[lane].state != LANE_DONE && lane_has_unsent(relay, lane))
            mark_reset(relay, !lane);
    relay->is_over = true;
    flow_wake(relay->owner);
}

static void act(struct relay *relay, unsigned lane, enum action action)
{
    unsigned from = lane, to = !lane;

    switch (action) {
    case NOTHING:
        break;
    case PASS_END:
        if (relay->lane[!lane].state == LANE_DONE)
            break; /* closing says it */
        stream_end(relay->end[to]);
        mark_deaf(relay, to);
        break;
    case DROP_OTHER:
        tier_of(relay, !lane)->drop(relay, !lane);
        relay->lane[!lane].state = LANE_DONE;
        mark_deaf(relay, from);
        mark_reset(relay, to);
        break;
    case DROP_OWN:
        tier_of(relay, lane)->drop(relay, lane);
        mark_deaf(relay, to);
        mark_reset(relay, from);
        loop_post(loop_of(relay->owner), &relay->again);
        break;
    case END_ALL:
        end_all(relay);
        break;
    }
}

/* A lane has changed: is the relay over, or has it begun to end? */
static void look_over(struct relay *relay)
{
    uint8_t client = relay->lane[0].state, server = relay->lane[1].state;

    if (relay->is_over)
        return;
    if (client == LANE_DONE && server == LANE_DONE) {
        end_all(relay);
    } else if (!relay->is_finishing && !relay->is_reclaimed) {
        relay->is_finishing = true;
        relay->moved_usec = now_of(relay->owner);
    }
    if (!relay->is_over)
        relay_arm(relay);
}

void relay_found(struct relay *relay, unsigned number, enum lane_event event)
{
    struct lane *lane = &relay->lane[number];

    if (event == FOUND_END && relay_end_is_reset(relay, !number))
        event = FOUND_SOURCE_GONE; /* writing to it has found out before, and took the error */

    const struct ending *row = find(lane->state, event);
    if (!row || relay->is_over)
        return;
    if (row->next != LANE_ANY)
        lane->state = row->next;
    if (relay->reason == REASON_DONE)
        relay->reason = row->reason[number];
    act(relay, number, row->action);
    look_over(relay);
    relay_settle(relay, number);
}

/* Closing with a reset throws away what the kernel has not delivered, so a lane whose source broke
 * waits for that as well. */
static bool is_delivered(const struct relay *relay, unsigned lane)
{
    const struct source *to = &lane_to(relay, lane)->source;

    if (lane_has_unsent(relay, lane))
        return false;
    return relay->lane[lane].state != LANE_BREAKING || to->ready & GONE ||
           sys_undelivered_bytes(to->fd) == 0;
}

void relay_settle(struct relay *relay, unsigned lane)
{
    uint8_t state = relay->lane[lane].state;

    if ((state == LANE_STOPPED || state == LANE_BREAKING) && !relay->is_over &&
        is_delivered(relay, lane))
        relay_found(relay, lane, FOUND_DELIVERED);
}

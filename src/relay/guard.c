/* The guard stands between a read and what `copy` does with it. What may go on is, nearly always, a
 * piece of the scratch, and goes through copy_serve as without a guard. Everything else (what was
 * held back before, a batch with a Pong of ours taken out, or a Ping put in) is gathered in the
 * backlog, committed there, then written: the door by which the 101 goes.
 *
 * For the keeper: a direction's guard state has two places, and the lane's commit byte selects
 * among them as it does among the records, so that both change at once. The scratch is never
 * changed: who finds a batch in it judges it again, with the state as it was, and comes to the same
 * pieces. Held bytes count as taken and not yet passed on (R - E).
 *
 * What always holds: what was passed on is whole frames and at most one that is under way; the
 * relay's own tracking of a guarded lane never finds it unaligned. */
#include "relay/guard.h"
#include "relay/relay_priv.h"

#include "base/check.h"

#include <stdlib.h>

#define CLIENT_END     0u
#define SERVER_END     1u
#define TO_SERVER      0u /* lanes */
#define TO_CLIENT      1u
#define SECOND_USEC    1000000u
#define GOING_AWAY     1001
#define INTERNAL_ERROR 1011

struct guard {
    struct ws_guard state[2][2]; /* by lane, then as lane.selected */
    struct ws_rules rules[2];
    struct guard_verdict verdict;
    uint64_t messages, per_usec, refilled_usec;
    uint64_t since_usec;
    uint64_t ping_usec, pong_usec;
    uint64_t expires_usec; /* of the loop's clock */
    uint64_t pinged_usec;  /* when the ping went out that is not answered */
    bool is_awaiting;      /* since that ping nothing has come from the client */
    bool is_out;           /* that ping is not in the backlog any more */
    bool wants_ping;       /* as soon as the lane lets it */
    bool has_ended;
};

static struct ws_guard *state_now(const struct relay *relay, unsigned lane)
{
    return &relay->guard->state[lane][relay->lane[lane].selected];
}

static struct ws_guard *state_next(const struct relay *relay, unsigned lane)
{
    return &relay->guard->state[lane][!relay->lane[lane].selected];
}

bool guard_start(struct relay *relay, const struct guard_opts *opts)
{
    struct guard *guard = calloc(1, sizeof *guard);
    uint64_t now = now_of(relay->owner);

    if (!guard)
        return false;
    for (unsigned lane = 0; lane < 2; lane++) {
        guard->rules[lane] = (struct ws_rules){
            .max_message = opts->max_message,
            .is_masked = lane == TO_SERVER,
            .extension = (uint8_t)opts->extension,
        };
        memcpy(guard->rules[lane].nonce, opts->nonce, WS_NONCE_BYTES);
        guard->state[lane][0].credit = WS_NO_CREDIT;
    }
    guard->messages = opts->messages < WS_NO_CREDIT ? opts->messages : 0;
    guard->per_usec = opts->per_usec;
    guard->refilled_usec = now;
    if (guard->messages)
        guard->state[TO_SERVER][0].credit = (uint32_t)guard->messages;
    guard->ping_usec = opts->ping_usec;
    guard->pong_usec = opts->pong_usec;
    guard->expires_usec = opts->expires_usec < FOREVER - now ? now + opts->expires_usec : FOREVER;
    guard->since_usec = now;
    relay->is_guarded = true;
    relay->guard = guard;
    return true;
}

void guard_stop(struct relay *relay)
{
    if (!relay->is_guarded)
        return;
    relay->is_guarded = false;
    free(TAKE(relay->guard));
}

uint64_t guard_since_sec(const struct relay *relay)
{
    return relay->guard->since_usec / SECOND_USEC;
}

const struct guard_verdict *relay_guard_verdict(const struct relay *relay)
{
    return relay->is_guarded && relay->guard->has_ended ? &relay->guard->verdict : NULL;
}

/* --- the end ------------------------------------------------------------------------------------
 */

/* Who offended is told what; the other end is only told that it is over. A relay that ends already
 * for something else keeps its reason. */
static void end_for(struct relay *relay, unsigned offender, enum reason reason, const char *words,
                    uint64_t frame)
{
    struct guard *guard = relay->guard;

    if (relay->reason == REASON_DONE && !relay->is_over) {
        relay->reason = (uint8_t)reason;
        guard->has_ended = true;
        guard->verdict = (struct guard_verdict){words, frame, offender, {0}};
        guard->verdict.close_code[offender] = reason_row(reason)->ws_code;
        guard->verdict.close_code[!offender] = offender == CLIENT_END ? GOING_AWAY : INTERNAL_ERROR;
    }
    relay_reclaim(relay, RELAY_PATIENCE_USEC);
}

static void end_for_fault(struct relay *relay, unsigned lane, const struct ws_fault *fault,
                          uint64_t frame)
{
    end_for(relay, lane, fault->reason, fault->words, frame);
    relay_found(relay, lane, FOUND_FAULT); /* at once, also inside a frame */
}

/* --- what passes --------------------------------------------------------------------------------
 */

/* The bucket: full when so much time has passed, else by as much as whole messages took. */
static uint32_t refilled(struct guard *guard, uint32_t credit, uint64_t now)
{
    uint64_t elapsed = now - guard->refilled_usec, scaled;

    if (elapsed >= guard->per_usec || __builtin_mul_overflow(elapsed, guard->messages, &scaled)) {
        guard->refilled_usec = now;
        return (uint32_t)guard->messages;
    }
    uint64_t earned = scaled / guard->per_usec;
    if (credit + earned >= guard->messages) {
        guard->refilled_usec = now;
        return (uint32_t)guard->messages;
    }
    guard->refilled_usec += earned * guard->per_usec / guard->messages;
    return (uint32_t)(credit + earned);
}

static void judge(struct relay *relay, unsigned lane, struct bytes batch,
                  struct ws_judged *ret_judged)
{
    struct guard *guard = relay->guard;
    struct ws_guard *next = state_next(relay, lane);

    *next = *state_now(relay, lane);
    if (next->credit != WS_NO_CREDIT)
        next->credit = refilled(guard, next->credit, now_of(relay->owner));
    ws_guard_feed(next, &guard->rules[lane], batch, ret_judged);
    relay->shared->guard_pongs += ret_judged->pongs;
}

static bool may_ping(const struct relay *relay)
{
    return relay->lane[TO_SERVER].state == LANE_OPEN && relay->lane[TO_CLIENT].state == LANE_OPEN &&
           !relay->is_reclaimed && !relay->deaf_ends &&
           !ws_guard_has_closed(state_now(relay, TO_SERVER)) &&
           !ws_guard_has_closed(state_now(relay, TO_CLIENT));
}

static void note_ping(struct relay *relay)
{
    struct guard *guard = relay->guard;
    struct ws_guard *client = state_now(relay, TO_SERVER);

    if (client->awaited < WS_AWAITED_MAX)
        client->awaited++;
    guard->wants_ping = false;
    guard->is_awaiting = true;
    guard->is_out = false;
    guard->pinged_usec = now_of(relay->owner);
    relay->shared->guard_pings++;
}

/* The ping's place among the pieces: where a frame of the server's ends. */
static unsigned put_ping(const struct ws_judged *judged, struct bytes ping, struct bytes *ret_piece)
{
    size_t left = judged->first_boundary;
    unsigned count = 0;
    bool is_put = left == 0;

    if (is_put)
        ret_piece[count++] = ping;
    for (unsigned i = 0; i < judged->count; i++) {
        struct bytes piece = judged->piece[i];
        if (!is_put && left <= piece.len) {
            ret_piece[count++] = bytes_slice(piece, 0, left);
            ret_piece[count++] = ping;
            piece = bytes_from(piece, left);
            is_put = true;
        }
        left -= is_put ? 0 : piece.len;
        ret_piece[count++] = piece;
    }
    return count;
}

/* A batch of the server's, and in it a ping for a client that was silent. */
static bool pass_with_ping(struct relay *relay, const struct ws_judged *judged, size_t taken)
{
    struct bytes piece[WS_PIECES_MAX + 2];
    uint8_t ping[WS_PING_BYTES];

    ws_ping_write(relay->guard->rules[TO_CLIENT].nonce, ping);
    unsigned count = put_ping(judged, (struct bytes){ping, sizeof ping}, piece);
    note_ping(relay);
    bool is_gone = copy_gather(relay, TO_CLIENT, &(struct pieces){piece, count, 0, taken});
    relay->guard->is_out = is_gone;
    if (!relay->is_over)
        relay_arm(relay);
    return is_gone;
}

/* Anything from the client shows that it is there. */
static void hear(struct relay *relay)
{
    struct guard *guard = relay->guard;

    if (!guard->is_awaiting && !guard->wants_ping)
        return;
    guard->is_awaiting = guard->wants_ping = false;
    relay_arm(relay);
}

bool guard_serve(struct relay *relay, unsigned lane, struct bytes batch)
{
    struct ws_judged judged;
    bool has_more;

    if (lane == TO_SERVER)
        hear(relay);
    if (relay->is_reclaimed && state_now(relay, lane)->left < batch.len)
        batch.len = (size_t)state_now(relay, lane)->left; /* it ends with this frame */
    judge(relay, lane, batch, &judged);
    uint64_t frame = state_next(relay, lane)->frames;

    if (lane == TO_CLIENT && relay->guard->wants_ping && !judged.fault && may_ping(relay) &&
        !ws_guard_has_closed(state_next(relay, lane)) && judged.first_boundary != SIZE_MAX)
        has_more = pass_with_ping(relay, &judged, batch.len);
    else if (judged.count == 1 && !judged.is_from_before)
        has_more = copy_serve(relay, lane, judged.piece[0], batch.len - judged.piece[0].len);
    else
        has_more =
            copy_gather(relay, lane, &(struct pieces){judged.piece, judged.count, 0, batch.len});
    if (judged.fault)
        end_for_fault(relay, lane, judged.fault, frame);
    return has_more && !judged.fault;
}

void guard_begin(struct relay *relay, unsigned lane, struct bytes head, struct bytes early)
{
    struct bytes piece[WS_PIECES_MAX + 1] = {head};
    struct ws_judged judged;

    if (!head.len && !early.len)
        return;
    copy_note_journal(relay, lane);
    judge(relay, lane, early, &judged);
    uint64_t frame = state_next(relay, lane)->frames;
    memcpy(piece + 1, judged.piece, judged.count * sizeof *piece);
    copy_gather(relay, lane, &(struct pieces){piece, judged.count + 1, head.len, early.len});
    if (judged.fault)
        end_for_fault(relay, lane, judged.fault, frame);
}

/* --- time ---------------------------------------------------------------------------------------
 */

static void try_ping(struct relay *relay)
{
    const struct ws_judged nothing = {.count = 0};

    if (!relay->guard->wants_ping || !may_ping(relay) || lane_has_unsent(relay, TO_CLIENT) ||
        !ws_guard_at_boundary(state_now(relay, TO_CLIENT)))
        return;
    copy_note_journal(relay, TO_CLIENT);
    *state_next(relay, TO_CLIENT) = *state_now(relay, TO_CLIENT);
    pass_with_ping(relay, &nothing, 0);
}

void guard_flushed(struct relay *relay, unsigned lane)
{
    struct guard *guard = relay->guard;

    if (lane != TO_CLIENT || relay->is_over)
        return;
    if (guard->is_awaiting && !guard->is_out) {
        guard->is_out = true;
        guard->pinged_usec = now_of(relay->owner);
        relay_arm(relay);
    }
    try_ping(relay);
}

/* A ping that waits behind what the client reads slowly has not reached it: that it reads counts.
 */
static uint64_t pong_due_usec(const struct relay *relay)
{
    const struct guard *guard = relay->guard;
    uint64_t since = guard->pinged_usec;

    if (!guard->is_out && relay->moved_usec > since)
        since = relay->moved_usec;
    return since + guard->pong_usec;
}

static uint64_t ping_due_usec(const struct relay *relay)
{
    const struct guard *guard = relay->guard;

    if (guard->ping_usec == FOREVER || guard->wants_ping)
        return FOREVER;
    return relay->lane[TO_SERVER].active_usec + guard->ping_usec;
}

uint64_t guard_due_usec(const struct relay *relay)
{
    const struct guard *guard = relay->guard;
    uint64_t due = FOREVER;

    if (relay->is_reclaimed)
        return FOREVER;
    if (may_ping(relay))
        due = guard->is_awaiting ? pong_due_usec(relay) : ping_due_usec(relay);
    return guard->expires_usec < due ? guard->expires_usec : due;
}

void guard_look(struct relay *relay)
{
    struct guard *guard = relay->guard;
    uint64_t now = now_of(relay->owner);

    if (guard_due_usec(relay) > now)
        return;
    if (guard->expires_usec <= now) {
        end_for(relay, CLIENT_END, REASON_TOKEN_RAN_OUT, "the token has expired", 0);
    } else if (guard->is_awaiting) {
        end_for(relay, CLIENT_END, REASON_PONG_TOO_SLOW, "a ping got no answer", 0);
    } else {
        guard->wants_ping = true;
        try_ping(relay);
    }
}

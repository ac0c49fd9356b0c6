/* Tier `splice`: payload goes from socket to pipe to socket without being seen.
 *
 * Only what is known to be payload is moved so: with a WebSocket the rest of one frame, everywhere
 * else all there is. Headers are read as `copy` reads them, a little at a time, and join the
 * payload in the pipe, so that many frames leave by one call; where small frames follow each other
 * there is nothing to join, and they go on as in `copy`. Whatever is not plain payload is left to
 * `copy`.
 *
 * A splice that moves nothing says nothing: the pipe may be full, or an urgent byte in the way. So
 * only recv decides that a socket is empty, has ended or is broken.
 *
 * For the keeper: pipe, then record, then commit, then W. Bytes [W, base) of a lane lie in its pipe
 * and those behind in its backlog; FIONREAD counts a pipe, so a successor that holds the pipe knows
 * whether the bytes behind the record are in it (payload, or a head written whole, PIPE_BUF) or
 * still in the scratch.
 *
 * What always holds: a lane that waits for nothing holds no pipe; it does not read while bytes are
 * in one. */
#include "relay/relay_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#include <errno.h>
#include <limits.h>

#define HEAD_BYTES                                                                                 \
    4096u                 /* read to find a header: PIPE_BUF, so that a pipe takes all or nothing  \
                           */
#define LEAST_BYTES 4096u /* payload below that is cheaper to copy */
#define ROUND_BYTES 262144u
_Static_assert(HEAD_BYTES <= PIPE_BUF, "a head must go into a pipe whole");

/* One byte from pipe to pipe: some filters of system calls forbid it. */
static const char *probe(void)
{
    int from[2], to[2];
    bool works = false;

    if (sys_pipe_open(from, PIPE_BUF) < 0)
        return "no pipe could be opened at the start";
    if (sys_pipe_open(to, PIPE_BUF) >= 0) {
        works = sys_write(from[1], bytes_of("x")) == 1 && sys_splice(from[0], to[1], 1) == 1;
        sys_close(to[0]);
        sys_close(to[1]);
    }
    sys_close(from[0]);
    sys_close(from[1]);
    return works ? NULL : "this kernel, or a filter, does not splice";
}

static const char *refuses(const struct relay *relay, unsigned number)
{
    if (lane_from(relay, number)->tls || lane_to(relay, number)->tls)
        return "TLS ends here";
    if (relay->read_bytes < 4 * LARGE_BYTES)
        return "limits.unsent is below 64k";
    return NULL;
}

static bool is_ready(struct relay *relay, unsigned number)
{
    bool has_pipe = lane_pipe_take(relay, number);

    lane_pipe_drop(relay, number);
    return has_pipe;
}

/* How many of the bytes to come may go by unseen. */
static uint64_t unseen_bytes(const struct relay *relay, const struct lane_record *record)
{
    return relay->is_websocket ? ws_track_payload_left(&record->frames) : UINT64_MAX;
}

/* The pipe's bytes into a backlog, when every pipe is held up: the last one must serve those whose
 * readers keep up. Without memory it stays held up. */
static void spill(struct relay *relay, unsigned number)
{
    struct relay_pipe *pipe = lane_pipe(relay, number);
    struct lane *lane = &relay->lane[number];

    if (lane->backlog || !copy_take_backlog(relay, number, pipe->bytes))
        return;
    for (size_t at = 0; pipe->bytes;) {
        ssize_t got = sys_read(pipe->fd[0], lane->backlog + at, pipe->bytes);
        CHECK(got > 0);
        at += (size_t)got;
        pipe->bytes -= (uint32_t)got;
    }
    lane_next(lane)->frames = lane_now(lane)->frames;
    copy_commit(relay, number, 0, lane->written);
    lane_pipe_drop(relay, number);
}

/* Sends what is in the pipe. True: it has gone back, empty. */
static bool empty(struct relay *relay, unsigned number)
{
    struct relay_pipe *pipe = lane_pipe(relay, number);
    struct lane *lane = &relay->lane[number];
    ssize_t sent = 0;

    while (pipe->bytes) {
        sent = stream_splice_out(lane_to(relay, number), pipe->fd[0], pipe->bytes);
        if (sent <= 0)
            break;
        pipe->bytes -= (uint32_t)sent;
        lane->written += (uint64_t)sent;
        relay->moved_usec = now_of(relay->owner);
    }
    if (pipe->bytes && sent != -EAGAIN) {
        relay_found(relay, number, target_broken_by(sent));
        return false;
    }
    if (!pipe->bytes) {
        lane_pipe_drop(relay, number);
        return true;
    }
    lane_pipe_count(relay, number);
    if (pipes_are_short(relay->shared))
        spill(relay, number);
    return false;
}

/* Sends what is unsent. True: nothing is left. */
static bool flush(struct relay *relay, unsigned number)
{
    if (relay->pipe[number] && !empty(relay, number))
        return false;
    return copy_flush(relay, number);
}

static void note_unseen(struct relay *relay, unsigned number, size_t len)
{
    struct lane *lane = &relay->lane[number];
    struct lane_record *next = lane_next(lane);

    copy_clamp(relay, number, len);
    lane_pipe(relay, number)->bytes += (uint32_t)len;
    lane->active_usec = now_of(relay->owner);
    next->frames = lane_now(lane)->frames;
    if (relay->is_websocket)
        ws_track_skip(&next->frames, len);
    copy_commit(relay, number, len, lane_now(lane)->settled + len);
}

/* What was read to find a header. True: it is in the pipe, and more may follow it. */
static bool join(struct relay *relay, unsigned number, struct bytes head)
{
    struct relay_pipe *pipe = lane_pipe(relay, number);
    struct lane *lane = &relay->lane[number];
    struct ws_seen seen = {0};

    if (relay->is_websocket)
        copy_scan(relay, number, head, &seen);
    else
        lane_next(lane)->frames = lane_now(lane)->frames;
    if (!pipe->bytes && unseen_bytes(relay, lane_next(lane)) < LARGE_BYTES) {
        copy_serve(relay, number, head, 0);
        return false;
    }
    ssize_t taken = sys_write(pipe->fd[1], head);
    CHECK(taken < 0 || (size_t)taken == head.len);
    if (taken < 0) { /* it has no place left */
        if (empty(relay, number) || lane->state == LANE_OPEN)
            copy_serve(relay, number, head, 0);
        return false;
    }
    pipe->bytes += (uint32_t)head.len;
    copy_commit(relay, number, head.len, lane_now(lane)->settled + head.len);
    if (relay->is_websocket)
        copy_note_frames(relay, number, &seen);
    return true;
}

/* Reads as `copy` does, but little. True: it is in the pipe, and more may follow it. */
static bool take_head(struct relay *relay, unsigned number)
{
    struct worker *worker = worker_of(relay->owner);
    ssize_t got = stream_read(lane_from(relay, number), worker->scratch, HEAD_BYTES);

    if (got == -EAGAIN || (got == 0 && lane_has_piped(relay, number)))
        return false; /* an end is told again */
    if (got <= 0) {
        relay_found(relay, number, got == 0 ? FOUND_END : source_broken_by(got));
        return false;
    }
    relay->lane[number].active_usec = worker->runner.loop.now_usec;
    return join(relay, number, (struct bytes){worker->scratch, (size_t)got});
}

/* What a splice says that did not move anything, of the ways in which a kernel refuses one. */
static bool is_refusal(ssize_t error)
{
    return error == -EINVAL || error == -ENOSYS || error == -EPERM || error == -EOPNOTSUPP ||
           error == -ENOMEM;
}

/* Fills the pipe. `*ret_unseen`: how many bytes went by unseen. An error means that splice will not
 * do here; what breaks the connection is found as always. */
static int fill(struct relay *relay, unsigned number, size_t most, uint64_t *ret_unseen)
{
    struct relay_pipe *pipe = lane_pipe(relay, number);
    struct stream *from = lane_from(relay, number);

    *ret_unseen = 0;
    while (pipe->bytes + LEAST_BYTES <= most) {
        uint64_t known = unseen_bytes(relay, lane_now(&relay->lane[number]));
        size_t len = known < most - pipe->bytes ? (size_t)known : most - pipe->bytes;
        ssize_t got = len < LEAST_BYTES ? 0 : stream_splice_in(from, pipe->fd[1], len);
        if (is_refusal(got))
            return (int)got;
        if (got < 0 && got != -EAGAIN) { /* told once: recv would find an end */
            relay_found(relay, number, source_broken_by(got));
            return 0;
        }
        if (got > 0)
            note_unseen(relay, number, (size_t)got);
        *ret_unseen += got > 0 ? (uint64_t)got : 0;
        if ((got <= 0 || (size_t)got < len) && !take_head(relay, number))
            return 0;
    }
    return 0;
}

/* Fills the pipe once and empties it. True: there may be more at once. */
static bool move_once(struct relay *relay, unsigned number)
{
    struct lane *lane = &relay->lane[number];
    uint64_t settled = lane_now(lane)->settled, unseen;
    size_t most = copy_most_to_read(relay);

    if (relay->is_reclaimed || most < LARGE_BYTES)
        return copy_once(relay, number);
    if (!lane_pipe_take(relay, number)) {
        relay_step_back(relay, number, "no pipe could be had");
        return copy_once(relay, number);
    }
    int error = fill(relay, number, most < ROUND_BYTES ? most : ROUND_BYTES, &unseen);
    if (relay->pipe[number])
        empty(relay, number);
    relay_settle(relay, number); /* it broke, and its last bytes have gone out */
    if (lane_has_unsent(relay, number) || lane->state != LANE_OPEN)
        return false;
    if (error)
        relay_step_back(relay, number, "the kernel refused to splice");
    else if (lane_now(lane)->settled != settled)
        relay_note_batch(relay, number, unseen);
    return true;
}

static void move(struct relay *relay, unsigned number)
{
    copy_note_journal(relay, number);
    if (lane_has_unsent(relay, number)) {
        if (!(lane_to(relay, number)->source.ready & WRITABLE) || !flush(relay, number))
            return;
        relay_settle(relay, number);
    }
    for (int i = 0; i < READS_AT_ONCE && tier_of(relay, number)->move == move; i++)
        if (!copy_may_read(relay, number) || !move_once(relay, number))
            return;
    loop_post(loop_of(relay->owner), &relay->again); /* perhaps for another tier */
}

static void drop(struct relay *relay, unsigned number)
{
    lane_pipe_drop(relay, number);
    copy_drop(relay, number);
}

const struct relay_tier_ops relay_tier_splice = {
    .name = "splice",
    .probe = probe,
    .refuses = refuses,
    .is_ready = is_ready,
    .move = move,
    .drop = drop,
};

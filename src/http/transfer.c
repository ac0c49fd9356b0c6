/* What always holds: while `unsent` holds anything, nothing is read; and never more is read from
 * the stream than the body may still need, where its length is known, so bytes of the next message
 * stay in the kernel or in `ahead`. */
#include "http/transfer.h"

#include "base/check.h"

#include <errno.h>

#define MOVES_AT_ONCE 8
#define JOIN_BYTES    16384u /* with the head they stay below the limit of `unsent` */

void transfer_init(struct transfer *transfer, struct stream *from, struct stream *to,
                   struct buf *ahead, const struct http1_body *body)
{
    *transfer = (struct transfer){.from = from, .to = to, .ahead = ahead, .body = *body};
    buf_init(&transfer->unsent, TRANSFER_READ_BYTES);
}

void transfer_put_first(struct transfer *transfer, struct buf *take_head)
{
    CHECK(buf_is_empty(&transfer->unsent));
    transfer->unsent = *take_head;
    if (transfer->unsent.limit_bytes < TRANSFER_READ_BYTES)
        transfer->unsent.limit_bytes = TRANSFER_READ_BYTES;
    buf_init(take_head, take_head->limit_bytes);
}

void transfer_done(struct transfer *transfer)
{
    buf_done(&transfer->unsent);
}

static enum transfer_state flush(struct transfer *t)
{
    t->has_sent = t->has_sent || !buf_is_empty(&t->unsent);
    int error = stream_write_from(t->to, &t->unsent);

    if (!error)
        error = stream_flush(t->to);
    if (error == -EAGAIN)
        return TRANSFER_WANTS_ROOM;
    return error ? TRANSFER_TO_LEFT : TRANSFER_ENDED;
}

/* Sends; keeps what was refused. */
static enum transfer_state pass_on(struct transfer *t, struct bytes bytes)
{
    ssize_t sent = stream_write(t->to, bytes);

    t->has_sent = true;

    if (sent < 0 && sent != -EAGAIN)
        return TRANSFER_TO_LEFT;
    if (sent < 0)
        sent = 0;
    int error = buf_append(&t->unsent, bytes_from(bytes, (size_t)sent));
    return error ? TRANSFER_NO_MEMORY : TRANSFER_GOES_ON;
}

static enum transfer_state append_unsent(struct transfer *t, struct bytes bytes)
{
    return buf_append(&t->unsent, bytes) ? TRANSFER_NO_MEMORY : TRANSFER_GOES_ON;
}

/* The payload alone, piece by piece; a piece that is not taken at once waits with those before it.
 */
static ssize_t pass_on_payload(struct transfer *t, struct bytes in)
{
    size_t used = 0;

    while (used < in.len && !http1_body_has_ended(&t->body)) {
        struct bytes payload;
        ssize_t piece = http1_body_piece(&t->body, bytes_from(in, used), &payload);
        if (piece < 0)
            return -EBADMSG;
        int error = buf_append(&t->unsent, payload);
        if (error)
            return error;
        used += (size_t)piece;
    }
    return (ssize_t)used;
}

/* Takes what of `in` belongs to the body. */
typedef enum transfer_state pass_fn(struct transfer *t, struct bytes bytes);

static enum transfer_state take(struct transfer *t, struct bytes in, size_t *ret_used,
                                pass_fn *pass)
{
    ssize_t used = t->unframes ? pass_on_payload(t, in) : http1_body_feed(&t->body, in);

    *ret_used = 0;
    if (used == -ENOMEM)
        return TRANSFER_NO_MEMORY;
    if (used < 0)
        return TRANSFER_MALFORMED;
    t->moved_bytes += (uint64_t)used;
    if (t->limit_bytes && t->moved_bytes > t->limit_bytes)
        return TRANSFER_TOO_LARGE;
    *ret_used = (size_t)used;
    if (t->listen && used)
        t->listen(t, bytes_slice(in, 0, (size_t)used));
    return used && !t->unframes ? pass(t, bytes_slice(in, 0, (size_t)used)) : TRANSFER_GOES_ON;
}

static enum transfer_state move_ahead(struct transfer *t)
{
    struct bytes in = bytes_slice(buf_bytes(t->ahead), 0, TRANSFER_READ_BYTES);
    size_t used;
    enum transfer_state state = take(t, in, &used, pass_on);

    buf_consume(t->ahead, used);
    return state;
}

static size_t most_to_read(const struct transfer *t)
{
    if (t->body.kind == BODY_CHUNKED)
        return TRANSFER_AHEAD_BYTES;
    if (t->body.kind == BODY_LENGTH && t->body.left < TRANSFER_READ_BYTES)
        return t->body.left;
    return TRANSFER_READ_BYTES;
}

static enum transfer_state move_once(struct transfer *t, uint8_t *scratch)
{
    size_t used;

    if (!buf_is_empty(t->ahead))
        return move_ahead(t);
    ssize_t got = stream_read(t->from, scratch, most_to_read(t));
    if (got == -EAGAIN)
        return TRANSFER_WANTS_INPUT;
    if (got <= 0)
        return got == 0 && t->body.kind == BODY_UNTIL_CLOSE ? TRANSFER_ENDED : TRANSFER_CUT;

    struct bytes in = {scratch, (size_t)got};
    enum transfer_state state = take(t, in, &used, pass_on);
    if (state == TRANSFER_GOES_ON && buf_append(t->ahead, bytes_from(in, used)))
        return TRANSFER_NO_MEMORY;
    return state;
}

/* What has come with the head goes out with the head: one packet and one system call less. */
static enum transfer_state join_ahead(struct transfer *t)
{
    struct bytes in = bytes_slice(buf_bytes(t->ahead), 0, JOIN_BYTES);
    size_t used;

    if (buf_is_empty(&t->unsent) || !in.len || http1_body_has_ended(&t->body))
        return TRANSFER_GOES_ON;
    enum transfer_state state = take(t, in, &used, append_unsent);
    buf_consume(t->ahead, used);
    return state;
}

enum transfer_state transfer_move(struct transfer *t, uint8_t *scratch)
{
    enum transfer_state joined = t->has_begun ? TRANSFER_GOES_ON : join_ahead(t);

    t->has_begun = true;
    if (joined != TRANSFER_GOES_ON)
        return joined;
    for (int i = 0; i < MOVES_AT_ONCE; i++) {
        enum transfer_state state = flush(t);
        if (state != TRANSFER_ENDED || http1_body_has_ended(&t->body))
            return state;
        state = move_once(t, scratch);
        if (state != TRANSFER_GOES_ON)
            return state;
    }
    return TRANSFER_GOES_ON;
}

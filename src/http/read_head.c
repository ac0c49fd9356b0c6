/* One step, asked again after each piece. Whatever is wrong with a head is said as soon as the line
 * is whole; that it is too large, as soon as the limit is passed without its end. */
#include "http/read_head.h"

#include <errno.h>

#define READ_HEAD_STEPS(STEP) STEP(collect) /* until the head is whole */
FLOW(read_head, READ_HEAD_STEPS)

const struct head_kind head_of_request = {http1_request_parse,   REASON_TARGET_TOO_LONG,
                                          REASON_HEAD_TOO_LARGE, REASON_HEAD_TOO_SLOW,
                                          REASON_CLIENT_LEFT,    REASON_CLIENT_RESET};
const struct head_kind head_of_answer = {http1_response_parse,    REASON_ANSWER_TOO_LARGE,
                                         REASON_ANSWER_TOO_LARGE, REASON_ANSWER_TOO_SLOW,
                                         REASON_SERVER_LEFT,      REASON_SERVER_LEFT};
const struct head_kind head_of_last_words = {http1_response_parse,    REASON_ANSWER_TOO_LARGE,
                                             REASON_ANSWER_TOO_LARGE, REASON_SERVER_LEFT,
                                             REASON_SERVER_LEFT,      REASON_SERVER_LEFT};

/* As the parser answers; < 0 also when the limit is passed and the head is still not whole. */
static int parse(struct read_head *r, enum reason *ret_why)
{
    struct bytes in = buf_bytes(r->into), news = bytes_from(in, r->judged_bytes);
    int used = 0;

    if (news.len && memchr(news.at, '\n', news.len)) { /* else no line has ended since */
        used = r->kind->parse(in, r->fields_max, r->head, ret_why);
        r->judged_bytes = in.len;
    }
    if ((used == 0 && in.len >= r->limit_bytes) || (used > 0 && (uint32_t)used > r->limit_bytes)) {
        *ret_why = memchr(in.at, '\n', in.len < r->limit_bytes ? in.len : r->limit_bytes)
                       ? r->kind->too_large
                       : r->kind->line_too_large;
        return -1;
    }
    return used;
}

/* As stream_read; never more than `into` takes and the scratch holds. */
static ssize_t read_more(struct read_head *r)
{
    uint8_t *scratch = worker_of(&r->flow)->scratch;
    size_t room = r->into->limit_bytes - buf_bytes(r->into).len;
    ssize_t got =
        stream_read(r->stream, scratch, room < WORKER_SCRATCH_BYTES ? room : WORKER_SCRATCH_BYTES);

    if (got <= 0)
        return got;
    int error = buf_append(r->into, (struct bytes){scratch, (size_t)got});
    return error ? error : got;
}

static enum next collect(struct read_head *r)
{
    enum reason why = REASON_INTERNAL;
    int used;

    while (!(used = parse(r, &why))) {
        ssize_t got = read_more(r);
        if (got == -EAGAIN)
            return flow_wait_source(&r->flow, &r->stream->source, READABLE,
                                    WITHIN(r->within_usec, r->kind->too_slow));
        if (got == -ENOMEM)
            return flow_leave(&r->flow, REASON_NO_MEMORY);
        if (got <= 0)
            return flow_leave(&r->flow, got ? r->kind->reset : r->kind->left);
    }
    if (used < 0)
        return flow_leave(&r->flow, why);
    r->used = (size_t)used;
    return flow_leave(&r->flow, REASON_DONE);
}

static void read_head_leave(struct read_head *r)
{
    (void)r; /* it owns nothing */
}

void read_head_start(struct read_head *read, struct flow *parent)
{
    read->judged_bytes = 0;
    flow_start(&read->flow, &read_head_kind, parent->runner, parent);
    flow_adopt(&read->flow, &read->stream->source, REASON_DONE);
}

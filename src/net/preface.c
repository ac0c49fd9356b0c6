/* A look leaves the bytes where they are, so READABLE is forgotten by hand while more are needed:
 * the next byte brings an edge, and so does the end. */
#include "net/preface.h"

#include <errno.h>

#define PREFACE_STEPS(STEP) STEP(look) /* until the header is whole, then takes it */
FLOW(preface, PREFACE_STEPS)

/* Who opens a connection and says nothing, as health checks do, did nothing wrong. */
static enum next wait_for_more(struct preface *p, size_t seen)
{
    struct source *source = &p->stream->source;
    bool is_silent = seen == 0 && p->is_optional;
    enum reason late = is_silent ? REASON_CLIENT_SILENT : REASON_PROXY_TOO_SLOW;

    if (seen && source->ready & ENDED)
        return flow_leave(&p->flow, p->is_optional ? REASON_DONE : REASON_PROXY_MALFORMED);
    source->ready &= (uint8_t)~READABLE;
    return flow_wait_source(&p->flow, source, READABLE, WITHIN(p->limit_usec, late));
}

static enum next look(struct preface *p)
{
    enum reason why = REASON_DONE;
    ssize_t seen = stream_peek(p->stream, p->memory, sizeof p->memory);

    if (seen == -EAGAIN)
        return wait_for_more(p, 0);
    if (seen <= 0)
        return flow_leave(&p->flow, seen == 0 ? REASON_CLIENT_SILENT : REASON_CLIENT_LEFT);

    struct bytes in = {p->memory, (size_t)seen};
    int used = proxy_header_parse(in, &p->header, &why);
    if (used == 0)
        return wait_for_more(p, in.len);
    if (used < 0)
        return flow_leave(&p->flow,
                          p->is_optional && why == REASON_PROXY_MISSING ? REASON_DONE : why);
    p->has_header = true;
    bool is_taken = stream_read(p->stream, p->memory, (size_t)used) == used;
    return flow_leave(&p->flow, is_taken ? REASON_DONE : REASON_CLIENT_LEFT);
}

static void preface_leave(struct preface *p)
{
    (void)p;
}

void preface_start(struct preface *preface, struct flow *parent)
{
    flow_start(&preface->flow, &preface_kind, parent->runner, parent);
    flow_adopt(&preface->flow, &preface->stream->source, REASON_DONE);
}

/* A resolver lives for one look-up: connections are made anew so rarely that what its library keeps
 * would be kept for nothing, and resolv.conf is read each time. */
#include "redis/place.h"

#include <stdio.h>

#define PLACE_STEPS(STEP)                                                                          \
    STEP(look_up) /* until the name's addresses are known */                                       \
    STEP(call)    /* the next address is dialled; none is left: out */                             \
    STEP(settle)  /* until connected */

FLOW(place_visit, PLACE_STEPS)

/* --- what a place is -----------------------------------------------------------------------------
 */

static bool is_name(struct bytes text)
{
    bool has_letter = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        has_letter = has_letter || is_letter;
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
            return false;
    }
    return has_letter && text.len < PLACE_NAME_MAX && text.at[0] != '.' && text.at[0] != '-';
}

static bool read_port(struct bytes text, uint16_t *ret_port)
{
    unsigned port = 0;

    if (!text.len || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.at[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

bool redis_place_parse(struct bytes text, uint16_t port, struct redis_place *ret_place)
{
    struct redis_place place = {0};
    struct bytes host = text;
    char words[80];

    const uint8_t *colon = text.len ? memrchr(text.at, ':', text.len) : NULL;
    if (colon && text.at[text.len - 1] != ']') {
        host = bytes_slice(text, 0, (size_t)(colon - text.at));
        if (!read_port(bytes_from(text, host.len + 1), &port))
            return false;
    }
    place.port = port;
    if (bytes_equal_nocase(host, bytes_of("localhost")))
        host = bytes_of("127.0.0.1"); /* no question for DNS (RFC 6761 section 6.3) */
    if (is_name(host)) {
        memcpy(place.name, host.at, host.len);
    } else {
        if (!host.len || host.len > 60)
            return false;
        snprintf(words, sizeof words, "%.*s:%u", (int)host.len, (const char *)host.at, port);
        if (address_parse(words, &place.endpoint.address))
            return false;
    }
    *ret_place = place;
    return true;
}

/* --- getting there -------------------------------------------------------------------------------
 */

static void let_go(struct place_visit *v)
{
    question_forget(TAKE(v->question));
    v->resolver = resolver_free(v->resolver);
}

static void on_answer(void *owner, const struct resolver_answer *answer)
{
    struct place_visit *v = owner;

    v->question = NULL;
    v->is_answered = true;
    for (unsigned family = 0; family < RESOLVER_FAMILIES; family++)
        for (size_t i = 0; i < answer->half[family].count && v->count < PLACE_ADDRESSES_MAX; i++)
            v->address[v->count++] = answer->half[family].at[i];
    flow_wake(&v->flow);
}

static enum next look_up(struct place_visit *v)
{
    if (!v->place.name[0]) {
        v->count = 1;
        v->address[0] = v->place.endpoint.address;
        return NEXT;
    }
    if (!v->resolver) {
        if (resolver_new(&v->flow.runner->loop, NULL, &v->resolver))
            return flow_leave(&v->flow, REASON_NO_MEMORY);
        v->question = resolver_ask(v->resolver, v->place.name, v->place.port, on_answer, v);
        if (!v->question && !v->is_answered)
            return flow_leave(&v->flow, REASON_NO_MEMORY);
    }
    if (v->is_answered) {
        let_go(v);
        v->words = "its name is not known to DNS";
        return NEXT;
    }
    v->words = "DNS does not answer for its name";
    return flow_wait_notice(&v->flow, WITHIN(v->limit_usec, REASON_CONNECT_TOO_SLOW));
}

static enum next call(struct place_visit *v)
{
    uint64_t now = now_of(&v->flow);

    if (v->next >= v->count || now >= v->until_usec)
        return flow_leave(&v->flow, REASON_CONNECT_REFUSED);
    const struct dial_opts opts = {
        .limit_usec = v->until_usec - now,
        .path = v->place.endpoint.is_unix ? &v->place.endpoint.path : NULL,
    };
    dial_start(&v->dial, &v->flow, &v->address[v->next++], &opts, v->stream);
    return NEXT;
}

static const char *words_of(enum reason reason)
{
    return reason == REASON_CONNECT_TOO_SLOW ? "it does not accept connections in time"
           : reason == REASON_CONNECT_REFUSED
               ? "it refuses connections"
               : "no connection to it can be made: descriptors, ports or memory are short";
}

static enum next settle(struct place_visit *v)
{
    if (!flow_is_over(&v->dial.flow))
        return flow_wait_child(&v->flow, &v->dial.flow);
    if (v->dial.flow.reason == REASON_DONE)
        return flow_leave(&v->flow, REASON_DONE);
    v->words = words_of(v->dial.flow.reason);
    return flow_goto(&v->flow, STEP_call);
}

static void place_visit_leave(struct place_visit *v)
{
    let_go(v);
    if (v->flow.reason != REASON_DONE)
        stream_close(v->stream);
}

void place_visit_start(struct place_visit *visit, struct flow *parent,
                       const struct redis_place *place, uint64_t limit_usec,
                       struct stream *ret_stream)
{
    visit->place = *place;
    visit->limit_usec = limit_usec;
    visit->until_usec = now_of(parent) + limit_usec;
    visit->stream = ret_stream;
    visit->words = "out of memory";
    visit->count = visit->next = 0;
    visit->is_answered = false;
    flow_start(&visit->flow, &place_visit_kind, parent->runner, parent);
}

/* The first that answers is believed; the server's ROLE is asked anyway by who connects to it
 * (https://redis.io/docs/reference/sentinel-clients/). */
#include "redis/sentinel.h"

#include "loop/worker.h"
#include "redis/command.h"

#include <errno.h>
#include <stdio.h>

#define SENTINEL_STEPS(STEP)                                                                       \
    STEP(choose)     /* the next Sentinel; none is left: out */                                    \
    STEP(connect_to) /* until connected */                                                         \
    STEP(ask)        /* until it has answered */

FLOW(sentinel, SENTINEL_STEPS)

#define REPLY_MAX_BYTES 4096u
#define COMMAND_BYTES   1024u

static void close_all(struct sentinel *s)
{
    stream_close(&s->stream);
    s->reader = redis_reader_free(s->reader);
    buf_done(&s->out);
}

static enum next try_next(struct sentinel *s, const char *words)
{
    close_all(s);
    s->words = words;
    s->first = (s->first + 1) % s->target->count;
    s->tried++;
    return flow_goto(&s->flow, STEP_choose);
}

static int write_question(struct sentinel *s)
{
    const struct bytes words[] = {bytes_of("SENTINEL"), bytes_of("get-master-addr-by-name"),
                                  bytes_of(s->target->master)};

    buf_init(&s->out, COMMAND_BYTES);
    int error = redis_reader_new(REPLY_MAX_BYTES, &s->reader);
    return error ? error : redis_command(&s->out, words, ARRAY_LEN(words));
}

static enum next choose(struct sentinel *s)
{
    if (s->tried >= s->target->count)
        return flow_leave(&s->flow, REASON_CONNECT_REFUSED);
    if (write_question(s))
        return flow_leave(&s->flow, REASON_NO_MEMORY);
    s->until_usec = now_of(&s->flow) + s->limit_usec;
    place_visit_start(&s->visit, &s->flow, &s->target->place[s->first], s->limit_usec, &s->stream);
    return NEXT;
}

static enum next connect_to(struct sentinel *s)
{
    if (!flow_is_over(&s->visit.flow))
        return flow_wait_child(&s->flow, &s->visit.flow);
    if (s->visit.flow.reason != REASON_DONE)
        return try_next(s, "no Sentinel is reached");
    flow_adopt(&s->flow, &s->stream.source, REASON_DONE);
    return NEXT;
}

/* A list of two texts, the address and the port. */
static bool read_master(struct sentinel *s, const struct redis_reply *reply)
{
    char text[PLACE_NAME_MAX + 16];

    if (redis_reply_count(reply) != 2)
        return false;
    struct bytes host = redis_reply_text(redis_reply_at(reply, 0));
    struct bytes port = redis_reply_text(redis_reply_at(reply, 1));
    bool is_v6 = host.len && memchr(host.at, ':', host.len);
    if (!host.len || host.len >= PLACE_NAME_MAX || port.len > 5)
        return false;
    snprintf(text, sizeof text, is_v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", (int)host.len,
             (const char *)host.at, (int)port.len, (const char *)port.at);
    return redis_place_parse(bytes_of(text), 0, &s->master);
}

static enum next judge(struct sentinel *s, struct redis_reply *take_reply)
{
    bool is_read = read_master(s, take_reply), is_nil = redis_reply_kind(take_reply) == REDIS_NIL;
    bool wants_password = redis_reply_is_error(take_reply, "NOAUTH");

    redis_reply_free(take_reply);
    if (is_read)
        return flow_leave(&s->flow, REASON_DONE);
    return try_next(s, is_nil           ? "no Sentinel knows a master of that name"
                       : wants_password ? "the Sentinels want a password, and none is said to them"
                                        : "the Sentinels say no address");
}

static enum next ask(struct sentinel *s)
{
    uint8_t *scratch = worker_of(&s->flow)->scratch;
    struct redis_reply *reply;
    int error = stream_write_from(&s->stream, &s->out);

    if (error && error != -EAGAIN)
        return try_next(s, "a Sentinel left instead of answering");
    for (;;) {
        ssize_t got = stream_read(&s->stream, scratch, REPLY_MAX_BYTES);
        if (got == -EAGAIN && now_of(&s->flow) >= s->until_usec)
            return try_next(s, "no Sentinel answers in time");
        if (got == -EAGAIN) {
            flow_wake_at(&s->flow, s->until_usec);
            return flow_wait_source(&s->flow, &s->stream.source,
                                    buf_is_empty(&s->out) ? READABLE : READABLE | WRITABLE,
                                    WITHIN(FOREVER, REASON_DONE));
        }
        if (got <= 0 || redis_reader_feed(s->reader, (struct bytes){scratch, (size_t)got}))
            return try_next(s, "a Sentinel left instead of answering");
        int next = redis_reader_next(s->reader, &reply);
        if (next < 0)
            return try_next(s, "what stands there is no Sentinel");
        if (next > 0)
            return judge(s, reply);
    }
}

static void sentinel_leave(struct sentinel *s)
{
    close_all(s);
}

void sentinel_start(struct sentinel *sentinel, struct flow *parent)
{
    sentinel->tried = 0;
    sentinel->words = NULL;
    flow_start(&sentinel->flow, &sentinel_kind, parent->runner, parent);
}

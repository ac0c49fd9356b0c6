/* One way of asking one server, for as long as both are configured: rest, ask, judge, rest.
 *
 * What only a question needs (the socket, the talk) is one block that is freed when it is answered,
 * so ten thousand servers at rest are ten thousand small flows. At most HEALTH_UNDER_WAY_MAX ask at
 * once; the others wait in the order in which they came, and the time they wait is not the
 * server's. Each rest is a tenth shorter or longer at random, so what began together does not stay
 * so. */
#include "health/checker.h"
#include "health/health_priv.h"
#include "net/dial.h"

#include "codec/proxy_protocol.h"

#include <errno.h>
#include <stdlib.h>

#define LATE_USEC 200000u

#define CHECK_STEPS(STEP)                                                                          \
    STEP(rest)       /* until it is time to ask */                                                 \
    STEP(take_turn)  /* until few enough are asking */                                             \
    STEP(connect_to) /* a connection is begun */                                                   \
    STEP(settle)     /* until there is one */                                                      \
    STEP(converse)   /* until the verdict falls */                                                 \
    STEP(judge)      /* it is told, and what was needed for it freed */

struct question {
    struct plan *plan; /* counted: the settings it began with */
    struct dial dial;
    struct stream stream;
    struct talk talk;
    bool has_spoken; /* it stands at its checker's disposal */
    char address[ADDRESS_TEXT_BYTES];
};

struct check {
    struct flow flow;
    struct watch *watch;       /* borrowed: it stops us before it goes */
    struct question *question; /* NULL: at rest */
    struct list turn;          /* in health.turns, or alone */
    uint64_t due_usec, began_usec;
    uint8_t kind; /* enum check_kind */
    bool has_turn;
};

FLOW_IN(check, CHECK_STEPS, flow, NULL, STEP_judge)

static const struct check_settings *settings_of(const struct check *c)
{
    return &c->watch->plan->checks[c->kind];
}

/* --- whose turn it is ---------------------------------------------------------------------------
 */

static void take(struct check *c)
{
    struct health_counters *counters = &c->watch->health->counters;

    c->has_turn = true;
    health_count(&counters->checks_under_way, 1);
    uint64_t now = atomic_load_explicit(&counters->checks_under_way, memory_order_relaxed);
    if (now > atomic_load_explicit(&counters->checks_under_way_most, memory_order_relaxed))
        atomic_store_explicit(&counters->checks_under_way_most, now, memory_order_relaxed);
}

static void leave_turns(struct check *c)
{
    if (list_is_empty(&c->turn))
        return;
    list_remove(&c->turn);
    health_count(&c->watch->health->counters.checks_waiting, UINT64_MAX);
}

static void give_turn_on(struct check *c)
{
    struct health *health = c->watch->health;

    if (!c->has_turn)
        return;
    c->has_turn = false;
    health_count(&health->counters.checks_under_way, UINT64_MAX);
    if (list_is_empty(&health->turns))
        return;
    struct check *next = container_of(health->turns.next, struct check, turn);
    leave_turns(next);
    take(next);
    flow_wake(&next->flow);
}

/* --- rest ---------------------------------------------------------------------------------------
 */

static uint64_t jittered(struct health *health, uint64_t usec)
{
    return usec - usec / 10 + random_below(&health->random, usec / 5 + 1);
}

static enum next rest(struct check *c)
{
    if (now_of(&c->flow) >= c->due_usec)
        return NEXT;
    flow_wake_at(&c->flow, c->due_usec);
    return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_DONE));
}

static enum next take_turn(struct check *c)
{
    struct health *health = c->watch->health;
    bool is_crowded = atomic_load_explicit(&health->counters.checks_under_way,
                                           memory_order_relaxed) >= HEALTH_UNDER_WAY_MAX;

    if (!c->has_turn && list_is_empty(&c->turn)) {
        if (!is_crowded) {
            take(c);
        } else {
            list_add_last(&health->turns, &c->turn);
            health_count(&health->counters.checks_waiting, 1);
        }
    }
    if (!c->has_turn)
        return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_DONE));
    c->began_usec = now_of(&c->flow);
    return NEXT;
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* What is left of the timeout, counted from the moment the step was entered. */
static uint64_t left(const struct check *c)
{
    uint64_t spent = c->flow.entered_usec - c->began_usec;
    uint64_t timeout = c->question->plan->checks[c->kind].timeout;

    return spent < timeout ? timeout - spent : 1;
}

static struct question *question_new(struct check *c)
{
    struct question *q = calloc(1, sizeof *q);
    const struct check_settings *settings;

    if (!q)
        return NULL;
    q->plan = plan_ref(c->watch->plan);
    settings = &q->plan->checks[c->kind];
    address_write(&c->watch->server->address, q->address);
    q->talk.settings = settings;
    q->talk.host = settings->host ? settings->host : q->plan->host ? q->plan->host : q->address;
    q->talk.random = &c->watch->health->random;
    q->talk.if_late = REASON_CHECK_TOO_SLOW;
    buf_init(&q->talk.in, TALK_IN_BYTES);
    buf_init(&q->talk.out, TALK_OUT_BYTES);
    return q;
}

static struct question *question_free(struct question *q, bool is_left_rudely)
{
    if (!q)
        return NULL;
    if (is_left_rudely)
        stream_abort(&q->stream);
    else
        stream_close(&q->stream);
    buf_done(&q->talk.in);
    buf_done(&q->talk.out);
    buf_done(&q->talk.message);
    plan_unref(q->plan);
    free(q);
    return NULL;
}

static enum next connect_to(struct check *c)
{
    c->question = question_new(c);
    if (!c->question)
        return flow_fail(&c->flow, REASON_NO_MEMORY);

    const struct dial_opts opts = {.limit_usec = left(c), .tuning = c->question->plan->tuning};
    dial_start(&c->question->dial, &c->flow, &c->watch->server->address, &opts,
               &c->question->stream);
    return NEXT;
}

/* The server of a pool that introduces its clients hears that we speak for ourselves (LOCAL). */
static int introduce(struct question *q)
{
    const struct proxy_header header = {
        .version = q->plan->proxy_out == PROXY_OUT_V1 ? 1 : 2,
        .is_local = true,
        .has_checksum = q->plan->proxy_out == PROXY_OUT_V2_CRC32C,
    };
    uint8_t written[PROXY_OUT_MAX_BYTES];

    if (q->plan->proxy_out == PROXY_OUT_NO)
        return 0;
    return buf_append(&q->talk.out, (struct bytes){written, proxy_header_write(&header, written)});
}

static enum next settle(struct check *c)
{
    struct flow *child = &c->question->dial.flow;

    if (!flow_is_over(child))
        return flow_wait_child(&c->flow, child);
    if (child->reason != REASON_DONE)
        return flow_fail(&c->flow, child->reason);
    flow_adopt(&c->flow, &c->question->stream.source, REASON_DONE);
    return introduce(c->question) ? flow_fail(&c->flow, REASON_NO_MEMORY) : NEXT;
}

/* Takes in what has come. 0: something, or the end; -EAGAIN; -EMSGSIZE. */
static int read_more(struct check *c)
{
    struct question *q = c->question;
    size_t room = q->talk.in.limit_bytes - buf_bytes(&q->talk.in).len;

    if (!room)
        return -EMSGSIZE;
    ssize_t got = stream_read_into(&q->stream, &q->talk.in, worker_of(&c->flow)->scratch);
    if (got == -EAGAIN || got == -ENOMEM)
        return (int)got;
    q->talk.has_ended = got <= 0;
    return 0;
}

static enum talk_next go_on(struct check *c)
{
    const struct checker *checker = checker_of(c->kind);
    struct question *q = c->question;

    if (q->has_spoken)
        return checker->hear(&q->talk);
    q->has_spoken = true;
    return checker->begin(&q->talk);
}

/* Sends what there is to say. False: the socket is full. What broke, reading will tell. */
static bool say(struct question *q)
{
    int error = stream_write_from(&q->stream, &q->talk.out);

    if (error && error != -EAGAIN)
        buf_done(&q->talk.out);
    return error != -EAGAIN;
}

static enum next converse(struct check *c)
{
    struct question *q = c->question;

    for (;;) {
        bool is_over = go_on(c) == TALK_OVER;
        unsigned awaited = say(q) ? READABLE : READABLE | WRITABLE;
        if (is_over)
            return NEXT;
        if (q->talk.has_ended)
            return flow_fail(&c->flow, REASON_SERVER_LEFT);
        switch (read_more(c)) {
        case 0:
            break;
        case -EAGAIN:
            return flow_wait_source(&c->flow, &q->stream.source, awaited,
                                    WITHIN(left(c), REASON_CHECK_TOO_SLOW));
        case -EMSGSIZE:
            return flow_fail(&c->flow, REASON_CHECK_TOO_LARGE);
        default:
            return flow_fail(&c->flow, REASON_NO_MEMORY);
        }
    }
}

/* --- the verdict --------------------------------------------------------------------------------
 */

/* A thread that wakes up late has not heard what was said in time. */
static bool are_we_late(const struct check *c)
{
    uint64_t timeout = c->question->plan->checks[c->kind].timeout;

    return now_of(&c->flow) > c->began_usec + timeout + LATE_USEC;
}

static enum reason reason_of(const struct check *c)
{
    const struct question *q = c->question;
    enum reason reason = c->flow.reason;

    if (!c->flow.has_failed)
        return q->talk.why;
    bool is_slow = reason == REASON_CHECK_TOO_SLOW || reason == REASON_CONNECT_TOO_SLOW;
    if (!q || !is_slow)
        return reason;
    reason = reason == REASON_CHECK_TOO_SLOW ? q->talk.if_late : reason;
    return reason != REASON_DONE && are_we_late(c) ? REASON_CHECK_UNTIMED : reason;
}

static enum next judge(struct check *c)
{
    struct watch *watch = c->watch;
    struct question *q = c->question;
    const struct finding finding = {
        .kind = c->kind,
        .reason = reason_of(c),
        .status = q ? q->talk.status : 0,
        .began_usec = c->began_usec,
        .carries_headers = q && q->talk.carries_headers,
    };

    c->question = question_free(q, checker_of(c->kind)->is_left_rudely);
    give_turn_on(c);
    watch_hear(watch, &finding);

    const struct check_settings *settings = settings_of(c);
    bool is_fast = streak_is_moving(&watch->streak[c->kind]);
    c->due_usec = c->began_usec +
                  jittered(watch->health, is_fast ? settings->fast_interval : settings->interval);
    return flow_goto(&c->flow, STEP_rest);
}

/* --- life ---------------------------------------------------------------------------------------
 */

static void check_leave(struct check *c)
{
    struct watch *watch = c->watch;

    leave_turns(c);
    c->question = question_free(c->question, true);
    give_turn_on(c);
    watch->check[c->kind] = NULL;
}

struct check *check_start(struct watch *watch, enum check_kind kind)
{
    struct check *c = calloc(1, sizeof *c);
    struct health *health = watch->health;
    const struct check_settings *settings = &watch->plan->checks[kind];
    uint64_t spread = watch->plan->spread_usec;

    if (!c)
        return NULL;
    c->watch = watch;
    c->kind = (uint8_t)kind;
    list_init(&c->turn);
    spread = spread < settings->interval ? spread : settings->interval;
    c->due_usec = health->worker->runner.loop.now_usec + random_below(&health->random, spread + 1);
    flow_start(&c->flow, &check_kind, &health->worker->runner, NULL);
    return c;
}

void check_stop(struct check *c)
{
    if (c)
        flow_stop(&c->flow, REASON_STOPPING);
}

void check_hurry(struct check *c)
{
    uint64_t latest = now_of(&c->flow) + settings_of(c)->interval;

    if (c->flow.step != STEP_rest || c->due_usec <= latest)
        return;
    c->due_usec = latest;
    flow_wake(&c->flow);
}

/* What always holds: a question is either waiting (in `waiting` or `later`, in its order), or sent
 * (its place in the circle of slots), or over. A slot whose asker has left stays until its answer
 * has come, and that is thrown away. A server that stands still (SIGSTOP) is seen by the age of the
 * oldest slot. */
#include "redis/redis.h"

#include "redis/command.h"
#include "redis/sentinel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define REDIS_MAGIC    0x72656473u
#define SLOTS          256u  /* questions under way at once */
#define WAITING_MAX    4096u /* further ones are told so at once */
#define SENT_MAX       8u    /* times that a question may meet the end of a connection */
#define READS_PER_TURN 8u
#define LATER_USEC     10000u  /* before who was put off is asked again */
#define RECOVER_USEC   100000u /* between two attempts to connect */
#define OUT_MAX_BYTES  262144u
#define GREETINGS_MAX  4

#define REDIS_STEPS(STEP)                                                                          \
    STEP(rest)       /* until something is asked */                                                \
    STEP(locate)     /* until a Sentinel has said who is master */                                 \
    STEP(connect_to) /* until connected */                                                         \
    STEP(greet)      /* until it has taken user and database, and is what it shall be */           \
    STEP(talk)       /* questions out, answers in, until the connection is lost */                 \
    STEP(recover)    /* a moment, so that what is gone is not tried all the time */

enum greeting { GREET_AUTH, GREET_SELECT, GREET_ROLE, GREET_PING };

struct slot {
    struct redis_ask *ask; /* NULL: he has left */
    uint64_t sent_usec;
};

struct redis {
    uint32_t magic;
    struct flow flow;
    struct redis_opts opts;
    struct sentinel sentinel;
    struct place_visit visit;
    struct redis_place place;
    struct stream stream;
    struct redis_reader *reader;
    struct buf out;
    struct list waiting, later;
    unsigned waiting_count;  /* in both */
    struct slot slot[SLOTS]; /* a circle */
    unsigned oldest, in_flight;
    enum greeting greeting[GREETINGS_MAX]; /* not yet answered, in their order */
    unsigned greetings;
    bool is_misled; /* it takes no writes: behind Sentinels, another one does */
    uint64_t later_usec, used_usec, greeted_usec, recovered_usec;
    const char *trouble; /* of the last attempt; NULL: it serves */
};

FLOW(redis, REDIS_STEPS)

/* What may pass: the question is put off. */
static const struct {
    const char *code, *words;
} passing[] = {
    {"LOADING", "it is loading its data (LOADING)"},
    {"READONLY", "it takes no writes, being a replica (READONLY)"},
    {"MASTERDOWN", "its link to the master is down (MASTERDOWN)"},
    {"TRYAGAIN", "its slots are moving (TRYAGAIN)"},
    {"CLUSTERDOWN", "its cluster is down (CLUSTERDOWN)"},
    {"BUSY", "it is busy with a script (BUSY)"},
};

/* --- questions -----------------------------------------------------------------------------------
 */

static void finish(struct redis_ask *ask, struct redis_reply *take_reply, const char *trouble)
{
    ask->redis = NULL;
    ask->reply = take_reply;
    ask->trouble = trouble;
    ask->is_over = true;
    flow_wake(ask->flow);
}

void redis_ask(struct redis *redis, struct redis_ask *ask)
{
    CHECK_OBJ(redis, REDIS_MAGIC);
    list_init(&ask->node);
    ask->reply = redis_reply_free(ask->reply);
    ask->is_over = false;
    ask->sent = 0;
    ask->trouble = NULL;
    if (redis->waiting_count >= WAITING_MAX) {
        finish(ask, NULL, "too many questions wait for it already");
        return;
    }
    ask->redis = redis;
    list_add_last(&redis->waiting, &ask->node);
    redis->waiting_count++;
    redis->used_usec = now_of(&redis->flow);
    flow_wake(&redis->flow);
}

static void stop_waiting(struct redis *r, struct redis_ask *ask)
{
    list_remove(&ask->node);
    r->waiting_count--;
}

static struct slot *slot_at(struct redis *r, unsigned number)
{
    return &r->slot[(r->oldest + number) % SLOTS];
}

static void forget(struct redis *r, const struct redis_ask *ask)
{
    if (!list_is_empty(&ask->node))
        return;
    for (unsigned i = 0; i < r->in_flight; i++)
        if (slot_at(r, i)->ask == ask)
            slot_at(r, i)->ask = NULL;
}

const char *redis_ask_leave(struct redis_ask *ask)
{
    struct redis *r = ask->redis;
    const char *trouble = ask->trouble;

    if (r) {
        if (!trouble)
            trouble = r->trouble;
        forget(r, ask);
        if (!list_is_empty(&ask->node))
            stop_waiting(r, ask);
    }
    ask->redis = NULL;
    ask->reply = redis_reply_free(ask->reply);
    buf_done(&ask->command);
    return trouble;
}

static void put_off(struct redis *r, struct redis_ask *ask, const char *words)
{
    ask->trouble = words;
    if (list_is_empty(&r->later))
        r->later_usec = now_of(&r->flow) + LATER_USEC;
    list_add_last(&r->later, &ask->node);
    r->waiting_count++;
}

static void take_back_later(struct redis *r)
{
    struct list *node;

    if (now_of(&r->flow) < r->later_usec)
        return;
    while ((node = list_take_first(&r->later)))
        list_add_last(&r->waiting, node);
}

static void tell_all(struct redis *r, struct list *those, const char *trouble)
{
    struct list *node;

    while ((node = list_take_first(those))) {
        struct redis_ask *ask = container_of(node, struct redis_ask, node);
        r->waiting_count--;
        finish(ask, NULL, trouble);
    }
}

/* Those that were sent go before those that wait, in their order. */
static void take_back_sent(struct redis *r, const char *trouble)
{
    struct list again;

    list_init(&again);
    for (unsigned i = 0; i < r->in_flight; i++) {
        struct redis_ask *ask = slot_at(r, i)->ask;
        if (ask && ask->sent >= SENT_MAX) {
            finish(ask, NULL, trouble);
        } else if (ask) {
            list_add_last(&again, &ask->node);
            r->waiting_count++;
        }
    }
    r->in_flight = 0;
    for (struct list *node; (node = list_take_first(&r->waiting));)
        list_add_last(&again, node);
    list_move_all(&again, &r->waiting);
}

/* --- the connection ------------------------------------------------------------------------------
 */

static void hang_up(struct redis *r)
{
    stream_close(&r->stream);
    r->reader = redis_reader_free(r->reader);
    buf_done(&r->out);
    r->greetings = 0;
    r->is_misled = false;
}

/* No connection could be made: who waits is told so. */
static enum next give_up(struct redis *r, const char *words)
{
    hang_up(r);
    r->trouble = words;
    tell_all(r, &r->waiting, words);
    tell_all(r, &r->later, words);
    r->recovered_usec = now_of(&r->flow) + RECOVER_USEC / 2 +
                        (r->flow.number * 7919u + now_of(&r->flow)) % RECOVER_USEC;
    return flow_goto(&r->flow, STEP_recover);
}

/* A connection that has served is made anew at once, unless that was just done. */
static enum next lose(struct redis *r, const char *words)
{
    uint64_t now = now_of(&r->flow);
    bool is_fresh = now - r->greeted_usec < RECOVER_USEC;

    hang_up(r);
    r->trouble = words;
    take_back_sent(r, words);
    r->recovered_usec = is_fresh ? now + RECOVER_USEC : now;
    return flow_goto(&r->flow, STEP_recover);
}

static bool has_nothing_to_do(const struct redis *r)
{
    return !r->waiting_count && !r->in_flight;
}

static bool is_idle(const struct redis *r)
{
    return has_nothing_to_do(r) && r->opts.idle_usec != FOREVER &&
           now_of(&r->flow) - r->used_usec >= r->opts.idle_usec;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void begin_visit(struct redis *r)
{
    place_visit_start(&r->visit, &r->flow, &r->place, r->opts.connect_usec, &r->stream);
}

static enum next rest(struct redis *r)
{
    if (is_idle(r))
        return flow_leave(&r->flow, REASON_DONE);
    if (!r->waiting_count) {
        if (r->opts.idle_usec != FOREVER)
            flow_wake_at(&r->flow, r->used_usec + r->opts.idle_usec);
        return flow_wait_notice(&r->flow, WITHIN(FOREVER, REASON_DONE));
    }
    if (!r->opts.target->is_sentinel) {
        r->place = r->opts.target->place[0];
        begin_visit(r);
        return flow_goto(&r->flow, STEP_connect_to);
    }
    r->sentinel.target = r->opts.target;
    r->sentinel.limit_usec = r->opts.connect_usec;
    sentinel_start(&r->sentinel, &r->flow);
    return NEXT;
}

static enum next locate(struct redis *r)
{
    if (!flow_is_over(&r->sentinel.flow))
        return flow_wait_child(&r->flow, &r->sentinel.flow);
    if (r->sentinel.flow.reason != REASON_DONE)
        return give_up(r, r->sentinel.words ? r->sentinel.words : "out of memory");
    r->place = r->sentinel.master;
    begin_visit(r);
    return NEXT;
}

/* --- greeting ------------------------------------------------------------------------------------
 */

static int say(struct redis *r, enum greeting greeting, const struct bytes *words, size_t count)
{
    r->greeting[r->greetings++] = greeting;
    return redis_command(&r->out, words, count);
}

static int write_greeting(struct redis *r)
{
    const struct redis_target *target = r->opts.target;
    const struct bytes user = bytes_of(target->user), password = bytes_of(target->password);
    char db[16];
    int error = 0;

    if (password.len && user.len)
        error = say(r, GREET_AUTH, (struct bytes[]){bytes_of("AUTH"), user, password}, 3);
    else if (password.len)
        error = say(r, GREET_AUTH, (struct bytes[]){bytes_of("AUTH"), password}, 2);
    snprintf(db, sizeof db, "%u", target->db);
    if (!error && target->db)
        error = say(r, GREET_SELECT, (struct bytes[]){bytes_of("SELECT"), bytes_of(db)}, 2);
    if (!error && target->is_sentinel)
        error = say(r, GREET_ROLE, (struct bytes[]){bytes_of("ROLE")}, 1);
    else if (!error)
        error = say(r, GREET_PING, (struct bytes[]){bytes_of("PING")}, 1);
    return error;
}

static enum next connect_to(struct redis *r)
{
    if (!flow_is_over(&r->visit.flow))
        return flow_wait_child(&r->flow, &r->visit.flow);
    if (r->visit.flow.reason != REASON_DONE)
        return give_up(r, r->visit.words);
    flow_adopt(&r->flow, &r->stream.source, REASON_DONE);
    buf_init(&r->out, OUT_MAX_BYTES);
    if (redis_reader_new(r->opts.reply_max_bytes, &r->reader) || write_greeting(r))
        return give_up(r, "out of memory");
    return NEXT;
}

/* NULL: good. An answer that may pass (LOADING) is good enough: questions are put off then. */
static const char *judge_greeting(enum greeting greeting, const struct redis_reply *reply)
{
    bool is_error = redis_reply_kind(reply) == REDIS_ERROR;

    if (redis_reply_is_error(reply, "NOAUTH"))
        return "it wants a password, and the URL has none";
    switch (greeting) {
    case GREET_AUTH:
        return is_error ? "it does not take this user and password" : NULL;
    case GREET_SELECT:
        return is_error && !redis_reply_is_error(reply, "LOADING") ? "it has no such database"
                                                                   : NULL;
    case GREET_ROLE:
        return redis_reply_count(reply) &&
                       bytes_equal(redis_reply_text(redis_reply_at(reply, 0)), bytes_of("master"))
                   ? NULL
                   : "the server that Sentinel names is no master yet";
    case GREET_PING:
        break;
    }
    return NULL;
}

/* --- talking -------------------------------------------------------------------------------------
 */

/* Trouble with this very answer, or NULL. */
static const char *take_answer(struct redis *r, struct redis_reply *take_reply)
{
    if (r->greetings) {
        const char *trouble = judge_greeting(r->greeting[0], take_reply);
        redis_reply_free(take_reply);
        memmove(r->greeting, r->greeting + 1, --r->greetings * sizeof r->greeting[0]);
        return trouble;
    }
    struct redis_ask *ask = r->in_flight ? slot_at(r, 0)->ask : NULL;
    if (!r->in_flight) {
        redis_reply_free(take_reply);
        return "it said something unasked";
    }
    r->oldest = (r->oldest + 1) % SLOTS;
    r->in_flight--;
    for (size_t i = 0; ask && i < ARRAY_LEN(passing); i++) {
        if (!redis_reply_is_error(take_reply, passing[i].code))
            continue;
        r->is_misled = r->is_misled || strcmp(passing[i].code, "READONLY") == 0;
        put_off(r, ask, passing[i].words);
        ask = NULL;
    }
    if (ask)
        finish(ask, TAKE(take_reply), NULL);
    redis_reply_free(take_reply);
    return NULL;
}

static const char *words_of_reply(int error)
{
    return error == -EMSGSIZE ? "its answer is larger than any entry"
           : error == -ENOMEM ? "out of memory"
                              : "what stands there speaks no RESP2";
}

/* NULL, or why the connection is lost. What is still to be read is announced by the source. */
static const char *hear(struct redis *r)
{
    uint8_t *scratch = worker_of(&r->flow)->scratch;
    const char *trouble = NULL;

    for (unsigned i = 0; i < READS_PER_TURN; i++) {
        struct redis_reply *reply;
        int next = 0;
        ssize_t got = stream_read(&r->stream, scratch, WORKER_SCRATCH_BYTES);
        if (got == -EAGAIN)
            return NULL;
        if (got <= 0)
            return "it closed the connection";
        if (redis_reader_feed(r->reader, (struct bytes){scratch, (size_t)got}))
            return "out of memory";
        while (!trouble && (next = redis_reader_next(r->reader, &reply)) > 0)
            trouble = take_answer(r, reply);
        if (trouble || next < 0)
            return trouble ? trouble : words_of_reply(next);
    }
    return NULL;
}

/* NULL, or why the connection is lost. */
static const char *flush(struct redis *r)
{
    int error = stream_write_from(&r->stream, &r->out);

    return error && error != -EAGAIN ? "it closed the connection" : NULL;
}

static const char *send_waiting(struct redis *r)
{
    while (!list_is_empty(&r->waiting) && r->in_flight < SLOTS) {
        struct redis_ask *ask = container_of(r->waiting.next, struct redis_ask, node);
        int error = buf_append(&r->out, buf_bytes(&ask->command));
        if (error == -EMSGSIZE && !buf_is_empty(&r->out))
            break; /* when there is room */
        stop_waiting(r, ask);
        if (error) {
            finish(ask, NULL, "out of memory");
            continue;
        }
        *slot_at(r, r->in_flight++) = (struct slot){ask, now_of(&r->flow)};
        ask->sent++;
    }
    return flush(r);
}

static enum next await_server(struct redis *r, uint64_t due_usec)
{
    if (due_usec != FOREVER)
        flow_wake_at(&r->flow, due_usec);
    return flow_wait_source(&r->flow, &r->stream.source,
                            buf_is_empty(&r->out) ? READABLE : READABLE | WRITABLE,
                            WITHIN(FOREVER, REASON_DONE));
}

static enum next greet(struct redis *r)
{
    uint64_t until = r->flow.entered_usec + r->opts.connect_usec;
    const char *trouble = flush(r);

    if (!trouble)
        trouble = hear(r);
    if (!trouble && r->greetings && now_of(&r->flow) >= until)
        trouble = "it accepts connections and does not answer";
    if (trouble)
        return give_up(r, trouble);
    if (r->greetings)
        return await_server(r, until);
    r->greeted_usec = now_of(&r->flow);
    r->trouble = NULL;
    return NEXT;
}

static enum next talk(struct redis *r)
{
    uint64_t now = now_of(&r->flow), due = FOREVER;

    take_back_later(r);
    const char *trouble = send_waiting(r);
    if (!trouble)
        trouble = hear(r);
    if (!trouble)
        trouble = send_waiting(r); /* places became free */
    if (!trouble && r->is_misled && r->opts.target->is_sentinel)
        trouble = "it takes no writes, being a replica (READONLY)";
    if (!trouble && r->in_flight && now - slot_at(r, 0)->sent_usec >= r->opts.stall_usec)
        trouble = "it does not answer any more";
    if (trouble)
        return lose(r, trouble);
    if (is_idle(r))
        return flow_leave(&r->flow, REASON_DONE);

    if (!list_is_empty(&r->later))
        due = r->later_usec;
    if (r->in_flight)
        due = sooner(due, slot_at(r, 0)->sent_usec + r->opts.stall_usec);
    else if (has_nothing_to_do(r) && r->opts.idle_usec != FOREVER)
        due = sooner(due, r->used_usec + r->opts.idle_usec);
    return await_server(r, due);
}

static enum next recover(struct redis *r)
{
    take_back_later(r);
    if (now_of(&r->flow) >= r->recovered_usec)
        return flow_goto(&r->flow, STEP_rest);
    flow_wake_at(&r->flow, r->recovered_usec);
    return flow_wait_notice(&r->flow, WITHIN(FOREVER, REASON_DONE));
}

static void redis_leave(struct redis *r)
{
    hang_up(r);
    take_back_sent(r, "this process is stopping");
    tell_all(r, &r->waiting, "this process is stopping");
    tell_all(r, &r->later, "this process is stopping");
    if (r->opts.on_leave)
        r->opts.on_leave(r->opts.owner, r->flow.runner->number);
    r->magic = 0;
}

struct redis *redis_start(const struct redis_opts *opts, struct runner *runner)
{
    struct redis *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->magic = REDIS_MAGIC;
    r->opts = *opts;
    r->used_usec = runner->loop.now_usec;
    list_init(&r->waiting);
    list_init(&r->later);
    buf_init(&r->out, OUT_MAX_BYTES);
    flow_start(&r->flow, &redis_kind, runner, NULL);
    return r;
}

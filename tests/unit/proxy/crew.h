/* Workers without threads, and connections that only say whose they are: for drains. */
#pragma once

#include "proxy/drains_priv.h"

#include "fake_sys.h"
#include "test.h"

#include <stdlib.h>

#define WORKERS 2
#define CROWD   64
#define SECOND  ((uint64_t)1000000)

static struct worker main_worker;
static struct proxy *crew[WORKERS];
static struct drains all_drains;
static struct pool *chat_pool;
static struct server *member[3]; /* of that pool, borrowed */
static struct connection *crowd[CROWD];
static unsigned was_asked[CROWD], order[CROWD], asked_count; /* by connection_close_with */
static uint16_t asked_code;

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

static uint64_t no_time(struct log *log)
{
    (void)log;
    return 0;
}

/* What connection_close_with is in these tests: it only notes whom it was asked for. */
static inline void note_close(struct connection *c, enum reason reason, uint16_t code,
                              uint64_t within_usec)
{
    EXPECT(within_usec == RELAY_PATIENCE_USEC);
    for (unsigned i = 0; i < CROWD; i++) {
        if (crowd[i] != c)
            continue;
        was_asked[i]++;
        order[asked_count++] = i;
    }
    asked_code = code;
    c->end_reason = (uint8_t)reason;
}

static inline void crew_begin(void)
{
    static struct log log = {.write = write_nowhere, .now_usec = no_time};
    static const char *const addresses[] = {"127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"};
    struct pool_member_spec members[3] = {{.weight = 1}, {.weight = 1}, {.weight = 1}};

    fake_reset();
    for (unsigned i = 0; i < 3; i++)
        EXPECT(address_parse(addresses[i], &members[i].address) == 0);
    EXPECT(pool_new("chat", balancer_find("round_robin"), members, 3, NULL, &chat_pool) == 0);
    for (unsigned i = 0; i < 3; i++)
        member[i] = pool_server(chat_pool, i);
    EXPECT(worker_init(&main_worker, 99, &log) == 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        crew[i] = calloc(1, sizeof *crew[i]);
        EXPECT(crew[i] && worker_init(&crew[i]->worker, i, &log) == 0);
        list_init(&crew[i]->connections);
        list_init(&crew[i]->drains);
    }
    drains_init(&all_drains, &main_worker, crew, WORKERS);
    memset(was_asked, 0, sizeof was_asked);
    asked_count = 0;
}

/* The i-th: a tunnel to that server, on that worker. */
static inline struct connection *join(unsigned i, unsigned worker, struct server *to)
{
    struct connection *c = crowd[i] = calloc(1, sizeof *c);

    EXPECT(c != NULL);
    c->flow.runner = &crew[worker]->worker.runner;
    c->flow.number = (uint64_t)(i + 1) << RUNNER_NUMBER_BITS | worker;
    c->chosen = to;
    c->is_tunnel = true;
    list_add_last(&crew[worker]->connections, &c->node);
    drains_joined(c);
    return c;
}

/* It ends: as it was asked to, or by itself. */
static inline void part(unsigned i)
{
    struct connection *c = TAKE(crowd[i]);

    c->flow.reason = c->end_reason ? c->end_reason : REASON_CLIENT_RESET;
    drains_left(c);
    list_remove(&c->node);
    free(c);
}

static inline void part_asked(void)
{
    for (unsigned i = 0; i < CROWD; i++)
        if (crowd[i] && was_asked[i])
            part(i);
}

static inline void part_all(void)
{
    for (unsigned i = 0; i < CROWD; i++)
        if (crowd[i])
            part(i);
}

static inline void turn(void)
{
    EXPECT(worker_turn(&main_worker) == 0);
    for (unsigned i = 0; i < WORKERS; i++)
        EXPECT(worker_turn(&crew[i]->worker) == 0);
}

static inline void pass(uint64_t usec)
{
    for (uint64_t at = 0; at < usec; at += 5000) {
        fake_now_usec += 5000;
        turn();
    }
}

static inline struct drain_progress progress(const struct drain *drain)
{
    struct drain_progress at;

    drain_progress(drain, &at);
    return at;
}

static inline void crew_end(void)
{
    part_all();
    turn();
    for (unsigned i = 0; i < WORKERS; i++) {
        mailbox_deliver(&crew[i]->worker.mailbox);
        drains_forget(crew[i]);
        worker_done(&crew[i]->worker);
        free(TAKE(crew[i]));
    }
    drains_done(&all_drains);
    worker_done(&main_worker);
    chat_pool = pool_unref(chat_pool);
}

/* Health over a kernel made of variables: one pool, whose servers are asked one after another. */
#pragma once

#include "health/outcomes.h"

#include "../net/parent.h"

#include <stdio.h>
#include <sys/epoll.h>

#define FD 8

static struct health *health;
static struct pool *pool;
static struct pool_settings settings;
static char lines[65536], changes[512];

static void keep_line(struct log *log, struct bytes line)
{
    (void)log;
    if (strlen(lines) + line.len < sizeof lines)
        strncat(lines, (const char *)line.at, line.len);
}

static uint64_t wall(struct log *log)
{
    (void)log;
    return fake_now_usec + 5;
}

static void note_change(struct health_sink *sink, const struct health_change *change)
{
    size_t used = strlen(changes);

    (void)sink;
    EXPECT(atomic_load(&change->server->check) == change->to);
    EXPECT(change->policy->drain_code == 1012);
    snprintf(changes + used, sizeof changes - used, "%s>%s ", server_check_name(change->from),
             server_check_name(change->to));
}

static struct log keeper = {.write = keep_line, .now_usec = wall};
static struct health_sink sink = {note_change};

static inline int adopt(void)
{
    const struct health_pool pools[] = {{.pool = pool, .settings = &settings, .host = "a.example"}};

    return health_adopt(health, pools, 1);
}

static inline struct pool *make_pool(size_t servers, struct pool *before)
{
    struct pool_member_spec *members = calloc(servers, sizeof *members);
    struct pool *made = NULL;
    char text[32];

    EXPECT(members != NULL);
    for (size_t i = 0; i < servers; i++) {
        snprintf(text, sizeof text, "127.0.%zu.%zu:9001", i / 250, i % 250 + 1);
        members[i].weight = 1;
        EXPECT(address_parse(text, &members[i].address) == 0);
    }
    EXPECT(pool_new("chat", balancer_find("round_robin"), members, servers, before, &made) == 0);
    free(members);
    return made;
}

static inline struct check_settings *on(enum check_kind kind)
{
    settings.checks[kind] = (struct check_settings){
        .is_on = true,
        .interval = 5000000,
        .fast_interval = 1000000,
        .timeout = 2000000,
        .rise = 2,
        .fall = 3,
        .path = "/health",
    };
    return &settings.checks[kind];
}

static inline void health_begin(size_t servers)
{
    parent_begin();
    parent_worker.log = &keeper;
    settings = (struct pool_settings){.name = "chat", .drain_code = 1012};
    lines[0] = changes[0] = '\0';
    fake_calls.connect = -EINPROGRESS;
    pool = make_pool(servers, NULL);
    health = health_new(&parent_worker, &sink, 3);
    EXPECT(health != NULL);
}

static inline void health_end(void)
{
    health = health_free(health);
    pool = pool_unref(pool);
    parent_turn();
    EXPECT(parent_worker.runner.flows.next == &parent->sibling &&
           parent_worker.runner.flows.prev == &parent->sibling);
    parent_end();
}

static inline void pass(uint64_t usec)
{
    fake_now_usec += usec;
    parent_turn();
}

static inline uint64_t counter(const char *name)
{
    const struct health_counters *counters = health_counters(health);

#define COUNTER(counter_name, help)                                                                \
    if (strcmp(name, #counter_name) == 0)                                                          \
        return atomic_load(&counters->counter_name);
    HEALTH_COUNTERS(COUNTER)
#undef COUNTER
    test_fail(name, __FILE__, __LINE__);
}

/* A fresh socket for the next check. */
static inline void next_socket(void)
{
    memset(&fake_fd[FD], 0, sizeof fake_fd[FD]);
    fake_fd[FD].out_room = SIZE_MAX / 2;
    fake_calls.next_fd = FD;
}

/* Lets time pass until the next check begins. */
static inline void until_asked(void)
{
    next_socket();
    for (int i = 0; i < 200 && fake_calls.next_fd == FD; i++)
        pass(50000);
    EXPECT(fake_calls.next_fd == FD + 1);
}

static inline void accept_it(void)
{
    fake_event(FD, EPOLLOUT);
    parent_turn();
    parent_turn();
}

static inline void refuse_it(void)
{
    fake_fd[FD].error = -ECONNREFUSED;
    fake_event(FD, EPOLLOUT | EPOLLERR | EPOLLHUP);
    parent_turn();
    parent_turn();
}

static inline enum server_check verdict(void)
{
    return atomic_load(&pool_server(pool, 0)->check);
}

static inline struct health_outcome newest(void)
{
    struct health_outcome got[HEALTH_OUTCOMES_MAX];

    EXPECT(health_outcomes(pool_server(pool, 0), got) > 0);
    return got[0];
}

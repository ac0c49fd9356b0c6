/* Two ends of the fake kernel, a relay between them and the flow that owns it. */
#pragma once

#include "fake_sys.h"
#include "loop/worker.h"
#include "relay/relay_priv.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define CLIENT 3
#define SERVER 4
#define SECOND 1000000u

struct pair {
    struct flow flow;
    struct stream client, server;
    struct relay relay;
    unsigned asked; /* how often the owner was woken */
};

#define PAIR_STEPS(STEP) STEP(relaying) /* until stopped */
FLOW(pair, PAIR_STEPS)

static struct worker pair_worker;
static struct relay_worker shared;
static struct pair *pair;
static struct relay *relay;
static const struct lane *to_server, *to_client; /* the relay's lanes 0 and 1 */

static enum next relaying(struct pair *p)
{
    p->asked++;
    return flow_wait_notice(&p->flow, WITHIN(FOREVER, REASON_DONE));
}

static void pair_leave(struct pair *p)
{
    relay_stop(&p->relay);
    stream_close(&p->client);
    stream_close(&p->server);
}

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

static uint64_t no_time(struct log *log)
{
    (void)log;
    return 0;
}

static inline void turn(void)
{
    EXPECT(loop_look(&pair_worker.runner.loop) == 0);
    loop_run(&pair_worker.runner.loop);
}

static inline void pass(uint64_t usec)
{
    fake_now_usec += usec;
    turn();
}

static inline void clear(int fd)
{
    struct fake_fd *f = &fake_fd[fd];

    f->in_len = f->out_len = 0;
    f->out_room = sizeof f->out;
    f->error = f->reset = f->undelivered = 0;
    f->in_ends = f->is_reset = f->is_ended = f->is_closed = f->is_aborted = false;
}

static inline struct relay_opts usual(void)
{
    return (struct relay_opts){
        .idle_usec = 100 * SECOND,
        .fin_usec = 10 * SECOND,
        .lifetime_usec = FOREVER,
        .unsent_bytes = 4096,
        .is_websocket = true,
    };
}

/* Another pair on the same worker. */
static inline void pair_open(void)
{
    clear(CLIENT);
    clear(SERVER);
    pair = calloc(1, sizeof *pair);
    EXPECT(pair != NULL);
    relay = &pair->relay;
    to_server = &relay->lane[0];
    to_client = &relay->lane[1];
    flow_start(&pair->flow, &pair_kind, &pair_worker.runner, NULL);
    EXPECT(stream_open(&pair->client, &pair_worker.runner.loop, CLIENT) == 0);
    EXPECT(stream_open(&pair->server, &pair_worker.runner.loop, SERVER) == 0);
    turn();
}

static inline void pair_close(void)
{
    flow_stop(&pair->flow, REASON_STOPPING);
    turn();
    EXPECT(shared.unsent_bytes == 0 && shared.pipes_taken == 0);
}

static inline void begin_without_relay(void)
{
    static struct log log = {.write = write_nowhere, .now_usec = no_time};

    fake_reset();
    shared = (struct relay_worker){0};
    EXPECT(worker_init(&pair_worker, 1, &log) == 0);
    pair_open();
}

static inline void start_with(struct relay_opts opts, struct bytes head, struct bytes early[2])
{
    struct relay_end client = {.stream = &pair->client, .early = early[0]};
    struct relay_end server = {.stream = &pair->server, .head = head, .early = early[1]};

    relay_start(relay, &pair->flow, &shared, client, server, &opts);
    EXPECT(relay_is_started(relay));
}

static inline void start(struct relay_opts opts)
{
    start_with(opts, (struct bytes){0}, (struct bytes[2]){{0}});
}

static inline void setup(struct relay_opts opts)
{
    begin_without_relay();
    start(opts);
}

static inline void end(void)
{
    pair_close();
    relay_worker_done(&shared);
    EXPECT(fake_pipes_open() == 0);
    worker_done(&pair_worker);
}

static inline struct relay_opts raw(void)
{
    struct relay_opts opts = usual();

    opts.is_websocket = false;
    return opts;
}

/* What has arrived there since the last time. */
static inline bool heard(int fd, const char *text)
{
    bool is_so = fake_output_is(fd, text);

    fake_fd[fd].out_len = 0;
    return is_so;
}

static inline bool over_for(enum reason reason)
{
    return relay_is_over(relay) && relay->reason == reason && pair->asked == 2;
}

static inline bool is_idle_without_buffers(void)
{
    return !relay->pipe[0] && !relay->pipe[1] && !to_server->backlog && !to_client->backlog &&
           shared.unsent_bytes == 0;
}

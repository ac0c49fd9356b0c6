/* One process of the load: its connections, its loop, and the phases that the parent calls out. */
#include "load.h"
#include "stream.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 256

uint64_t now_nsec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Returns how many events there were. */
static int turn(struct load *l, uint64_t wait_nsec)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    struct timespec wait = {.tv_sec = (time_t)(wait_nsec / NSEC_PER_SEC),
                            .tv_nsec = (long)(wait_nsec % NSEC_PER_SEC)};

    if (l->ready)
        wait = (struct timespec){0};
    int count = epoll_pwait2(l->epoll_fd, events, EVENTS_AT_ONCE, &wait, NULL);
    for (int i = 0; i < count; i++)
        client_on_event(l, events[i].data.ptr, events[i].events);

    struct client *c = l->ready;
    l->ready = NULL;
    while (c) {
        struct client *next = c->next_ready;
        c->is_ready = false;
        client_turn(l, c);
        c = next;
    }
    atomic_store_explicit(&l->tally->open, l->open, memory_order_relaxed);
    return count;
}

static unsigned all_clients(const struct load *l)
{
    return l->count + (l->publisher != NULL);
}

static void open_some(struct load *l)
{
    while (l->next_to_open < all_clients(l) && l->opening < l->flight &&
           atomic_load(&l->tally->failed) == 0)
        client_open(l, &l->clients[l->next_to_open++]);
}

static bool all_are_open(const struct load *l)
{
    if (l->options->mode == MODE_HANDSHAKE)
        return true;
    if (l->options->mode == MODE_IDLE && l->answered < l->count)
        return false;
    return l->open == all_clients(l);
}

static bool has_failed_much(const struct load *l)
{
    return atomic_load_explicit(&l->tally->failed, memory_order_relaxed) >= FAILED_MAX;
}

static int phase_of(const struct load *l)
{
    return atomic_load_explicit(&l->board->phase, memory_order_acquire);
}

static void begin_storm(struct load *l)
{
    l->is_storm = l->awaits_all = true;
    l->began_storm_nsec = now_nsec();
    for (unsigned i = 0; i < l->count; i++)
        if (l->clients[i].stream.fd >= 0)
            client_drop(l, &l->clients[i]);
    l->next_to_open = 0;
}

static void on_phase(struct load *l, int phase)
{
    if (phase == PHASE_RUN && l->options->mode == MODE_HANDSHAKE)
        for (unsigned i = 0; i < l->count; i++)
            client_open(l, &l->clients[i]);
    if (phase == PHASE_RUN)
        mode_start(l);
    l->is_measuring = phase == PHASE_MEASURE;
    if (phase == PHASE_MEASURE && l->options->mode == MODE_RECONNECT)
        begin_storm(l);
}

static void live(struct load *l)
{
    int known = PHASE_OPEN, phase;

    while ((phase = phase_of(l)) != PHASE_DRAIN && !has_failed_much(l)) {
        while (known < phase) /* none is left out, however long we slept */
            on_phase(l, ++known);
        if (l->options->mode != MODE_HANDSHAKE)
            open_some(l);
        turn(l, phase == PHASE_OPEN ? 10000000u : mode_tick(l));
        if (l->awaits_all && all_are_open(l)) {
            l->awaits_all = false;
            atomic_store(&l->tally->is_ready, true);
        }
    }
    l->is_measuring = false;
}

/* Ends what was begun; gives up when nothing has come for DRAIN_NSEC. */
static void drain(struct load *l)
{
    uint64_t until = now_nsec() + DRAIN_NSEC;

    mode_begin_drain(l);
    while (!mode_is_drained(l) && now_nsec() < until && !has_failed_much(l))
        if (turn(l, 5000000u) > 0)
            until = now_nsec() + DRAIN_NSEC;
    mode_count_lost(l);
}

static int init(struct load *l)
{
    const struct options *o = l->options;
    unsigned extra = o->mode == MODE_SUBSCRIBE && l->number == 0;

    l->first = (unsigned)((uint64_t)o->connections * l->number / o->processes);
    l->count = (unsigned)((uint64_t)o->connections * (l->number + 1) / o->processes) - l->first;
    l->flight = o->flight / o->processes + (o->flight % o->processes > l->number);
    l->flight += l->flight == 0;
    l->tally = &l->board->tally[l->number];
    l->seed = now_nsec() * (2 * (uint64_t)getpid() + 1);
    l->clients = calloc(l->count + extra, sizeof *l->clients);
    l->tables = malloc(sizeof *l->tables);
    l->scratch = malloc(SCRATCH_BYTES);
    l->first_body = malloc(FIRST_BODY_BYTES);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!l->clients || !l->tables || !l->scratch || !l->first_body || l->epoll_fd < 0)
        return -ENOMEM;
    tables_init(l->tables, l->seed);
    for (unsigned i = 0; i < l->count + extra; i++) {
        l->clients[i].stream.fd = -1;
        l->clients[i].index = l->first + i;
    }
    if (extra)
        l->publisher = &l->clients[l->count];
    int bad = stream_tls_init(l);
    return bad || o->protocol != HTTP ? bad : http_make_request(l);
}

static void done(struct load *l)
{
    for (unsigned i = 0; l->clients && i < all_clients(l); i++)
        if (l->clients[i].stream.fd >= 0)
            client_drop(l, &l->clients[i]);
    SSL_SESSION_free(l->session);
    SSL_CTX_free(l->tls);
    free(l->clients);
    free(l->tables);
    free(l->scratch);
    free(l->first_body);
    free(l->request);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
}

int crew_run(const struct options *o, struct board *board, unsigned number)
{
    struct load l = {
        .options = o, .board = board, .number = number, .epoll_fd = -1, .awaits_all = true};
    int bad = init(&l);

    if (bad) {
        snprintf(l.tally->why, sizeof l.tally->why, "cannot begin: %s", strerror(-bad));
        COUNT(l.tally->failed, 1);
    } else {
        live(&l);
        drain(&l);
    }
    done(&l);
    return atomic_load(&l.tally->failed) || l.tally->lost ? 1 : 0;
}

/* A pair whose relay has a guard: what is said to it, and why it ended. */
#pragma once

#include "pair.h"
#include "relay/guard.h"

#define SERVER_HI "\x81\x02hi"
#define CLIENT_HI "\x81\x82\x01\x01\x01\x01ih"
#define PING      "\x89\x08nonsense"
#define PONG      "\x8a\x88\0\0\0\0nonsense"
#define BAD       "\x83\x80\0\0\0\0"

static inline struct guard_opts guard_opts(void)
{
    struct guard_opts opts = {
        .ping_usec = FOREVER, .pong_usec = FOREVER, .expires_usec = FOREVER, .per_usec = SECOND};

    memcpy(opts.nonce, "nonsense", sizeof opts.nonce);
    return opts;
}

static inline struct guard_opts pinging(void)
{
    struct guard_opts opts = guard_opts();

    opts.ping_usec = 30 * SECOND;
    opts.pong_usec = 10 * SECOND;
    return opts;
}

static inline struct relay_opts guarded(const struct guard_opts *guard)
{
    struct relay_opts opts = usual();

    opts.guard = guard;
    return opts;
}

static inline void setup_guard(struct guard_opts guard)
{
    setup(guarded(&guard));
    EXPECT(relay->is_guarded);
}

#define FEED(fd, text) fake_feed(fd, text, sizeof(text) - 1)

static inline bool heard_bytes(int fd, const char *text, size_t len)
{
    bool is_so = fake_fd[fd].out_len == len && !memcmp(fake_fd[fd].out, text, len);

    fake_fd[fd].out_len = 0;
    return is_so;
}
#define HEARD(fd, text) heard_bytes(fd, text, sizeof(text) - 1)

static inline bool ended_for(enum reason reason, unsigned offender, uint64_t frame)
{
    const struct guard_verdict *verdict = relay_guard_verdict(relay);

    return over_for(reason) && verdict && verdict->offender == offender &&
           verdict->frame == frame && verdict->words &&
           verdict->close_code[offender] == reason_row(reason)->ws_code &&
           verdict->close_code[!offender] == (offender ? 1011 : 1001);
}

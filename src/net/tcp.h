/* What every TCP socket of a relayed connection is told, on both sides. Never SO_SNDBUF, and
 * SO_RCVBUF only for what moves in bulk (tcp_bound): they switch the kernel's own tuning off. */
#pragma once

#include "net/address.h"

struct tcp_tuning {
    uint32_t keepalive_sec; /* idle time before the first probe; 0: no probes */
    uint32_t
        user_timeout_msec; /* unacknowledged for so long: the peer is gone; 0: the kernel's way */
};

/* For a socket that connects, or a listening one: what that accepts inherits all of it, without a
 * system call. Errors are not reported: a socket without its tuning is slower to notice things, not
 * wrong. */
void tcp_tune(int fd, const struct tcp_tuning *tuning);

/* Bounds what the kernel holds for a connection that moves much: what is not sent, and the window
 * offered. For those that never do it would be two system calls for nothing, so it is done when the
 * first large batch or backlog is seen. */
void tcp_tune_bulk(int fd);
/* Gives a connected socket a receive buffer for the clamp's window, which grows no more: what the
 * kernel holds for it is bounded from now on. False: rmem_max forbids it; then the clamp is to be
 * set again and again. */
bool tcp_bound(int fd);
/* The window alone, again. True: it holds from now on, for the receive buffer grows no more. */
bool tcp_clamp(int fd);

/* Both ends' addresses, for the admin. 0 or a negative errno. */
int tcp_names(int fd, struct address *ret_local, struct address *ret_peer);

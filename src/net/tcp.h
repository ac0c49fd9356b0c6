/* What every TCP socket of a relayed connection is told, on both sides. Never SO_SNDBUF or SO_RCVBUF: they
 * switch the kernel's own tuning off; TCP_NOTSENT_LOWAT and TCP_WINDOW_CLAMP bound memory without that. */
#pragma once

#include "net/address.h"

struct tcp_tuning {
    uint32_t keepalive_sec;     /* idle time before the first probe; 0: no probes */
    uint32_t user_timeout_msec; /* unacknowledged for so long: the peer is gone; 0: the kernel's way */
};

/* Errors are not reported: a socket without its tuning is slower to notice things, not wrong. */
void tcp_tune(int fd, const struct tcp_tuning *tuning);

/* Both ends' addresses, for the admin. 0 or a negative errno. */
int tcp_names(int fd, struct address *ret_local, struct address *ret_peer);

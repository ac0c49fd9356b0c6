/* A stalled reader behind us must not fill the kernel: what is unsent beyond the low-water mark makes the
 * socket not writable, so the relay stops reading, so the sender's window closes at the clamp. */
#include "net/tcp.h"

#include "sys/sys.h"

#include <netinet/tcp.h>

#define NOTSENT_LOWAT_BYTES 131072
#define WINDOW_CLAMP_BYTES  1048576 /* loopback bulk does not suffer from it; two sockets stay below 8 MiB */
#define KEEPALIVE_PROBES    3

void tcp_tune(int fd, const struct tcp_tuning *tuning)
{
    int interval = (int)(tuning->keepalive_sec / KEEPALIVE_PROBES);

    /* What is off is said too: a reload tunes a listening socket again. */
    sys_option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    sys_option_set(fd, SOL_SOCKET, SO_OOBINLINE, 1); /* an urgent byte is a byte; SIOCINQ stays exact */
    sys_option_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tuning->user_timeout_msec);
    sys_option_set(fd, SOL_SOCKET, SO_KEEPALIVE, tuning->keepalive_sec != 0);
    if (!tuning->keepalive_sec)
        return;
    sys_option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)tuning->keepalive_sec);
    if (tuning->user_timeout_msec)
        return; /* it decides when the peer is gone, instead of a count of probes */
    sys_option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval ? interval : 1);
    sys_option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

void tcp_tune_bulk(int fd)
{
    sys_option_set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
    sys_option_set(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, WINDOW_CLAMP_BYTES);
}

int tcp_names(int fd, struct address *ret_local, struct address *ret_peer)
{
    struct sockaddr_storage local, peer;

    int error = sys_names(fd, &local, &peer);
    if (error)
        return error;
    memcpy(ret_local, &local, sizeof *ret_local);
    memcpy(ret_peer, &peer, sizeof *ret_peer);
    return 0;
}

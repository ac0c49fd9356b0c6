/* A stalled reader behind us must not fill the kernel: what is unsent beyond the low-water mark
 * makes the socket not writable, so the relay stops reading, so the sender's window closes at the
 * clamp.
 *
 * Measured with a copying relay (kernel 6.18; skmem r + f + w + o + bl of its two sockets, in MiB
 * at most; the reader takes all for a while, then stalls):
 *
 *                                    loopback    through a 40 ms tunnel (tcp_rmem up to 32 MiB)
 *     nothing set                      4.2        24 (at 20 ms)
 *     TCP_NOTSENT_LOWAT 128 KiB        2.3        19
 *     ... and the clamp at 1 MiB once  2.3        20
 *     ... and again after each 256 KiB 2.3         6.4
 *
 * Bulk on loopback is the same with all of them, within the noise; there the low-water mark does
 * the work. A clamp set once is forgotten when the kernel's own tuning goes on growing the receive
 * buffer (seen; the window presumably follows the buffer), so the relay sets it again and again. It
 * costs speed: one window per round trip (20 MB/s measured at 40 ms). */
#include "net/tcp.h"

#include "sys/sys.h"

#include <netinet/tcp.h>

#define NOTSENT_LOWAT_BYTES  131072
#define WINDOW_CLAMP_BYTES   524288 /* what the kernel accounts for is up to four times the bytes */
#define RECEIVE_BUFFER_BYTES 1048576 /* half of it is window */
#define LOCK_RECEIVE_BUFFER  2       /* SOCK_RCVBUF_LOCK, which no header gives to programs */
#define KEEPALIVE_PROBES     3
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

/* tcp(7) leaves it to TCP_USER_TIMEOUT, where that is set, how many lost probes mean the end: all
 * that fit in it. With the kernel's 75 s between two that was a single one (seen with 50,000 idle
 * tunnels, whose probes came in bursts), so the time that is left is divided. */
static uint32_t probe_interval_sec(const struct tcp_tuning *tuning)
{
    uint32_t until_sec = tuning->user_timeout_msec / 1000;
    uint32_t left_sec = until_sec > tuning->keepalive_sec ? until_sec - tuning->keepalive_sec
                                                          : tuning->keepalive_sec;

    return left_sec > KEEPALIVE_PROBES ? left_sec / KEEPALIVE_PROBES : 1;
}

void tcp_tune(int fd, const struct tcp_tuning *tuning)
{
    /* What is off is said too: a reload tunes a listening socket again. */
    sys_option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    sys_option_set(fd, SOL_SOCKET, SO_OOBINLINE,
                   1); /* an urgent byte is a byte; SIOCINQ stays exact */
    sys_option_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tuning->user_timeout_msec);
    sys_option_set(fd, SOL_SOCKET, SO_KEEPALIVE, tuning->keepalive_sec != 0);
    if (!tuning->keepalive_sec)
        return;
    sys_option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)tuning->keepalive_sec);
    sys_option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)probe_interval_sec(tuning));
    if (!tuning->user_timeout_msec)
        sys_option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

void tcp_tune_bulk(int fd)
{
    sys_option_set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
    tcp_clamp(fd);
}

bool tcp_bound(int fd)
{
    if (sys_option_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES / 2)) /* it doubles */
        sys_option_set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES / 2);
    bool holds = sys_receive_buffer_bytes(fd) >= RECEIVE_BUFFER_BYTES;

    if (!holds)
        sys_option_set(fd, SOL_SOCKET, SO_BUF_LOCK, 0); /* let it grow by itself, then */
    return holds;
}

/* The kernel takes the clamp back whenever it enlarges the receive buffer. So that stops as soon as
 * the buffer serves the clamp's window: locked as it is (Linux 5.16). */
bool tcp_clamp(int fd)
{
    bool holds = sys_receive_buffer_bytes(fd) >= RECEIVE_BUFFER_BYTES &&
                 sys_option_set(fd, SOL_SOCKET, SO_BUF_LOCK, LOCK_RECEIVE_BUFFER) == 0;

    sys_option_set(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, WINDOW_CLAMP_BYTES);
    return holds;
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

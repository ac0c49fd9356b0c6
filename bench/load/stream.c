/* Sockets and TLS. A TLS write is gathered into one record; what the socket did not take is given
 * again with the same bytes, which the message can always make anew. The latest session of the
 * process is kept for those who ask for resumption. */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_BYTES 16384u

static int keep_session(SSL *tls, SSL_SESSION *session)
{
    struct load *l = SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls));

    SSL_SESSION_free(l->session);
    l->session = session;
    return 1; /* it is ours now */
}

int stream_tls_init(struct load *l)
{
    if (!l->options->is_tls)
        return 0;
    l->tls = SSL_CTX_new(TLS_client_method());
    if (!l->tls)
        return -ENOMEM;
    SSL_CTX_set_min_proto_version(l->tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(l->tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(l->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_app_data(l->tls, l);
    if (l->options->resumes) {
        SSL_CTX_set_session_cache_mode(l->tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(l->tls, keep_session);
    }
    return 0;
}

static int bind_source(int fd, struct load *l)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;

    if (!l->options->sources)
        return 0;
    from.sin_addr.s_addr = htonl(l->options->source + l->source_turn++ % l->options->sources);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&from, sizeof from) ? -errno : 0;
}

static bool is_address(const char *name)
{
    struct in6_addr address;

    return name[0] == '[' || inet_pton(AF_INET, name, &address) == 1;
}

int stream_open(struct stream *s, struct load *l)
{
    const struct options *o = l->options;
    int one = 1, bad;

    s->tls = NULL;
    s->fd = socket(o->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return -errno;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (o->congestion && setsockopt(s->fd, IPPROTO_TCP, TCP_CONGESTION, o->congestion,
                                    (socklen_t)strlen(o->congestion)))
        return -errno;
    bad = bind_source(s->fd, l);
    if (bad)
        return bad;
    if (connect(s->fd, (const struct sockaddr *)&o->to, o->to_len) && errno != EINPROGRESS)
        return -errno;
    if (!o->is_tls)
        return 0;

    s->tls = SSL_new(l->tls);
    if (!s->tls || SSL_set_fd(s->tls, s->fd) != 1)
        return -ENOMEM;
    SSL_set_connect_state(s->tls);
    if (!is_address(o->name)) /* RFC 6066 section 3 */
        SSL_set_tlsext_host_name(s->tls, o->name);
    if (o->resumes && l->session)
        SSL_set_session(s->tls, l->session);
    return 0;
}

int stream_connected(struct stream *s)
{
    int error = 0;
    socklen_t size = sizeof error;

    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return -error;
}

static int tls_errno(struct stream *s, int got)
{
    int what = SSL_get_error(s->tls, got);

    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    if (what == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (what == SSL_ERROR_SYSCALL && errno)
        return -errno;
    return -EPROTO;
}

int stream_secure(struct stream *s, struct load *l)
{
    if (!s->tls)
        return 0;

    ERR_clear_error();
    int got = SSL_do_handshake(s->tls);
    if (got == 1) {
        if (SSL_session_reused(s->tls))
            l->tally->resumed++;
        return 0;
    }
    int bad = tls_errno(s, got);
    return bad ? bad : -ECONNRESET;
}

ssize_t stream_recv(struct stream *s, void *at, size_t size)
{
    if (!s->tls) {
        ssize_t got = recv(s->fd, at, size, 0);
        return got < 0 ? -errno : got;
    }
    size_t got = 0;
    ERR_clear_error();
    errno = 0;
    int done = SSL_read_ex(s->tls, at, size, &got);
    return done == 1 ? (ssize_t)got : tls_errno(s, done);
}

ssize_t stream_skip(struct stream *s, size_t size)
{
    ssize_t got = recv(s->fd, NULL, size, MSG_TRUNC);

    return got < 0 ? -errno : got;
}

static ssize_t tls_sendv(struct stream *s, const struct iovec *iov, int count)
{
    uint8_t record[RECORD_BYTES];
    size_t used = 0, sent = 0;

    for (int i = 0; i < count && used < sizeof record; i++) {
        size_t part = iov[i].iov_len < sizeof record - used ? iov[i].iov_len : sizeof record - used;
        memcpy(record + used, iov[i].iov_base, part);
        used += part;
    }
    ERR_clear_error();
    errno = 0;
    int done = SSL_write_ex(s->tls, record, used, &sent);
    return done == 1 ? (ssize_t)sent : tls_errno(s, done);
}

ssize_t stream_sendv(struct stream *s, const struct iovec *iov, int count)
{
    if (s->tls)
        return tls_sendv(s, iov, count);

    struct msghdr all = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    ssize_t sent = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                              : sendmsg(s->fd, &all, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

void stream_finish(struct stream *s)
{
    if (s->tls)
        SSL_shutdown(s->tls);
    else
        shutdown(s->fd, SHUT_WR);
}

void stream_close(struct stream *s)
{
    SSL_free(s->tls);
    s->tls = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void stream_abort(struct stream *s)
{
    struct linger now = {.l_onoff = 1};

    if (s->fd >= 0)
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    stream_close(s);
}

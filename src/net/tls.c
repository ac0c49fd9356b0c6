/* OpenSSL between a descriptor and plaintext.
 *
 * One BIO serves all sessions of a worker: before a call it is pointed at the ciphertext of one
 * recv, after it what was written is sent. So a session holds no buffer of ours, unless the peer
 * does not take what is sent (`unsent`, one record or a handshake's flight) or the caller had no
 * room for all that was decrypted (`behind`; no more is received than the caller has room for, so
 * it is rare and small).
 *
 * What always holds: between two calls the worker's input and output are empty; READABLE is set
 * while anything is left inside, be it bytes, the end or a failure, since no edge will tell of it.
 */
#include "net/tls.h"

#include "base/check.h"
#include "net/tls_context.h"
#include "net/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#define IN_LEAST_BYTES                                                                             \
    4096u /* also for a caller with less room: few calls, and little left behind */
#define RECORD_BYTES     16384u
#define BEHIND_MAX_BYTES (TLS_IN_BYTES + RECORD_BYTES)
#define UNSENT_MAX_BYTES TLS_OUT_BYTES
#define SILENT_MAX       32 /* records in a row without data: key updates, refused renegotiations */

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    struct buf behind;       /* ciphertext that OpenSSL has not been given yet */
    struct buf unsent;       /* ciphertext that the kernel has not taken yet */
    unsigned silent_records; /* since the last data */
    bool is_broken;          /* no read can go on, whatever OpenSSL would say when asked again */
    bool was_truncated;      /* the peer ended without close_notify (RFC 8446 section 6.1) */
};

/* Told of every record's header, both ways. */
static void count_record(int is_written, int version, int type, const void *at, size_t len,
                         SSL *ssl, void *argument)
{
    struct tls_session *session = argument;

    (void)version, (void)at, (void)len, (void)ssl;
    if (session && !is_written && type == SSL3_RT_HEADER)
        session->silent_records++;
}

/* --- a session's bytes --------------------------------------------------------------------------
 */

/* Points the worker's input at what was left behind, if anything was. */
static void give_input(struct tls_session *session)
{
    session->context->worker->in = buf_bytes(&session->behind);
}

/* What OpenSSL did not take stays with the session. `is_kept`: the input was session->behind. */
static int keep_input(struct tls_session *session, bool is_kept)
{
    struct bytes rest = session->context->worker->in;

    session->context->worker->in = (struct bytes){0};
    if (is_kept) {
        buf_consume(&session->behind, buf_bytes(&session->behind).len - rest.len);
        return 0;
    }
    return buf_append(&session->behind, rest);
}

/* Sends what OpenSSL has written; the kernel's rest stays with the session. 0 or what broke. */
static int send_output(struct stream *stream)
{
    struct tls_session *session = stream->tls;
    struct tls_worker *worker = session->context->worker;
    struct bytes out = {worker->out_memory, worker->out_len};

    worker->out_len = 0;
    if (out.len && buf_is_empty(&session->unsent)) {
        ssize_t sent = stream_write_raw(stream, out);
        if (sent < 0 && sent != -EAGAIN)
            return (int)sent;
        out = bytes_from(out, sent < 0 ? 0 : (size_t)sent);
    }
    return buf_append(&session->unsent, out);
}

enum drained { DRAINED_ALL, DRAINED_FULL, DRAINED_END, DRAINED_BROKEN };

/* Decrypts until there is no more input, or no more room. */
static enum drained drain(struct tls_session *session, uint8_t *at, size_t len, size_t *ret_got)
{
    size_t got = 0, piece = 0;

    ERR_clear_error();
    while (got < len && SSL_read_ex(session->ssl, at + got, len - got, &piece) == 1) {
        got += piece;
        session->silent_records = 0;
    }
    *ret_got = got;
    if (got == len)
        return DRAINED_FULL;
    switch (SSL_get_error(session->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return session->silent_records > SILENT_MAX ? DRAINED_BROKEN : DRAINED_ALL;
    case SSL_ERROR_ZERO_RETURN:
        return DRAINED_END;
    default:
        return DRAINED_BROKEN;
    }
}

/* Whether a further read finds something without the kernel having anything. */
static bool has_more_inside(const struct tls_session *session, enum drained result)
{
    return result == DRAINED_END || result == DRAINED_BROKEN || !buf_is_empty(&session->behind) ||
           (result == DRAINED_FULL && SSL_has_pending(session->ssl));
}

/* One round over input that is already there: bytes; 0: the end; -EAGAIN: read more; -EPROTO. */
static ssize_t drain_input(struct stream *stream, bool is_kept, uint8_t *at, size_t len)
{
    struct tls_session *session = stream->tls;
    size_t got;
    enum drained result = drain(session, at, len, &got);

    if (keep_input(session, is_kept) || send_output(stream))
        result = DRAINED_BROKEN;
    session->is_broken = result == DRAINED_BROKEN;
    if (has_more_inside(session, result))
        stream->source.ready |= READABLE;
    if (got)
        return (ssize_t)got;
    return result == DRAINED_END ? 0 : result == DRAINED_BROKEN ? -EPROTO : -EAGAIN;
}

/* No more ciphertext than there is room for plaintext, within bounds. */
static ssize_t receive(struct stream *stream, size_t room)
{
    struct tls_worker *worker = stream->tls->context->worker;
    size_t most = room < IN_LEAST_BYTES ? IN_LEAST_BYTES
                  : room > TLS_IN_BYTES ? TLS_IN_BYTES
                                        : room;
    ssize_t got = stream_read_raw(stream, worker->in_memory, most);

    if (got > 0)
        worker->in = (struct bytes){worker->in_memory, (size_t)got};
    return got;
}

ssize_t tls_session_read(struct stream *stream, void *at, size_t len)
{
    struct tls_session *session = stream->tls;

    if (len == 0)
        return -EAGAIN;
    if (session->is_broken)
        return -EPROTO;
    give_input(session);
    ssize_t result = drain_input(stream, true, at, len);
    while (result == -EAGAIN) {
        ssize_t raw = receive(stream, len);
        if (raw == 0)
            session->was_truncated = true;
        if (raw <= 0)
            return raw;
        result = drain_input(stream, false, at, len);
        if (result == -EAGAIN && !(stream->source.ready & READABLE))
            break;
    }
    return result;
}

ssize_t tls_session_write(struct stream *stream, struct bytes bytes)
{
    struct tls_session *session = stream->tls;
    size_t taken = 0, piece = 0;

    int error = tls_session_flush(stream);
    if (error)
        return error;
    ERR_clear_error();
    while (taken < bytes.len && buf_is_empty(&session->unsent)) {
        struct bytes record = bytes_slice(bytes, taken, taken + RECORD_BYTES);
        if (SSL_write_ex(session->ssl, record.at, record.len, &piece) != 1)
            return taken ? (ssize_t)taken : -EPIPE;
        taken += piece;
        error = send_output(stream);
        if (error)
            return error;
    }
    return (ssize_t)taken;
}

bool tls_session_has_unsent(const struct stream *stream)
{
    return !buf_is_empty(&stream->tls->unsent);
}

int tls_session_flush(struct stream *stream)
{
    struct buf *unsent = &stream->tls->unsent;

    while (!buf_is_empty(unsent)) {
        ssize_t sent = stream_write_raw(stream, buf_bytes(unsent));
        if (sent < 0)
            return (int)sent;
        buf_consume(unsent, (size_t)sent);
    }
    return 0;
}

void tls_session_end(struct stream *stream)
{
    struct tls_session *session = stream->tls;

    if (!SSL_is_init_finished(session->ssl) || SSL_get_shutdown(session->ssl) & SSL_SENT_SHUTDOWN)
        return;
    ERR_clear_error();
    SSL_shutdown(session->ssl);
    send_output(stream); /* best effort: the FIN says the same, unsigned */
}

void tls_session_free(struct stream *stream)
{
    struct tls_session *session = TAKE(stream->tls);

    SSL_free(session->ssl);
    tls_context_unref(session->context);
    buf_done(&session->behind);
    buf_done(&session->unsent);
    free(session);
}

void tls_session_close(struct stream *stream)
{
    tls_session_end(stream);
    tls_session_free(stream);
}

const char *stream_tls_version(const struct stream *stream)
{
    return stream->tls ? SSL_get_version(stream->tls->ssl) : "";
}

const char *stream_tls_name(const struct stream *stream)
{
    const char *name =
        stream->tls ? SSL_get_servername(stream->tls->ssl, TLSEXT_NAMETYPE_host_name) : NULL;

    return name ? name : "";
}

const char *stream_tls_cipher(const struct stream *stream)
{
    return stream->tls ? SSL_get_cipher_name(stream->tls->ssl) : "";
}

struct bytes stream_tls_alpn(const struct stream *stream)
{
    struct bytes alpn = {0};
    unsigned len = 0;

    if (stream->tls)
        SSL_get0_alpn_selected(stream->tls->ssl, &alpn.at, &len);
    alpn.len = len;
    return alpn;
}

bool stream_tls_was_truncated(const struct stream *stream)
{
    return stream->tls && stream->tls->was_truncated;
}

/* --- the handshake ------------------------------------------------------------------------------
 */

#define TLS_ACCEPT_STEPS(STEP)                                                                     \
    STEP(shake) /* until both sides have the keys */                                               \
    STEP(flush) /* until our last flight is in the kernel */
FLOW(tls_accept, TLS_ACCEPT_STEPS)

/* One round over the input: 1: done; 0: more is needed; -1: failed. */
static int accept_round(struct stream *stream, bool is_kept)
{
    struct tls_session *session = stream->tls;

    ERR_clear_error();
    int done = SSL_accept(session->ssl);
    int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(session->ssl, done);
    if (keep_input(session, is_kept) || send_output(stream))
        return -1;
    if (!buf_is_empty(&session->behind) || (done == 1 && SSL_has_pending(session->ssl)))
        stream->source.ready |= READABLE;
    session->silent_records = 0;
    return done == 1 ? 1 : error == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* Sends what is left of our flight; true while some is. A broken one is found by reading. */
static bool has_flight_left(struct stream *stream)
{
    return tls_session_flush(stream) == -EAGAIN;
}

static enum next shake(struct tls_accept *a)
{
    struct stream *stream = a->stream;
    int done = 0;

    if (!stream->tls)
        return flow_leave(&a->flow, REASON_NO_MEMORY);
    while (done == 0) {
        ssize_t raw = receive(stream, TLS_IN_BYTES);
        if (raw == -EAGAIN && has_flight_left(stream)) /* it cannot answer what it has not got */
            return flow_wait_either(&a->flow, &stream->source, READABLE, &stream->source, WRITABLE,
                                    WITHIN(a->limit_usec, REASON_TLS_TOO_SLOW));
        if (raw == -EAGAIN)
            return flow_wait_source(&a->flow, &stream->source, READABLE,
                                    WITHIN(a->limit_usec, REASON_TLS_TOO_SLOW));
        if (raw <= 0)
            return flow_leave(&a->flow, REASON_CLIENT_LEFT);
        done = accept_round(stream, false);
    }
    return done > 0 ? NEXT : flow_leave(&a->flow, REASON_TLS_FAILED);
}

static enum next flush(struct tls_accept *a)
{
    int error = tls_session_flush(a->stream);

    if (error == -EAGAIN)
        return flow_wait_source(&a->flow, &a->stream->source, WRITABLE,
                                WITHIN(a->limit_usec, REASON_TLS_TOO_SLOW));
    return flow_leave(&a->flow, error ? REASON_CLIENT_LEFT : REASON_DONE);
}

static void tls_accept_leave(struct tls_accept *a)
{
    if (a->flow.reason != REASON_DONE && a->stream->tls)
        tls_session_free(a->stream);
}

static struct tls_session *session_new(struct tls_context *context)
{
    struct tls_session *session = calloc(1, sizeof *session);
    SSL *ssl = SSL_new(context->ssl_ctx[0]);

    if (!session || !ssl) {
        free(session);
        SSL_free(ssl);
        return NULL;
    }
    session->ssl = ssl;
    session->context = tls_context_ref(context);
    SSL_set_msg_callback(ssl, count_record);
    SSL_set_msg_callback_arg(ssl, session);
    buf_init(&session->behind, BEHIND_MAX_BYTES);
    buf_init(&session->unsent, UNSENT_MAX_BYTES);
    BIO_up_ref(context->worker->bio);
    BIO_up_ref(context->worker->bio);
    SSL_set0_rbio(ssl, context->worker->bio);
    SSL_set0_wbio(ssl, context->worker->bio);
    SSL_set_accept_state(ssl);
    return session;
}

void tls_accept_start(struct tls_accept *accept, struct flow *parent, struct stream *stream,
                      struct tls_context *context, uint64_t limit_usec)
{
    accept->stream = stream;
    accept->limit_usec = limit_usec;
    stream->tls = session_new(context);
    flow_start(&accept->flow, &tls_accept_kind, parent->runner, parent);
    flow_adopt(&accept->flow, &stream->source, REASON_DONE);
}

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
#include "net/tls_priv.h"
#include "sys/sys.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_BYTES 65536u
#define IN_LEAST_BYTES                                                                             \
    4096u /* also for a caller with less room: few calls, and little left behind */
#define OUT_BYTES        131072u /* a handshake's flight with a long chain */
#define RECORD_BYTES     16384u
#define BEHIND_MAX_BYTES (IN_BYTES + RECORD_BYTES)
#define UNSENT_MAX_BYTES OUT_BYTES
#define SILENT_MAX       32 /* records in a row without data: key updates, refused renegotiations */

static const unsigned char session_id_context[] = "turnout";

struct tls_worker {
    atomic_uint references; /* contexts outlive their worker while a snapshot holds them */
    OSSL_LIB_CTX *library;
    BIO_METHOD *method;
    BIO *bio;
    struct bytes in; /* what the BIO reads from */
    size_t out_len;  /* what it has written */
    uint8_t in_memory[IN_BYTES];
    uint8_t out_memory[OUT_BYTES];
};

struct tls_context {
    atomic_uint references;
    struct tls_worker *worker;
    size_t count;
    SSL_CTX *ssl_ctx[]; /* one per certificate; the first is the default */
};

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    struct buf behind;       /* ciphertext that OpenSSL has not been given yet */
    struct buf unsent;       /* ciphertext that the kernel has not taken yet */
    unsigned silent_records; /* since the last data */
    bool is_broken;          /* no read can go on, whatever OpenSSL would say when asked again */
    bool was_truncated;      /* the peer ended without close_notify (RFC 8446 section 6.1) */
};

/* --- the worker's BIO --------------------------------------------------------------------------
 */

static int bio_read(BIO *bio, char *at, int len)
{
    struct tls_worker *worker = BIO_get_data(bio);
    size_t take = worker->in.len < (size_t)len ? worker->in.len : (size_t)len;

    BIO_clear_retry_flags(bio);
    if (take == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(at, worker->in.at, take);
    worker->in = bytes_from(worker->in, take);
    return (int)take;
}

static int bio_write(BIO *bio, const char *at, int len)
{
    struct tls_worker *worker = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if ((size_t)len > OUT_BYTES - worker->out_len)
        return -1; /* more than any handshake may send: the session fails */
    memcpy(worker->out_memory + worker->out_len, at, (size_t)len);
    worker->out_len += (size_t)len;
    return len;
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
}

static int make_bio(struct tls_worker *worker)
{
    worker->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "turnout");
    if (!worker->method)
        return -ENOMEM;
    BIO_meth_set_read(worker->method, bio_read);
    BIO_meth_set_write(worker->method, bio_write);
    BIO_meth_set_ctrl(worker->method, bio_control);
    worker->bio = BIO_new(worker->method);
    if (!worker->bio)
        return -ENOMEM;
    BIO_set_data(worker->bio, worker);
    BIO_set_init(worker->bio, 1);
    return 0;
}

int tls_worker_new(struct tls_worker **ret_worker)
{
    struct tls_worker *worker = calloc(1, sizeof *worker);

    if (!worker)
        return -ENOMEM;
    atomic_init(&worker->references, 1);
    worker->library = OSSL_LIB_CTX_new();
    if (!worker->library || make_bio(worker)) {
        tls_worker_free(worker);
        return -ENOMEM;
    }
    *ret_worker = worker;
    return 0;
}

struct tls_worker *tls_worker_free(struct tls_worker *worker)
{
    if (!worker || atomic_fetch_sub(&worker->references, 1) != 1)
        return NULL;
    BIO_free(worker->bio);
    BIO_meth_free(worker->method);
    OSSL_LIB_CTX_free(worker->library);
    free(worker);
    return NULL;
}

/* --- contexts ----------------------------------------------------------------------------------
 */

int tls_tickets_make(struct tls_tickets *ret_tickets)
{
    return sys_secret(ret_tickets->key, sizeof ret_tickets->key) ? -EIO : 0;
}

/* What is wrong, with OpenSSL's reason where it says more. */
static int complain(char words[256], const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(words, 256, "%s%s%s%s", what, reason ? " (" : "", reason ? reason : "",
             reason ? ")" : "");
    ERR_clear_error();
    return -EINVAL;
}

static int no_password(char *at, int size, int is_writing, void *nothing)
{
    (void)at, (void)size, (void)is_writing, (void)nothing;
    return -1;
}

static BIO *memory_of(struct bytes text)
{
    return BIO_new_mem_buf(text.at ? (const void *)text.at : "", (int)text.len);
}

static X509 *next_certificate(struct tls_worker *worker, BIO *bio)
{
    X509 *certificate = X509_new_ex(worker->library, NULL);

    if (certificate && PEM_read_bio_X509(bio, &certificate, no_password, NULL))
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* Whether reading stopped because there is no further PEM block, and not at one that is damaged. */
static bool is_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* The first certificate of the text is the server's, the others are its chain. */
static int use_certificates(struct tls_worker *worker, SSL_CTX *ctx, BIO *bio, char words[256])
{
    X509 *certificate = next_certificate(worker, bio);

    if (!certificate)
        return complain(words, is_end_of_pem() ? "the certificate file holds no PEM certificate"
                                               : "the certificate is damaged");
    int is_good = SSL_CTX_use_certificate(ctx, certificate);
    X509_free(certificate);
    if (is_good != 1)
        return complain(words, "the certificate cannot be used");
    while ((certificate = next_certificate(worker, bio))) {
        if (SSL_CTX_add0_chain_cert(ctx, certificate) == 1)
            continue;
        X509_free(certificate);
        return complain(words, "a certificate of the chain cannot be used");
    }
    return is_end_of_pem() ? 0 : complain(words, "a certificate of the chain is damaged");
}

static int use_chain(struct tls_worker *worker, SSL_CTX *ctx, struct bytes text, char words[256])
{
    BIO *bio = memory_of(text);

    if (!bio)
        return -ENOMEM;
    ERR_clear_error();
    int error = use_certificates(worker, ctx, bio, words);
    BIO_free(bio);
    ERR_clear_error();
    return error;
}

static int use_key(struct tls_worker *worker, SSL_CTX *ctx, struct bytes text, char words[256])
{
    BIO *bio = memory_of(text);
    EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey_ex(bio, NULL, no_password, NULL, worker->library, NULL)
            : NULL;
    bool is_encrypted = text.at && bytes_find(text, bytes_of("ENCRYPTED"), 0) < text.len;

    BIO_free(bio);
    if (!key)
        return complain(
            words, is_encrypted ? "the key is encrypted with a password; write it out without one"
                                : "the key file holds no PEM private key");
    int is_good = SSL_CTX_use_PrivateKey(ctx, key);
    EVP_PKEY_free(key);
    if (is_good != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return complain(words, "the key does not belong to the certificate");
    return 0;
}

/* We speak HTTP/1.1 and nothing else; who offers only other protocols is served without a word. */
static int choose_alpn(SSL *ssl, const unsigned char **ret_at, unsigned char *ret_len,
                       const unsigned char *offered, unsigned offered_len, void *nothing)
{
    static const unsigned char ours[] = "\x08http/1.1";

    (void)ssl, (void)nothing;
    for (unsigned at = 0; at < offered_len; at += 1u + offered[at])
        if (offered[at] == ours[0] && offered_len - at >= sizeof ours - 1 &&
            memcmp(offered + at, ours, sizeof ours - 1) == 0) {
            *ret_at = offered + at + 1;
            *ret_len = ours[0];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

/* The certificate whose names cover the one that the client asks for; else the first. */
static int choose_certificate(SSL *ssl, int *ret_alert, void *argument)
{
    const struct tls_context *context = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)ret_alert;
    for (size_t i = 0; name && i < context->count; i++) {
        X509 *certificate = SSL_CTX_get0_certificate(context->ssl_ctx[i]);
        if (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
            continue;
        SSL_set_SSL_CTX(ssl, context->ssl_ctx[i]);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Told of every record's header, both ways. */
static void count_record(int is_written, int version, int type, const void *at, size_t len,
                         SSL *ssl, void *argument)
{
    struct tls_session *session = argument;

    (void)version, (void)at, (void)len, (void)ssl;
    if (session && !is_written && type == SSL3_RT_HEADER)
        session->silent_records++;
}

static int set_up(SSL_CTX *ctx, struct tls_context *context, const struct tls_tickets *tickets)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_session_id_context(ctx, session_id_context, sizeof session_id_context - 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ctx, context);
    SSL_CTX_set_msg_callback(ctx, count_record);
    bool is_good =
        SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                     "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
        SSL_CTX_set_ciphersuites(
            ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") ==
            1 &&
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1;
    if (is_good && tickets) {
        uint8_t key[sizeof tickets->key]; /* the call wants it not const */
        memcpy(key, tickets->key, sizeof key);
        is_good = SSL_CTX_set_tlsext_ticket_keys(ctx, key, sizeof key) == 1;
        OPENSSL_cleanse(key, sizeof key);
    }
    return is_good ? 0 : -ENOMEM;
}

static int add_certificate(struct tls_context *context, const struct tls_certificate *certificate,
                           const struct tls_tickets *tickets, char words[256])
{
    SSL_CTX *ctx = SSL_CTX_new_ex(context->worker->library, NULL, TLS_server_method());

    if (!ctx)
        return -ENOMEM;
    context->ssl_ctx[context->count++] = ctx;
    ERR_clear_error();
    int error = set_up(ctx, context, tickets);
    if (!error)
        error = use_chain(context->worker, ctx, certificate->certificate, words);
    return error ? error : use_key(context->worker, ctx, certificate->key, words);
}

int tls_context_new(struct tls_worker *worker, const struct tls_certificate *certificates,
                    size_t count, const struct tls_tickets *tickets,
                    struct tls_context **ret_context, size_t *ret_which, char ret_words[256])
{
    struct tls_context *context = calloc(1, sizeof *context + count * sizeof(SSL_CTX *));

    if (!context)
        return -ENOMEM;
    atomic_init(&context->references, 1);
    context->worker = worker;
    atomic_fetch_add(&worker->references, 1);
    for (size_t i = 0; i < count; i++) {
        int error = add_certificate(context, &certificates[i], tickets, ret_words);
        if (!error)
            continue;
        *ret_which = i;
        tls_context_unref(context);
        return error;
    }
    *ret_context = context;
    return 0;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

struct tls_context *tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub(&context->references, 1) != 1)
        return NULL;
    for (size_t i = 0; i < context->count; i++)
        SSL_CTX_free(context->ssl_ctx[i]);
    tls_worker_free(context->worker);
    free(context);
    return NULL;
}

/* --- a session's bytes -------------------------------------------------------------------------
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
    size_t most = room < IN_LEAST_BYTES ? IN_LEAST_BYTES : room > IN_BYTES ? IN_BYTES : room;
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

/* --- the handshake -----------------------------------------------------------------------------
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
        ssize_t raw = receive(stream, IN_BYTES);
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

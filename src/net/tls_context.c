/* What TLS sessions share: a worker's library context and BIO, and a listener's certificates. */
#include "net/tls_context.h"

#include "sys/sys.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static const unsigned char session_id_context[] = "turnout";

/* --- the worker's BIO ---------------------------------------------------------------------------
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
    if ((size_t)len > TLS_OUT_BYTES - worker->out_len)
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

/* --- contexts -----------------------------------------------------------------------------------
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

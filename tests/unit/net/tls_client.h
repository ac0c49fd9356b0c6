/* OpenSSL's own client, its bytes carried by hand to and from a fake descriptor, and certificates
 * made for the occasion. */
#pragma once

#include "net/tls.h"
#include "parent.h"
#include "sys/sys.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define FD 3

/* --- certificates
 * ------------------------------------------------------------------------------------ */

struct identity {
    struct tls_certificate pem; /* owned */
};

static inline struct bytes text_of(BIO *take_bio)
{
    char *at;
    size_t len = (size_t)BIO_get_mem_data(take_bio, &at);
    uint8_t *copy = malloc(len);

    EXPECT(copy && len);
    memcpy(copy, at, len);
    BIO_free(take_bio);
    return (struct bytes){copy, len};
}

/* Self-signed. `names`: "DNS:a.example,DNS:*.b.example". `password`: NULL: the key is written
 * plainly. */
static inline struct identity identity_new(const char *names, const char *password)
{
    struct identity identity;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    BIO *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = password ? EVP_aes_128_cbc() : NULL;

    EXPECT(key && x && extension && certificate_bio && key_bio);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_version(x, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "O", MBSTRING_ASC, (const uint8_t *)names,
                               -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    EXPECT(X509_add_ext(x, extension, -1) == 1);
    EXPECT(X509_sign(x, key, EVP_sha256()) > 0);
    EXPECT(PEM_write_bio_X509(certificate_bio, x) == 1);
    EXPECT(PEM_write_bio_PKCS8PrivateKey(key_bio, key, cipher, password,
                                         password ? (int)strlen(password) : 0, NULL, NULL) == 1);
    identity.pem = (struct tls_certificate){text_of(certificate_bio), text_of(key_bio)};
    X509_EXTENSION_free(extension);
    X509_free(x);
    EVP_PKEY_free(key);
    return identity;
}

static inline void identity_free(struct identity *identity)
{
    free((void *)(uintptr_t)identity->pem.certificate.at);
    free((void *)(uintptr_t)identity->pem.key.at);
}

/* --- one connection
 * ---------------------------------------------------------------------------------- */

static struct stream stream;
static struct tls_accept accept_flow;
static SSL_CTX *client_ctx;
static SSL *client;
static SSL_SESSION *ticket; /* the last one that a client was given */
static size_t cut;          /* so many bytes reach the server at once */
static size_t room;         /* so many bytes does its kernel take until the client has read them */

static inline int on_ticket(SSL *ssl, SSL_SESSION *take_session)
{
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = take_session;
    return 1;
}

/* The server's side up, its handshake waiting; the client made but silent. */
static inline void connection_begin(struct tls_context *context, int version)
{
    cut = SIZE_MAX;
    room = FAKE_BYTES;
    client_ctx = SSL_CTX_new(TLS_client_method());
    EXPECT(client_ctx != NULL);
    SSL_CTX_set_max_proto_version(client_ctx, version);
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client_ctx, on_ticket);
    client = SSL_new(client_ctx);
    EXPECT(client != NULL);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);

    memset(&fake_fd[FD], 0, sizeof fake_fd[FD]);
    fake_fd[FD].out_room = room;
    stream = (struct stream){0};
    accept_flow = (struct tls_accept){0};
    EXPECT(stream_open(&stream, &parent_worker.runner.loop, FD) == 0);
    tls_accept_start(&accept_flow, parent, &stream, context, 10000000);
    parent_turn();
}

static inline void connection_end(void)
{
    flow_stop(&accept_flow.flow, REASON_STOPPING);
    stream_close(&stream);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    client = NULL;
    client_ctx = NULL;
}

/* Carries bytes from the client to the server, at most a cut of them; false when there were none.
 */
static inline bool carry_to_server(void)
{
    static uint8_t piece[FAKE_BYTES];
    size_t space = sizeof fake_fd[FD].in - fake_fd[FD].in_len;
    size_t most = cut < space ? cut : space;
    int got = BIO_read(SSL_get_wbio(client), piece, (int)most);

    if (got > 0)
        fake_feed(FD, piece, (size_t)got);
    return got > 0;
}

static inline bool carry_to_client(void)
{
    struct fake_fd *f = &fake_fd[FD];
    bool had_any = f->out_len > 0;

    if (had_any)
        EXPECT(BIO_write(SSL_get_rbio(client), f->out, (int)f->out_len) == (int)f->out_len);
    f->out_len = 0;
    f->out_room = room;
    if (had_any)
        fake_event(FD, EPOLLOUT);
    return had_any;
}

/* Until the server's handshake is over and the client's, too, or no byte moves any more. */
static inline void shake_hands(void)
{
    bool moved = true;

    while (moved) {
        SSL_do_handshake(client);
        moved = carry_to_server();
        parent_turn();
        moved |= carry_to_client();
    }
    parent_turn();
    if (flow_is_over(&accept_flow.flow))
        stream.source.on_ready = NULL; /* from here on the test reads by hand */
}

static inline bool has_shaken(void)
{
    return flow_is_over(&accept_flow.flow) && accept_flow.flow.reason == REASON_DONE &&
           SSL_is_init_finished(client);
}

static inline void connect_to(struct tls_context *context, int version)
{
    connection_begin(context, version);
    shake_hands();
    EXPECT(has_shaken());
}

/* TLS of a listener that terminates it: OpenSSL 3 behind one file.
 *
 * Per worker one library context (3.0's contention sits there), one BIO and the record buffers; per
 * worker and listener one SSL_CTX; per connection one tls_session. Settings follow what was
 * measured: SSL_MODE_RELEASE_BUFFERS, no session cache, one ticket, X25519 and AES-128-GCM first,
 * no renegotiation, no compression, TLS 1.2 and 1.3. */
#pragma once

#include "loop/flow.h"
#include "net/stream.h"

/* One per worker; lives as long as the worker. */
struct tls_worker;
int tls_worker_new(struct tls_worker **ret_worker); /* 0 or -ENOMEM */
struct tls_worker *tls_worker_free(struct tls_worker *worker);

/* Alike in all workers and across reloads, so that any of them resumes any session. */
struct tls_tickets {
    uint8_t key[80];
};
int tls_tickets_make(struct tls_tickets *ret_tickets); /* random; 0 or -EIO */

/* PEM texts: certificate with its chain, and its key. */
struct tls_certificate {
    struct bytes certificate, key;
};

/* A listener's certificates, for one worker; counted, because sessions outlive a reload. The first
 * certificate serves clients whose SNI matches none (or that send none). Names come from the
 * certificates' subjectAltName, with one leading wildcard label. On failure -EINVAL, *ret_which is
 * the certificate at fault and ret_words (256 bytes) says what is wrong with it in words. */
struct tls_context;
int tls_context_new(struct tls_worker *worker, const struct tls_certificate *certificates,
                    size_t count, const struct tls_tickets *tickets,
                    struct tls_context **ret_context, size_t *ret_which, char ret_words[256]);
struct tls_context *tls_context_ref(struct tls_context *context);
struct tls_context *tls_context_unref(struct tls_context *context); /* accepts NULL, returns NULL */

/* The handshake, as a child flow: DONE (then stream->tls is set and the stream speaks plaintext),
 * TLS_FAILED, TLS_TOO_SLOW, CLIENT_LEFT or NO_MEMORY. */
struct tls_accept {
    struct flow flow;
    struct stream *stream;
    uint64_t limit_usec;
};
void tls_accept_start(struct tls_accept *accept, struct flow *parent, struct stream *stream,
                      struct tls_context *context, uint64_t limit_usec);

/* For log and admin: "TLSv1.3", and the SNI that the client named ("" when none); "" when plain. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_name(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream); /* "TLS_AES_128_GCM_SHA256"; "" */
struct bytes stream_tls_alpn(const struct stream *stream);  /* what was agreed on; empty: nothing */
bool stream_tls_was_truncated(const struct stream *stream); /* it ended without close_notify */

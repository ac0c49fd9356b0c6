/* Between tls_context.c and tls.c only: what sessions share. */
#pragma once

#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

#define TLS_IN_BYTES  65536u
#define TLS_OUT_BYTES 131072u /* a handshake's flight with a long chain */

struct tls_worker {
    atomic_uint references; /* contexts outlive their worker while a snapshot holds them */
    OSSL_LIB_CTX *library;
    BIO_METHOD *method;
    BIO *bio;
    struct bytes in; /* what the BIO reads from */
    size_t out_len;  /* what it has written */
    uint8_t in_memory[TLS_IN_BYTES];
    uint8_t out_memory[TLS_OUT_BYTES];
};

struct tls_context {
    atomic_uint references;
    struct tls_worker *worker;
    size_t count;
    SSL_CTX *ssl_ctx[]; /* one per certificate; the first is the default */
};

/* A worker with a context, a connection between OpenSSL's client and a stream, and what goes over
 * it. */
#pragma once

#include "tls_client.h"

#define BIG_BYTES 300000u

static struct tls_worker *worker;
static struct tls_tickets tickets;
static struct tls_context *context;
static uint8_t sent_bytes[BIG_BYTES], got_bytes[BIG_BYTES + 1];

static inline struct tls_context *
context_of(struct tls_worker *of, const struct tls_certificate *certificates, size_t count)
{
    struct tls_context *made = NULL;
    char words[256] = "";
    size_t which;

    EXPECT(tls_context_new(of, certificates, count, &tickets, &made, &which, words) == 0);
    return made;
}

static inline void begin(void)
{
    struct identity identity = identity_new("DNS:a.example", NULL);
    uint32_t x = 1;

    parent_begin();
    EXPECT(tls_worker_new(&worker) == 0);
    EXPECT(tls_tickets_make(&tickets) == 0);
    context = context_of(worker, &identity.pem, 1);
    identity_free(&identity);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        x = x * 1664525u + 1013904223u;
        sent_bytes[i] = (uint8_t)(x >> 24);
    }
}

static inline void end(void)
{
    context = tls_context_unref(context);
    worker = tls_worker_free(worker);
    SSL_SESSION_free(ticket);
    ticket = NULL;
    parent_end();
}

/* Reads while the source says so, `most` bytes at a time: what the stream's promise allows. The
 * last result. */
static inline ssize_t read_what_is_told(size_t most, size_t *got)
{
    ssize_t result = -EAGAIN;

    EXPECT(loop_look(&parent_worker.runner.loop) == 0);
    while (stream.source.ready & READABLE && *got <= BIG_BYTES) {
        size_t left = sizeof got_bytes - *got;
        result = stream_read(&stream, got_bytes + *got, most < left ? most : left);
        if (result <= 0 && result != -EAGAIN)
            return result;
        if (result > 0)
            *got += (size_t)result;
    }
    return result;
}

static inline void client_writes(const void *at, size_t len)
{
    EXPECT(SSL_write(client, at, (int)len) == (int)len);
}

static inline bool client_reads(const char *text)
{
    char at[256];
    int got;

    carry_to_client();
    got = SSL_read(client, at, sizeof at);
    return got == (int)strlen(text) && memcmp(at, text, (size_t)got) == 0;
}

static inline bool server_reads(const char *text)
{
    size_t got = 0;

    carry_to_server();
    read_what_is_told(sizeof got_bytes, &got);
    return got == strlen(text) && memcmp(got_bytes, text, got) == 0;
}

/* --- handshakes
 * -------------------------------------------------------------------------------------- */

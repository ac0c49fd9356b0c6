/* The other end of turnout-load: one process, one epoll loop, streaming everything, so that a
 * message of any size costs no memory and an idle guest holds no buffer. */
#pragma once

#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IN_BYTES      (256u * 1024u)
#define HELD_MAX      8192u /* an unfinished head or header */
#define BACKLOG_MAX   (64u * 1024u * 1024u)
#define TURN_BYTES    (1024u * 1024u)
#define READS_AT_ONCE 8u
#define ACK_BYTES     (1024u * 1024u)
#define PUBLISHED_MAX 65536u

enum trade { FRESH, HTTP_BODY, ECHO, SINK, SOURCE, SUBSCRIBER, PUBLISHER, ENDING };

struct serve_options {
    bool is_tcp, checks_all;
    unsigned long lose, damage, cut, refuse; /* every so many-th message; 0: none */
};

struct guest {
    int fd;
    uint8_t trade;
    bool is_ws, has_said_fin, is_last, swallows, is_sink_body;
    uint8_t opcode, mask[4];
    uint8_t *held, *backlog;
    size_t held_len, backlog_len, backlog_at;
    uint64_t left;     /* of a frame's payload, a body or a record */
    uint64_t position; /* in it */
    uint64_t size;     /* of records, of what a source sends */
    uint32_t messages;
    uint64_t bytes, acked;
    struct check in;
    struct message out;        /* a source's; a large answer */
    struct guest *next, *prev; /* subscribers */
};

struct server {
    struct serve_options options;
    int epoll_fd, listen_fd;
    struct tables *tables;
    uint8_t *in;
    uint8_t *out; /* what this turn says to one guest */
    size_t out_len, out_size;
    struct guest *subscribers;
    uint8_t *published;
    size_t published_len;
    unsigned long count; /* of messages, for the faults */
};

int serve_main(int argc, char **argv);

/* What serve_http.c and serve_ws.c make of input: bytes used; what is left is an unfinished head
 * and comes again. Negative: the guest is to be closed. */
ptrdiff_t http_serve(struct server *s, struct guest *g, uint8_t *at, size_t len);
ptrdiff_t frames_serve(struct server *s, struct guest *g, uint8_t *at, size_t len);
ptrdiff_t records_serve(struct server *s, struct guest *g, uint8_t *at, size_t len);

/* Room for so many more bytes to say; NULL: no memory. Moves out_len. */
uint8_t *say(struct server *s, size_t len);
int say_bytes(struct server *s, const void *at, size_t len);

/* To a guest whose turn it is not. Negative: it is to be closed. */
int tell(struct server *s, struct guest *g, const void *at, size_t len);

/* SINK: checks the payload; an acknowledgement is due when this says 1, negative: wrong. */
int sink_take(struct server *s, struct guest *g, const uint8_t *at, size_t len);
int sink_end(struct guest *g);
int sink_acknowledge(struct server *s, struct guest *g);
void source_next(struct server *s, struct guest *g);
void guest_end(struct guest *g); /* FIN when all is said; then patience */

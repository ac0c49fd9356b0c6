/* Where somebody listens, by address, socket or name; and getting there, as a child flow: a name is
 * looked up each time, and its addresses are tried one after another. */
#pragma once

#include "loop/worker.h"
#include "net/dial.h"
#include "net/resolver.h"

#define PLACE_NAME_MAX      254
#define PLACE_ADDRESSES_MAX 4 /* of one name, that are tried */

struct redis_place {
    struct endpoint endpoint;
    char name[PLACE_NAME_MAX]; /* "": the endpoint counts */
    uint16_t port;
};

/* "host", "host:port", "[::1]:port"; the host in numbers or a name. False: neither. */
bool redis_place_parse(struct bytes text, uint16_t port, struct redis_place *ret_place);

/* Ends for DONE: the stream is open; else the stream is closed, and `words` say why. */
struct place_visit {
    struct flow flow;
    struct redis_place place;
    uint64_t limit_usec; /* for all of it */
    struct stream *stream;
    const char *words;
    /* its own */
    uint64_t until_usec;
    struct resolver *resolver;
    struct question *question;
    struct address address[PLACE_ADDRESSES_MAX];
    unsigned count, next;
    bool is_answered;
    struct dial dial;
};

void place_visit_start(struct place_visit *visit, struct flow *parent,
                       const struct redis_place *place, uint64_t limit_usec,
                       struct stream *ret_stream);

/* Who came before goes there again: the part of a request's way that knows connections, servers and
 * where sessions are remembered. What is decided is session/sticky.h's; used inside the flows' own
 * steps. */
#pragma once

#include "proxy/reach.h"
#include "session/sticky_table.h"
#include "session/sticky_token.h"
#include "session/store.h"

#define RECALL_SID_BYTES 1024u /* of an answer's payload, in which Engine.IO says its number */

/* The conversation with the route's store; on the heap, for what it asks is looked at until it is
 * over. */
struct recall_store {
    struct store_ask ask;
    char key[STICKY_KEY_TEXT_BYTES];
};

struct recall {
    struct sticky_key session;
    struct recall_store *store; /* NULL: nothing was asked */
    const struct reach *reach;  /* borrowed, from recall_look on */
    uint64_t wanted_id;
    struct address was;  /* the session's server, as it was remembered */
    uint64_t issued_sec; /* of the cookie */
    uint64_t again_usec; /* when the store is asked once more; 0: it is not */
    uint8_t tries;
    bool has_session, has_was;
    bool is_astray; /* its pool is drained: another one is asked */
    bool is_drawn;  /* the session's name is new, so no store knows it */
    bool is_found;  /* the store was asked for it, or need not be */
    bool is_stored; /* and knows its server */
    bool is_store_ill;
    bool is_told;      /* the store has been told, or need not be */
    bool is_rewritten; /* what the server is told depends on who it is */
    bool must_set;     /* the cookie says another server than the store */
    bool listens;      /* the answer's body tells the session's number */
    bool is_settled;
    uint8_t outcome; /* enum sticky_outcome */
};

/* The beginning of an answer's body, in passing. */
struct recall_ear {
    struct http1_body body;
    uint16_t len;
    uint8_t payload[RECALL_SID_BYTES];
};

/* What the request says; chooses among the route's pools where a session is at home in one of them.
 * c's route and share are set. */
void recall_begin(struct recall *recall, struct connection *c, const struct sticky_ask *ask);
void recall_done(struct recall *recall); /* harmless without recall_begin, on zeroes, and twice */
/* For the step recall, after reach_begin: which server is wanted. Waits for the route's store;
 * fails when that does and is `closed`. NEXT: c's share may be another one. */
enum next recall_look(struct recall *recall, struct connection *c, struct reach *reach);

/* Appends the lines that tell the server of the session, which depend on c->chosen. 0, -ENOMEM or
 * -EMSGSIZE. */
int recall_write_request(const struct recall *recall, const struct connection *c,
                         struct buf *lines);
/* c->chosen has answered (NULL: nothing that can be read): what became of the request is counted,
 * and what is new is remembered. Waits until the route's store knows it, and may fail as
 * recall_look; to be asked again until it is NEXT. */
enum next recall_remember(struct recall *recall, struct connection *c,
                          const struct http1_head *answer);
/* Appends the line that sets the cookie, where it has to be set. 0, -ENOMEM or -EMSGSIZE. */
int recall_write_answer(const struct recall *recall, const struct connection *c, bool is_https,
                        struct buf *lines);

/* Hears a part of the answer's body. False: no more is needed. */
bool recall_hear(struct recall_ear *ear, const struct connection *c, struct bytes part);

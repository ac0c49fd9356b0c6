/* Who came before goes there again: the part of a request's way that knows connections, servers and
 * where sessions are remembered. What is decided is session/sticky.h's; used inside the flows' own
 * steps. */
#pragma once

#include "proxy/reach.h"
#include "session/sticky_table.h"
#include "session/sticky_token.h"

#define RECALL_SID_BYTES 1024u /* of an answer's payload, in which Engine.IO says its number */

struct recall {
    struct sticky_key session;
    struct address was;  /* the session's server, as it was remembered */
    uint64_t issued_sec; /* of the cookie */
    bool has_session, has_was;
    bool is_astray; /* its pool is drained: another one is asked */
    bool listens; /* the answer's body tells the session's number */
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
/* For the step recall, after reach_begin: which server is wanted. */
enum next recall_look(struct recall *recall, struct connection *c, struct reach *reach);

/* c->chosen has answered: what became of the request is counted, once. */
void recall_settle(struct recall *recall, struct connection *c);
/* What its answer teaches; NULL: there is none to be read (passthrough). After recall_settle. */
void recall_learn(const struct recall *recall, const struct connection *c,
                  const struct http1_head *answer);
/* Appends the line that sets the cookie, where it has to be set. 0, -ENOMEM or -EMSGSIZE. */
int recall_write_answer(const struct recall *recall, const struct connection *c, bool is_https,
                        struct buf *lines);

/* Hears a part of the answer's body. False: no more is needed. */
bool recall_hear(struct recall_ear *ear, const struct connection *c, struct bytes part);

/* Who came before goes there again: what a request says of it, what is made of that, and what its
 * answer teaches. Pure decisions: where it is remembered is a cookie of ours (sticky_token.h), a
 * table (sticky_table.h) or a store. */
#pragma once

#include "base/buf.h"
#include "codec/http1.h"
#include "conf/settings.h"
#include "net/address.h"
#include "pool/pool.h"

#define STICKY_KEY_BYTES  16
#define STICKY_VALUE_MAX  1024 /* bytes of a value that can name a session */
#define STICKY_VALUES_MAX 4    /* cookies of one name that are looked at */

/* How a session is called everywhere: drawn at random where the cookie is ours, else a digest of
 * the value that names it, so that nothing that a client holds is shown or stored. */
struct sticky_key {
    uint8_t at[STICKY_KEY_BYTES];
};
#define STICKY_KEY_TEXT_BYTES (2 * STICKY_KEY_BYTES + 1)
const char *sticky_key_write(const struct sticky_key *key, char text[STICKY_KEY_TEXT_BYTES]);

/* What became of a request on a sticky route: one word in the log, in counters and for admin. */
#define STICKY_OUTCOMES(OUTCOME)                                                                   \
    OUTCOME(none, "nothing in it can name a session, or its route is not sticky")                  \
    OUTCOME(new, "it named no session: any server")                                                \
    OUTCOME(given, "it named a session that nobody knows: any server")                             \
    OUTCOME(valid, "it went to its session's server")                                              \
    OUTCOME(invalid, "its cookie is not one of ours, or was changed: any server")                  \
    OUTCOME(server_down, "its session's server is down, gone or did not answer: another one")      \
    OUTCOME(reassigned, "its session's server is drained, full or outside its shard: another one")

enum sticky_outcome {
#define OUTCOME(name, words) OUTCOME_##name,
    STICKY_OUTCOMES(OUTCOME)
#undef OUTCOME
        OUTCOME_COUNT
};
const char *sticky_outcome_name(enum sticky_outcome outcome);
const char *sticky_outcome_words(enum sticky_outcome outcome);

/* A route's `sticky`, compiled. Borrowed from its settings and its first pool. */
struct sticky {
    const struct sticky_settings *settings;
    struct bytes name; /* of the cookie, the parameter or the field; empty: of none */
    bool is_cookie;    /* that name: else the query's or a field's */
    const char *scope; /* the first pool's name: routes of one pool know the same sessions */
};
/* Kind STICKY_NONE leaves it zeroed: settings NULL. */
void sticky_init(struct sticky *sticky, const struct sticky_settings *settings, const char *scope);

/* --- what a request says ------------------------------------------------------------------------
 */

struct sticky_ask {
    const struct http1_head *request; /* NULL: none was read (passthrough) */
    struct bytes query;               /* without '?' */
    struct ip client;
};

/* The values that may name its session, one after the other; .at NULL: no more. Empty ones are
 * none. `memory` holds a source's, and must live as long as the value. */
struct bytes sticky_value(const struct sticky *sticky, const struct sticky_ask *ask, unsigned nth,
                          struct ip *memory);
/* 0; -EMSGSIZE for a value beyond STICKY_VALUE_MAX; or -ENOMEM. */
int sticky_key_of(const struct sticky *sticky, struct bytes value, struct sticky_key *ret_key);

/* The network that stands for a client: that many bits of an IPv4 address, twice as many of an IPv6
 * one. */
struct ip sticky_source(const struct ip *client, unsigned bits);

/* --- what is made of it -------------------------------------------------------------------------
 */

/* Whether a session's server can serve it: OUTCOME_valid; else which of OUTCOME_server_down and
 * OUTCOME_reassigned it is. *ret_server is borrowed from the members; NULL: it is none of them. */
enum sticky_outcome sticky_judge_server(const struct members *members,
                                        const struct address *address, uint64_t now_usec,
                                        struct server **ret_server);
/* Once a server has answered: `before` is what was thought when it was chosen; `was_tried`: its
 * session's server was asked first. */
enum sticky_outcome sticky_settle(enum sticky_outcome before, bool is_home, bool was_tried);
/* A cookie of that age is set again once half of its life is over. */
bool sticky_is_due(const struct sticky_settings *settings, uint64_t issued_sec, uint64_t now_sec);

/* Appends the whole Set-Cookie line. 0, -ENOMEM or -EMSGSIZE. */
int sticky_write_cookie(const struct sticky_settings *settings, const char *value, bool is_https,
                        struct buf *to);

/* --- what an answer teaches ---------------------------------------------------------------------
 */

/* STICKY_LEARN: the value that the server gives out with this answer; empty: none. */
struct bytes sticky_taught(const struct sticky *sticky, const struct http1_head *answer);

/* STICKY_SOCKET_IO: whether this request begins a session, whose number the answer's body tells. */
bool sticky_begins_socket_io(const struct sticky *sticky, const struct sticky_ask *ask);
/* The number in the payload of an Engine.IO handshake (protocol 3 and 4, also as JSONP), as far as
 * it has come; empty: not (yet) there. */
struct bytes sticky_socket_io_sid(struct bytes payload);

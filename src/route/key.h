/* What `hash`, `shard.key` and `sticky.learn` name: one thing that a request says, and a number for
 * it that is the same on every node, whatever its version and machine. */
#pragma once

#include "base/bytes.h"

struct facts;

enum key_kind {
    KEY_NONE, /* nothing is looked at */
    KEY_CLIENT,
    KEY_HEADER,
    KEY_COOKIE,
    KEY_QUERY,
    KEY_PATH,
    KEY_JWT,
    KEY_SUBPROTOCOL, /* the first that the client offers */
};

struct key {
    enum key_kind kind;
    struct bytes name; /* of those with one; borrowed from the text */
};

/* "client", "header.N", "cookie.N", "query.N", "path.N", "jwt.N" or "subprotocol". False: none of
 * them, or N is no name of such a thing. */
bool key_parse(const char *text, struct key *ret_key);

/* Of several fields or pairs with that name the first that is not empty; of a query as it is
 * written. Borrowed from the facts; empty: the request does not say it. */
struct bytes key_find(const struct key *key, const struct facts *facts);

#define KEY_BYTES_MAX 1024
/* The same as it counts: what a query encodes (%41, and + for a blank) decoded into `memory`, and
 * no more than its first KEY_BYTES_MAX bytes. */
struct bytes key_read(const struct key *key, const struct facts *facts,
                      uint8_t memory[KEY_BYTES_MAX]);

/* SipHash-2-4 (Aumasson and Bernstein, 2012) under a key that is no secret (0, 1, ... 15): all
 * nodes agree. */
uint64_t key_hash(struct bytes value);

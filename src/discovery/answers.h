/* What an answer of DNS means beside what was known before. Pure: the order of addresses in an
 * answer means nothing, silence means nothing, and one answer is not believed that a server is
 * gone: those that rotate through a name's addresses, or were asked while it changed, leave some
 * out and have them again in the next. So an address goes when two answers in a row lack it, and
 * the second is asked for soon. */
#pragma once

#include "net/resolver.h"

#define ANSWERS_MISSED_MAX 2 /* in a row */

struct known {
    struct address address;
    unsigned missed; /* answers in a row that did not have it */
};

struct knowledge {
    struct known *at; /* sorted, each once; malloc'ed */
    size_t count;
};

enum answer_kind {
    ANSWER_GOOD,  /* it has addresses */
    ANSWER_EMPTY, /* there are none: what was known stays */
    ANSWER_FAILED /* nothing is known: what was known stays */
};

struct answer_meaning {
    enum answer_kind kind;
    bool is_changed;   /* who is known */
    bool has_missing;  /* someone may be gone: ask again soon */
    uint32_t ttl_sec;  /* of a good one */
    const char *words; /* what is wrong, also in a part of a good one; NULL: nothing */
};

/* Takes the answer into what is known. 0, or -ENOMEM (and nothing has changed). A family that
 * failed alone keeps what it said before. */
int answers_take(struct knowledge *knowledge, const struct resolver_answer *answer,
                 struct answer_meaning *ret_meaning);
void knowledge_done(struct knowledge *knowledge);

/* When to ask again, in microseconds: when the TTL ends (1 s to 1 h), within 5 s where someone may
 * be gone; after failures in a row 5, 10, 20, ... 60 s, or from 1 s on while there never was a good
 * one. Up to a tenth later, at random, so that many pools do not ask at once. */
uint64_t answers_wait_usec(const struct answer_meaning *meaning, unsigned failures,
                           bool was_ever_good, uint64_t random);

/* Names to addresses, by DNS, on this thread's loop and never blocking. What the family A says and
 * what AAAA says are kept apart, so that one of them may fail alone. c-ares is seen only in
 * resolver.c: it asks over UDP, again over TCP where an answer is cut, follows CNAMEs and the
 * search list; a reply that does not come from the name server that was asked, or that does not
 * carry the question's number, is not heard. */
#pragma once

#include "loop/loop.h"
#include "net/address.h"

struct resolver; /* lives on one loop */
struct question;

enum resolver_family { RESOLVER_V4, RESOLVER_V6, RESOLVER_FAMILIES };

struct resolver_answer {
    struct resolver_half {
        int error;          /* 0: addresses; -ENOENT: there are none; else why it is not known */
        const char *words;  /* of the error, static; else NULL */
        struct address *at; /* with the port that was asked for; each once or more, any order */
        size_t count;
        uint32_t ttl_sec; /* the shortest on the way */
    } half[RESOLVER_FAMILIES];
};

/* In the `run` phase, once. `answer` is borrowed until it returns; the question is gone then. */
typedef void resolver_fn(void *owner, const struct resolver_answer *answer);

/* servers: "127.0.0.1:53,[::1]:53" are asked and nobody else; NULL: as /etc/resolv.conf says, after
 * /etc/hosts. The first is read now, so that a reload reads it again. 0 or a negative errno. */
int resolver_new(struct loop *loop, const char *servers, struct resolver **ret_resolver);
/* Nobody may still wait for an answer. Accepts NULL, returns NULL. */
struct resolver *resolver_free(struct resolver *resolver);

/* `localhost` is answered without asking (RFC 6761 section 6.3). NULL: no memory. */
struct question *resolver_ask(struct resolver *resolver, const char *name, uint16_t port,
                              resolver_fn *on_answer, void *owner);
void question_forget(struct question *take_question); /* its owner hears nothing; accepts NULL */

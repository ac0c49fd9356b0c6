/* Between store.c and the backends. */
#pragma once

#include "session/breaker.h"
#include "session/store.h"

/* What lives across configurations; a backend's own struct begins with it. */
struct store_body {
    atomic_uint references;
    const struct store_backend *backend;
    struct breaker breaker;
    struct store_counters counters;
    _Atomic uint64_t versions; /* so many were made up */
};

struct store_backend {
    const char *name;
    /* 0, -ENOMEM, or -EINVAL with words. All but its own fields is filled by store.c. */
    int (*open)(const struct store_settings *settings, struct store_body **ret_body,
                char ret_words[256]);
    /* Whether it can go on under these settings. */
    bool (*fits)(const struct store_body *body, const struct store_settings *settings);
    void (*close)(struct store_body *body); /* any thread: no one asks any more */
    /* Begins; by store_decide or store_refuse it is decided, at once or when it is heard. -ENOMEM:
     * nothing was begun. */
    int (*ask)(struct store_ask *ask);
    void (*hear)(struct store_ask *ask); /* after each notice, until it is decided; may be NULL */
    /* Lets go of the request, decided or not; may be NULL. What it knows of the trouble: words for
     * who waited in vain, or NULL. */
    const char *(*leave)(struct store_ask *ask);
    uint64_t (*entries)(const struct store_body *body); /* may be NULL */
};

extern const struct store_backend store_backend_memory, store_backend_redis;

void store_body_ref(struct store_body *body); /* any thread, both */
void store_body_unref(struct store_body *body);

struct store {
    uint32_t magic;
    atomic_uint references;
    struct store_body *body;
    uint64_t timeout_usec, ttl_usec, entries;
    enum store_fail fail;
    char *name;
};

/* The answer is there. */
void store_decide(struct store_ask *ask, enum store_outcome outcome);
/* There will be none, and these static words say why. `is_ill`: the breaker shall know; else it is
 * this question that was refused, and others may be answered. */
void store_refuse(struct store_ask *ask, const char *words, bool is_ill);

/* Whether a question with that condition may change a state of that version ("": none). */
bool store_condition_holds(const struct store_question *question, struct bytes version);

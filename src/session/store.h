/* Where sessions are kept: by key, the server that a session belongs to and an opaque state that
 * its servers leave there for each other. Everyone who uses the same store finds the same entries:
 * all workers of this process (memory), or all nodes (Redis).
 *
 * A question is a flow, most often a child of who asks; it is over within the store's timeout,
 * whatever the store does. An entry lives for `ttl` after it was last asked for. It may have a
 * server, a state, or both; the state has a version that no other state of that key ever had, for
 * compare-and-set (an ETag). */
#pragma once

#include "base/msg.h"
#include "conf/settings.h"
#include "loop/worker.h"

#define STORE_KEY_MAX     256
#define STORE_SERVER_MAX  192 /* "POOL/ADDRESS", or the address */
#define STORE_TYPE_MAX    128 /* of the state: a Content-Type */
#define STORE_STATE_MAX   8192
#define STORE_VERSION_LEN 16 /* lower-case hex */

/* One per store and configuration; what it keeps is shared with the configurations before. */
struct store;

enum store_op {
    STORE_FIND,       /* the server, and whether there is a state */
    STORE_GET,        /* all of it */
    STORE_PUT_SERVER, /* the state stays */
    STORE_PUT_STATE,  /* the server stays */
    STORE_DELETE,     /* the whole entry */
    STORE_TOUCH,      /* it lives for ttl from now on; all of the above do that too */
};

/* What must be true of the state for STORE_PUT_STATE and STORE_DELETE to do anything. */
enum store_condition { STORE_ALWAYS, STORE_IF_VERSION, STORE_IF_ANY, STORE_IF_NONE };

enum store_outcome {
    STORE_PENDING,
    STORE_OK,
    STORE_ABSENT,     /* find, get, delete, touch: there is no such entry */
    STORE_CONFLICT,   /* the condition does not hold */
    STORE_GO_WITHOUT, /* the store has failed, and `fail` is open: go on as if nothing were known */
    STORE_GIVE_UP,    /* the store has failed, and `fail` is closed: REASON_STORE_FAILED */
};

struct store_question {
    enum store_op op;
    enum store_condition condition;
    struct bytes key;         /* 1 to STORE_KEY_MAX bytes, any */
    struct bytes server;      /* STORE_PUT_SERVER: 1 to STORE_SERVER_MAX bytes */
    struct bytes version;     /* STORE_IF_VERSION */
    struct bytes type, state; /* STORE_PUT_STATE; the type may be empty */
};

struct store_entry {
    char server[STORE_SERVER_MAX + 1];   /* "": none */
    char version[STORE_VERSION_LEN + 1]; /* of the state; "": there is no state */
    char type[STORE_TYPE_MAX + 1];
    struct msg *state; /* STORE_GET; NULL: none, or empty */
};

struct store_ask {
    struct flow flow;
    struct store *store;            /* counted while it is under way */
    struct store_question question; /* what it views is the asker's until the flow is over */
    uint64_t began_usec;
    /* the answer, once the flow is over */
    enum store_outcome outcome; /* STORE_PENDING: it was stopped */
    const char *words;          /* what the store's trouble was; NULL: none */
    struct store_entry entry;   /* found; after STORE_PUT_STATE its version is the new one */
    void *request;              /* the backend's */
};

/* Asks as a child of `parent`, in the parent's memory: the struct must be zeroed, or done. */
void store_ask_start(struct store_ask *ask, struct store *store,
                     const struct store_question *question, struct flow *parent);
void store_ask_done(struct store_ask *ask); /* lets go of the answer; it must be over */

/* The same for who does not wait: everything is copied, the answer only counted. 0, -ENOMEM, or
 * -EINVAL: something is longer than it may be. */
int store_tell(struct store *store, const struct store_question *question, struct runner *runner);

/* `before`: the store of that name in the configuration before, or NULL; when it is of the same
 * kind and place, everything in it stays. 0, -ENOMEM, or -EINVAL: the URL (`ret_words` says what is
 * wrong, and no password). */
int store_new(const struct store_settings *settings, const struct store *before,
              struct store **ret_store, char ret_words[256]);
struct store *store_ref(struct store *store);
struct store *store_unref(struct store *store); /* any thread; accepts NULL, returns NULL */

const char *store_name(const struct store *store);
const char *store_backend_name(const struct store *store); /* "memory" */

/* Since this store was first configured; for `status`. */
#define STORE_COUNTERS(COUNTER)                                                                    \
    COUNTER(gets_ever, "entries asked for")                                                        \
    COUNTER(hits_ever, "entries found")                                                            \
    COUNTER(puts_ever, "servers and states put")                                                   \
    COUNTER(deletes_ever, "entries deleted")                                                       \
    COUNTER(conflicts_ever, "conditions that did not hold")                                        \
    COUNTER(failures_ever, "questions that the store did not answer, or refused")                  \
    COUNTER(too_slow_ever, "of these: not within the timeout")                                     \
    COUNTER(skipped_ever, "of these: not asked, as the breaker was open")

struct store_counters {
#define COUNTER(name, help) _Atomic uint64_t name;
    STORE_COUNTERS(COUNTER)
#undef COUNTER
};
const struct store_counters *store_counters(const struct store *store);
const char *store_breaker_state(const struct store *store, uint64_t now_usec); /* "closed" */
uint64_t store_entries(const struct store *store); /* that it holds; 0: it does not know */

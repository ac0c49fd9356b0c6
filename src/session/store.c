/* What all stores share: the flow of a question with its deadline, the breaker, and what is
 * counted. Backends say only what they found. */
#include "session/store_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>

#define STORE_MAGIC       0x73746f72u
#define BREAKER_FAILURES  5
#define BREAKER_REST_USEC 1000000u
#define TIMED_OUT         "it did not answer within `timeout`"
#define IS_SKIPPED        "it failed several times in a row and is left in peace for a second"

#define STORE_STEPS(STEP)                                                                          \
    STEP(begin)  /* the breaker is asked, then the backend */                                      \
    STEP(settle) /* until it is decided */

static const struct store_backend *const backends[] = {
    [STORE_MEMORY] = &store_backend_memory,
    [STORE_REDIS] = &store_backend_redis,
};

FLOW(store_ask, STORE_STEPS)

static void count(_Atomic uint64_t *figure)
{
    atomic_fetch_add_explicit(figure, 1, memory_order_relaxed);
}

/* --- a question ----------------------------------------------------------------------------------
 */

bool store_condition_holds(const struct store_question *question, struct bytes version)
{
    switch (question->condition) {
    case STORE_IF_VERSION:
        return version.len && bytes_equal(version, question->version);
    case STORE_IF_ANY:
        return version.len;
    case STORE_IF_NONE:
        return !version.len;
    case STORE_ALWAYS:
        break;
    }
    return true;
}

static void count_answer(const struct store_ask *ask)
{
    struct store_counters *counters = &ask->store->body->counters;

    switch (ask->question.op) {
    case STORE_FIND:
    case STORE_GET:
        if (ask->outcome == STORE_OK)
            count(&counters->hits_ever);
        break;
    case STORE_PUT_SERVER:
    case STORE_PUT_STATE:
        if (ask->outcome == STORE_OK)
            count(&counters->puts_ever);
        break;
    case STORE_DELETE:
        if (ask->outcome == STORE_OK)
            count(&counters->deletes_ever);
        break;
    case STORE_TOUCH:
        break;
    }
    if (ask->outcome == STORE_CONFLICT)
        count(&counters->conflicts_ever);
}

void store_decide(struct store_ask *ask, enum store_outcome outcome)
{
    ask->outcome = outcome;
    ask->words = NULL;
    if (breaker_succeeded(&ask->store->body->breaker))
        log_say(worker_of(&ask->flow)->log, EVENT_notice, "store \"%s\" answers again",
                ask->store->name);
    count_answer(ask);
}

void store_refuse(struct store_ask *ask, const char *words, bool is_ill)
{
    struct store *store = ask->store;

    ask->outcome = store->fail == STORE_FAIL_OPEN ? STORE_GO_WITHOUT : STORE_GIVE_UP;
    ask->words = words;
    count(&store->body->counters.failures_ever);
    if (is_ill && breaker_failed(&store->body->breaker, now_of(&ask->flow)))
        log_say(worker_of(&ask->flow)->log, EVENT_notice,
                "store \"%s\" has failed %d times in a row: %s; it is tried again each second, and "
                "meanwhile %s",
                store->name, BREAKER_FAILURES, words,
                store->fail == STORE_FAIL_OPEN ? "every server will do (fail: open)"
                                               : "who needs it gets 503 (fail: closed)");
}

static bool is_well_formed(const struct store_question *question)
{
    return question->key.len && question->key.len <= STORE_KEY_MAX &&
           question->server.len <= STORE_SERVER_MAX && question->type.len <= STORE_TYPE_MAX &&
           question->state.len <= STORE_STATE_MAX && question->version.len <= STORE_VERSION_LEN &&
           (question->op != STORE_PUT_SERVER || question->server.len);
}

static enum next begin(struct store_ask *a)
{
    struct store_body *body = a->store->body;

    a->began_usec = now_of(&a->flow);
    if (a->question.op == STORE_FIND || a->question.op == STORE_GET)
        count(&body->counters.gets_ever);
    if (!is_well_formed(&a->question)) {
        store_refuse(a, "the key, or what shall be kept, is empty or too long", false);
        return flow_leave(&a->flow, REASON_DONE);
    }
    if (!breaker_allows(&body->breaker, a->began_usec)) {
        count(&body->counters.skipped_ever);
        store_refuse(a, IS_SKIPPED, false);
        return flow_leave(&a->flow, REASON_DONE);
    }
    if (a->question.op == STORE_PUT_STATE)
        bytes_write_hex(sys_random() + atomic_fetch_add(&body->versions, 1), a->entry.version);
    if (body->backend->ask(a))
        store_refuse(a, "out of memory", false);
    return NEXT;
}

static enum next settle(struct store_ask *a)
{
    const struct store_backend *backend = a->store->body->backend;

    if (a->outcome == STORE_PENDING && backend->hear)
        backend->hear(a);
    if (a->outcome == STORE_PENDING)
        return flow_wait_notice(&a->flow, WITHIN(a->store->timeout_usec, REASON_STORE_FAILED));
    return flow_leave(&a->flow, REASON_DONE);
}

/* Who was stopped by others (a client that left) says nothing about the store. */
static void store_ask_leave(struct store_ask *a)
{
    const struct store_backend *backend = a->store->body->backend;
    const char *trouble = backend->leave ? backend->leave(a) : NULL;

    if (a->outcome == STORE_PENDING && a->flow.reason == REASON_STORE_FAILED) {
        count(&a->store->body->counters.too_slow_ever);
        store_refuse(a, trouble ? trouble : TIMED_OUT, true);
    }
    a->store = store_unref(a->store);
}

void store_ask_start(struct store_ask *ask, struct store *store,
                     const struct store_question *question, struct flow *parent)
{
    ask->store = store_ref(store);
    ask->question = *question;
    ask->outcome = STORE_PENDING;
    ask->words = NULL;
    ask->entry = (struct store_entry){0};
    ask->request = NULL;
    flow_start(&ask->flow, &store_ask_kind, parent->runner, parent);
}

void store_ask_done(struct store_ask *ask)
{
    CHECK(!flow_is_started(&ask->flow) || flow_is_over(&ask->flow));
    ask->entry.state = msg_unref(ask->entry.state);
}

/* --- for who does not wait
 * ------------------------------------------------------------------------
 */

static struct bytes copied(uint8_t **at, struct bytes from)
{
    struct bytes copy = {*at, from.len};

    if (from.len)
        memcpy(*at, from.at, from.len);
    *at += from.len;
    return copy;
}

int store_tell(struct store *store, const struct store_question *question, struct runner *runner)
{
    if (!is_well_formed(question))
        return -EINVAL;
    CHECK(question->op != STORE_GET); /* nobody would let go of what it finds */
    size_t size = question->key.len + question->server.len + question->version.len +
                  question->type.len + question->state.len;
    struct store_ask *ask = calloc(1, sizeof *ask + size);
    if (!ask)
        return -ENOMEM;
    uint8_t *at = (uint8_t *)(ask + 1);
    ask->store = store_ref(store);
    ask->question = *question;
    ask->question.key = copied(&at, question->key);
    ask->question.server = copied(&at, question->server);
    ask->question.version = copied(&at, question->version);
    ask->question.type = copied(&at, question->type);
    ask->question.state = copied(&at, question->state);
    flow_start(&ask->flow, &store_ask_kind, runner, NULL);
    return 0;
}

/* --- a store -------------------------------------------------------------------------------------
 */

void store_body_ref(struct store_body *body)
{
    atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
}

void store_body_unref(struct store_body *body)
{
    if (body && atomic_fetch_sub(&body->references, 1) == 1)
        body->backend->close(body);
}

static int open_body(const struct store_settings *settings, struct store_body **ret_body,
                     char ret_words[256])
{
    const struct store_backend *backend = backends[settings->kind];
    int error = backend->open(settings, ret_body, ret_words);

    if (error)
        return error;
    atomic_init(&(*ret_body)->references, 1);
    (*ret_body)->backend = backend;
    breaker_init(&(*ret_body)->breaker, BREAKER_FAILURES, BREAKER_REST_USEC);
    return 0;
}

int store_new(const struct store_settings *settings, const struct store *before,
              struct store **ret_store, char ret_words[256])
{
    struct store *store = calloc(1, sizeof *store);
    int error = 0;

    if (!store)
        return -ENOMEM;
    store->magic = STORE_MAGIC;
    atomic_init(&store->references, 1);
    store->timeout_usec = settings->timeout;
    store->ttl_usec = settings->ttl;
    store->entries = settings->entries;
    store->fail = settings->fail;
    store->name = strdup(settings->name);
    if (!store->name)
        error = -ENOMEM;
    else if (before && before->body->backend == backends[settings->kind] &&
             before->body->backend->fits(before->body, settings))
        store_body_ref(store->body = before->body);
    else
        error = open_body(settings, &store->body, ret_words);
    if (error)
        store_unref(store);
    else
        *ret_store = store;
    return error;
}

struct store *store_ref(struct store *store)
{
    CHECK_OBJ(store, STORE_MAGIC);
    atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
    return store;
}

struct store *store_unref(struct store *store)
{
    if (!store)
        return NULL;
    CHECK_OBJ(store, STORE_MAGIC);
    if (atomic_fetch_sub(&store->references, 1) != 1)
        return NULL;
    store_body_unref(store->body);
    store->magic = 0;
    free(store->name);
    free(store);
    return NULL;
}

/* --- what is told of it --------------------------------------------------------------------------
 */

const char *store_name(const struct store *store)
{
    return store->name;
}

const char *store_backend_name(const struct store *store)
{
    return store->body->backend->name;
}

const struct store_counters *store_counters(const struct store *store)
{
    return &store->body->counters;
}

const char *store_breaker_state(const struct store *store, uint64_t now_usec)
{
    static const char *const names[] = {"closed", "open", "half_open"};

    return names[breaker_state(&store->body->breaker, now_usec)];
}

uint64_t store_entries(const struct store *store)
{
    const struct store_backend *backend = store->body->backend;

    return backend->entries ? backend->entries(store->body) : 0;
}

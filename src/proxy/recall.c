/* A session's server is only ever wanted: whether it is taken is the pool's affair, and what became
 * of it is known when a server has answered (recall_settle). Nothing that a client says is an
 * error: what cannot be read names no session. */
#include "proxy/recall.h"

#include "proxy/drains.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define STATUS_WRONG 500 /* and above: such an answer binds nobody to its server */

static uint64_t now_sec(void)
{
    return sys_wall_usec() / USEC_PER_SEC;
}

static bool is_of(const struct connection *c, enum sticky_kind kind)
{
    return c->route->sticky.settings && c->route->sticky.settings->kind == kind;
}

static struct store *store_of(const struct connection *c)
{
    const struct sticky_settings *settings = c->route->sticky.settings;

    return settings && settings->store ? c->snapshot->stores[settings->store_index] : NULL;
}

/* --- what the request says -----------------------------------------------------------------------
 */

static size_t count_pools(const struct route *route)
{
    return route->pools ? route->settings->share_count : 1;
}

static bool takes_part(const struct route *route, size_t share)
{
    return !route->pools || route->weights[share];
}

/* A session of that pool is at home on that server; in a drained one it cannot stay. */
static void note_home(struct recall *r, struct connection *c, size_t share,
                      const struct address *server)
{
    r->was = *server;
    r->has_was = true;
    r->is_astray = drains_keep_out(proxy_of(&c->flow), route_pool(c->route, (uint8_t)share));
    if (!r->is_astray)
        c->share = (uint8_t)share;
}

static bool open_cookie(struct recall *r, struct connection *c, struct bytes value)
{
    const struct route *route = c->route;
    const struct sticky_settings *settings = route->sticky.settings;
    uint64_t life_sec = settings->max_age / USEC_PER_SEC;
    struct sticky_token token;

    for (size_t i = 0; i < count_pools(route); i++) {
        if (!takes_part(route, i) ||
            sticky_token_read(c->snapshot->seal, pool_name(route_pool(route, (uint8_t)i)),
                              settings->name, value, &token))
            continue;
        if (life_sec && now_sec() >= token.issued_sec + life_sec)
            return false; /* its browser should have forgotten it */
        note_home(r, c, i, &token.server);
        r->session = token.session;
        r->has_session = token.has_session;
        r->issued_sec = token.issued_sec;
        return true;
    }
    return false;
}

/* Of several cookies of that name (an older one of another path) the first good one counts. */
static enum sticky_outcome read_cookies(struct recall *r, struct connection *c,
                                        const struct sticky_ask *ask)
{
    struct ip memory;
    unsigned nth = 0;

    for (;; nth++) {
        struct bytes value = sticky_value(&c->route->sticky, ask, nth, &memory);
        if (!value.at)
            return nth ? OUTCOME_invalid : OUTCOME_new;
        if (open_cookie(r, c, value))
            return OUTCOME_valid;
    }
}

static bool find_learnt(struct recall *r, struct connection *c)
{
    const struct route *route = c->route;
    struct sticky_home home;

    if (!sticky_table_find(c->snapshot->learnt, &r->session, now_of(&c->flow), &home))
        return false;
    for (size_t i = 0; i < count_pools(route); i++) {
        if (!takes_part(route, i) ||
            sticky_pool(pool_name(route_pool(route, (uint8_t)i))) != home.pool)
            continue;
        note_home(r, c, i, &home.server);
        return true;
    }
    return false;
}

static enum sticky_outcome read_value(struct recall *r, struct connection *c,
                                      const struct sticky_ask *ask)
{
    struct ip memory;
    struct bytes value = sticky_value(&c->route->sticky, ask, 0, &memory);
    bool is_source = is_of(c, STICKY_SOURCE);

    if (!value.at)
        return is_source ? OUTCOME_none : OUTCOME_new;
    int error = sticky_key_of(&c->route->sticky, value, &r->session);
    if (error)
        return error == -EMSGSIZE ? OUTCOME_invalid : OUTCOME_given;
    r->has_session = true;
    if (!store_of(c) && find_learnt(r, c))
        return OUTCOME_valid;
    return is_source ? OUTCOME_new : OUTCOME_given;
}

/* In a store a session has a name, and a cookie without one gets it. */
static void draw_session(struct recall *r)
{
    r->is_drawn = r->has_session = !sys_secret(r->session.at, sizeof r->session.at);
}

void recall_begin(struct recall *r, struct connection *c, const struct sticky_ask *ask)
{
    *r = (struct recall){.is_found = true};
    c->trail.sticky = OUTCOME_none;
    if (!c->route->sticky.settings)
        return;
    r->listens = sticky_begins_socket_io(&c->route->sticky, ask);
    r->outcome =
        (uint8_t)(is_of(c, STICKY_COOKIE) ? read_cookies(r, c, ask) : read_value(r, c, ask));
    if (store_of(c) && is_of(c, STICKY_COOKIE) && !r->has_session)
        draw_session(r);
    r->is_found = !store_of(c) || !r->has_session || r->is_drawn;
    r->is_rewritten = store_of(c) && r->has_session;
    c->trail.sticky = r->outcome;
}

void recall_done(struct recall *r)
{
    if (r->store)
        store_ask_done(&r->store->ask);
    free(TAKE(r->store));
}

/* --- the store -----------------------------------------------------------------------------------
 */

static int ask_store(struct recall *r, struct connection *c, const struct sticky_key *session,
                     enum store_op op)
{
    recall_done(r);
    r->store = calloc(1, sizeof *r->store);
    if (!r->store)
        return -ENOMEM;
    const struct store_question question = {
        .op = op,
        .key = bytes_of(sticky_key_write(session, r->store->key)),
        .server = op == STORE_PUT_SERVER ? bytes_of(c->chosen->name) : (struct bytes){0},
    };
    store_ask_start(&r->store->ask, store_of(c), &question, &c->flow);
    return 0;
}

/* "POOL/ADDRESS", of one of the route's pools; what another node meant by something else is not for
 * us. */
static void hear_home(struct recall *r, struct connection *c, const char *text)
{
    const char *slash = strchr(text, '/');
    struct address server;

    if (!slash || address_parse(slash + 1, &server))
        return;
    struct bytes pool = {(const uint8_t *)text, (size_t)(slash - text)};
    for (size_t i = 0; i < count_pools(c->route); i++) {
        if (!takes_part(c->route, i) ||
            !bytes_equal(pool, bytes_of(pool_name(route_pool(c->route, (uint8_t)i)))))
            continue;
        r->must_set = !r->has_was || !address_equal(&r->was, &server);
        r->is_stored = true;
        r->outcome = OUTCOME_valid;
        note_home(r, c, i, &server);
        return;
    }
}

/* Where the store knows nothing, the cookie may; or this node, which may have been faster. */
static enum reason hear_found(struct recall *r, struct connection *c)
{
    const struct store_ask *ask = &r->store->ask;

    r->is_found = true;
    if (ask->outcome == STORE_GIVE_UP || ask->outcome == STORE_PENDING)
        return REASON_STORE_FAILED;
    r->is_store_ill = ask->outcome == STORE_GO_WITHOUT;
    if (ask->outcome == STORE_OK && ask->entry.server[0])
        hear_home(r, c, ask->entry.server);
    if (!r->has_was && find_learnt(r, c))
        r->outcome = OUTCOME_valid;
    return REASON_DONE;
}

/* Another node tells the store of a Socket.IO number while its answer goes out, and the client may
 * be faster than that: a number that is not there is asked for again, some times. */
static bool may_be_on_its_way(struct recall *r, const struct connection *c)
{
    static const uint64_t later_usec[] = {5000, 20000, 50000};

    if (!is_of(c, STICKY_SOCKET_IO) || r->store->ask.outcome != STORE_ABSENT ||
        r->tries == ARRAY_LEN(later_usec))
        return false;
    r->again_usec = now_of(&c->flow) + later_usec[r->tries++];
    return true;
}

static enum next wait_for_more(struct recall *r, struct connection *c)
{
    if (now_of(&c->flow) < r->again_usec) {
        flow_wake_at(&c->flow, r->again_usec);
        return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_STORE_FAILED));
    }
    r->again_usec = 0;
    if (ask_store(r, c, &r->session, STORE_FIND))
        return flow_fail(&c->flow, REASON_NO_MEMORY);
    return flow_wait_child(&c->flow, &r->store->ask.flow);
}

static enum next find_stored(struct recall *r, struct connection *c)
{
    if (r->again_usec)
        return wait_for_more(r, c);
    if (!r->store && ask_store(r, c, &r->session, STORE_FIND))
        return flow_fail(&c->flow, REASON_NO_MEMORY);
    if (!flow_is_over(&r->store->ask.flow))
        return flow_wait_child(&c->flow, &r->store->ask.flow);
    if (may_be_on_its_way(r, c))
        return wait_for_more(r, c);
    enum reason why = hear_found(r, c);
    return why == REASON_DONE ? NEXT : flow_fail(&c->flow, why);
}

static void tell_store(const struct connection *c, const struct sticky_key *session)
{
    char key[STICKY_KEY_TEXT_BYTES];
    const struct store_question question = {
        .op = STORE_PUT_SERVER,
        .key = bytes_of(sticky_key_write(session, key)),
        .server = bytes_of(c->chosen->name),
    };

    if (store_of(c)) /* without memory it is as if the store had not heard it */
        (void)store_tell(store_of(c), &question, c->flow.runner);
}

/* --- what is made of it --------------------------------------------------------------------------
 */

static void want_home(struct recall *r, const struct connection *c, struct reach *reach)
{
    struct members *members = pool_members(connection_pool(c));
    struct server *server;

    r->outcome = (uint8_t)sticky_judge_server(members, &r->was, now_of(&c->flow), &server);
    if (r->is_astray)
        r->outcome = OUTCOME_reassigned;
    else if (r->outcome == OUTCOME_valid)
        reach_want(reach, server);
    r->wanted_id = server ? server->id : 0;
    members_unref(members);
}

enum next recall_look(struct recall *r, struct connection *c, struct reach *reach)
{
    r->reach = reach;
    enum next next = r->is_found ? NEXT : find_stored(r, c);

    if (next == NEXT && r->has_was)
        want_home(r, c, reach);
    c->trail.sticky = r->outcome;
    return next;
}

static void count(struct proxy_counters *counters, enum sticky_outcome outcome)
{
    _Atomic uint64_t *const figure[OUTCOME_COUNT] = {
        [OUTCOME_new] = &counters->sticky_new_ever,
        [OUTCOME_given] = &counters->sticky_given_ever,
        [OUTCOME_valid] = &counters->sticky_valid_ever,
        [OUTCOME_invalid] = &counters->sticky_invalid_ever,
        [OUTCOME_server_down] = &counters->sticky_server_down_ever,
        [OUTCOME_reassigned] = &counters->sticky_reassigned_ever,
    };

    if (figure[outcome])
        atomic_fetch_add_explicit(figure[outcome], 1, memory_order_relaxed);
}

static bool is_home(const struct recall *r, const struct connection *c)
{
    return r->has_was && address_equal(&c->chosen->address, &r->was);
}

static bool was_tried(const struct recall *r)
{
    const struct tried *tried = &r->reach->tried;

    for (uint32_t i = 0; i < tried->count; i++)
        if (tried->id[i] == r->wanted_id)
            return true;
    return false;
}

static void settle(struct recall *r, struct connection *c)
{
    r->is_settled = true;
    r->outcome = (uint8_t)sticky_settle(r->outcome, is_home(r, c), was_tried(r));
    c->trail.sticky = r->outcome;
    count(&proxy_of(&c->flow)->counters, r->outcome);
}

/* --- what is remembered --------------------------------------------------------------------------
 */

static void put(const struct connection *c, const struct sticky_key *session)
{
    const struct sticky_home home = {
        .server = c->chosen->address,
        .pool = sticky_pool(pool_name(connection_pool(c))),
    };

    sticky_table_put(c->snapshot->learnt, session, &home, now_of(&c->flow));
}

/* What the answer makes of the session: its key; false: nothing new. */
static bool find_new(const struct recall *r, const struct connection *c,
                     const struct http1_head *answer, struct sticky_key *ret_session)
{
    const struct sticky *sticky = &c->route->sticky;
    bool is_good = !answer || answer->status < STATUS_WRONG;
    struct bytes taught = answer ? sticky_taught(sticky, answer) : (struct bytes){0};

    if (taught.len)
        return !sticky_key_of(sticky, taught, ret_session);
    if (!r->has_session || !is_good)
        return false;
    *ret_session = r->session;
    if (r->outcome == OUTCOME_valid)
        return store_of(c) && !r->is_stored;
    /* only a server begins a session of its application's */
    return r->has_was || !(is_of(c, STICKY_LEARN) || is_of(c, STICKY_SOCKET_IO));
}

static enum next tell_new(struct recall *r, struct connection *c, const struct sticky_key *session)
{
    if (!is_of(c, STICKY_COOKIE))
        put(c, session);
    r->is_told = !store_of(c);
    if (r->is_told)
        return NEXT;
    if (r->is_store_ill) {
        r->is_told = true; /* the client has waited for it once */
        tell_store(c, session);
        return NEXT;
    }
    if (ask_store(r, c, session, STORE_PUT_SERVER))
        return flow_fail(&c->flow, REASON_NO_MEMORY);
    return flow_wait_child(&c->flow, &r->store->ask.flow);
}

static enum next begin_to_remember(struct recall *r, struct connection *c,
                                   const struct http1_head *answer)
{
    struct sticky_key session;

    r->is_settled = true;
    settle(r, c);
    r->is_told = !find_new(r, c, answer, &session);
    return r->is_told ? NEXT : tell_new(r, c, &session);
}

enum next recall_remember(struct recall *r, struct connection *c, const struct http1_head *answer)
{
    if (!c->route->sticky.settings)
        return NEXT;
    if (!r->is_settled)
        return begin_to_remember(r, c, answer);
    if (r->is_told)
        return NEXT;
    if (!flow_is_over(&r->store->ask.flow))
        return flow_wait_child(&c->flow, &r->store->ask.flow);
    r->is_told = true;
    enum store_outcome outcome = r->store->ask.outcome;
    return outcome == STORE_GIVE_UP || outcome == STORE_PENDING
               ? flow_fail(&c->flow, REASON_STORE_FAILED)
               : NEXT;
}

/* --- what both ends are told ---------------------------------------------------------------------
 */

int recall_write_request(const struct recall *r, const struct connection *c, struct buf *lines)
{
    char key[STICKY_KEY_TEXT_BYTES], address[ADDRESS_TEXT_BYTES];
    char text[sizeof key + sizeof address + 80];

    if (!store_of(c) || !r->has_session)
        return 0;
    int len = snprintf(text, sizeof text, "X-Turnout-Session: %s\r\n",
                       sticky_key_write(&r->session, key));
    if (c->chosen && r->has_was && !is_home(r, c))
        snprintf(text + len, sizeof text - (size_t)len, "X-Turnout-Session-Moved: from=%s\r\n",
                 address_write(&r->was, address));
    return buf_append(lines, bytes_of(text));
}

int recall_write_answer(const struct recall *r, const struct connection *c, bool is_https,
                        struct buf *lines)
{
    const struct sticky_settings *settings = c->route->sticky.settings;
    uint8_t nonce[SEAL_NONCE_BYTES];
    char value[STICKY_TOKEN_TEXT_BYTES];
    const struct sticky_token token = {
        .server = c->chosen->address,
        .issued_sec = now_sec(),
        .has_session = r->has_session,
        .session = r->session,
    };

    if (!is_of(c, STICKY_COOKIE))
        return 0;
    bool is_due =
        r->must_set || r->is_drawn || sticky_is_due(settings, r->issued_sec, token.issued_sec);
    if (r->outcome == OUTCOME_valid && !is_due)
        return 0;
    int error = sys_secret(nonce, sizeof nonce);
    if (!error)
        error = sticky_token_write(c->snapshot->seal, nonce, pool_name(connection_pool(c)),
                                   settings->name, &token, value);
    return error ? error : sticky_write_cookie(settings, value, is_https, lines);
}

/* Chunks may cut the number in two, so payload is gathered. */
bool recall_hear(struct recall_ear *ear, const struct connection *c, struct bytes part)
{
    struct sticky_key session;

    while (part.len && ear->len < sizeof ear->payload && !http1_body_has_ended(&ear->body)) {
        struct bytes payload;
        ssize_t used = http1_body_piece(&ear->body, part, &payload);
        if (used <= 0)
            return false;
        payload = bytes_slice(payload, 0, sizeof ear->payload - ear->len);
        if (payload.len)
            memcpy(ear->payload + ear->len, payload.at, payload.len);
        ear->len = (uint16_t)(ear->len + payload.len);
        part = bytes_from(part, (size_t)used);
    }
    struct bytes sid = sticky_socket_io_sid((struct bytes){ear->payload, ear->len});
    if (!sid.len)
        return ear->len < sizeof ear->payload && !http1_body_has_ended(&ear->body);
    if (sticky_key_of(&c->route->sticky, sid, &session))
        return false;
    put(c, &session);
    tell_store(c, &session); /* the answer is not held up for it */
    return false;
}

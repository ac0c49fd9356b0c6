/* A session's server is only ever wanted: whether it is taken is the pool's affair, and what became
 * of it is known when a server has answered (recall_settle). Nothing that a client says is an
 * error: what cannot be read names no session. */
#include "proxy/recall.h"

#include "crypto/crypto.h"
#include "proxy/drains.h"
#include "sys/sys.h"

#include <errno.h>

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
    if (find_learnt(r, c))
        return OUTCOME_valid;
    return is_source ? OUTCOME_new : OUTCOME_given;
}

void recall_begin(struct recall *r, struct connection *c, const struct sticky_ask *ask)
{
    *r = (struct recall){0};
    c->trail.sticky = OUTCOME_none;
    if (!c->route->sticky.settings)
        return;
    r->listens = sticky_begins_socket_io(&c->route->sticky, ask);
    r->outcome =
        (uint8_t)(is_of(c, STICKY_COOKIE) ? read_cookies(r, c, ask) : read_value(r, c, ask));
    c->trail.sticky = r->outcome;
}

/* --- what is made of it --------------------------------------------------------------------------
 */

enum next recall_look(struct recall *r, struct connection *c, struct reach *reach)
{
    struct server *server;

    if (!r->has_was)
        return NEXT;
    if (r->is_astray) {
        r->outcome = c->trail.sticky = OUTCOME_reassigned;
        return NEXT;
    }
    struct members *members = pool_members(connection_pool(c));
    r->outcome = (uint8_t)sticky_judge_server(members, &r->was, now_of(&c->flow), &server);
    if (r->outcome == OUTCOME_valid)
        reach_want(reach, server);
    members_unref(members);
    c->trail.sticky = r->outcome;
    return NEXT;
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

void recall_settle(struct recall *r, struct connection *c)
{
    bool is_home = r->has_was && address_equal(&c->chosen->address, &r->was);

    if (!c->route->sticky.settings || r->is_settled)
        return;
    r->is_settled = true;
    r->outcome = (uint8_t)sticky_settle(r->outcome, is_home);
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

void recall_learn(const struct recall *r, const struct connection *c,
                  const struct http1_head *answer)
{
    const struct sticky *sticky = &c->route->sticky;
    bool is_good = !answer || answer->status < STATUS_WRONG;
    struct sticky_key taught;

    if (!sticky->settings || is_of(c, STICKY_COOKIE) || is_of(c, STICKY_SOCKET_IO))
        return;
    struct bytes value = answer ? sticky_taught(sticky, answer) : (struct bytes){0};
    if (value.len && !sticky_key_of(sticky, value, &taught))
        put(c, &taught);
    bool is_assigned =
        !is_of(c, STICKY_LEARN) || r->has_was; /* it is for the server to begin one */
    if (r->has_session && is_assigned && is_good && r->outcome != OUTCOME_valid)
        put(c, &r->session);
}

int recall_write_answer(const struct recall *r, const struct connection *c, bool is_https,
                        struct buf *lines)
{
    const struct sticky_settings *settings = c->route->sticky.settings;
    char value[STICKY_TOKEN_TEXT_BYTES];
    const struct sticky_token token = {
        .server = c->chosen->address,
        .issued_sec = now_sec(),
        .has_session = r->has_session,
        .session = r->session,
    };

    if (!is_of(c, STICKY_COOKIE))
        return 0;
    if (r->outcome == OUTCOME_valid && !sticky_is_due(settings, r->issued_sec, token.issued_sec))
        return 0;
    int error = sticky_token_write(c->snapshot->seal, pool_name(connection_pool(c)), settings->name,
                                   &token, value);
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
    if (!sticky_key_of(&c->route->sticky, sid, &session))
        put(c, &session);
    return false;
}

/* A cookie can be opened here, where the keys stand in the configuration; what was learnt is in the
 * running process, or in its store. */
#include "daemon/explain_sticky.h"

#include "base/log.h"
#include "sys/sys.h"

#include <stdio.h>

#define USEC_PER_SEC UINT64_C(1000000)

static void say_kind(const struct sticky *sticky)
{
    const struct sticky_settings *settings = sticky->settings;
    unsigned bits = (unsigned)settings->source_bits;
    int len = (int)sticky->name.len;
    const char *name = (const char *)sticky->name.at;

    switch (settings->kind) {
    case STICKY_COOKIE:
        printf("sticky     by a cookie of ours, %.*s", len, name);
        break;
    case STICKY_QUERY:
        printf("sticky     by the query's %.*s", len, name);
        break;
    case STICKY_LEARN:
        printf("sticky     by the %s %.*s that servers give out",
               sticky->is_cookie ? "cookie" : "field", len, name);
        break;
    case STICKY_SOURCE:
        printf("sticky     by the client's network, /%u (IPv6: /%u)", bits, 2 * bits);
        break;
    case STICKY_SOCKET_IO:
        printf("sticky     by the number of a Socket.IO session (sid)");
        break;
    case STICKY_NONE:
        break;
    }
    if (settings->store)
        printf(", known to the store %s", settings->store);
    putchar('\n');
}

static void say_token(struct pool *pool, const struct sticky_token *token)
{
    struct server *server;
    char address[ADDRESS_TEXT_BYTES], time[LOG_TIME_BYTES], session[STICKY_KEY_TEXT_BYTES];
    struct members *members = pool_members(pool);
    enum sticky_outcome outcome = sticky_judge_server(members, &token->server, 0, &server);

    log_time_write(token->issued_sec * USEC_PER_SEC, time);
    printf("           its cookie says %s/%s, set at %s", pool_name(pool),
           address_write(&token->server, address), time);
    if (token->has_session)
        printf(", session %s", sticky_key_write(&token->session, session));
    printf(": %s\n",
           server ? sticky_outcome_name(outcome) : "server_down, it is no server of ours");
    members_unref(members);
}

static bool open_cookie(const struct snapshot *snapshot, const struct route *route,
                        struct bytes value)
{
    const struct sticky_settings *settings = route->sticky.settings;
    size_t count = route->pools ? route->settings->share_count : 1;
    struct sticky_token token;

    for (size_t i = 0; i < count; i++) {
        struct pool *pool = route_pool(route, (uint8_t)i);
        if (sticky_token_read(snapshot->seal, pool_name(pool), settings->name, value, &token))
            continue;
        if (settings->max_age &&
            sys_wall_usec() >= token.issued_sec * USEC_PER_SEC + settings->max_age)
            return false;
        say_token(pool, &token);
        return true;
    }
    return false;
}

static void say_cookies(const struct snapshot *snapshot, const struct route *route,
                        const struct sticky_ask *ask)
{
    struct ip memory;
    unsigned nth = 0;

    for (;; nth++) {
        struct bytes value = sticky_value(&route->sticky, ask, nth, &memory);
        if (!value.at)
            break;
        if (open_cookie(snapshot, route, value))
            return;
    }
    if (nth == 0)
        printf("           this request has none: new, any server\n");
    else if (snapshot->settings->sticky_keys.count)
        printf("           this request's is not one of ours, too old or changed: invalid, any "
               "server\n");
    else
        printf("           this request's can be read by the running process alone (there are no "
               "sticky_keys)\n");
}

static void say_value(const struct route *route, const struct sticky_ask *ask)
{
    struct sticky_key key;
    struct ip memory;
    char text[STICKY_KEY_TEXT_BYTES];
    struct bytes value = sticky_value(&route->sticky, ask, 0, &memory);

    if (!value.at)
        printf("           this request names no session: any server\n");
    else if (sticky_key_of(&route->sticky, value, &key))
        printf("           what this request names is too long: invalid, any server\n");
    else
        printf("           this request names session %s: its server, where one is known\n",
               sticky_key_write(&key, text));
}

void explain_sticky(const struct snapshot *snapshot, const struct route *route,
                    const struct facts *facts)
{
    struct sticky_ask ask = {.request = facts->request, .query = facts->query};

    if (!route->sticky.settings)
        return;
    ip_parse(facts->client, &ask.client);
    say_kind(&route->sticky);
    if (route->sticky.settings->kind == STICKY_COOKIE)
        say_cookies(snapshot, route, &ask);
    else
        say_value(route, &ask);
}

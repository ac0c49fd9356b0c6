/* The same code that serves decides here, on a snapshot without sockets: what is said is what would
 * happen. */
#include "daemon/explain.h"

#include "base/check.h"
#include "codec/http1.h"
#include "codec/ws_handshake.h"
#include "daemon/explain_pool.h"
#include "daemon/source.h"
#include "discovery/discovery.h"
#include "proxy/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUEST_MAX_BYTES 65536

static struct snapshot *load(const char *path, struct report *report)
{
    const struct snapshot_means means = {.source = source_of_files()};
    struct settings *settings = settings_load(means.source, path, report);

    struct snapshot *snapshot = settings ? snapshot_new(&means, settings, NULL, report) : NULL;
    for (size_t i = 0; snapshot && i < snapshot->settings->pool_count; i++)
        if (snapshot->settings->pools[i].file)
            discovery_read_once(means.source, &snapshot->settings->pools[i], snapshot->pools[i]);
    return snapshot;
}

static struct snapshot *load_or_say(const char *path)
{
    struct report *report = report_new();
    struct snapshot *snapshot = report ? load(path, report) : NULL;

    if (!snapshot) {
        char *text = report ? report_text(report) : NULL;
        fputs(text ? text : "turnout: out of memory\n", stderr);
        free(text);
    }
    report_free(report);
    return snapshot;
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

int explain_check(const struct options *options)
{
    struct snapshot *snapshot = load_or_say(options->file);
    size_t servers = 0;
    int code = 0;

    if (!snapshot)
        return 1;
    const struct settings *settings = snapshot->settings;
    for (size_t i = 0; i < settings->pool_count; i++)
        servers += settings->pools[i].server_count;
    if (options->shows) {
        char *text = settings_text(settings);
        fputs(text ? text : "turnout: out of memory\n", text ? stdout : stderr);
        code = text ? 0 : 1;
        free(text);
    } else {
        printf("%s: ok: %zu listener%s, %zu pool%s, %zu route%s, %zu server%s\n", options->file,
               settings->listener_count, plural(settings->listener_count), settings->pool_count,
               plural(settings->pool_count), settings->route_count, plural(settings->route_count),
               servers, plural(servers));
    }
    snapshot_unref(snapshot);
    return code;
}

/* --- a request -------------------------------------------------------------------------------- */

struct asked {
    const struct snapshot *snapshot;
    const char *from;           /* the client; NULL: not said */
    struct ip ip;               /* its address */
    char client[IP_TEXT_BYTES]; /* the same, as it counts */
    bool is_tls, is_websocket;
    bool is_raw;       /* tcp://HOST:PORT: a connection, no request */
    struct bytes host; /* without port */
    uint16_t port;
    struct url_target target;
    char text[REQUEST_MAX_BYTES]; /* the request that would arrive */
};

static bool has_header(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->header_count; i++)
        if (strncasecmp(options->headers[i], name, strlen(name)) == 0 &&
            options->headers[i][strlen(name)] == ':')
            return true;
    return false;
}

static bool is_scheme(struct bytes scheme, const char *name)
{
    return bytes_equal_nocase(scheme, bytes_of(name));
}

static bool write_request(const struct options *options, struct asked *asked)
{
    const struct url_target *t = &asked->target;
    int used = snprintf(asked->text, sizeof asked->text, "%s %.*s%s%.*s HTTP/1.1\r\n",
                        options->method ? options->method : "GET", (int)t->path.len,
                        (const char *)t->path.at, t->query.at ? "?" : "", (int)t->query.len,
                        t->query.at ? (const char *)t->query.at : "");

    if (!has_header(options, "host"))
        used += snprintf(asked->text + used, sizeof asked->text - (size_t)used, "Host: %.*s\r\n",
                         (int)t->authority.len, (const char *)t->authority.at);
    if (asked->is_websocket)
        used +=
            snprintf(asked->text + used, sizeof asked->text - (size_t)used,
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    for (size_t i = 0; i < options->header_count && used < REQUEST_MAX_BYTES; i++)
        used += snprintf(asked->text + used, sizeof asked->text - (size_t)used, "%s\r\n",
                         options->headers[i]);
    if (used + 2 >= REQUEST_MAX_BYTES)
        return false;
    memcpy(asked->text + used, "\r\n", 3);
    return true;
}

static bool parse_raw(const char *authority, struct asked *asked)
{
    struct bytes rest = {(const uint8_t *)authority, strcspn(authority, "/")};

    asked->is_raw = true;
    if (url_host_parse(rest, &asked->host, &asked->port) && asked->port)
        return true;
    fprintf(stderr, "turnout explain: \"%s\" names no port; write tcp://HOST:PORT\n", authority);
    return false;
}

static bool parse_url(const struct options *options, struct asked *asked)
{
    asked->from = options->from;
    uint16_t port;

    if (strncmp(options->url, "tcp://", 6) == 0)
        return parse_raw(options->url + 6, asked);
    if (!url_target_parse(bytes_of(options->url), &asked->target) || !asked->target.authority.len ||
        !url_host_parse(asked->target.authority, &asked->host, &port)) {
        fprintf(
            stderr,
            "turnout explain: \"%s\" is no URL; write ws://HOST/PATH, wss://, http://, https:// "
            "or tcp://HOST:PORT\n",
            options->url);
        return false;
    }
    struct bytes scheme = asked->target.scheme;
    asked->is_websocket = is_scheme(scheme, "ws") || is_scheme(scheme, "wss");
    asked->is_tls = is_scheme(scheme, "wss") || is_scheme(scheme, "https");
    asked->port = port ? port : asked->is_tls ? 443 : 80;
    if (write_request(options, asked))
        return true;
    fprintf(stderr, "turnout explain: the request is too large\n");
    return false;
}

static uint16_t port_of(const struct endpoint *endpoint)
{
    return endpoint->is_unix ? 0
                             : ntohs(endpoint->address.v4.sin_port); /* at the same place in IPv6 */
}

/* By port; when none fits, by whether it speaks TLS. */
static const struct gate_spec *find_gate(const struct snapshot *snapshot, const struct asked *asked,
                                         bool *ret_by_port)
{
    *ret_by_port = true;
    for (size_t i = 0; i < snapshot->settings->listener_count; i++)
        if (port_of(&snapshot->gates[i].endpoint) == asked->port)
            return &snapshot->gates[i];
    *ret_by_port = false;
    for (size_t i = 0; i < snapshot->settings->listener_count; i++)
        if (!snapshot->gates[i].tcp && !snapshot->gates[i].settings->sessions &&
            (snapshot->gates[i].settings->tls_mode != TLS_NONE) == asked->is_tls)
            return &snapshot->gates[i];
    return NULL;
}

static int say_gate(const struct snapshot *snapshot, const struct asked *asked,
                    const struct gate_spec **ret_gate)
{
    static const char *const modes[] = {"plain", "TLS ends here", "TLS passes through"};
    static const char *const introductions[] = {"", ", PROXY by trusted_proxies if they like",
                                                ", PROXY by trusted_proxies only"};
    bool by_port;
    const struct gate_spec *gate = find_gate(snapshot, asked, &by_port);

    *ret_gate = gate;
    if (!gate) {
        printf("listener   none: no listener has port %u, and none speaks %s\n", asked->port,
               asked->is_tls ? "TLS" : "plain HTTP");
        return 1;
    }
    bool speaks_tls = gate->settings->tls_mode != TLS_NONE;
    printf("listener   %s (%s%s%s)%s\n", gate->settings->listen, modes[gate->settings->tls_mode],
           gate->tcp ? ", then bytes as they are" : "", introductions[gate->settings->proxy_in],
           by_port ? ""
                   : "; no listener has the URL's port, this is the first that speaks its scheme");
    if (asked->is_raw && !gate->tcp) {
        printf("           but it reads what comes: ask with ws://, wss://, http:// or https://\n");
        return 1;
    }
    if (gate->settings->sessions) {
        printf("           and no route: servers read and write the state of their sessions there, "
               "in store %s, at /sessions/{id}\n",
               gate->settings->sessions);
        return 1;
    }
    if (gate->tcp || speaks_tls == asked->is_tls)
        return 0;
    printf("           but the URL's scheme %s TLS: that connection fails\n",
           asked->is_tls ? "wants" : "knows no");
    return 1;
}

static int refused(enum reason reason)
{
    const struct reason_row *row = reason_row(reason);

    printf("answer     %u: %s (%s)\n", row->http_status, row->words, row->name);
    return 1;
}

/* Whether this part of a match, alone, holds. */
static bool holds(const struct route_match *part, const struct route_asked *asked)
{
    struct route_rule *rule = NULL;
    char words[256];
    bool matches = route_rule_new(part, &rule, words) == 0 && route_rule_matches(rule, asked, NULL);

    route_rule_free(rule);
    return matches;
}

static void say_why_not(const struct route_settings *route, const struct route_asked *asked)
{
    const struct match_settings scheme = {.scheme = route->more.scheme};
    const struct match_settings methods = {.methods = route->more.methods,
                                           .method_count = route->more.method_count};
    const struct match_settings fields = {.fields = route->more.fields,
                                          .field_count = route->more.field_count};
    const struct {
        struct route_match part;
        const char *words;
    } parts[] = {
        {{.host = route->host}, "the host is another"},
        {{.path = route->path}, "the path is another"},
        {{.prefix = route->prefix}, "the path does not begin so"},
        {{.more = &scheme}, "the scheme is another"},
        {{.more = &methods}, "the method is another"},
        {{.more = &fields}, "the fields are others"},
    };
    const char *between = ": no, ";

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (holds(&parts[i].part, asked))
            continue;
        printf("%s%s", between, parts[i].words);
        between = " and ";
    }
    putchar('\n');
}

static const struct route *say_routes(const struct snapshot *snapshot,
                                      const struct route_asked *asked, struct route_params *params)
{
    char words[512];

    for (size_t i = 0; i < snapshot->settings->route_count; i++) {
        const struct route *route = &snapshot->routes[i];
        printf("%s %s (line %u): %s", i == 0 ? "route     " : "          ", route->name,
               route->settings->mark.line, route_rule_describe(route->rule, words, sizeof words));
        if (route_rule_matches(route->rule, asked, params)) {
            printf("  <- the first that matches\n");
            return route;
        }
        say_why_not(route->settings, asked);
    }
    return NULL;
}

static void say_edits_of(const char *what, const struct edits *edits)
{
    static const char *const ops[] = {"set", "add", "remove"};

    for (size_t i = 0; i < edits->count; i++)
        printf("%s %s: %s %.*s\n", i == 0 ? "fields    " : "          ", what,
               ops[edits->edit[i].op], (int)edits->edit[i].name.len,
               (const char *)edits->edit[i].name.at);
}

/* An answer of the route's own. */
static void say_answer(const struct route *route, const struct facts *facts)
{
    const struct route_action *action = route->action;
    struct buf lines;

    printf("answer     %u, by the route itself\n", action->status);
    buf_init(&lines, REQUEST_MAX_BYTES);
    int error = route_action_answer(action, facts, &lines);
    struct bytes rest = buf_bytes(&lines);
    while (!error && rest.len) {
        size_t end = bytes_find(rest, bytes_of("\r\n"), 0);
        printf("           %.*s\n", (int)end, (const char *)rest.at);
        rest = bytes_from(rest, end + 2);
    }
    if (action->body.len)
        printf("           and a body of %zu bytes\n", action->body.len);
    if (error)
        printf("           and no more: %s\n", strerror(-error));
    buf_done(&lines);
}

static void say_times(const struct route *route, bool is_handshake)
{
    const struct timeouts *t = &route->settings->timeouts;

    if (is_handshake)
        printf("timeouts   connect %g s, handshake %g s, tunnel_idle %g s, fin %g s, lifetime %g s "
               "(0: none)\n",
               (double)t->connect / 1e6, (double)t->handshake / 1e6, (double)t->tunnel_idle / 1e6,
               (double)t->fin / 1e6, (double)t->lifetime / 1e6);
    else
        printf("timeouts   connect %g s, response %g s, body %g s (0: none)\n",
               (double)t->connect / 1e6, (double)t->response / 1e6, (double)t->body / 1e6);
}

static int explain_passthrough(const struct snapshot *snapshot, const struct asked *asked)
{
    const struct route *route = snapshot_route_by_name(snapshot, asked->host);

    if (!route)
        return refused(REASON_NO_ROUTE);
    printf("route      %s: by server name (SNI); paths are not seen\n", route->name);
    explain_pools(snapshot, route, &(struct facts){.client = bytes_of(asked->client)});
    return 0;
}

static int explain_tcp(const struct snapshot *snapshot, const struct gate_spec *gate,
                       const struct asked *asked)
{
    const struct timeouts *t = &gate->tcp->settings->timeouts;

    printf("request    none is read: whatever comes is relayed at layer 4\n");
    explain_pools(snapshot, gate->tcp, &(struct facts){.client = bytes_of(asked->client)});
    printf("timeouts   connect %g s, tunnel_idle %g s, fin %g s, lifetime %g s (0: none)\n",
           (double)t->connect / 1e6, (double)t->tunnel_idle / 1e6, (double)t->fin / 1e6,
           (double)t->lifetime / 1e6);
    return 0;
}

/* Where it goes, or what is answered here. */
static int say_action(const struct route *route, const struct asked *asked,
                      const struct http1_head *head, struct facts *facts)
{
    const struct route_settings *settings = route->settings;
    enum reason why = REASON_DONE;
    bool is_handshake = ws_request_judge(head, settings->require_key, &why) == WS_HANDSHAKE;

    if (why != REASON_DONE)
        return refused(why);
    if (settings->kind != ROUTE_POOLS) {
        say_answer(route, facts);
        return 0;
    }
    printf("request    %s\n",
           is_handshake ? "a WebSocket handshake: relayed at layer 4 after the server's 101"
                        : "plain HTTP: layer 7, request by request");
    if (route->action->strip)
        printf("path       %.*s%s\n", (int)facts->rest.len, (const char *)facts->rest.at,
               bytes_equal(facts->rest, asked->target.path) ? " (it does not begin so)"
                                                            : " (behind strip_prefix)");
    say_edits_of("request", &route->action->request);
    say_edits_of("answer", &route->action->response);
    explain_pools(asked->snapshot, route, facts);
    say_times(route, is_handshake);
    return 0;
}

/* Reads the request as the server would. DONE: head and path are set. */
static enum reason read_request(const struct asked *asked, uint8_t *memory,
                                struct http1_head *ret_head, struct bytes *ret_host,
                                struct url_path *ret_path)
{
    enum reason why = REASON_HEAD_MALFORMED;
    struct http1_body body;
    uint16_t port;

    if (http1_request_parse(bytes_of(asked->text), HTTP1_FIELDS_MAX, ret_head, &why) > 0)
        why = http1_request_host(ret_head, ret_host, &port);
    if (why == REASON_DONE)
        why = http1_request_body(ret_head, &body);
    if (why == REASON_DONE && !url_path_normalise(asked->target.path, memory, ret_path))
        why = REASON_TARGET_WRONG;
    return why;
}

static const char *rate_text(const struct rate *rate, char text[32])
{
    static const struct {
        uint64_t usec;
        char unit;
    } units[] = {{60000000, 'm'}, {3600000000, 'h'}};
    char unit = 's';

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        unit = rate->per_usec == units[i].usec ? units[i].unit : unit;
    snprintf(text, 32, rate->count ? "%" PRIu64 "/%c" : "any number of", rate->count, unit);
    return text;
}

static void say_rates(const struct route *route)
{
    const struct rate_settings *rate = &route->settings->rate;
    char handshakes[32], requests[32];

    if (!route->is_rated)
        return;
    printf("rate       per client address: %s handshakes, %s requests",
           rate_text(&rate->handshakes, handshakes), rate_text(&rate->requests, requests));
    if (rate->connections)
        printf(", %" PRIu64 " at a time", rate->connections);
    putchar('\n');
}

static void say_auth(const struct access_auth *auth)
{
    printf("auth       http://%s%s is asked, then; ", auth->host, auth->target);
    for (size_t i = 0; i < auth->copy_count; i++)
        printf("%s%s", i ? ", " : "its ", auth->copy[i]);
    printf("%swithout an answer %s\n", auth->copy_count ? " go to the server; " : "",
           auth->fails_open ? "the request passes" : "it is refused with 503");
}

/* Whether it would come in, as far as that can be said here. */
static enum reason say_access(const struct route *route, const struct asked *asked,
                              const struct http1_head *head, struct claims **ret_claims)
{
    const struct access_ask ask = {
        .request = head, .client = asked->ip, .now_sec = (uint64_t)time(NULL)};
    struct claims *claims = NULL;

    say_rates(route);
    if (!route->access)
        return REASON_DONE;
    enum reason why = access_judge(route->access, &ask, &claims);
    printf("access     of a client at %s%s: %s\n", asked->client,
           asked->from ? "" : " (--from says another)", why == REASON_DONE ? "passes" : "refused");
    if (claims) {
        struct bytes subject = claims_value(claims, bytes_of("sub"));
        printf("           the token is good; sub is \"%.*s\"\n", (int)subject.len,
               (const char *)subject.at);
    }
    *ret_claims = claims;
    if (why == REASON_DONE && access_auth(route->access))
        say_auth(access_auth(route->access));
    return why;
}

static int explain_found(const struct route *route, const struct asked *asked,
                         const struct route_asked *of, const struct route_params *params)
{
    struct bytes path = asked->target.path;
    struct claims *claims = NULL;
    struct buf stripped;
    int error = 0;

    for (size_t i = 0; i < params->count; i++)
        printf("           %.*s = %.*s\n", (int)params->param[i].name.len,
               (const char *)params->param[i].name.at, (int)params->param[i].value.len,
               (const char *)params->param[i].value.at);
    if (of->path->has_encoded_slash && route->settings->encoded_slashes == ENCODED_SLASHES_REFUSE)
        return refused(REASON_TARGET_WRONG);
    enum reason why = say_access(route, asked, of->head, &claims);
    if (why != REASON_DONE)
        return refused(why);
    if (route->settings->guard.is_on)
        printf("guard      a tunnel's frames are read, so it is relayed by copy alone\n");
    buf_init(&stripped, REQUEST_MAX_BYTES);
    bool is_stripped = route->action->strip &&
                       strip_write(route->action->strip, path, of->path, &stripped, &error);
    struct facts facts = {
        .method = of->head->method,
        .scheme = bytes_of(of->is_https ? "https" : "http"),
        .host = of->host,
        .path = path,
        .rest = is_stripped ? buf_bytes(&stripped) : path,
        .query = asked->target.query,
        .client = bytes_of(asked->client),
        .route = bytes_of(route->name),
        .request = of->head,
        .params = params,
        .claim = claims ? claims_value : NULL,
        .claims = claims,
    };
    int code = say_action(route, asked, of->head, &facts);
    buf_done(&stripped);
    claims_free(claims);
    return code;
}

static int explain_http(const struct snapshot *snapshot, struct asked *asked)
{
    struct http1_head head;
    struct url_path path;
    struct route_params params = {0};
    struct route_asked of = {.path = &path, .is_https = asked->is_tls, .head = &head};
    uint8_t *memory = malloc(strlen(asked->text));
    int code;

    enum reason why =
        memory ? read_request(asked, memory, &head, &of.host, &path) : REASON_NO_MEMORY;
    if (why != REASON_DONE) {
        code = refused(why);
    } else {
        const struct route *route = say_routes(snapshot, &of, &params);
        code = route ? explain_found(route, asked, &of, &params) : refused(REASON_NO_ROUTE);
    }
    free(memory);
    return code;
}

int explain_request(const struct options *options)
{
    struct asked *asked = calloc(1, sizeof *asked);
    struct snapshot *snapshot =
        asked && parse_url(options, asked) ? load_or_say(options->file) : NULL;
    const struct gate_spec *gate = NULL;
    int code = snapshot ? say_gate(snapshot, asked, &gate) : 1;

    if (snapshot) {
        asked->snapshot = snapshot;
        ip_parse(bytes_of(asked->from ? asked->from : "127.0.0.1"), &asked->ip);
        ip_write(&asked->ip, asked->client);
    }

    if (snapshot && code == 0 && gate->tcp)
        code = explain_tcp(snapshot, gate, asked);
    else if (snapshot && code == 0)
        code = gate->settings->tls_mode == TLS_PASSTHROUGH ? explain_passthrough(snapshot, asked)
                                                           : explain_http(snapshot, asked);
    snapshot_unref(snapshot);
    free(asked);
    return code;
}

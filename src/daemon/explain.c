/* The same code that serves decides here, on a snapshot without sockets: what is said is what would
 * happen. */
#include "daemon/explain.h"

#include "codec/http1.h"
#include "codec/ws_handshake.h"
#include "daemon/source.h"
#include "proxy/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX_BYTES 65536

static struct snapshot *load(const char *path, struct report *report)
{
    const struct snapshot_means means = {.source = source_of_files()};
    struct settings *settings = settings_load(means.source, path, report);

    return settings ? snapshot_new(&means, settings, NULL, report) : NULL;
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
    int used = snprintf(asked->text, sizeof asked->text, "GET %.*s%s%.*s HTTP/1.1\r\n",
                        (int)t->path.len, (const char *)t->path.at, t->query.at ? "?" : "",
                        (int)t->query.len, t->query.at ? (const char *)t->query.at : "");

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
        if (!snapshot->gates[i].tcp &&
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
static bool holds(const struct route_match *part, struct bytes host, const struct url_path *path)
{
    struct route_rule *rule = NULL;
    char words[256];
    bool matches =
        route_rule_new(part, &rule, words) == 0 && route_rule_matches(rule, host, path, NULL);

    route_rule_free(rule);
    return matches;
}

static void say_why_not(const struct route_settings *route, struct bytes host,
                        const struct url_path *path)
{
    const struct {
        struct route_match part;
        const char *words;
    } parts[] = {
        {{.host = route->host}, "the host is another"},
        {{.path = route->path}, "the path is another"},
        {{.prefix = route->prefix}, "the path does not begin so"},
    };
    const char *between = ": no, ";

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct route_match *part = &parts[i].part;
        if ((!part->host && !part->path && !part->prefix) || holds(part, host, path))
            continue;
        printf("%s%s", between, parts[i].words);
        between = " and ";
    }
    putchar('\n');
}

static const struct route *say_routes(const struct snapshot *snapshot, struct bytes host,
                                      const struct url_path *path, struct route_params *params)
{
    char words[512];

    for (size_t i = 0; i < snapshot->settings->route_count; i++) {
        const struct route *route = &snapshot->routes[i];
        printf("%s %s (line %u): %s", i == 0 ? "route     " : "          ", route->name,
               route->settings->mark.line, route_rule_describe(route->rule, words, sizeof words));
        if (route_rule_matches(route->rule, host, path, params)) {
            printf("  <- the first that matches\n");
            return route;
        }
        say_why_not(route->settings, host, path);
    }
    return NULL;
}

static void say_choice(const struct route *route)
{
    const struct tried none = {0};
    struct choice *choice = NULL;
    size_t member = 0;
    struct server *server = pool_pick(route->pool, &none, &member, &choice);

    static const char *const headers[] = {"", ", told by PROXY v1", ", told by PROXY v2",
                                          ", told by PROXY v2 with CRC32C"};

    printf("pool       %s, %s%s\n", pool_name(route->pool), pool_balancer(route->pool)->name,
           headers[pool_proxy_protocol(route->pool)]);
    for (size_t i = 0; i < pool_count(route->pool); i++) {
        printf("%s %s, weight %u", i == 0 ? "servers   " : "          ",
               pool_server(route->pool, i)->name, pool_weight(route->pool, i));
        if (pool_max_connections(route->pool, i))
            printf(", at most %u connections", pool_max_connections(route->pool, i));
        printf("%s\n", server && member == i ? "  <- chosen when nothing is connected" : "");
    }
    if (server) {
        printf("why        %s (%s)\n", pool_balancer(route->pool)->because,
               pool_balancer(route->pool)->name);
        pool_release(server);
    }
    free(choice);
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
    say_choice(route);
    return 0;
}

static int explain_tcp(const struct gate_spec *gate)
{
    const struct timeouts *t = &gate->tcp->settings->timeouts;

    printf("request    none is read: whatever comes is relayed at layer 4\n");
    say_choice(gate->tcp);
    printf("timeouts   connect %g s, tunnel_idle %g s, fin %g s, lifetime %g s (0: none)\n",
           (double)t->connect / 1e6, (double)t->tunnel_idle / 1e6, (double)t->fin / 1e6,
           (double)t->lifetime / 1e6);
    return 0;
}

static int explain_http(const struct snapshot *snapshot, struct asked *asked)
{
    struct http1_head head;
    struct http1_body body;
    struct url_path path;
    struct route_params params = {0};
    struct bytes host;
    uint16_t port;
    uint8_t *memory = malloc(strlen(asked->text));
    enum reason why = REASON_NO_MEMORY;
    const struct route *route = NULL;

    if (memory && http1_request_parse(bytes_of(asked->text), HTTP1_FIELDS_MAX, &head, &why) > 0)
        why = http1_request_host(&head, &host, &port);
    if (memory && why == REASON_DONE)
        why = http1_request_body(&head, &body);
    if (memory && why == REASON_DONE && !url_path_normalise(asked->target.path, memory, &path))
        why = REASON_TARGET_WRONG;
    if (memory && why == REASON_DONE) {
        route = say_routes(snapshot, host, &path, &params);
        why = route ? REASON_DONE : REASON_NO_ROUTE;
        if (route && path.has_encoded_slash &&
            route->settings->encoded_slashes == ENCODED_SLASHES_REFUSE)
            why = REASON_TARGET_WRONG;
    }
    bool is_handshake =
        route && ws_request_judge(&head, route->settings->require_key, &why) == WS_HANDSHAKE;
    for (size_t i = 0; route && i < params.count; i++)
        printf("           %.*s = %.*s\n", (int)params.param[i].name.len,
               (const char *)params.param[i].name.at, (int)params.param[i].value.len,
               (const char *)params.param[i].value.at);
    free(memory);
    if (why != REASON_DONE)
        return refused(why);
    printf("request    %s\n",
           is_handshake ? "a WebSocket handshake: relayed at layer 4 after the server's 101"
                        : "plain HTTP: layer 7, request by request");
    say_choice(route);
    say_times(route, is_handshake);
    return 0;
}

int explain_request(const struct options *options)
{
    struct asked *asked = calloc(1, sizeof *asked);
    struct snapshot *snapshot =
        asked && parse_url(options, asked) ? load_or_say(options->file) : NULL;
    const struct gate_spec *gate = NULL;
    int code = snapshot ? say_gate(snapshot, asked, &gate) : 1;

    if (snapshot && code == 0 && gate->tcp)
        code = explain_tcp(gate);
    else if (snapshot && code == 0)
        code = gate->settings->tls_mode == TLS_PASSTHROUGH ? explain_passthrough(snapshot, asked)
                                                           : explain_http(snapshot, asked);
    snapshot_unref(snapshot);
    free(asked);
    return code;
}

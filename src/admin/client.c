/* Blocking, since it is a command: a connection, a request with `Connection: close`, and lines
 * until the end. */
#include "admin/client.h"

#include "base/check.h"
#include "net/address.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_SEC     10
#define LINE_MAX_BYTES 65536

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_NOT_REACHED = 3 };

/* --- the connection
 * --------------------------------------------------------------------------------- */

static FILE *open_admin(const char *text)
{
    struct endpoint endpoint;
    int error = 0, fd;

    if (endpoint_parse(text, &endpoint)) {
        fprintf(stderr, "turnout: --admin \"%s\": write unix:/run/turnout.sock or 127.0.0.1:9900\n",
                text);
        return NULL;
    }
    fd = socket(endpoint.is_unix ? AF_UNIX : endpoint.address.any.sa_family,
                SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        error = endpoint.is_unix
                    ? connect(fd, (struct sockaddr *)&endpoint.path, sizeof endpoint.path)
                    : connect(fd, &endpoint.address.any, address_len(&endpoint.address));
    if (fd < 0 || error) {
        fprintf(stderr,
                "turnout: nothing answers on %s: %s; is turnout running, and is that its `admin: { "
                "listen }`? (--admin ADDR "
                "or $TURNOUT_ADMIN name another)\n",
                text, strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    return fdopen(fd, "r+");
}

static void set_patience(FILE *stream, int seconds)
{
    const struct timeval within = {.tv_sec = seconds};

    setsockopt(fileno(stream), SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
}

/* Sends the request and reads the answer's head; the status, or 0 when there was no answer. */
static int ask(FILE *stream, const char *method, const char *path)
{
    char line[LINE_MAX_BYTES];
    int status = 0;

    fprintf(stream, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
    fflush(stream);
    if (fgets(line, sizeof line, stream))
        sscanf(line, "HTTP/1.1 %d", &status);
    while (fgets(line, sizeof line, stream) && strcmp(line, "\r\n") != 0)
        ;
    return status;
}

/* The whole answer as JSON. NULL: not reached, or no JSON; that was said. */
static json_t *get(const struct client_options *options, const char *method, const char *path,
                   int *ret_status)
{
    FILE *stream = open_admin(options->admin);
    json_error_t error;

    *ret_status = 0;
    if (!stream)
        return NULL;
    set_patience(stream, ANSWER_SEC);
    *ret_status = ask(stream, method, path);
    json_t *json = *ret_status ? json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error) : NULL;
    if (!json)
        fprintf(stderr, "turnout: %s does not answer as turnout does; is it its admin listener?\n",
                options->admin);
    fclose(stream);
    return json;
}

/* --- showing
 * ---------------------------------------------------------------------------------------- */

static const char *word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "-";
}

static long long count(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static int print_json(const json_t *json, int status)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    return status == 200 ? EXIT_DONE : EXIT_FAILED;
}

typedef void show_fn(const json_t *json);

static int show(const struct client_options *options, const char *method, const char *path,
                show_fn *as_table)
{
    int status, code;
    json_t *json = get(options, method, path, &status);

    if (!json)
        return EXIT_NOT_REACHED;
    if (options->is_json) {
        code = print_json(json, status);
    } else if (json_object_get(json, "error")) {
        fprintf(stderr, "turnout: %s; %s\n", word(json, "error"), word(json, "what_to_do"));
        code = EXIT_FAILED;
    } else {
        as_table(json);
        code = status == 200 ? EXIT_DONE : EXIT_FAILED;
    }
    json_decref(json);
    return code;
}

static void show_status(const json_t *json)
{
    const json_t *counters = json_object_get(json, "counters"),
                 *tiers = json_object_get(json, "tiers");

    printf("turnout %s, pid %lld, %s since %s\n", word(json, "version"), count(json, "pid"),
           word(json, "state"), word(json, "started"));
    printf("configuration %lld from %s, %lld workers, at most %lld descriptors\n",
           count(json, "configuration"), word(json, "file"), count(json, "workers"),
           count(json, "descriptor_limit"));
    printf("connections %lld (%lld ever), tunnels %lld (%lld ever), requests %lld, refused %lld\n",
           count(counters, "connections"), count(counters, "connections_ever"),
           count(counters, "tunnels"), count(counters, "tunnels_ever"),
           count(counters, "requests_ever"), count(counters, "refused_ever"));
    printf("relay tier %s; %s\n", word(json_array_get(tiers, 0), "tier"), word(json, "kernel"));
}

static void show_servers(const json_t *json)
{
    const json_t *server;
    size_t i;

    printf("%-36s %6s %7s %8s %12s %12s %10s\n", "server", "weight", "active", "tunnels",
           "tunnels ever", "requests ever", "failures");
    json_array_foreach(json_object_get(json, "servers"), i, server)
        printf("%-36s %6lld %7lld %8lld %12lld %12lld %10lld\n", word(server, "server"),
               count(server, "weight"), count(server, "active"), count(server, "tunnels"),
               count(server, "tunnels_ever"), count(server, "requests_ever"),
               count(server, "failures_ever"));
}

static void show_connections(const json_t *json)
{
    const json_t *c;
    size_t i;

    printf("%-10s %-22s %-30s %-13s %-5s %12s %12s\n", "connection", "client", "server", "state",
           "tier", "to server", "to client");
    json_array_foreach(json_object_get(json, "connections"), i, c)
        printf("%-10lld %-22s %-30s %-13s %-5s %12lld %12lld\n", count(c, "connection"),
               word(c, "client"), word(c, "server"), word(c, "state"), word(c, "tier"),
               count(c, "to_server_bytes"), count(c, "to_client_bytes"));
}

static void show_reload(const json_t *json)
{
    const json_t *error;
    size_t i;

    if (strcmp(word(json, "result"), "ok") == 0)
        printf("configuration %lld is in force\n", count(json, "number"));
    json_array_foreach(json_object_get(json, "errors"), i, error)
    {
        fprintf(stderr, "%s:%lld:%lld: error: %s\n", word(error, "file"), count(error, "line"),
                count(error, "column"), word(error, "words"));
        if (json_is_string(json_object_get(error, "hint")))
            fprintf(stderr, "  %s\n", word(error, "hint"));
    }
    if (i)
        fprintf(stderr, "the configuration was refused; the one before serves on\n");
}

int client_status(const struct client_options *options)
{
    return show(options, "GET", "/api/v1/status", show_status);
}

int client_servers(const struct client_options *options)
{
    return show(options, "GET", "/api/v1/servers", show_servers);
}

int client_connections(const struct client_options *options)
{
    return show(options, "GET", "/api/v1/connections?limit=500", show_connections);
}

int client_reload(const struct client_options *options)
{
    return show(options, "POST", "/api/v1/reload", show_reload);
}

/* --- following
 * -------------------------------------------------------------------------------------- */

static void show_event(const json_t *event)
{
    const char *time = word(event, "time"), *from = word(event, "from"), *to = word(event, "to");

    if (json_object_get(event, "lost")) {
        printf("... %lld transitions were too fast to be shown\n", count(event, "lost"));
        return;
    }
    printf("%.12s #%-8lld %-12s %s -> ", strlen(time) > 11 ? time + 11 : time,
           count(event, "connection"), word(event, "flow"), from[0] == '-' ? "(begins)" : from);
    if (to[0] == '-')
        printf("(leaves: %s)\n", word(event, "reason"));
    else
        printf("%s\n", to);
}

static void show_story(const json_t *c)
{
    const json_t *step, *choice = json_object_get(c, "choice"), *one;
    size_t i;

    printf("#%lld %s -> %s, %s, tier %s\n", count(c, "connection"), word(c, "client"),
           word(c, "server"), word(c, "state"), word(c, "tier"));
    json_array_foreach(json_object_get(c, "steps"), i, step)
        printf("  %10.3f ms  %s\n", (double)count(step, "at_usec") / 1000, word(step, "step"));
    if (json_is_object(choice))
        printf("  why this server: %s (%s) of %lld\n", word(choice, "because"),
               word(choice, "balancer"), count(choice, "servers"));
    json_array_foreach(json_object_get(choice, "candidates"), i, one) printf(
        "    %-30s active %lld, weight %lld%s\n", word(one, "server"), count(one, "active"),
        count(one, "weight"), json_is_true(json_object_get(one, "chosen")) ? "  <- chosen" : "");
}

static bool ends_it(const struct client_options *options, const json_t *event)
{
    const char *flow = word(event, "flow");

    return options->number && json_is_null(json_object_get(event, "to")) &&
           (strcmp(flow, "tunnel") == 0 || strcmp(flow, "passthrough") == 0);
}

/* One line of the stream; chunk sizes are skipped. False: the followed connection has ended. */
static bool take_line(const struct client_options *options, const char *line)
{
    json_t *event = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
    bool goes_on = !event || !ends_it(options, event);

    if (event && options->is_json)
        fputs(line, stdout);
    else if (event)
        show_event(event);
    fflush(stdout);
    json_decref(event);
    return goes_on;
}

static int show_history(const struct client_options *options)
{
    char path[64];

    snprintf(path, sizeof path, "/api/v1/connections/%" PRIu64, options->number);
    return show(options, "GET", path, show_story);
}

int client_follow(const struct client_options *options)
{
    char path[64], line[LINE_MAX_BYTES];
    int code = options->number ? show_history(options) : EXIT_DONE;

    if (code != EXIT_DONE)
        return code;
    FILE *stream = open_admin(options->admin);
    if (!stream)
        return EXIT_NOT_REACHED;
    snprintf(path, sizeof path, "/api/v1/events?connection=%" PRIu64, options->number);
    code = ask(stream, "GET", path) == 200 ? EXIT_DONE : EXIT_FAILED;
    while (code == EXIT_DONE && fgets(line, sizeof line, stream) && take_line(options, line))
        ;
    fclose(stream);
    return code;
}

/* Blocking, since it is a command: a connection, a request with `Connection: close`, and lines
 * until the end. No wait is without an end but that for the next event. */
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
#define RELOAD_SEC     40
#define LINE_MAX_BYTES 65536
#define PAGE           "/api/v1/connections?limit=1000&after="

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_NOT_REACHED = 3 };

/* --- the connection
 * --------------------------------------------------------------------------------- */

static void set_patience(int fd, int seconds)
{
    const struct timeval within = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
}

/* The connected descriptor, or a negative errno. */
static int connect_to(const struct endpoint *endpoint)
{
    int fd = socket(endpoint->is_unix ? AF_UNIX : endpoint->address.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *to =
        endpoint->is_unix ? (const struct sockaddr *)&endpoint->path : &endpoint->address.any;
    socklen_t len = endpoint->is_unix ? sizeof endpoint->path : address_len(&endpoint->address);

    if (fd < 0)
        return -errno;
    set_patience(fd, ANSWER_SEC);
    if (connect(fd, to, len) == 0)
        return fd;
    int error = errno == EINPROGRESS || errno == EAGAIN
                    ? ETIMEDOUT
                    : errno; /* what a passed SO_SNDTIMEO is called */
    close(fd);
    return -error;
}

static FILE *open_admin(const char *text)
{
    struct endpoint endpoint;

    if (endpoint_parse(text, &endpoint)) {
        fprintf(stderr, "turnout: --admin \"%s\": write unix:/run/turnout.sock or 127.0.0.1:9900\n",
                text);
        return NULL;
    }
    int fd = connect_to(&endpoint);
    if (fd < 0) {
        fprintf(stderr,
                "turnout: nothing answers on %s: %s; is turnout running, and is that its `admin: { "
                "listen }`? (--admin ADDR "
                "or $TURNOUT_ADMIN name another)\n",
                text, strerror(-fd));
        return NULL;
    }
    FILE *stream = fdopen(fd, "r+");
    if (!stream)
        close(fd);
    return stream;
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
    set_patience(fileno(stream), method[0] == 'P' ? RELOAD_SEC : ANSWER_SEC);
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

static void print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
}

typedef void show_fn(const json_t *json);

static int show_answer(const struct client_options *options, json_t *take_json, int status,
                       show_fn *as_table)
{
    int code = status == 200 ? EXIT_DONE : EXIT_FAILED;

    if (!take_json)
        return EXIT_NOT_REACHED;
    if (options->is_json)
        print_json(take_json);
    else if (json_object_get(take_json, "error"))
        fprintf(stderr, "turnout: %s; %s\n", word(take_json, "error"),
                word(take_json, "what_to_do"));
    else
        as_table(take_json);
    json_decref(take_json);
    return code;
}

static int show(const struct client_options *options, const char *method, const char *path,
                show_fn *as_table)
{
    int status;
    json_t *json = get(options, method, path, &status);

    return show_answer(options, json, status, as_table);
}

static void print_error(FILE *out, const json_t *error)
{
    fprintf(out, "%s:%lld:%lld: error: %s\n", word(error, "file"), count(error, "line"),
            count(error, "column"), word(error, "words"));
    if (json_is_string(json_object_get(error, "hint")))
        fprintf(out, "  %s\n", word(error, "hint"));
}

static void show_last_reload(const json_t *reload)
{
    const json_t *error;
    size_t i;

    if (!json_is_object(reload) || strcmp(word(reload, "result"), "ok") == 0)
        return;
    printf("the last reload, at %s, was refused:\n", word(reload, "at"));
    json_array_foreach(json_object_get(reload, "errors"), i, error) print_error(stdout, error);
}

static void show_status(const json_t *json)
{
    const json_t *counters = json_object_get(json, "counters"),
                 *tiers = json_object_get(json, "tiers"), *tier;
    size_t i;

    printf("turnout %s, pid %lld, %s since %s\n", word(json, "version"), count(json, "pid"),
           word(json, "state"), word(json, "started"));
    printf(
        "configuration %lld from %s, in force since %s, %lld workers, at most %lld descriptors\n",
        count(json, "configuration"), word(json, "file"), word(json, "configuration_since"),
        count(json, "workers"), count(json, "descriptor_limit"));
    printf("connections %lld (%lld ever), tunnels %lld (%lld ever), requests %lld, refused %lld\n",
           count(counters, "connections"), count(counters, "connections_ever"),
           count(counters, "tunnels"), count(counters, "tunnels_ever"),
           count(counters, "requests_ever"), count(counters, "refused_ever"));
    printf("relay tiers");
    json_array_foreach(tiers, i, tier)
    {
        const char *why = json_string_value(json_object_get(tier, "why"));
        printf("%s %s%s%s%s", i ? "," : "", word(tier, "tier"), why ? " (no: " : "", why ? why : "",
               why ? ")" : "");
    }
    printf("; %s\n", word(json, "kernel"));
    if (count(json, "log_lines_lost"))
        printf("%lld lines of the log were lost: its reader is too slow, or its disk full\n",
               count(json, "log_lines_lost"));
    show_last_reload(json_object_get(json, "last_reload"));
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

/* "copy", or what serves each way: "splice/copy". */
static const char *tiers_of(const json_t *c, char *text, size_t size)
{
    const char *to_server = word(json_object_get(c, "to_server_relay"), "tier"),
               *to_client = word(json_object_get(c, "to_client_relay"), "tier");
    bool is_one = strcmp(to_server, to_client) == 0;

    snprintf(text, size, "%s%s%s", to_server, is_one ? "" : "/", is_one ? "" : to_client);
    return text;
}

static void show_connections(const json_t *json)
{
    char tiers[64];
    const json_t *c;
    size_t i;

    printf("%-10s %-22s %-30s %-13s %-13s %12s %12s\n", "connection", "client", "server", "state",
           "tier", "to server", "to client");
    json_array_foreach(json_object_get(json, "connections"), i, c) printf(
        "%-10lld %-22s %-30s %-13s %-13s %12lld %12lld\n", count(c, "connection"),
        word(c, "client"), word(c, "server"), word(c, "state"), tiers_of(c, tiers, sizeof tiers),
        count(c, "to_server_bytes"), count(c, "to_client_bytes"));
    json_array_foreach(json_object_get(json, "late"), i, c)
        fprintf(stderr, "worker %lld has not answered in time: its connections are missing here\n",
                (long long)json_integer_value(c));
}

static void show_reload(const json_t *json)
{
    const json_t *error;
    size_t i;

    if (strcmp(word(json, "result"), "ok") == 0)
        printf("configuration %lld is in force\n", count(json, "number"));
    json_array_foreach(json_object_get(json, "errors"), i, error) print_error(stderr, error);
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

/* The next page at the end of the first. 0: not reached; else its status. */
static int add_page(const struct client_options *options, json_t *all, json_int_t after)
{
    char path[80];
    int status;

    snprintf(path, sizeof path, PAGE "%" JSON_INTEGER_FORMAT, after);
    json_t *page = get(options, "GET", path, &status);
    json_array_extend(json_object_get(all, "connections"), json_object_get(page, "connections"));
    json_array_extend(json_object_get(all, "late"), json_object_get(page, "late"));
    json_object_set(all, "next", json_object_get(page, "next"));
    json_decref(page);
    return page ? status : 0;
}

/* Page after page: numbers only rise, so it ends, and none comes twice. */
int client_connections(const struct client_options *options)
{
    int status;
    json_t *all = get(options, "GET", PAGE "0", &status);

    while (all && status == 200 && json_is_integer(json_object_get(all, "next")))
        status = add_page(options, all, json_integer_value(json_object_get(all, "next")));
    if (all && !status) {
        json_decref(all);
        return EXIT_NOT_REACHED;
    }
    return show_answer(options, all, status, show_connections);
}

int client_reload(const struct client_options *options)
{
    return show(options, "POST", "/api/v1/reload", show_reload);
}

/* --- following
 * -------------------------------------------------------------------------------------- */

#define MOMENTS_LOG2 12

/* When each flow entered its step, so that leaving it can say how long it took. Of two that want
 * the same place the later has it, and the other's next line goes without. */
struct moment {
    uint64_t connection, clock_usec;
    char flow[24];
};

struct follow {
    const struct client_options *options;
    uint64_t from_clock_usec; /* earlier events are in the story that was told */
    struct moment moment[1u << MOMENTS_LOG2];
};

static struct moment *moment_of(struct follow *follow, uint64_t connection, const char *flow)
{
    uint64_t hash = connection;

    for (const char *at = flow; *at; at++)
        hash = hash * 31 + (uint8_t)*at;
    return &follow->moment[hash * 0x9e3779b97f4a7c15u >> (64 - MOMENTS_LOG2)];
}

static bool is_of(const struct moment *moment, uint64_t connection, const char *flow)
{
    return moment->connection == connection && strcmp(moment->flow, flow) == 0;
}

static void enter(struct moment *moment, uint64_t connection, const char *flow, uint64_t clock_usec)
{
    moment->connection = connection;
    moment->clock_usec = clock_usec;
    snprintf(moment->flow, sizeof moment->flow, "%s", flow);
}

/* 12:01:02.345 #4711 tunnel read_head → choose_route 0.2 ms */
static void show_event(struct follow *follow, const json_t *event)
{
    const char *time = word(event, "time"), *flow = word(event, "flow"),
               *from = word(event, "from");
    uint64_t connection = (uint64_t)count(event, "connection"),
             clock_usec = (uint64_t)count(event, "clock_usec");
    struct moment *moment = moment_of(follow, connection, flow);

    printf("%.12s #%llu %s ", strlen(time) > 11 ? time + 11 : time, (unsigned long long)connection,
           flow);
    if (json_is_null(json_object_get(event, "from")))
        printf("begins: %s", word(event, "to"));
    else if (json_is_null(json_object_get(event, "to")))
        printf("%s → ends: %s", from, word(event, "reason"));
    else
        printf("%s → %s", from, word(event, "to"));
    if (is_of(moment, connection, flow))
        printf(" %.1f ms", (double)(clock_usec - moment->clock_usec) / 1000);
    putchar('\n');
    if (json_is_null(json_object_get(event, "to")))
        *moment = (struct moment){0};
    else
        enter(moment, connection, flow, clock_usec);
}

static void show_lane(const json_t *c, const char *key, const char *direction)
{
    const json_t *lane = json_object_get(c, key);
    const char *why = json_string_value(json_object_get(lane, "no_better"));

    if (json_is_object(lane))
        printf("  %s: %s for %.0f s%s%s\n", direction, word(lane, "tier"),
               (double)count(lane, "since_usec") / 1e6, why ? "; no better one: " : "",
               why ? why : "");
}

static void show_story(const json_t *c)
{
    const json_t *step, *choice = json_object_get(c, "choice"), *one;
    size_t i;

    printf("#%lld %s → %s, %s\n", count(c, "connection"), word(c, "client"), word(c, "server"),
           word(c, "state"));
    show_lane(c, "to_server_relay", "to server");
    show_lane(c, "to_client_relay", "to client");
    json_array_foreach(json_object_get(c, "steps"), i, step)
        printf("  %10.3f ms  %s\n", (double)count(step, "at_usec") / 1000, word(step, "step"));
    if (json_is_object(choice))
        printf("  why this server: %s (%s) of %lld\n", word(choice, "because"),
               word(choice, "balancer"), count(choice, "servers"));
    json_array_foreach(json_object_get(choice, "candidates"), i, one) printf(
        "    %-30s active %lld, weight %lld%s\n", word(one, "server"), count(one, "active"),
        count(one, "weight"), json_is_true(json_object_get(one, "chosen")) ? "  <- chosen" : "");
}

/* The connection that the story was about: its step's beginning, for the next line's duration. */
static void remember(struct follow *follow, const json_t *c)
{
    const json_t *steps = json_object_get(c, "steps");
    const json_t *last = json_array_get(steps, json_array_size(steps) - 1);
    uint64_t number = (uint64_t)count(c, "connection");

    follow->from_clock_usec = (uint64_t)count(c, "clock_usec");
    enter(moment_of(follow, number, word(c, "flow")), number, word(c, "flow"),
          follow->from_clock_usec - (uint64_t)count(c, "open_usec") +
              (uint64_t)count(last, "at_usec"));
}

static int show_history(struct follow *follow)
{
    char path[64];
    int status;

    snprintf(path, sizeof path, "/api/v1/connections/%" PRIu64, follow->options->number);
    json_t *json = get(follow->options, "GET", path, &status);
    if (json && status == 200)
        remember(follow, json);
    if (!json || status != 200 || !follow->options->is_json)
        return show_answer(follow->options, json, status, show_story);
    json_dumpf(json, stdout, JSON_COMPACT); /* one line, as the events are */
    putchar('\n');
    json_decref(json);
    return EXIT_DONE;
}

static bool ends_it(const struct client_options *options, const json_t *event)
{
    const char *flow = word(event, "flow");

    return options->number && json_is_null(json_object_get(event, "to")) &&
           (strcmp(flow, "tunnel") == 0 || strcmp(flow, "passthrough") == 0);
}

static void show_line(struct follow *follow, const json_t *event, const char *line)
{
    if (follow->options->is_json)
        fputs(line, stdout);
    else if (json_object_get(event, "lost"))
        printf("... %lld transitions were too fast to be shown\n", count(event, "lost"));
    else
        show_event(follow, event);
    fflush(stdout);
}

/* Of the stream's lines, those that begin with `{` are events; the others frame the chunks. False:
 * no more is wanted. */
static bool take_line(struct follow *follow, const char *line)
{
    json_t *event = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
    bool is_told = json_object_get(event, "clock_usec") &&
                   (uint64_t)count(event, "clock_usec") < follow->from_clock_usec;
    bool goes_on = !event || !ends_it(follow->options, event);

    if (event && !is_told)
        show_line(follow, event, line);
    json_decref(event);
    return goes_on && !ferror(stdout);
}

/* The stream is open before the story is asked for: nothing can happen in between unseen. */
static int follow_stream(struct follow *follow, FILE *stream)
{
    char path[64], line[LINE_MAX_BYTES];

    snprintf(path, sizeof path, "/api/v1/events?connection=%" PRIu64, follow->options->number);
    if (ask(stream, "GET", path) != 200) {
        fprintf(stderr, "turnout: %s gives no events; is it turnout's admin listener?\n",
                follow->options->admin);
        return EXIT_FAILED;
    }
    int code = follow->options->number ? show_history(follow) : EXIT_DONE;
    fflush(stdout);
    set_patience(fileno(stream), 0);
    while (code == EXIT_DONE && fgets(line, sizeof line, stream))
        if (!take_line(follow, line))
            return EXIT_DONE;
    if (code == EXIT_DONE)
        fprintf(stderr, "turnout: the events have ended; has turnout stopped?\n");
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

int client_follow(const struct client_options *options)
{
    FILE *stream = open_admin(options->admin);
    struct follow *follow = stream ? calloc(1, sizeof *follow) : NULL;
    int code = stream ? EXIT_FAILED : EXIT_NOT_REACHED;

    if (follow) {
        follow->options = options;
        code = follow_stream(follow, stream);
    }
    free(follow);
    if (stream)
        fclose(stream);
    return code;
}

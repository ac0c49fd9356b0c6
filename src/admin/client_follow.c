/* `follow`: what connections do, as it happens; of one of them the story so far first. */
#include "admin/client_priv.h"

#include <inttypes.h>
#include <stdlib.h>

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
    const char *time = client_word(event, "time"), *flow = client_word(event, "flow"),
               *from = client_word(event, "from");
    uint64_t connection = (uint64_t)client_count(event, "connection"),
             clock_usec = (uint64_t)client_count(event, "clock_usec");
    struct moment *moment = moment_of(follow, connection, flow);

    printf("%.12s #%llu %s ", strlen(time) > 11 ? time + 11 : time, (unsigned long long)connection,
           flow);
    if (json_is_null(json_object_get(event, "from")))
        printf("begins: %s", client_word(event, "to"));
    else if (json_is_null(json_object_get(event, "to")))
        printf("%s → ends: %s", from, client_word(event, "reason"));
    else
        printf("%s → %s", from, client_word(event, "to"));
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
        printf("  %s: %s for %.0f s%s%s\n", direction, client_word(lane, "tier"),
               (double)client_count(lane, "since_usec") / 1e6, why ? "; no better one: " : "",
               why ? why : "");
}

static void show_story(const json_t *c)
{
    const json_t *step, *choice = json_object_get(c, "choice"), *one;
    size_t i;

    printf("#%lld %s → %s, %s\n", client_count(c, "connection"), client_word(c, "client"),
           client_word(c, "server"), client_word(c, "state"));
    show_lane(c, "to_server_relay", "to server");
    show_lane(c, "to_client_relay", "to client");
    json_array_foreach(json_object_get(c, "steps"), i, step)
        printf("  %10.3f ms  %s\n", (double)client_count(step, "at_usec") / 1000,
               client_word(step, "step"));
    if (json_is_object(choice))
        printf("  why this server: %s (%s) of %lld\n", client_word(choice, "because"),
               client_word(choice, "balancer"), client_count(choice, "servers"));
    json_array_foreach(json_object_get(choice, "candidates"), i, one)
        printf("    %-30s active %lld, weight %lld%s\n", client_word(one, "server"),
               client_count(one, "active"), client_count(one, "weight"),
               json_is_true(json_object_get(one, "chosen")) ? "  <- chosen" : "");
}

/* The connection that the story was about: its step's beginning, for the next line's duration. */
static void remember(struct follow *follow, const json_t *c)
{
    const json_t *steps = json_object_get(c, "steps");
    const json_t *last = json_array_get(steps, json_array_size(steps) - 1);
    uint64_t number = (uint64_t)client_count(c, "connection");

    follow->from_clock_usec = (uint64_t)client_count(c, "clock_usec");
    enter(moment_of(follow, number, client_word(c, "flow")), number, client_word(c, "flow"),
          follow->from_clock_usec - (uint64_t)client_count(c, "open_usec") +
              (uint64_t)client_count(last, "at_usec"));
}

static int show_history(struct follow *follow)
{
    char path[64];
    int status;

    snprintf(path, sizeof path, "/api/v1/connections/%" PRIu64, follow->options->number);
    json_t *json = client_request(follow->options, "GET", path, NULL, &status);
    if (json && status == 200)
        remember(follow, json);
    if (!json || status != 200 || !follow->options->is_json)
        return client_show_answer(follow->options, json, status, show_story);
    json_dumpf(json, stdout, JSON_COMPACT); /* one line, as the events are */
    putchar('\n');
    json_decref(json);
    return CLIENT_DONE;
}

static bool ends_it(const struct client_options *options, const json_t *event)
{
    const char *flow = client_word(event, "flow");

    return options->number && json_is_null(json_object_get(event, "to")) &&
           (strcmp(flow, "tunnel") == 0 || strcmp(flow, "passthrough") == 0);
}

static void show_line(struct follow *follow, const json_t *event, const char *line)
{
    if (follow->options->is_json)
        fputs(line, stdout);
    else if (json_object_get(event, "lost"))
        printf("... %lld transitions were too fast to be shown\n", client_count(event, "lost"));
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
                   (uint64_t)client_count(event, "clock_usec") < follow->from_clock_usec;
    bool goes_on = !event || !ends_it(follow->options, event);

    if (event && !is_told)
        show_line(follow, event, line);
    json_decref(event);
    return goes_on && !ferror(stdout);
}

/* The stream is open before the story is asked for: nothing can happen in between unseen. */
static int follow_stream(struct follow *follow, FILE *stream)
{
    char path[64], line[CLIENT_LINE_BYTES];

    snprintf(path, sizeof path, "/api/v1/events?connection=%" PRIu64, follow->options->number);
    if (client_ask(stream, "GET", path, NULL) != 200) {
        fprintf(stderr, "turnout: %s gives no events; is it turnout's admin listener?\n",
                follow->options->admin);
        return CLIENT_FAILED;
    }
    int code = follow->options->number ? show_history(follow) : CLIENT_DONE;
    fflush(stdout);
    client_wait(fileno(stream), 0);
    while (code == CLIENT_DONE && fgets(line, sizeof line, stream))
        if (!take_line(follow, line))
            return CLIENT_DONE;
    if (code == CLIENT_DONE)
        fprintf(stderr, "turnout: the events have ended; has turnout stopped?\n");
    return code == CLIENT_DONE ? CLIENT_FAILED : code;
}

int client_follow(const struct client_options *options)
{
    FILE *stream = client_open(options->admin);
    struct follow *follow = stream ? calloc(1, sizeof *follow) : NULL;
    int code = stream ? CLIENT_FAILED : CLIENT_NOT_REACHED;

    if (follow) {
        follow->options = options;
        code = follow_stream(follow, stream);
    }
    free(follow);
    if (stream)
        fclose(stream);
    return code;
}

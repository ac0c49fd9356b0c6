/* `drain`, `undrain` and `rebalance`. With --wait they stay until it is done, and show how far it
 * is; who interrupts them interrupts only the showing. */
#include "admin/client_priv.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define POLL_NSEC 200000000

static void set_given(json_t *body, const struct client_options *options, const char *name)
{
    if (client_given(options, name))
        json_object_set_new(body, name, json_string(client_given(options, name)));
}

/* --- waiting ------------------------------------------------------------------------------------
 */

void client_show_drain(const json_t *drain)
{
    printf("drain %lld of %s%s%s, %s: %lld left, %lld closed with %lld (%lld unaligned), %lld "
           "ended by themselves",
           client_count(drain, "id"), client_word(drain, "what"),
           *client_word(drain, "name") ? " " : "", client_word(drain, "name"),
           client_word(drain, "state"), client_count(drain, "left"), client_count(drain, "closed"),
           client_count(drain, "code"), client_count(drain, "unaligned"),
           client_count(drain, "ended"));
    if (client_count(drain, "requests") > 0)
        printf(", %lld requests under way", client_count(drain, "requests"));
    putchar('\n');
}

void client_show_rebalance(const json_t *json)
{
    const char *state = json_is_true(json_object_get(json, "undone")) ? "undone"
                        : json_is_true(json_object_get(json, "done")) ? "done"
                                                                      : "under way";

    printf("rebalance %lld of pool %s, %s: %lld closed (%lld unaligned), %lld left, the fullest is "
           "%lld %% above the mean\n",
           client_count(json, "id"), client_word(json, "pool"), state, client_count(json, "closed"),
           client_count(json, "unaligned"), client_count(json, "left"),
           client_count(json, "above_percent"));
}

/* A line is written over where someone looks, and only when it says something new. */
static void show_progress(const json_t *json, long long *last_left)
{
    long long left = client_count(json, "left");

    if (left == *last_left || !isatty(STDERR_FILENO))
        return;
    *last_left = left;
    fprintf(stderr, "\r%lld left, %lld closed   ", left, client_count(json, "closed"));
    fflush(stderr);
}

/* Asks until it is done. Takes the first answer, returns the last one. */
static json_t *wait_for(const struct client_options *options, const char *at, json_t *take_json,
                        int *status)
{
    const struct timespec pause = {.tv_nsec = POLL_NSEC};
    long long last_left = -1;
    char path[CLIENT_PATH_BYTES];

    snprintf(path, sizeof path, "%s/%lld", at, client_count(take_json, "id"));
    while (take_json && *status < 300 && !json_is_true(json_object_get(take_json, "done"))) {
        show_progress(take_json, &last_left);
        nanosleep(&pause, NULL);
        json_decref(take_json);
        take_json = client_request(options, "GET", path, NULL, status);
    }
    if (last_left >= 0)
        fputs("\r\033[K", stderr);
    return take_json;
}

static int begin(const struct client_options *options, const char *at, json_t *take_body,
                 client_show_fn *show)
{
    int status = 0;
    json_t *json = client_request(options, "POST", at, take_body, &status);

    if (json && client_given(options, "wait"))
        json = wait_for(options, at, json, &status);
    return client_show_answer(options, json, status, show);
}

/* --- commands -----------------------------------------------------------------------------------
 */

static int refuse(const char *command, const char *words)
{
    fprintf(stderr, "turnout %s: %s: write server POOL/ADDRESS, pool NAME, route NAME, or node\n",
            command, words);
    return 2;
}

/* Whether WHAT and NAME are one of the four. NULL: they are. */
static const char *what_is_wrong(const char *what, const char *name)
{
    if (strcmp(what, "node") == 0)
        return name ? "a node has no name" : NULL;
    if (strcmp(what, "server") != 0 && strcmp(what, "pool") != 0 && strcmp(what, "route") != 0)
        return "that is nothing to drain";
    return name ? NULL : "which one?";
}

int client_drain(const struct client_options *options)
{
    const char *what = client_given(options, "WHAT"), *name = client_given(options, "NAME");
    const char *wrong = what_is_wrong(what, name), *code = client_given(options, "code");

    if (wrong)
        return refuse("drain", wrong);
    json_t *body = json_object();
    json_object_set_new(body, what, name ? json_string(name) : json_true());
    set_given(body, options, "over");
    if (code)
        json_object_set_new(body, "code", json_integer(strtoll(code, NULL, 10)));
    return begin(options, "/api/v1/drains", body, client_show_drain);
}

static void show_undone(const json_t *json)
{
    const json_t *drain;
    size_t i;

    json_array_foreach(json_object_get(json, "undone"), i, drain) client_show_drain(drain);
    if (!i)
        printf("the server is up again\n");
}

int client_undrain(const struct client_options *options)
{
    const char *what = client_given(options, "WHAT"), *name = client_given(options, "NAME");
    const char *wrong = what_is_wrong(what, name);
    char path[CLIENT_PATH_BYTES], value[CLIENT_PATH_BYTES / 2];

    if (wrong)
        return refuse("undrain", wrong);
    if (!client_escape(name ? name : "1", value, sizeof value))
        return refuse("undrain", "that name is too long");
    snprintf(path, sizeof path, "/api/v1/drains?%s=%s", what, value);
    return client_show(options, "DELETE", path, NULL, show_undone);
}

int client_rebalance(const struct client_options *options)
{
    json_t *body = json_pack("{s:s}", "pool", client_given(options, "POOL"));

    set_given(body, options, "rate");
    set_given(body, options, "tolerance");
    return begin(options, "/api/v1/rebalances", body, client_show_rebalance);
}

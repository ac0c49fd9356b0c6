/* Which door it is, and whether it may be opened. A subject's doors are one row here and a table in
 * their own file. */
#include "admin/admin_priv.h"

#include "admin/door.h"
#include "admin/guard.h"

#include <stdio.h>

static const struct door *const subjects[] = {doors_of_status, doors_of_connections,
                                              doors_of_events, doors_of_pools,
                                              doors_of_shards, doors_of_drains};

/* Each door in turn; NULL behind the last. `at` counts within a subject. */
static const struct door *next_door(size_t *subject, size_t *at)
{
    while (*subject < ARRAY_LEN(subjects)) {
        const struct door *door = &subjects[*subject][(*at)++];
        if (door->method)
            return door;
        ++*subject;
        *at = 0;
    }
    return NULL;
}

static void refuse(struct refusal *refusal, unsigned status, const char *error,
                   const char *what_to_do)
{
    refusal->status = status;
    snprintf(refusal->error, sizeof refusal->error, "%s", error);
    snprintf(refusal->what_to_do, sizeof refusal->what_to_do, "%s", what_to_do);
}

static void add_word(char *list, size_t size, const char *word)
{
    size_t len = strlen(list);

    snprintf(list + len, size - len, "%s%s", len ? ", " : "", word);
}

/* Each path once: the doors of one path stand together. */
static void refuse_path(struct refusal *refusal)
{
    char paths[REFUSAL_BYTES] = "";
    const char *last = "";
    const struct door *door;
    size_t subject = 0, at = 0;

    while ((door = next_door(&subject, &at))) {
        if (strcmp(door->path, last) != 0)
            add_word(paths, sizeof paths, door->path);
        last = door->path;
    }
    refuse(refusal, 404, "there is nothing here", "");
    snprintf(refusal->what_to_do, sizeof refusal->what_to_do, "there is: %.*s",
             (int)sizeof refusal->what_to_do - 16, paths);
}

/* Against cross-site requests: a browser names the page that asks, in everything that could change
 * something. */
static bool is_of_foreign_page(const struct admin_client *c)
{
    struct bytes origin = http1_find(&c->head, "origin");

    return origin.at && !guard_is_same_host(origin, http1_find(&c->head, "host"));
}

static bool may_open(struct admin_client *c, const struct door *door, struct refusal *refusal)
{
    if (strcmp(door->method, "GET") == 0 || !is_of_foreign_page(c))
        return true;
    refuse(refusal, 403, "a page of another origin may not change anything here",
           "ask without Origin");
    return false;
}

/* Of the path's doors the one of the method; the others' methods are what Allow lists (RFC 9110
 * section 15.5.6). */
static bool find_door(struct admin_client *c, struct refusal *refusal)
{
    const struct door *door;
    size_t subject = 0, at = 0;

    c->allow[0] = '\0';
    while ((door = next_door(&subject, &at))) {
        if (!call_matches(c->call, door->path))
            continue;
        if (bytes_equal(c->head.method, bytes_of(door->method))) {
            c->allow[0] = '\0';
            c->call->door = door;
            return may_open(c, door, refusal);
        }
        add_word(c->allow, sizeof c->allow, door->method);
    }
    if (!c->allow[0]) {
        refuse_path(refusal);
        return false;
    }
    refuse(refusal, 405, "that method is not for this path", "");
    snprintf(refusal->what_to_do, sizeof refusal->what_to_do, "ask with: %s", c->allow);
    return false;
}

/* Against rebinding: a page's own name never means us. Who sends no Host (HTTP/1.0) is no browser;
 * whom a Unix socket lets in is none either. */
static bool host_is_ours(const struct admin_client *c, struct bytes name)
{
    return c->admin->means.endpoint.is_unix || !name.len || guard_is_local_name(name);
}

bool doors_find(struct admin_client *c, struct refusal *ret_refusal)
{
    struct bytes host;
    uint16_t port;

    if (http1_request_host(&c->head, &host, &port) != REASON_DONE ||
        http1_request_body(&c->head, &c->body) != REASON_DONE) {
        c->keeps = false;
        refuse(ret_refusal, 400, "the request's Host or its body's length can be read two ways",
               "ask in plain HTTP/1.1");
        return false;
    }
    if (c->body.kind == BODY_LENGTH && c->body.left > ADMIN_BODY_MAX_BYTES) {
        refuse(ret_refusal, 413, "no request here needs so large a body", "send 64 KiB at most");
        return false;
    }
    if (!host_is_ours(c, host)) {
        refuse(ret_refusal, 403, "this Host is not ours", "ask by address or as localhost");
        return false;
    }
    if (!query_parse(bytes_of(c->call->target), &c->call->query)) {
        refuse(ret_refusal, 400, "the query cannot be read",
               "write name=value, %-escaped, at most 8 of them");
        return false;
    }
    return find_door(c, ret_refusal);
}

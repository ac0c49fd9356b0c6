/* A route in force, written out from the same tables that read it. */
#include "conf/show.h"

static void say_match(struct out *out, const struct route_settings *route)
{
    static const char *const kinds[] = {"", "true", "false"};
    const struct match_settings *more = &route->more;

    say_rows(out, &section_match, route, ", ");
    for (size_t i = 0; i < more->method_count; i++)
        text_say(&out->text, "%s%s", i ? ", " : ", methods: [ ", more->methods[i]);
    text_say(&out->text, more->method_count ? " ]" : "");
    for (size_t i = 0; i < more->field_count; i++) {
        text_say(&out->text, i ? ", " : ", headers: { ");
        say_text(out, more->fields[i].name);
        text_say(&out->text, ": %s", kinds[more->fields[i].kind]);
        if (more->fields[i].kind == FIELD_IS)
            say_shown(out, &more->fields[i].value);
    }
    text_say(&out->text, more->field_count ? " }" : "");
}

/* "NAME: VALUE, ..." or "NAME, ..." of one operation; false: there is none. */
static bool say_edits_of(struct out *out, const struct edits_settings *edits, enum edit_op op,
                         const char *before)
{
    bool is_first = true;

    for (size_t i = 0; i < edits->count; i++) {
        const struct edit_settings *edit = &edits->at[i];
        if (edit->op != op)
            continue;
        text_say(&out->text, "%s", is_first ? before : ", ");
        is_first = false;
        say_shown(out, &edit->name);
        if (op == EDIT_REMOVE)
            continue;
        text_say(&out->text, ": ");
        say_shown(out, &edit->value);
    }
    return !is_first;
}

static void say_edits(struct out *out, const char *name, const struct edits_settings *edits)
{
    if (!edits->count)
        return;
    text_say(&out->text, "      %s:\n", name);
    if (say_edits_of(out, edits, EDIT_SET, "        set: { "))
        text_say(&out->text, " }\n");
    if (say_edits_of(out, edits, EDIT_ADD, "        add: { "))
        text_say(&out->text, " }\n");
    if (say_edits_of(out, edits, EDIT_REMOVE, "        remove: [ "))
        text_say(&out->text, " ]\n");
}

static void say_action(struct out *out, const struct route_settings *route)
{
    if (route->kind == ROUTE_RESPOND) {
        text_say(&out->text, "    respond: { ");
        say_rows(out, &section_respond, route, ", ");
        if (say_edits_of(out, &route->respond_fields, EDIT_SET, ", headers: { "))
            text_say(&out->text, " }");
        text_say(&out->text, " }\n");
    } else if (route->kind == ROUTE_REDIRECT) {
        text_say(&out->text, "    redirect: { ");
        say_rows(out, &section_redirect, route, ", ");
        text_say(&out->text, " }\n");
    }
    for (size_t i = 0; i < route->share_count; i++) {
        text_say(&out->text, i ? ", { " : "    pools: [ { ");
        say_rows(out, &section_share, &route->shares[i], ", ");
        text_say(&out->text, " }%s", i + 1 == route->share_count ? " ]\n" : "");
    }
    if (route->request_edits.count || route->response_edits.count)
        text_say(&out->text, "    headers:\n");
    say_edits(out, "request", &route->request_edits);
    say_edits(out, "response", &route->response_edits);
}

/* What is asked for, and nothing of what is not. */
static void say_access(struct out *out, const struct route_settings *route)
{
    const struct access_settings *access = &route->access;
    bool has_lists = has_any(&section_access, route);
    const struct rate_settings *rate = &route->rate;

    if (has_lists || access->has_jwt || access->has_auth) {
        text_say(&out->text, "    access: { ");
        say_rows(out, &section_access, route, ", ");
        if (access->has_jwt) {
            text_say(&out->text, has_lists ? ", jwt: { " : "jwt: { ");
            say_rows(out, &section_jwt, route, ", ");
            text_say(&out->text, " }");
        }
        if (access->has_auth) {
            text_say(&out->text, has_lists || access->has_jwt ? ", auth: { " : "auth: { ");
            say_rows(out, &section_auth, route, ", ");
            text_say(&out->text, " }");
        }
        text_say(&out->text, " }\n");
    }
    if (rate->connections || rate->handshakes.count || rate->requests.count) {
        text_say(&out->text, "    rate: { ");
        say_rows(out, &section_rate, route, ", ");
        text_say(&out->text, " }\n");
    }
}

static void say_shard(struct out *out, const struct shard_settings *shard)
{
    if (!shard->key)
        return;
    text_say(&out->text, "    shard: { ");
    say_rows(out, &section_shard, shard, ", ");
    for (size_t i = 0; i < shard->larger_count; i++) {
        text_say(&out->text, i ? ", { " : ", larger: [ { ");
        say_rows(out, &section_larger, &shard->larger[i], ", ");
        text_say(&out->text, " }%s", i + 1 == shard->larger_count ? " ]" : "");
    }
    text_say(&out->text, " }\n");
}

static void say_sticky(struct out *out, const struct sticky_settings *sticky)
{
    if (!sticky->kind)
        return;
    const struct directive *row = &section_sticky_kind.rows[sticky->kind - 1];

    text_say(&out->text, "    sticky: { %s: ", row->name);
    say_value(out, row, (const char *)sticky + row->offset);
    if (has_any(&section_sticky, sticky)) {
        text_say(&out->text, ", ");
        say_rows(out, &section_sticky, sticky, ", ");
    }
    if (sticky->kind == STICKY_COOKIE) {
        text_say(&out->text, ", ");
        say_rows(out, &section_sticky_cookie, sticky, ", ");
    }
    text_say(&out->text, " }\n");
}

void say_route(struct out *out, const struct route_settings *route)
{
    text_say(&out->text, "  - match: { ");
    say_match(out, route);
    text_say(&out->text, " }\n    ");
    say_rows(out, &section_route, route, "\n    ");
    text_say(&out->text, "\n");
    say_action(out, route);
    text_say(&out->text, "    websocket: { ");
    say_rows(out, &section_websocket, route, ", ");
    text_say(&out->text, " }\n    timeouts: { ");
    say_rows(out, &section_timeouts, &route->timeouts, ", ");
    text_say(&out->text, ", ");
    say_rows(out, &section_lifetime, &route->lifetime_jitter, ", ");
    text_say(&out->text, " }\n");
    say_relay(out, &route->relay, "    ");
    say_access(out, route);
    say_shard(out, &route->shard);
    say_sticky(out, &route->sticky);
    if (route->guard.is_on) {
        text_say(&out->text, "    guard: { ");
        say_rows(out, &section_guard, &route->guard, ", ");
        text_say(&out->text, " }\n");
    }
}

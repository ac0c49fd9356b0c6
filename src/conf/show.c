/* The configuration in force, written out from the same tables that read it. */
#include "conf/sections.h"

#include "base/check.h"
#include "conf/text.h"

#include <stdio.h>
#include <stdlib.h>

struct out {
    const struct settings *settings;
    struct text text;
};

/* In double quotes, so that nothing in it means anything to YAML. */
static void say_text(struct out *out, const char *text)
{
    text_say(&out->text, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == 0x7f)
            text_say(&out->text, "\\x%02x", c);
        else
            text_say(&out->text, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    text_say(&out->text, "\"");
}

static void say_texts(struct out *out, const struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        text_say(&out->text, i ? ", " : "[ ");
        say_text(out, settings_shown(out->settings, &texts->at[i]));
    }
    text_say(&out->text, " ]");
}

static void say_rate(struct out *out, const struct rate *rate)
{
    if (rate->count)
        text_say(&out->text, "%llu/%c", (unsigned long long)rate->count,
                 rate->per_usec == 1000000    ? 's'
                 : rate->per_usec == 60000000 ? 'm'
                                              : 'h');
    else
        text_say(&out->text, "0");
}

static void say_value(struct out *out, const struct directive *row, const void *field)
{
    enum directive_type type = row->type;
    char text[VALUE_CHARS];

    if (settings_is_secret(out->settings, field)) {
        text_say(&out->text, "\"***\"");
        return;
    }
    switch (type) {
    case TYPE_FLAG:
        text_say(&out->text, *(const bool *)field ? "yes" : "no");
        return;
    case TYPE_NUMBER:
    case TYPE_PERCENT:
    case TYPE_TIME:
    case TYPE_SIZE:
        value_write(type, *(const uint64_t *)field, text);
        text_say(&out->text, "%s", text);
        return;
    case TYPE_MODE:
        text_say(&out->text, "\"%04llo\"", *(const unsigned long long *)field);
        return;
    case TYPE_TEXT:
    case TYPE_PATH:
        say_text(out, *(const char *const *)field);
        return;
    case TYPE_WORD:
        text_say(&out->text, "%s", directive_words(row)[*(const int *)field]);
        return;
    case TYPE_TEXTS:
        say_texts(out, field);
        return;
    case TYPE_RATE:
        say_rate(out, field);
        return;
    }
}

static bool is_absent(const struct directive *row, const void *field)
{
    if (row->type == TYPE_TEXTS)
        return !((const struct texts *)field)->count;
    return (row->type == TYPE_TEXT || row->type == TYPE_PATH) && !*(const char *const *)field;
}

/* "key: value" of each row, separated by `between`. */
static void say_rows(struct out *out, const struct section *section, const void *fields,
                     const char *between)
{
    bool is_first = true;

    for (size_t i = 0; i < section->count; i++) {
        const void *field = (const char *)fields + section->rows[i].offset;
        if (is_absent(&section->rows[i], field))
            continue;
        text_say(&out->text, "%s%s: ", is_first ? "" : between, section->rows[i].name);
        say_value(out, &section->rows[i], field);
        is_first = false;
    }
}

static void say_listener(struct out *out, const struct listener_settings *listener)
{
    text_say(&out->text, "  - { ");
    say_rows(out, &section_listener, listener, ", ");
    if (listener->tls_mode != TLS_NONE) {
        text_say(&out->text, ", tls: { ");
        say_rows(out, &section_tls, listener, ", ");
        for (size_t i = 0; i < listener->certificate_count; i++) {
            text_say(&out->text, i ? ", { " : ", certificates: [ { ");
            say_rows(out, &section_certificate, &listener->certificates[i], ", ");
            text_say(&out->text, " }%s", i + 1 == listener->certificate_count ? " ]" : "");
        }
        text_say(&out->text, " }");
    }
    text_say(&out->text, " }\n");
}

static void say_pool(struct out *out, const struct pool_settings *pool)
{
    text_say(&out->text, "  ");
    say_text(out, pool->name);
    text_say(&out->text, ":\n    ");
    say_rows(out, &section_pool, pool, "\n    ");
    text_say(&out->text, "\n    keepalive: { ");
    say_rows(out, &section_pool_keepalive, pool, ", ");
    text_say(&out->text, " }\n    servers:\n");
    for (size_t i = 0; i < pool->server_count; i++) {
        text_say(&out->text, "      - { ");
        say_rows(out, &section_server, &pool->servers[i], ", ");
        text_say(&out->text, " }\n");
    }
}

static void say_shown(struct out *out, const char *const *text)
{
    say_text(out, settings_shown(out->settings, text));
}

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

static bool has_any(const struct section *section, const void *fields)
{
    for (size_t i = 0; i < section->count; i++)
        if (!is_absent(&section->rows[i], (const char *)fields + section->rows[i].offset))
            return true;
    return false;
}

static void say_relay(struct out *out, const struct relay_settings *relay, const char *indent)
{
    if (!has_any(&section_relay, relay))
        return;
    text_say(&out->text, "%srelay: { ", indent);
    say_rows(out, &section_relay, relay, ", ");
    text_say(&out->text, " }\n");
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

static void say_route(struct out *out, const struct route_settings *route)
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
}

static void say_error_pages(struct out *out)
{
    const struct settings *settings = out->settings;

    for (size_t i = 0; i < settings->error_page_count; i++) {
        text_say(&out->text, "%s%llu: ", i ? ", " : "error_pages: { ",
                 (unsigned long long)settings->error_pages[i].status);
        say_shown(out, &settings->error_pages[i].path);
    }
    text_say(&out->text, settings->error_page_count ? " }\n" : "");
}

static void say_list(struct out *out, const char *name, const char *const *texts, size_t count)
{
    text_say(&out->text, "%s: [", name);
    for (size_t i = 0; i < count; i++) {
        text_say(&out->text, i ? ", " : " ");
        say_text(out, settings_shown(out->settings, &texts[i]));
    }
    text_say(&out->text, " ]\n");
}

/* The sections that are one map on one line. */
static void say_maps(struct out *out)
{
    const struct settings *settings = out->settings;
    const struct {
        const char *name;
        const struct section *section, *more;
        const void *fields, *more_fields;
    } maps[] = {{"timeouts", &section_timeouts, &section_lifetime, &settings->timeouts,
                 &settings->lifetime_jitter},
                {"tcp", &section_tcp, NULL, settings, NULL},
                {"limits", &section_limits, NULL, settings, NULL},
                {"log", &section_log, NULL, settings, NULL}};

    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        text_say(&out->text, "%s: { ", maps[i].name);
        say_rows(out, maps[i].section, maps[i].fields, ", ");
        if (maps[i].more) {
            text_say(&out->text, ", ");
            say_rows(out, maps[i].more, maps[i].more_fields, ", ");
        }
        text_say(&out->text, " }\n");
    }
}

char *settings_text(const struct settings *settings)
{
    struct out out = {.settings = settings};

    say_rows(&out, &section_top, settings, "\n");
    text_say(&out.text, settings->admin_listen ? "\nadmin: { " : "\nadmin: no");
    if (settings->admin_listen)
        say_rows(&out, &section_admin, settings, ", ");
    text_say(&out.text, settings->admin_listen ? " }\n" : "\n");
    say_maps(&out);
    say_relay(&out, &settings->relay, "");
    say_list(&out, "trusted_proxies", settings->trusted_proxies, settings->trusted_proxy_count);
    say_error_pages(&out);
    text_say(&out.text, "listeners:\n");
    for (size_t i = 0; i < settings->listener_count; i++)
        say_listener(&out, &settings->listeners[i]);
    text_say(&out.text, "pools:\n");
    for (size_t i = 0; i < settings->pool_count; i++)
        say_pool(&out, &settings->pools[i]);
    text_say(&out.text, "routes:\n");
    for (size_t i = 0; i < settings->route_count; i++)
        say_route(&out, &settings->routes[i]);
    return text_take(&out.text);
}

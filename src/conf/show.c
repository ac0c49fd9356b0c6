/* The configuration in force, written out from the same tables that read it. */
#include "conf/sections.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct out {
    const struct settings *settings;
    char *at;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct out *out, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *more = len < 0 ? NULL : realloc(out->at, out->len + (size_t)len + 1);
    if (more) {
        out->at = more;
        vsnprintf(more + out->len, (size_t)len + 1, format, again);
        out->len += (size_t)len;
    }
    va_end(again);
}

/* In double quotes, so that nothing in it means anything to YAML. */
static void say_text(struct out *out, const char *text)
{
    say(out, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == 0x7f)
            say(out, "\\x%02x", c);
        else
            say(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    say(out, "\"");
}

static void say_value(struct out *out, const struct directive *row, const void *field)
{
    enum directive_type type = row->type;
    char text[VALUE_CHARS];

    if (settings_is_secret(out->settings, field)) {
        say(out, "\"***\"");
        return;
    }
    switch (type) {
    case TYPE_FLAG:
        say(out, *(const bool *)field ? "yes" : "no");
        return;
    case TYPE_NUMBER:
    case TYPE_PERCENT:
    case TYPE_TIME:
    case TYPE_SIZE:
        value_write(type, *(const uint64_t *)field, text);
        say(out, "%s", text);
        return;
    case TYPE_MODE:
        say(out, "\"%04llo\"", *(const unsigned long long *)field);
        return;
    case TYPE_TEXT:
    case TYPE_PATH:
        say_text(out, *(const char *const *)field);
        return;
    case TYPE_WORD:
        say(out, "%s", directive_words(row)[*(const int *)field]);
        return;
    }
}

static bool is_absent(const struct directive *row, const void *field)
{
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
        say(out, "%s%s: ", is_first ? "" : between, section->rows[i].name);
        say_value(out, &section->rows[i], field);
        is_first = false;
    }
}

static void say_listener(struct out *out, const struct listener_settings *listener)
{
    say(out, "  - { ");
    say_rows(out, &section_listener, listener, ", ");
    if (listener->tls_mode != TLS_NONE) {
        say(out, ", tls: { ");
        say_rows(out, &section_tls, listener, ", ");
        for (size_t i = 0; i < listener->certificate_count; i++) {
            say(out, i ? ", { " : ", certificates: [ { ");
            say_rows(out, &section_certificate, &listener->certificates[i], ", ");
            say(out, " }%s", i + 1 == listener->certificate_count ? " ]" : "");
        }
        say(out, " }");
    }
    say(out, " }\n");
}

static void say_pool(struct out *out, const struct pool_settings *pool)
{
    say(out, "  ");
    say_text(out, pool->name);
    say(out, ":\n    ");
    say_rows(out, &section_pool, pool, "\n    ");
    say(out, "\n    keepalive: { ");
    say_rows(out, &section_pool_keepalive, pool, ", ");
    say(out, " }\n    servers:\n");
    for (size_t i = 0; i < pool->server_count; i++) {
        say(out, "      - { ");
        say_rows(out, &section_server, &pool->servers[i], ", ");
        say(out, " }\n");
    }
}

static void say_route(struct out *out, const struct route_settings *route)
{
    say(out, "  - match: { ");
    say_rows(out, &section_match, route, ", ");
    say(out, " }\n    ");
    say_rows(out, &section_route, route, "\n    ");
    say(out, "\n    websocket: { ");
    say_rows(out, &section_websocket, route, ", ");
    say(out, " }\n    timeouts: { ");
    say_rows(out, &section_timeouts, &route->timeouts, ", ");
    say(out, ", ");
    say_rows(out, &section_lifetime, &route->lifetime_jitter, ", ");
    say(out, " }\n");
}

static void say_list(struct out *out, const char *name, const char *const *texts, size_t count)
{
    say(out, "%s: [", name);
    for (size_t i = 0; i < count; i++) {
        say(out, i ? ", " : " ");
        say_text(out, settings_shown(out->settings, &texts[i]));
    }
    say(out, " ]\n");
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
        say(out, "%s: { ", maps[i].name);
        say_rows(out, maps[i].section, maps[i].fields, ", ");
        if (maps[i].more) {
            say(out, ", ");
            say_rows(out, maps[i].more, maps[i].more_fields, ", ");
        }
        say(out, " }\n");
    }
}

char *settings_text(const struct settings *settings)
{
    struct out out = {.settings = settings};

    say_rows(&out, &section_top, settings, "\n");
    say(&out, settings->admin_listen ? "\nadmin: { " : "\nadmin: no");
    if (settings->admin_listen)
        say_rows(&out, &section_admin, settings, ", ");
    say(&out, settings->admin_listen ? " }\n" : "\n");
    say_maps(&out);
    say_list(&out, "trusted_proxies", settings->trusted_proxies, settings->trusted_proxy_count);
    say(&out, "listeners:\n");
    for (size_t i = 0; i < settings->listener_count; i++)
        say_listener(&out, &settings->listeners[i]);
    say(&out, "pools:\n");
    for (size_t i = 0; i < settings->pool_count; i++)
        say_pool(&out, &settings->pools[i]);
    say(&out, "routes:\n");
    for (size_t i = 0; i < settings->route_count; i++)
        say_route(&out, &settings->routes[i]);
    return out.at;
}

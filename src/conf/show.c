/* The configuration in force, written out from the same tables that read it. */
#include "conf/sections.h"

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
    for (; *text; text++)
        say(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    say(out, "\"");
}

static bool is_secret(const struct out *out, const void *field)
{
    for (size_t i = 0; i < out->settings->secret_count; i++)
        if (out->settings->secrets[i] == field)
            return true;
    return false;
}

/* The largest unit in which it is a whole number. */
static void say_with_unit(struct out *out, uint64_t value, const uint64_t *factors, const char *const *units)
{
    size_t best = 0;

    for (size_t i = 0; units[i]; i++)
        if (value % factors[i] == 0)
            best = i;
    if (value == 0)
        say(out, "0");
    else
        say(out, "%llu%s", (unsigned long long)(value / factors[best]), units[best]);
}

static void say_value(struct out *out, const struct directive *row, const void *field)
{
    static const uint64_t times[] = {1, 1000, 1000000, 60000000, 3600000000u};
    static const char *const time_units[] = {"us", "ms", "s", "m", "h", NULL};
    static const uint64_t sizes[] = {1, 1024, 1048576, 1 << 30};
    static const char *const size_units[] = {"", "k", "m", "g", NULL};

    if (is_secret(out, field)) {
        say(out, "\"***\"");
        return;
    }
    switch ((enum directive_type)row->type) {
    case TYPE_FLAG:
        say(out, *(const bool *)field ? "yes" : "no");
        return;
    case TYPE_NUMBER:
        say(out, "%llu", *(const unsigned long long *)field);
        return;
    case TYPE_PERCENT:
        say(out, "%llu%%", *(const unsigned long long *)field);
        return;
    case TYPE_MODE:
        say(out, "\"%04llo\"", *(const unsigned long long *)field);
        return;
    case TYPE_TIME:
        say_with_unit(out, *(const uint64_t *)field, times, time_units);
        return;
    case TYPE_SIZE:
        say_with_unit(out, *(const uint64_t *)field, sizes, size_units);
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
static void say_rows(struct out *out, const struct section *section, const void *fields, const char *between)
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
    say(out, "\n    servers:\n");
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
    say(out, ", lifetime_jitter: %llu%% }\n", (unsigned long long)route->lifetime_jitter);
}

char *settings_text(const struct settings *settings)
{
    static const char *const on_removed[] = {"keep", "close"};
    struct out out = {.settings = settings};

    say_rows(&out, &section_top, settings, "\n");
    say(&out, "\non_removed: %s\n", on_removed[settings->on_removed]);
    say(&out, settings->admin_listen ? "admin: { " : "admin: no");
    if (settings->admin_listen)
        say_rows(&out, &section_admin, settings, ", ");
    say(&out, settings->admin_listen ? " }\n" : "\n");
    const struct {
        const char *name;
        const struct section *section;
        const void *fields;
    } maps[] = {{"timeouts", &section_timeouts, &settings->timeouts},
                {"tcp", &section_tcp, settings},
                {"limits", &section_limits, settings},
                {"log", &section_log, settings}};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        say(&out, "%s: { ", maps[i].name);
        say_rows(&out, maps[i].section, maps[i].fields, ", ");
        if (i == 0)
            say(&out, ", lifetime_jitter: %llu%%", (unsigned long long)settings->lifetime_jitter);
        say(&out, " }\n");
    }
    say(&out, "trusted_proxies: [");
    for (size_t i = 0; i < settings->trusted_proxy_count; i++) {
        say(&out, i ? ", " : " ");
        say_text(&out, settings->trusted_proxies[i]);
    }
    say(&out, " ]\nlisteners:\n");
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

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

static void say_route(struct out *out, const struct route_settings *route)
{
    text_say(&out->text, "  - match: { ");
    say_rows(out, &section_match, route, ", ");
    text_say(&out->text, " }\n    ");
    say_rows(out, &section_route, route, "\n    ");
    text_say(&out->text, "\n    websocket: { ");
    say_rows(out, &section_websocket, route, ", ");
    text_say(&out->text, " }\n    timeouts: { ");
    say_rows(out, &section_timeouts, &route->timeouts, ", ");
    text_say(&out->text, ", ");
    say_rows(out, &section_lifetime, &route->lifetime_jitter, ", ");
    text_say(&out->text, " }\n");
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
    say_list(&out, "trusted_proxies", settings->trusted_proxies, settings->trusted_proxy_count);
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

/* The configuration in force, written out from the same tables that read it. */
#include "conf/show.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

/* In double quotes, so that nothing in it means anything to YAML. */
void say_text(struct out *out, const char *text)
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

void say_value(struct out *out, const struct directive *row, const void *field)
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

void say_rows(struct out *out, const struct section *section, const void *fields,
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

void say_shown(struct out *out, const char *const *text)
{
    say_text(out, settings_shown(out->settings, text));
}

bool has_any(const struct section *section, const void *fields)
{
    for (size_t i = 0; i < section->count; i++)
        if (!is_absent(&section->rows[i], (const char *)fields + section->rows[i].offset))
            return true;
    return false;
}

void say_relay(struct out *out, const struct relay_settings *relay, const char *indent)
{
    if (!has_any(&section_relay, relay))
        return;
    text_say(&out->text, "%srelay: { ", indent);
    say_rows(out, &section_relay, relay, ", ");
    text_say(&out->text, " }\n");
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

static void say_admission(struct out *out, const char *name,
                          const struct admission_settings *admission)
{
    if (!admission->rate.count)
        return;
    text_say(&out->text, "    %s: { ", name);
    say_rows(out, &section_admission, admission, ", ");
    text_say(&out->text, " }\n");
}

/* What is on, each kind on a line of its own. */
static void say_health(struct out *out, const struct pool_settings *pool)
{
    static const struct {
        const char *name;
        const struct section *section;
    } kinds[CHECK_KINDS] = {
        {"tcp", NULL}, {"http", &section_check_http}, {"websocket", &section_check_websocket}};
    const char *before = "    health:\n";

    for (size_t i = 0; i < CHECK_KINDS; i++) {
        if (!pool->checks[i].is_on)
            continue;
        text_say(&out->text, "%s      %s: { ", before, kinds[i].name);
        say_rows(out, &section_check, &pool->checks[i], ", ");
        if (kinds[i].section) {
            text_say(&out->text, ", ");
            say_rows(out, kinds[i].section, &pool->checks[i], ", ");
        }
        text_say(&out->text, " }\n");
        before = "";
    }
    if (!pool->passive.is_on)
        return;
    text_say(&out->text, "%s      passive: { ", before);
    say_rows(out, &section_passive, &pool->passive, ", ");
    text_say(&out->text, " }\n");
}

static void say_servers(struct out *out, const struct pool_settings *pool)
{
    if (pool->dns || pool->file) {
        text_say(&out->text, "    servers: { ");
        say_rows(out, &section_discovered, pool, ", ");
        text_say(&out->text, " }\n");
        return;
    }
    text_say(&out->text, "    servers:\n");
    for (size_t i = 0; i < pool->server_count; i++) {
        text_say(&out->text, "      - { ");
        say_rows(out, &section_server, &pool->servers[i], ", ");
        text_say(&out->text, " }\n");
    }
}

static void say_pool(struct out *out, const struct pool_settings *pool)
{
    text_say(&out->text, "  ");
    say_text(out, pool->name);
    text_say(&out->text, ":\n    ");
    say_rows(out, &section_pool, pool, "\n    ");
    text_say(&out->text, "\n    keepalive: { ");
    say_rows(out, &section_pool_keepalive, pool, ", ");
    text_say(&out->text, " }\n    drain: { ");
    say_rows(out, &section_drain, pool, ", ");
    text_say(&out->text, " }\n");
    say_admission(out, "admission", &pool->admission);
    say_admission(out, "admission_pool", &pool->admission_pool);
    say_health(out, pool);
    say_servers(out, pool);
}

static void say_stores(struct out *out)
{
    const struct settings *settings = out->settings;

    if (settings->store_count)
        text_say(&out->text, "stores:\n");
    for (size_t i = 0; i < settings->store_count; i++) {
        const struct store_settings *store = &settings->stores[i];
        text_say(&out->text, "  ");
        say_text(out, store->name);
        text_say(&out->text, ": { ");
        if (store->kind == STORE_MEMORY) {
            text_say(&out->text, "memory: { ");
            say_rows(out, &section_store_memory, store, ", ");
            text_say(&out->text, " }, ");
        }
        say_rows(out, &section_store, store, ", ");
        text_say(&out->text, " }\n");
    }
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
    say_stores(&out);
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

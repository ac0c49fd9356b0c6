/* `servers` as a map: a name that is asked for, or a file that is followed. What the file says is
 * judged by floors above (conf_source.judge_servers). */
#include "conf/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_BYTES  253 /* RFC 1035 section 2.3.4, without its root */
#define LABEL_MAX_BYTES 63

static bool is_name(const char *text, size_t len)
{
    size_t label = 0;
    bool has_letter = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        has_letter = has_letter || is_letter;
        if (c == '.' && !label)
            return false;
        if (c != '.' && !is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX_BYTES)
            return false;
    }
    return len > 0 && len <= NAME_MAX_BYTES && has_letter;
}

static bool is_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && port > 0 && port <= 65535;
}

static void check_dns(struct loader *loader, const struct tree *map,
                      const struct pool_settings *pool)
{
    const char *colon = strrchr(pool->dns, ':');
    const char *shown = settings_shown(loader->settings, &pool->dns);

    if (!colon || !is_port(colon + 1))
        complain_at(loader, mark_of(map, "dns"), "write a name with port: \"chat.internal:9001\"",
                    "servers.dns: \"%s\" has no port", shown);
    else if (!is_name(pool->dns, (size_t)(colon - pool->dns)))
        complain_at(loader, mark_of(map, "dns"),
                    "write a name with port: \"chat.internal:9001\"; addresses stand in a list: "
                    "servers: [ 127.0.0.1:9001 ]",
                    "servers.dns: \"%s\" is no name", shown);
}

struct hearer {
    struct loader *loader;
    const struct pool_settings *pool;
};

/* It stands in another file, whose name and line are told. */
static void hear(void *to, unsigned line, const char *words)
{
    const struct hearer *hearer = to;
    struct mark mark = {.file = hearer->pool->file, .line = line, .column = 1};

    complain_at(hearer->loader, mark, "write ADDRESS [weight=N] [max_connections=N] [backup]", "%s",
                words);
}

static void check_file(struct loader *loader, const struct tree *map,
                       const struct pool_settings *pool)
{
    struct hearer hearer = {loader, pool};
    struct bytes text = {0};
    int error = loader->source->read(loader->source, pool->file, &text);

    if (error)
        complain_at(loader, mark_of(map, "file"), "is the path right, and may this user read it?",
                    "cannot read \"%s\": %s", settings_shown(loader->settings, &pool->file),
                    strerror(-error));
    else if (loader->source->judge_servers)
        loader->source->judge_servers(text, hear, &hearer);
    free((void *)(uintptr_t)text.at);
}

void load_discovered(struct loader *loader, const struct tree *map, struct pool_settings *pool)
{
    bool has_dns = child(map, "dns"), has_file = child(map, "file");

    section_load(loader, &section_discovered, map, pool);
    pool->discovery_mark = mark_of(map, has_dns ? "dns" : "file");
    if (has_dns && has_file)
        complain_at(loader, mark_of(map, "file"), "leave one of the two out",
                    "servers are found in one way, and this pool has `dns` already");
    if (!has_dns && !has_file)
        complain_at(loader, map->mark,
                    "write [ 127.0.0.1:9001 ], { dns: \"chat.internal:9001\" } or { file: PATH }",
                    "servers: where they are found is missing");
    if (pool->dns)
        check_dns(loader, map, pool);
    if (pool->file)
        check_file(loader, map, pool);
}

/* `health` of a pool: each kind of check by the common table and its own. Nothing is on that is not
 * written: what passive health takes for a failure may be what an application means, and a check
 * asks something of a server. An empty map turns a kind on, with every default. */
#include "conf/load.h"

#include "base/check.h"

#define TIME_LEAST_USEC 10000

static const char *const kinds[CHECK_KINDS] = {"tcp", "http", "websocket"};
static const struct section *const own[CHECK_KINDS] = {NULL, &section_check_http,
                                                       &section_check_websocket};

static void check_times(struct loader *loader, const struct tree *map,
                        const struct check_settings *check)
{
    const struct {
        const char *key;
        uint64_t usec;
    } times[] = {{"interval", check->interval},
                 {"fast_interval", check->fast_interval},
                 {"timeout", check->timeout}};

    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (times[i].usec < TIME_LEAST_USEC && tree_find(map, times[i].key))
            complain_at(loader, mark_of(map, times[i].key), "write a value from 10ms on",
                        "health.%s: that is too short", times[i].key);
    if (check->fast_interval > check->interval && tree_find(map, "fast_interval"))
        complain_at(loader, mark_of(map, "fast_interval"), "write a shorter time",
                    "health.fast_interval is longer than interval");
}

/* A number of three digits; NULL: none. */
static const char *read_status(const char *at, unsigned *ret_status)
{
    *ret_status = 0;
    for (int i = 0; i < 3; i++, at++) {
        if (*at < '0' || *at > '9')
            return NULL;
        *ret_status = *ret_status * 10 + (unsigned)(*at - '0');
    }
    return *ret_status >= 100 && *ret_status <= 599 ? at : NULL;
}

/* "200", "200-399", or several with commas and spaces. */
static bool is_status(const char *at)
{
    unsigned from, to;

    for (;;) {
        at = read_status(at, &from);
        to = from;
        if (at && *at == '-')
            at = read_status(at + 1, &to);
        if (!at || to < from)
            return false;
        at += strspn(at, " ");
        if (!*at)
            return true;
        if (*at != ',')
            return false;
        at += 1 + strspn(at + 1, " ");
    }
}

static void check_http(struct loader *loader, const struct tree *map, enum check_kind kind,
                       const struct check_settings *check)
{
    const struct settings *settings = loader->settings;

    if (check->path && (check->path[0] != '/' || strpbrk(check->path, " \t\r\n#")))
        complain_at(loader, mark_of(map, "path"), "write a path such as /health",
                    "health.%s.path: \"%s\" is no path", kinds[kind],
                    settings_shown(settings, &check->path));
    if (check->host && strpbrk(check->host, " \t\r\n/"))
        complain_at(loader, mark_of(map, "host"), "write a host, such as chat.example.com",
                    "health.%s.host: \"%s\" is no host", kinds[kind],
                    settings_shown(settings, &check->host));
    if (kind == CHECK_HTTP && check->status && !is_status(check->status))
        complain_at(loader, mark_of(map, "status"), "write 200, 200-399, or several with commas",
                    "health.http.status: \"%s\" will not do",
                    settings_shown(settings, &check->status));
    if (check->send && !check->expect)
        complain_at(loader, mark_of(map, "send"), "add expect: TEXT, or leave send out",
                    "health.websocket.send: what must be answered is missing");
}

static void load_check(struct loader *loader, const struct tree *map, enum check_kind kind,
                       struct check_settings *check)
{
    check->is_on = true;
    check->mark = map->mark;
    section_load(loader, own[kind] ? own[kind] : &section_check, map, check);
    if (map->kind != TREE_MAP)
        return;
    for (size_t i = 0; own[kind] && i < section_check.count; i++) {
        const struct tree_entry *entry = tree_find(map, section_check.rows[i].name);
        if (entry)
            section_load_one(loader, &section_check, entry, check);
    }
    if (!tree_find(map, "fast_interval") && check->fast_interval > check->interval)
        check->fast_interval = check->interval;
    check_times(loader, map, check);
    check_http(loader, map, kind, check);
}

static void load_passive(struct loader *loader, const struct tree *map,
                         struct passive_settings *passive)
{
    passive->is_on = true;
    section_load(loader, &section_passive, map, passive);
    if (map->kind != TREE_MAP)
        return;
    if (passive->eject_max < passive->eject && !tree_find(map, "eject_max"))
        passive->eject_max = passive->eject;
    if (passive->eject_max < passive->eject)
        complain_at(loader, mark_of(map, "eject_max"), "write a longer time",
                    "health.passive.eject_max is shorter than eject");
}

void load_health(struct loader *loader, const struct tree *map, struct pool_settings *pool)
{
    static const char *const keys[] = {"tcp", "http", "websocket", "passive", NULL};
    const struct section section = {"health", NULL, 0, keys};

    for (int kind = 0; kind < CHECK_KINDS; kind++) {
        section_preset(loader, &section_check, &pool->checks[kind]);
        if (own[kind])
            section_preset(loader, own[kind], &pool->checks[kind]);
    }
    section_preset(loader, &section_passive, &pool->passive);
    section_load(loader, &section, map, NULL);
    if (!map || map->kind != TREE_MAP)
        return;
    for (int kind = 0; kind < CHECK_KINDS; kind++)
        if (child(map, kinds[kind]))
            load_check(loader, child(map, kinds[kind]), (enum check_kind)kind, &pool->checks[kind]);
    if (child(map, "passive"))
        load_passive(loader, child(map, "passive"), &pool->passive);
}

/* Keys and what a route's other texts mean are judged a floor above, where they are compiled; here
 * is only what belongs together. */
#include "conf/access.h"

#include "base/cidr.h"
#include "conf/load.h"

#include <errno.h>
#include <stdio.h>

void access_preset(struct loader *loader, struct route_settings *route)
{
    section_preset(loader, &section_jwt, route);
    section_preset(loader, &section_auth, route);
    section_preset(loader, &section_rate, route);
}

void complain_network(struct loader *loader, struct mark mark, const char *what,
                      const char *const *text)
{
    const char *shown = settings_shown(loader->settings, text);
    char network[IP_TEXT_BYTES], hint[128];
    struct cidr cidr;
    int error = cidr_parse(*text, &cidr);

    if (error == -EINVAL)
        complain_at(loader, mark,
                    "write an address, a network such as 10.0.0.0/8 or \"fd00::/8\", or unix",
                    "%s: \"%s\" will not do", what, shown);
    if (error != -EDOM)
        return;
    snprintf(hint, sizeof hint, "write \"%s/%u\"",
             settings_is_secret(loader->settings, text) ? "***" : ip_write(&cidr.ip, network),
             cidr.bits);
    complain_at(loader, mark, hint, "%s: \"%s\" has bits behind its prefix", what, shown);
}

static void check_networks(struct loader *loader, const struct texts *texts, const char *what)
{
    for (size_t i = 0; i < texts->count; i++)
        if (texts->at[i][0]) /* an empty one is said already */
            complain_network(loader, texts->marks[i], what, &texts->at[i]);
}

static void load_jwt(struct loader *loader, const struct tree *map, struct route_settings *route)
{
    struct access_settings *access = &route->access;

    section_load(loader, &section_jwt, map, route);
    access->has_jwt = true;
    if (map->kind != TREE_MAP)
        return;
    access->jwt_keys_mark = mark_of(map, "keys");
    if (!tree_find(map, "keys"))
        complain_at(loader, map->mark, "add keys: { file: jwks.json }", "\"keys\" is missing");
    settings_keep_secret(loader, &access->jwt_keys); /* also one that stands in the file itself */
}

static void load_auth(struct loader *loader, const struct tree *map, struct route_settings *route)
{
    struct access_settings *access = &route->access;

    section_load(loader, &section_auth, map, route);
    access->has_auth = true;
    if (map->kind != TREE_MAP)
        return;
    access->auth_url_mark = mark_of(map, "url");
    if (!tree_find(map, "url"))
        complain_at(loader, map->mark, "add url: http://127.0.0.1:7100/check",
                    "\"url\" is missing");
}

static void load_lists(struct loader *loader, const struct tree *map, struct route_settings *route)
{
    const struct tree_entry *jwt, *auth;

    section_load(loader, &section_access, map, route);
    if (map->kind != TREE_MAP)
        return;
    check_networks(loader, &route->access.allow, "access.allow");
    check_networks(loader, &route->access.deny, "access.deny");
    jwt = tree_find(map, "jwt");
    auth = tree_find(map, "auth");
    if (jwt)
        load_jwt(loader, jwt->value, route);
    if (auth)
        load_auth(loader, auth->value, route);
}

void access_load(struct loader *loader, const struct tree *element, struct route_settings *route)
{
    const struct tree_entry *access = tree_find(element, "access"),
                            *rate = tree_find(element, "rate");

    if (access)
        load_lists(loader, access->value, route);
    if (rate)
        section_load(loader, &section_rate, rate->value, route);
}

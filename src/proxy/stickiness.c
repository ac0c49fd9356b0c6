/* A reload must forget nobody: the table is the same one from the first sticky route on, and a key
 * that nobody wrote down is made once in a process. */
#include "proxy/stickiness.h"

#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>

#define OWN_KEY_BYTES 32

static void out_of_memory(struct report *report)
{
    report_add(report, (struct mark){0}, NULL, "out of memory");
}

static bool has_sticky_route(const struct snapshot *made)
{
    for (size_t i = 0; i < made->settings->route_count; i++)
        if (made->routes[i].sticky.settings)
            return true;
    return false;
}

static void build_learnt(struct snapshot *made, const struct snapshot *before,
                         struct report *report)
{
    const uint64_t seed[2] = {sys_random(), sys_random()};

    if (before && before->learnt)
        made->learnt = sticky_table_ref(before->learnt);
    else if (has_sticky_route(made) && !(made->learnt = sticky_table_new(seed)))
        out_of_memory(report);
}

static void build_seal(struct snapshot *made, const struct snapshot *before, struct report *report)
{
    const struct texts *keys = &made->settings->sticky_keys;
    uint8_t own[OWN_KEY_BYTES];
    struct bytes secrets[SEAL_KEYS_MAX] = {{own, sizeof own}};

    if (!keys->count && before && before->seal && !before->settings->sticky_keys.count) {
        made->seal = seal_ref(before->seal);
        return;
    }
    for (size_t i = 0; i < keys->count && i < SEAL_KEYS_MAX; i++)
        secrets[i] = bytes_of(keys->at[i]);
    int error = keys->count ? 0 : sys_secret(own, sizeof own);
    if (!error)
        error = seal_new(secrets, keys->count ? keys->count : 1, "turnout sticky cookie 1",
                         &made->seal);
    explicit_bzero(own, sizeof own);
    if (error == -E2BIG)
        report_add(report, keys->marks[SEAL_KEYS_MAX], "leave the oldest ones out",
                   "sticky_keys: more than %d keys", SEAL_KEYS_MAX);
    else if (error == -ENOMEM)
        out_of_memory(report);
    else if (error)
        report_add(report, (struct mark){0}, NULL, "no randomness for the keys of cookies: %s",
                   strerror(-error));
}

static void judge_passthrough(const struct snapshot *made, struct report *report)
{
    const char *listen = snapshot_passthrough(made);

    for (size_t i = 0; listen && i < made->settings->route_count; i++) {
        const struct route *route = &made->routes[i];
        const struct sticky_settings *sticky = route->sticky.settings;
        if (sticky && sticky->kind != STICKY_SOURCE && route_goes_by_name(route))
            report_add(report, sticky->mark,
                       "write sticky: { source: 24 }, or give the route a path (match: { prefix: "
                       "/ }) if it is meant for other listeners",
                       "sticky: listener %s passes TLS through, where no request is seen: only "
                       "the client's address can decide",
                       listen);
    }
}

void stickiness_build(struct snapshot *made, const struct snapshot *before, struct report *report)
{
    build_learnt(made, before, report);
    build_seal(made, before, report);
    judge_passthrough(made, report);
}

void stickiness_done(struct snapshot *snapshot)
{
    snapshot->learnt = sticky_table_unref(snapshot->learnt);
    snapshot->seal = seal_unref(snapshot->seal);
}

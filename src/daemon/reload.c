/* A new configuration is built whole, with its sockets open, before any worker hears of it; then
 * each worker gets one letter and swaps one pointer. Whatever goes wrong before leaves everything
 * as it was. Whoever asked is answered when every worker has swapped, so what they connect next is
 * served by the new one. */
#include "daemon/boot.h"

#include "sys/sys.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SWAP_SEC 5 /* a turn takes milliseconds; whoever waits longer shall not wait for ever */

/* Where the workers say that they are done. The last to let go frees it. */
struct arrival {
    sem_t done;
    atomic_uint holders;
};

struct adoption {
    struct mail mail;
    struct proxy *proxy;
    struct snapshot *snapshot; /* counted */
    struct arrival *arrival;   /* counted */
    int fds[];
};

/* Made before anything changes, so that nothing can fail afterwards. */
struct swap {
    struct arrival *arrival;
    unsigned count;
    struct adoption *adoption[HOUSE_WORKERS_MAX];
};

static void arrival_unref(struct arrival *arrival)
{
    if (!arrival || atomic_fetch_sub(&arrival->holders, 1) != 1)
        return;
    sem_destroy(&arrival->done);
    free(arrival);
}

static void on_arrival(struct mail *take_mail)
{
    struct adoption *adoption = container_of(take_mail, struct adoption, mail);

    proxy_adopt(adoption->proxy, adoption->snapshot, adoption->fds);
    snapshot_unref(adoption->snapshot);
    sem_post(&adoption->arrival->done);
    arrival_unref(adoption->arrival);
    free(adoption);
}

static struct arrival *arrival_new(unsigned holders)
{
    struct arrival *arrival = malloc(sizeof *arrival);

    if (!arrival)
        return NULL;
    sem_init(&arrival->done, 0, 0);
    atomic_init(&arrival->holders, holders);
    return arrival;
}

static void abandon(struct swap *swap)
{
    for (unsigned i = 0; i < swap->count; i++)
        free(swap->adoption[i]);
    free(swap->arrival);
}

/* Everything that needs memory. False: there is none. */
static bool prepare(struct house *house, struct snapshot *snapshot, const int *fds,
                    struct swap *ret_swap)
{
    size_t gates = snapshot->settings->listener_count;

    *ret_swap = (struct swap){.arrival = arrival_new(house->count + 1), .count = house->count};
    bool is_complete = ret_swap->arrival;
    for (unsigned i = 0; i < house->count; i++) {
        struct adoption *adoption = malloc(sizeof *adoption + gates * sizeof(int));
        ret_swap->adoption[i] = adoption;
        is_complete = is_complete && adoption;
        if (!adoption)
            continue;
        *adoption = (struct adoption){
            {.on_arrival = on_arrival}, house->proxy[i], snapshot, ret_swap->arrival};
        memcpy(adoption->fds, fds + i * gates, gates * sizeof(int));
    }
    if (!is_complete)
        abandon(ret_swap);
    return is_complete;
}

static void put_in_force(struct house *house, struct snapshot *take_snapshot,
                         const struct swap *swap)
{
    struct timespec until;

    for (unsigned i = 0; i < swap->count; i++) {
        snapshot_ref(take_snapshot);
        mailbox_send(&house->proxy[i]->worker.mailbox, &swap->adoption[i]->mail);
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SWAP_SEC;
    for (unsigned i = 0; i < swap->count; i++)
        while (sem_timedwait(&swap->arrival->done, &until) && errno == EINTR)
            ;
    arrival_unref(swap->arrival);
    snapshot_unref(house->snapshot);
    house->snapshot = take_snapshot;
    snapshot_in_force(take_snapshot);
    discovery_adopt(house->discovery, take_snapshot->settings, take_snapshot->pools);
    moves_follow(&house->moves);
    house->configured_wall_usec = sys_wall_usec();
    house_watch_health(house);
}

static void remove_old_paths(const struct snapshot *before, const struct snapshot *after)
{
    for (size_t i = 0; i < before->settings->listener_count; i++) {
        const struct endpoint *endpoint = &before->gates[i].endpoint;
        bool stays = !endpoint->is_unix;
        for (size_t k = 0; k < after->settings->listener_count; k++)
            stays = stays || endpoint_equal(endpoint, &after->gates[k].endpoint);
        if (!stays)
            sys_unlink(endpoint->path.sun_path);
    }
}

static bool differs(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a && b && strcmp(a, b) != 0);
}

static void say_what_waits(struct house *house, const struct settings *old,
                           const struct settings *new)
{
    const struct {
        const char *name;
        bool differs;
    } fixed[] = {
        {"workers", old->workers != new->workers},
        {"user", differs(old->user, new->user)},
        {"admin.listen", differs(old->admin_listen, new->admin_listen)},
    };

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (fixed[i].differs)
            log_say(&house->log.log, EVENT_notice,
                    "%s has changed in the file; that takes a restart", fixed[i].name);
}

static void apply_log(struct house *house, const struct settings *settings)
{
    log_set(&house->log.log, settings->log_level, settings->log_format);
    int error = log_reopen(&house->log, settings->log_file);
    if (error)
        log_say(&house->log.log, EVENT_notice,
                "cannot open the log %s: %s; the one before is written on", settings->log_file,
                strerror(-error));
}

/* The new snapshot with its sockets; NULL: the report says why. */
static struct snapshot *build(struct house *house, struct report *report, int **ret_fds)
{
    const struct snapshot_means means = {house->source, house->tls, &house->tickets, house->count};
    struct settings *settings = boot_settings(house, report);
    struct snapshot *snapshot =
        settings ? snapshot_new(&means, settings, house->snapshot, report) : NULL;

    if (!snapshot)
        return NULL;
    *ret_fds = boot_sockets(snapshot, house->snapshot, house->count, report);
    return *ret_fds ? snapshot : snapshot_unref(snapshot);
}

static void log_error(void *to, struct mark mark, const char *words, const char *hint)
{
    char place[32] = "";

    if (mark.file && mark.line)
        snprintf(place, sizeof place, ":%u:%u", mark.line, mark.column);
    log_say(to, EVENT_reload_failed, "%s%s%s%s%s%s", mark.file ? mark.file : "", place,
            mark.file ? ": " : "", words, hint ? "; " : "", hint ? hint : "");
}

static void remember(struct house *house, const struct admin_reload_result *result)
{
    struct report *older = house->last_reload.report;

    house->last_reload = *result;
    report_free(older);
}

void house_reload(struct house *house, struct admin_reload_result *ret_result)
{
    struct report *report = report_new();
    int *fds = NULL;
    struct snapshot *snapshot = report ? build(house, report, &fds) : NULL;
    struct swap swap;

    *ret_result = (struct admin_reload_result){.wall_usec = sys_wall_usec()};
    ret_result->is_good = snapshot && prepare(house, snapshot, fds, &swap);
    if (ret_result->is_good) {
        say_what_waits(house, house->snapshot->settings, snapshot->settings);
        remove_old_paths(house->snapshot, snapshot);
        apply_log(house, snapshot->settings);
        put_in_force(house, snapshot, &swap);
        free(fds);
        log_say(&house->log.log, EVENT_reload, "configuration %llu is in force",
                (unsigned long long)snapshot->number);
        report = report_free(report);
    } else {
        if (report && snapshot)
            report_add(report, (struct mark){0}, NULL, "out of memory");
        if (report)
            report_each(report, log_error, &house->log.log);
        if (snapshot)
            boot_close_sockets(fds, snapshot->settings->listener_count * house->count);
        snapshot_unref(snapshot);
    }
    ret_result->report = report;
    ret_result->number = house->snapshot->number;
    remember(house, ret_result);
}

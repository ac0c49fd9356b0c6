/* A new configuration is built whole, with its sockets open, before any worker hears of it; then
 * each worker gets one letter and swaps one pointer. Whatever goes wrong before leaves everything
 * as it was. */
#include "daemon/boot.h"

#include "sys/sys.h"

#include <stdlib.h>

struct adoption {
    struct mail mail;
    struct proxy *proxy;
    struct snapshot *snapshot; /* counted */
    int fds[];
};

static void on_arrival(struct mail *take_mail)
{
    struct adoption *adoption = container_of(take_mail, struct adoption, mail);

    proxy_adopt(adoption->proxy, adoption->snapshot, adoption->fds);
    snapshot_unref(adoption->snapshot);
    free(adoption);
}

static struct adoption **make_adoptions(struct house *house, struct snapshot *snapshot,
                                        const int *fds)
{
    size_t gates = snapshot->settings->listener_count;
    struct adoption **all = calloc(house->count, sizeof(struct adoption *));

    for (unsigned i = 0; all && i < house->count; i++) {
        all[i] = malloc(sizeof *all[i] + gates * sizeof(int));
        if (!all[i]) {
            while (i-- > 0)
                free(all[i]);
            free(all);
            return NULL;
        }
        *all[i] = (struct adoption){.mail = {.on_arrival = on_arrival}, .proxy = house->proxy[i]};
        memcpy(all[i]->fds, fds + i * gates, gates * sizeof(int));
    }
    return all;
}

static void put_in_force(struct house *house, struct snapshot *take_snapshot,
                         struct adoption **take_adoptions)
{
    for (unsigned i = 0; i < house->count; i++) {
        take_adoptions[i]->snapshot = snapshot_ref(take_snapshot);
        mailbox_send(&house->proxy[i]->worker.mailbox, &take_adoptions[i]->mail);
    }
    free(take_adoptions);
    snapshot_unref(house->snapshot);
    house->snapshot = take_snapshot;
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
    const char *what = differs(old->user, new->user)                   ? "user"
                       : differs(old->admin_listen, new->admin_listen) ? "admin.listen"
                       : old->workers != new->workers                  ? "workers"
                                                                       : NULL;

    if (what)
        log_say(&house->log.log, EVENT_notice, "%s has changed in the file; that takes a restart",
                what);
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
    struct log *log = to;

    log_say(log, EVENT_reload_failed, "%s:%u:%u: %s%s%s", mark.file ? mark.file : "", mark.line,
            mark.column, words, hint ? "; " : "", hint ? hint : "");
}

void house_reload(struct house *house, struct admin_reload_result *ret_result)
{
    struct report *report = report_new();
    int *fds = NULL;
    struct snapshot *snapshot = report ? build(house, report, &fds) : NULL;
    struct adoption **adoptions = snapshot ? make_adoptions(house, snapshot, fds) : NULL;

    *ret_result =
        (struct admin_reload_result){.wall_usec = sys_wall_usec(), .is_good = adoptions != NULL};
    if (adoptions) {
        say_what_waits(house, house->snapshot->settings, snapshot->settings);
        remove_old_paths(house->snapshot, snapshot);
        apply_log(house, snapshot->settings);
        put_in_force(house, snapshot, adoptions);
        free(fds);
        log_say(&house->log.log, EVENT_reload, "configuration %llu is in force",
                (unsigned long long)snapshot->number);
        report_free(report);
    } else {
        if (report)
            report_each(report, log_error, &house->log.log);
        if (snapshot)
            boot_close_sockets(fds, snapshot->settings->listener_count * house->count);
        snapshot_unref(snapshot);
        ret_result->report = report;
    }
    ret_result->number = house->snapshot->number;
    struct report *older = house->last_reload.report;
    house->last_reload = *ret_result;
    report_free(older);
}

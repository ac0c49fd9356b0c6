/* Start, serve, drain, stop. The order of starting is the order in which things may be refused:
 * configuration first, then limits, sockets, privileges; only then do threads begin. */
#include "daemon/house.h"

#include "crypto/crypto.h"
#include "daemon/boot.h"
#include "daemon/panic.h"
#include "daemon/signals.h"
#include "daemon/source.h"
#include "sys/sys.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPARE_FOR_ALL 64 /* descriptors kept for admin, log and reload */
#define SPARE_OF_FEW  12

/* --- what admin asks -------------------------------------------------------------------------- */

static void tell_status(struct admin_house *sink, struct admin_status *ret_status)
{
    struct house *house = container_of(sink, struct house, sink);

    *ret_status = (struct admin_status){
        .path = house->path ? house->path : "command line",
        .started_wall_usec = house->started_wall_usec,
        .configured_wall_usec = house->configured_wall_usec,
        .log_lines_lost = log_lost(&house->log),
        .is_draining = house->state != HOUSE_SERVING || drains_whole_node(&house->drains),
        .descriptor_limit = house->descriptor_limit,
        .last_reload = house->last_reload,
        .discovery = house->discovery,
        .health = health_counters(house->health),
    };
    snprintf(ret_status->features, sizeof ret_status->features, "%s", house->features);
    memcpy(ret_status->refused, house->proxy[0]->relays.refused, sizeof ret_status->refused);
}

static void do_reload(struct admin_house *sink, struct admin_reload_result *ret_result)
{
    house_reload(container_of(sink, struct house, sink), ret_result);
}

static void follow_members(struct admin_house *sink)
{
    house_members_changed(container_of(sink, struct house, sink));
}

static void follow_server(struct admin_house *sink, struct server *server,
                          const struct pool_settings *settings)
{
    house_server_set(container_of(sink, struct house, sink), server, settings);
}

/* --- starting --------------------------------------------------------------------------------- */

static void say_report(const struct report *report)
{
    char *text = report_count(report) ? report_text(report) : NULL;

    if (report_count(report))
        fputs(text ? text : "turnout: out of memory\n", stderr);
    free(text);
}

static int fail(const char *what, int error)
{
    fprintf(stderr, "turnout: %s: %s\n", what, strerror(-error));
    return 1;
}

static unsigned count_workers(const struct settings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t count = settings->workers ? settings->workers : cores > 0 ? (uint64_t)cores : 1;

    return count > HOUSE_WORKERS_MAX ? HOUSE_WORKERS_MAX : (unsigned)count;
}

static int make_tls_workers(struct house *house)
{
    int error = tls_tickets_make(&house->tickets);

    for (unsigned i = 0; !error && i < house->count; i++)
        error = tls_worker_new(&house->tls[i]);
    return error;
}

/* What is above it is for control. */
static int descriptor_ceiling(const struct house *house)
{
    return house->descriptor_limit -
           (house->descriptor_limit > 4 * SPARE_FOR_ALL ? SPARE_FOR_ALL : SPARE_OF_FEW);
}

static int make_proxy(struct house *house, unsigned number)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    int error = proxy ? proxy_init(proxy, number, &house->log.log, TAKE(house->tls[number]),
                                   house->snapshot)
                      : -ENOMEM;

    if (error) {
        free(proxy);
        return error;
    }
    house->tls[number] = proxy->tls;
    house->proxy[number] = proxy;
    proxy->worker.runner.loop.descriptor_ceiling = descriptor_ceiling(house);
    return 0;
}

/* Makes each worker's share, with its gates open, but no thread yet. Takes the sockets it uses. */
static int make_proxies(struct house *house, int *fds)
{
    size_t gates = house->snapshot->settings->listener_count;

    for (unsigned i = 0; i < house->count; i++) {
        int error = make_proxy(house, i);
        for (size_t k = 0; !error && k < gates; k++) {
            int fd = fds[i * gates + k];
            fds[i * gates + k] = -1;
            error = proxy_open_gate(house->proxy[i], (unsigned)k,
                                    &house->snapshot->gates[k].endpoint, fd);
        }
        if (error)
            return error;
    }
    return 0;
}

static int start_workers(struct house *house)
{
    char name[16]; /* as top -H shows it */

    for (; house->started < house->count; house->started++) {
        struct worker *worker = &house->proxy[house->started]->worker;
        int error = worker_start(worker);
        if (error)
            return error;
        snprintf(name, sizeof name, "worker %u", house->started);
        pthread_setname_np(worker->thread, name);
    }
    return 0;
}

static void follow_found(void *owner, struct pool *pool)
{
    (void)pool;
    house_members_changed(owner);
}

static int start_discovery(struct house *house)
{
    const struct discovery_means means = {
        .loop = &house->main.runner.loop,
        .log = &house->log.log,
        .source = house->source,
        .on_changed = follow_found,
        .owner = house,
    };
    int error = discovery_new(&means, &house->discovery);

    if (!error)
        discovery_adopt(house->discovery, house->snapshot->settings, house->snapshot->pools);
    return error;
}

static int start_admin(struct house *house, int fd, const struct endpoint *endpoint)
{
    house->sink.count = house->count;
    const struct admin_means means = {
        .fd = fd,
        .endpoint = *endpoint,
        .proxies = house->proxy,
        .count = house->count,
        .house = &house->sink,
        .log = &house->log.log,
    };

    return fd < 0 ? 0 : admin_start(&house->admin, &means);
}

static void log_start(struct house *house)
{
    const struct settings *settings = house->snapshot->settings;
    const char *why = house->proxy[0]->relays.refused[0];
    char listens[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < settings->listener_count && used < sizeof listens; i++)
        used += (size_t)snprintf(listens + used, sizeof listens - used, "%s%s", i ? ", " : "",
                                 settings->listeners[i].listen);
    if (!house->path)
        fprintf(stderr, "turnout: listening on %s\n", listens);
    log_say(&house->log.log, EVENT_start,
            "turnout %s serves on %s with %u workers, at most %d descriptors, relay tier %s%s%s",
            TURNOUT_VERSION, listens, house->count, house->descriptor_limit, relay_tier_name(0),
            why ? " cannot serve: " : "", why ? why : "");
}

static void serve(struct house *house)
{
    int error = 0;

    log_start(house);
    house_watch_health(house);
    sys_notify("READY=1"); /* systemd's readiness protocol, when NOTIFY_SOCKET is set */
    while (!house->main.is_stopping && !error)
        error = worker_turn(&house->main);
    log_say(&house->log.log, EVENT_stop, "stopped");
}

/* --- stopping --------------------------------------------------------------------------------- */

static void unlink_paths(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->settings->listener_count; i++)
        if (snapshot->gates[i].endpoint.is_unix)
            sys_unlink(snapshot->gates[i].endpoint.path.sun_path);
}

/* Whatever there is, also of a start that failed halfway; a second time there is nothing. */
static void take_apart(struct house *house)
{
    house->sink.is_over = true;
    timer_cancel(&house->members_timer);
    admin_stop(house->admin);
    while (house->started > 0)
        worker_stop(&house->proxy[--house->started]->worker);
    for (unsigned i = 0; i < house->count; i++) {
        struct tls_worker *tls = TAKE(house->tls[i]);
        if (house->proxy[i])
            proxy_done(house->proxy[i]);
        else
            tls_worker_free(tls);
        free(TAKE(house->proxy[i]));
    }
    mailbox_deliver(&house->main.mailbox); /* what admin still asked; the answers find it until it
                                              is freed */
    house->admin = admin_free(house->admin);
    moves_done(&house->moves);
    rebalances_done(&house->rebalances);
    drains_done(&house->drains);
    house->discovery = discovery_free(house->discovery);
    house->health = health_free(house->health);
    house->snapshot = snapshot_unref(house->snapshot);
    house->last_reload.report = report_free(house->last_reload.report);
    signals_close(house);
}

/* --- starting --------------------------------------------------------------------------------- */

/* What is open before the first thread. */
struct opened {
    int *fds; /* of gates, as boot_sockets */
    size_t count;
    int admin_fd; /* -1: none */
    struct endpoint admin;
};

static int take_admin_fd(struct opened *opened)
{
    int fd = opened->admin_fd;

    opened->admin_fd = -1;
    return fd;
}

/* With the configuration in force and all sockets open: from here on only the machine can fail us.
 */
static int live(struct house *house, struct opened *opened)
{
    int error = signals_listen(house);

    features_write(house->features, sizeof house->features); /* as who we are from now on */
    if (!error)
        error = make_proxies(house, opened->fds);
    drains_init(&house->drains, &house->main, house->proxy, house->count);
    moves_init(&house->moves, &house->drains, &house->main, &house->snapshot);
    moves_follow(&house->moves);
    if (!error)
        error = house_start_health(house);
    rebalances_init(&house->rebalances, &house->drains, &house->snapshot);
    if (!error)
        error = start_workers(house);
    if (!error)
        error = start_discovery(house);
    if (!error)
        error = start_admin(house, take_admin_fd(opened), &opened->admin);
    if (error)
        return fail("cannot start", error);
    serve(house);
    return 0;
}

/* Admin's default path may lie where this user cannot write: then we serve without, and say so. */
static void open_admin(const struct settings *settings, struct opened *opened,
                       struct report *report)
{
    opened->admin_fd = settings->admin_listen ? boot_admin_socket(settings, &opened->admin) : -1;
    if (opened->admin_fd >= 0 || !settings->admin_listen)
        return;
    if (settings->admin_is_default)
        fprintf(stderr,
                "turnout: no admin listener: cannot listen on %s: %s; "
                "write admin: { listen: ... } (or --admin ADDR) for another\n",
                settings->admin_listen, strerror(-opened->admin_fd));
    else
        report_add(report, settings->admin_mark, boot_advice(opened->admin_fd),
                   "cannot listen on %s: %s", settings->admin_listen, strerror(-opened->admin_fd));
}

/* Everything that the configuration may be wrong about. False: the report, or stderr, says why. */
static bool open_all(struct house *house, struct opened *opened, struct report *report)
{
    struct settings *settings = boot_settings(house, report);

    if (!settings)
        return false;
    boot_check_user(settings, report);
    house->count = count_workers(settings);
    int error = make_tls_workers(house);
    if (error)
        fail("cannot start", error);
    if (error || !boot_descriptors(house, settings)) {
        settings_free(settings);
        return false;
    }
    const struct snapshot_means means = {house->source, house->tls, &house->tickets, house->count};
    house->snapshot = snapshot_new(&means, settings, NULL, report);
    if (!house->snapshot)
        return false;
    settings = house->snapshot->settings;
    opened->count = settings->listener_count * house->count;
    opened->fds = boot_sockets(house->snapshot, NULL, house->count, report);
    open_admin(settings, opened, report);
    return opened->fds && report_count(report) == 0;
}

static int run_with_log(struct house *house, struct opened *opened)
{
    const struct settings *settings = house->snapshot->settings;
    int error =
            log_open(&house->log, settings->log_file, settings->log_level, settings->log_format),
        code = 1;

    if (error) {
        fprintf(stderr, "turnout: log.file: cannot open %s for writing: %s\n", settings->log_file,
                strerror(-error));
        return 1;
    }
    house->main.log = &house->log.log;
    house->main.runner.loop.descriptor_ceiling = descriptor_ceiling(house); /* checks are many */
    const struct panic_witness witness = {house->proxy, house->count, &house->main, &house->log};
    panic_watch(&witness);
    if (boot_drop_privileges(settings, &house->log))
        code = live(house, opened);
    unlink_paths(house->snapshot);
    if (house->admin && opened->admin.is_unix)
        sys_unlink(opened->admin.path.sun_path);
    take_apart(house);
    panic_watch(NULL);
    house->log_hangs = !log_close(&house->log);
    return code;
}

int house_run(const char *path, const char *text)
{
    struct house *house = calloc(1, sizeof *house);
    struct report *report = report_new();
    struct opened opened = {.admin_fd = -1};
    int code = 1;

    if (!house || !report || worker_init(&house->main, HOUSE_NUMBER, NULL)) {
        report_free(report);
        free(house);
        return fail("cannot start", -ENOMEM);
    }
    /* what a thread frees another may use: memory stays with us, not with each */
    mallopt(M_ARENA_MAX, 2);
    panic_install();
    crypto_self_test();
    signals_block(house);
    house->source = source_of_files();
    house->path = path;
    house->text = text;
    house->sink = (struct admin_house){.status = tell_status,
                                       .reload = do_reload,
                                       .members_changed = follow_members,
                                       .server_set = follow_server,
                                       .in_force = &house->snapshot,
                                       .main = &house->main,
                                       .drains = &house->drains,
                                       .rebalances = &house->rebalances,
                                       .proxies = house->proxy};
    house_members_init(house);
    house->started_wall_usec = house->configured_wall_usec = sys_wall_usec();
    if (open_all(house, &opened, report))
        code = run_with_log(house, &opened);
    else
        say_report(report);
    take_apart(house);
    boot_close_sockets(opened.fds, opened.count);
    if (opened.admin_fd >= 0)
        sys_close(opened.admin_fd);
    worker_done(&house->main);
    report_free(report);
    if (!house->log_hangs)
        free(house);
    return code;
}

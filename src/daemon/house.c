/* Start, serve, drain, stop. The order of starting is the order in which things may be refused:
 * configuration first, then limits, sockets, privileges; only then do threads begin. */
#include "daemon/house.h"

#include "daemon/boot.h"
#include "daemon/features.h"
#include "daemon/panic.h"
#include "daemon/source.h"
#include "sys/sys.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define USEC_PER_SEC  1000000u
#define DRAIN_USEC    50000u
#define GOODBYE_USEC  (3 * USEC_PER_SEC) /* for Close frames and their echoes */
#define SPARE_FOR_ALL 64

/* --- letters to workers
 * ---------------------------------------------------------------------------- */

struct errand {
    struct mail mail;
    struct proxy *proxy;
    void (*run)(struct proxy *proxy);
};

static void on_errand(struct mail *take_mail)
{
    struct errand *errand = container_of(take_mail, struct errand, mail);

    errand->run(errand->proxy);
    free(errand);
}

static void send_all(struct house *house, void (*run)(struct proxy *proxy))
{
    for (unsigned i = 0; i < house->started; i++) {
        struct errand *errand = malloc(sizeof *errand);
        if (!errand)
            continue;
        *errand = (struct errand){{.on_arrival = on_errand}, house->proxy[i], run};
        mailbox_send(&house->proxy[i]->worker.mailbox, &errand->mail);
    }
}

static void close_tunnels(struct proxy *proxy)
{
    proxy_close_tunnels(proxy, REASON_STOPPING);
}

/* --- stopping
 * -------------------------------------------------------------------------------------- */

static uint64_t connections(const struct house *house)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < house->started; i++)
        count += proxy_connection_count(house->proxy[i]);
    return count;
}

static void on_tick(struct timer *timer)
{
    struct house *house = container_of(timer, struct house, tick);
    uint64_t now = house->main.runner.loop.now_usec;

    if (connections(house) == 0 ||
        (house->state == HOUSE_ENDING && now >= house->drain_until_usec)) {
        house->main.is_stopping = true;
        return;
    }
    if (house->state == HOUSE_DRAINING && now >= house->drain_until_usec) {
        log_say(&house->log.log, EVENT_stop, "shutdown_grace is over; %llu connections are closed",
                (unsigned long long)connections(house));
        house->state = HOUSE_ENDING;
        house->drain_until_usec = now + GOODBYE_USEC;
        send_all(house, close_tunnels);
    }
    loop_arm(&house->main.runner.loop, timer, now + DRAIN_USEC);
}

/* The first time: drain. The second time: end at once. */
static void stop(struct house *house)
{
    uint64_t grace = house->snapshot->settings->timeouts.shutdown_grace;
    uint64_t now = house->main.runner.loop.now_usec;

    if (house->state != HOUSE_SERVING) {
        house->main.is_stopping = true;
        return;
    }
    log_say(&house->log.log, EVENT_stop,
            "draining: new handshakes and requests get 503, %llu connections may go on",
            (unsigned long long)connections(house));
    house->state = HOUSE_DRAINING;
    house->drain_until_usec = grace ? now + grace : UINT64_MAX;
    send_all(house, proxy_drain);
    loop_arm(&house->main.runner.loop, &house->tick, now + DRAIN_USEC);
}

/* --- signals
 * --------------------------------------------------------------------------------------- */

static void on_signal(struct house *house, unsigned number)
{
    struct admin_reload_result result;

    switch (number) {
    case SIGHUP:
        house_reload(house, &result);
        return;
    case SIGUSR1:
        log_reopen(&house->log, house->snapshot->settings->log_file);
        return;
    default:
        stop(house);
    }
}

static void read_signals(struct task *task)
{
    struct house *house = container_of(task, struct house, on_signal);
    struct signalfd_siginfo info;

    while (read(house->signals.fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(house, info.ssi_signo);
}

static void on_ready(struct source *source, unsigned ready)
{
    struct house *house = source->owner;

    (void)ready;
    loop_post(&house->main.runner.loop, &house->on_signal);
}

/* Before any thread is made: all inherit the mask. */
static sigset_t block_signals(void)
{
    static const int wanted[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        sigaddset(&set, wanted[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

static int listen_to_signals(struct house *house)
{
    int fd = signalfd(-1, &house->signal_set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    source_init(&house->signals, fd);
    house->signals.owner = house;
    house->signals.on_ready = on_ready;
    task_init(&house->on_signal, read_signals);
    timer_init(&house->tick, on_tick);
    return loop_watch(&house->main.runner.loop, &house->signals);
}

/* --- what admin asks
 * -------------------------------------------------------------------------------- */

static void tell_status(struct admin_house *sink, struct admin_status *ret_status)
{
    struct house *house = container_of(sink, struct house, sink);

    *ret_status = (struct admin_status){
        .path = house->path ? house->path : "command line",
        .started_wall_usec = house->started_wall_usec,
        .is_draining = house->state != HOUSE_SERVING,
        .descriptor_limit = house->descriptor_limit,
        .last_reload = house->last_reload,
        .snapshot = snapshot_ref(house->snapshot),
    };
    features_write(ret_status->features, sizeof ret_status->features);
}

static void do_reload(struct admin_house *sink, struct admin_reload_result *ret_result)
{
    house_reload(container_of(sink, struct house, sink), ret_result);
}

/* --- starting
 * -------------------------------------------------------------------------------------- */

static int say_report(const struct report *report)
{
    char *text = report_text(report);

    fputs(text ? text : "out of memory\n", stderr);
    free(text);
    return 1;
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

/* Makes each worker's share, with its gates open, but no thread yet. */
static int make_proxies(struct house *house, const int *fds)
{
    size_t gates = house->snapshot->settings->listener_count;

    for (unsigned i = 0; i < house->count; i++) {
        house->proxy[i] = calloc(1, sizeof *house->proxy[i]);
        int error = house->proxy[i] ? proxy_init(house->proxy[i], i, &house->log.log, house->tls[i],
                                                 house->snapshot)
                                    : -ENOMEM;
        if (error)
            return error;
        house->proxy[i]->worker.runner.loop.descriptor_ceiling =
            house->descriptor_limit -
            (house->descriptor_limit > 4 * SPARE_FOR_ALL ? SPARE_FOR_ALL : 12);
        for (size_t k = 0; !error && k < gates; k++)
            error = proxy_open_gate(house->proxy[i], (unsigned)k,
                                    &house->snapshot->gates[k].endpoint, fds[i * gates + k]);
        if (error)
            return error;
    }
    return 0;
}

static int start_workers(struct house *house)
{
    for (; house->started < house->count; house->started++) {
        int error = worker_start(&house->proxy[house->started]->worker);
        if (error)
            return error;
    }
    return 0;
}

static int start_admin(struct house *house, int fd, const struct endpoint *endpoint)
{
    const struct admin_means means = {
        .fd = fd,
        .endpoint = *endpoint,
        .proxies = house->proxy,
        .count = house->count,
        .house = &house->sink,
        .main = &house->main,
        .log = &house->log.log,
    };

    return fd < 0 ? 0 : admin_start(&house->admin, &means);
}

static void log_start(struct house *house)
{
    const struct settings *settings = house->snapshot->settings;
    char listens[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < settings->listener_count && used < sizeof listens; i++)
        used += (size_t)snprintf(listens + used, sizeof listens - used, "%s%s", i ? ", " : "",
                                 settings->listeners[i].listen);
    log_say(&house->log.log, EVENT_start,
            "turnout %s serves on %s with %u workers, at most %d descriptors, relay tier copy",
            TURNOUT_VERSION, listens, house->count, house->descriptor_limit);
}

static void tell_supervisor(void)
{
    sys_notify("READY=1"); /* systemd's readiness protocol, when NOTIFY_SOCKET is set */
}

static void serve(struct house *house)
{
    int error = 0;

    log_start(house);
    tell_supervisor();
    while (!house->main.is_stopping && !error)
        error = worker_turn(&house->main);
}

static void take_apart(struct house *house)
{
    admin_stop(house->admin);
    for (unsigned i = 0; i < house->started; i++)
        worker_stop(&house->proxy[i]->worker);
    for (unsigned i = 0; i < house->count && house->proxy[i]; i++) {
        proxy_done(house->proxy[i]);
        free(house->proxy[i]);
    }
    for (size_t i = 0; i < house->snapshot->settings->listener_count; i++)
        if (house->snapshot->gates[i].endpoint.is_unix)
            sys_unlink(house->snapshot->gates[i].endpoint.path.sun_path);
    mailbox_deliver(
        &house->main.mailbox); /* what admin still asked; the answers find it until it is freed */
    if (house->admin && strncmp(house->snapshot->settings->admin_listen, "unix:", 5) == 0)
        sys_unlink(house->snapshot->settings->admin_listen + 5);
    house->admin = admin_free(house->admin);
    house->snapshot = snapshot_unref(house->snapshot);
    report_free(house->last_reload.report);
}

/* With the configuration in force and all sockets open: from here on only the machine can fail us.
 */
static int live(struct house *house, const int *fds, int admin_fd,
                const struct endpoint *admin_endpoint)
{
    int error = listen_to_signals(house);

    if (!error)
        error = make_proxies(house, fds);
    if (!error)
        error = start_workers(house);
    if (!error)
        error = start_admin(house, admin_fd, admin_endpoint);
    if (error)
        fail("start", error);
    else
        serve(house);
    log_say(&house->log.log, EVENT_stop, "stopped");
    take_apart(house);
    sys_close(house->signals.fd);
    return error ? 1 : 0;
}

/* Admin's default path may lie where this user cannot write: then we serve without, and say so. */
static int open_admin(const struct settings *settings, struct endpoint *ret_endpoint,
                      struct report *report)
{
    if (!settings->admin_listen)
        return -1;
    int fd = boot_admin_socket(settings, ret_endpoint);
    if (fd >= 0)
        return fd;
    if (settings->admin_is_default)
        fprintf(
            stderr,
            "turnout: no admin listener: cannot listen on %s: %s (set admin: { listen: ... })\n",
            settings->admin_listen, strerror(-fd));
    else
        report_add(report, settings->admin_mark, NULL, "cannot listen on %s: %s",
                   settings->admin_listen, strerror(-fd));
    return -1;
}

static int open_all(struct house *house, struct report *report)
{
    const struct snapshot_means means = {house->source, house->tls, &house->tickets, house->count};
    struct settings *settings = boot_settings(house, report);
    struct endpoint admin_endpoint = {0};
    int *fds = NULL, admin_fd = -1, code = 1;

    if (!settings)
        return say_report(report);
    house->count = count_workers(settings);
    if (!boot_descriptors(house, settings) || make_tls_workers(house)) {
        settings_free(settings);
        return 1;
    }
    const struct snapshot_means now = {means.source, means.tls, means.tickets, house->count};
    house->snapshot = snapshot_new(&now, settings, NULL, report);
    if (house->snapshot)
        fds = boot_sockets(house->snapshot, NULL, house->count, report);
    if (fds)
        admin_fd = open_admin(house->snapshot->settings, &admin_endpoint, report);
    if (!fds || report_count(report))
        return say_report(report);
    settings = house->snapshot->settings;
    int error =
        log_open(&house->log, settings->log_file, settings->log_level, settings->log_format);
    if (error)
        return fail(settings->log_file, error);
    house->main.log = &house->log.log;
    if (boot_drop_privileges(settings))
        code = live(house, fds, admin_fd, &admin_endpoint);
    free(fds);
    log_close(&house->log);
    return code;
}

int house_run(const char *path, const char *text)
{
    struct house *house = calloc(1, sizeof *house);
    struct report *report = report_new();
    int code = 1;

    if (!house || !report)
        return fail("start", -ENOMEM);
    mallopt(M_ARENA_MAX, 2);
    house->signal_set = block_signals();
    house->source = source_of_files();
    house->path = path;
    house->text = text;
    house->sink = (struct admin_house){tell_status, do_reload};
    house->started_wall_usec = sys_wall_usec();
    int error = worker_init(&house->main, HOUSE_NUMBER, NULL);
    if (error) {
        fail("start", error);
    } else {
        panic_install();
        code = open_all(house, report);
        worker_done(&house->main);
    }
    report_free(report);
    free(house);
    return code;
}

/* Signals arrive by descriptor, so they are events like any others, and what they cause runs as a
 * task of the main thread's loop. Draining is a tick: it ends when nobody is left, or when the
 * grace is over and Close frames had their time. */
#include "daemon/signals.h"

#include "sys/sys.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define USEC_PER_SEC 1000000u
#define TICK_USEC    50000u
#define GOODBYE_USEC (3 * USEC_PER_SEC) /* for Close frames and their echoes */

/* --- letters to workers ----------------------------------------------------------------------- */

static void on_errand(struct mail *take_mail)
{
    struct house_errand *errand = container_of(take_mail, struct house_errand, mail);

    errand->run(errand->proxy);
}

static void send_all(struct house *house, struct house_errand errands[HOUSE_WORKERS_MAX],
                     void (*run)(struct proxy *proxy))
{
    for (unsigned i = 0; i < house->started; i++) {
        errands[i] = (struct house_errand){{.on_arrival = on_errand}, house->proxy[i], run};
        mailbox_send(&house->proxy[i]->worker.mailbox, &errands[i].mail);
    }
}

static void close_tunnels(struct proxy *proxy)
{
    proxy_close_tunnels(proxy, REASON_STOPPING);
}

/* --- stopping --------------------------------------------------------------------------------- */

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
        send_all(house, house->goodbye, close_tunnels);
    }
    loop_arm(&house->main.runner.loop, timer, now + TICK_USEC);
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
    sys_notify("STOPPING=1");
    log_say(&house->log.log, EVENT_stop,
            "draining: new handshakes and requests get 503, %llu connections may go on",
            (unsigned long long)connections(house));
    house->state = HOUSE_DRAINING;
    house->drain_until_usec = grace ? now + grace : UINT64_MAX;
    send_all(house, house->drain, proxy_drain);
    loop_arm(&house->main.runner.loop, &house->tick, now + TICK_USEC);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void open_log_anew(struct house *house)
{
    const char *path = house->snapshot->settings->log_file;
    int error = log_reopen(&house->log, path);

    if (error)
        log_say(&house->log.log, EVENT_notice,
                "cannot open the log %s anew: %s; the one before is written on", path,
                strerror(-error));
}

static void on_signal(struct house *house, unsigned number)
{
    struct admin_reload_result result;

    switch (number) {
    case SIGHUP:
        house_reload(house, &result);
        return;
    case SIGUSR1:
        open_log_anew(house);
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

void signals_block(struct house *house)
{
    static const int wanted[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};

    sigemptyset(&house->signal_set);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        sigaddset(&house->signal_set, wanted[i]);
    pthread_sigmask(SIG_BLOCK, &house->signal_set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int signals_listen(struct house *house)
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

void signals_close(struct house *house)
{
    if (house->signals.owner)
        sys_close(house->signals.fd);
    house->signals.owner = NULL;
}

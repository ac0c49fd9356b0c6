/* turnout-load: a load generator for WebSockets, HTTP/1.1 and plain streams, and a server for it.
 *
 * The parent owns the clock: it waits until every process has opened its connections, calls out
 * the phases on the board in shared memory, shows progress, and adds up the tallies. It takes no
 * part in the load. */
#include "load.h"
#include "serve.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NSEC 2000000

struct parent {
    struct options options;
    struct board *board;
    pid_t pids[PROCESSES_MAX];
    bool has_ended[PROCESSES_MAX];
    bool has_crashed;
    uint64_t began_nsec, said_nsec, said_messages;
    double seconds;
};

static uint64_t sum_of(const struct parent *p, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < p->options.processes; i++) {
        const char *tally = (const char *)&p->board->tally[i];
        sum +=
            atomic_load_explicit((const _Atomic uint64_t *)(tally + offset), memory_order_relaxed);
    }
    return sum;
}
#define SUM(p, field) sum_of(p, offsetof(struct tally, field))

static void show_progress(struct parent *p, const char *what)
{
    uint64_t now = now_nsec(), messages;

    if (!p->options.shows_progress || now - p->said_nsec < NSEC_PER_SEC)
        return;
    messages = SUM(p, messages);
    fprintf(stderr,
            "%6.1f s  %-8s %8" PRIu64 " open  %10.0f messages/s  %8" PRIu64
            " handshakes  %9.3f GB  %" PRIu64 " failed\n",
            (double)(now - p->began_nsec) / NSEC_PER_SEC, what, SUM(p, open),
            p->said_nsec ? (double)(messages - p->said_messages) * NSEC_PER_SEC /
                               (double)(now - p->said_nsec)
                         : 0.0,
            SUM(p, handshakes), (double)SUM(p, bytes) / 1e9, SUM(p, failed));
    p->said_nsec = now;
    p->said_messages = messages;
}

/* Notes which processes have ended; true while all are alive. */
static bool look(struct parent *p, const char *what)
{
    struct timespec rest = {.tv_nsec = LOOK_NSEC};
    bool all_live = true;
    int status;

    for (unsigned i = 0; i < p->options.processes; i++) {
        if (!p->has_ended[i] && waitpid(p->pids[i], &status, WNOHANG) == p->pids[i]) {
            p->has_ended[i] = true;
            p->has_crashed = p->has_crashed || !WIFEXITED(status) || WEXITSTATUS(status) > 1;
        }
        all_live = all_live && !p->has_ended[i];
    }
    show_progress(p, what);
    nanosleep(&rest, NULL);
    return all_live;
}

static bool all_ready(const struct parent *p)
{
    for (unsigned i = 0; i < p->options.processes; i++)
        if (!atomic_load(&p->board->tally[i].is_ready))
            return false;
    return true;
}

static void set_phase(struct parent *p, enum phase phase)
{
    atomic_store_explicit(&p->board->phase, phase, memory_order_release);
}

static bool wait_ready(struct parent *p, const char *what)
{
    uint64_t until =
        now_nsec() + ((uint64_t)CONNECTING_MSEC + p->options.connections * 2) * 1000000u;

    while (!all_ready(p))
        if (!look(p, what) || SUM(p, failed) || now_nsec() > until)
            return false;
    return true;
}

static void wait_seconds(struct parent *p, double seconds, const char *what)
{
    uint64_t until = now_nsec() + (uint64_t)(seconds * NSEC_PER_SEC), now;

    while ((now = now_nsec()) + LOOK_NSEC < until)
        if (!look(p, what))
            return;
    if (now < until) {
        struct timespec rest = {.tv_nsec = (long)(until - now)};
        nanosleep(&rest, NULL);
    }
}

static void wait_stdin(struct parent *p)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    while (poll(&in, 1, 0) == 0 && !SUM(p, failed))
        if (!look(p, "idle"))
            return;
}

static void say_phase(const char *name)
{
    printf("{\"phase\":\"%s\"}\n", name);
    fflush(stdout);
}

static void measure(struct parent *p)
{
    p->board->start_nsec = now_nsec() + LOOK_NSEC;
    set_phase(p, PHASE_RUN);
    if (p->options.mode != MODE_IDLE && p->options.mode != MODE_RECONNECT)
        wait_seconds(p, p->options.warmup, "warm-up");
    for (unsigned i = 0; p->options.mode == MODE_RECONNECT && i < p->options.processes; i++)
        atomic_store(&p->board->tally[i].is_ready, false);
    say_phase("measure");
    uint64_t began = now_nsec();
    set_phase(p, PHASE_MEASURE);
    if (p->options.mode == MODE_IDLE)
        wait_stdin(p);
    else if (p->options.mode == MODE_RECONNECT)
        wait_ready(p, "storm");
    else
        wait_seconds(p, p->options.seconds, "measure");
    p->seconds = (double)(now_nsec() - began) / NSEC_PER_SEC;
    say_phase("measured");
}

static bool run(struct parent *p)
{
    bool is_open = wait_ready(p, "opening");
    uint64_t failed_late;

    if (is_open)
        measure(p);
    set_phase(p, PHASE_DRAIN);
    for (unsigned i = 0; i < p->options.processes; i++)
        while (!p->has_ended[i])
            look(p, "drain");
    failed_late = SUM(p, failed);
    return is_open && !failed_late && !p->has_crashed;
}

/* --- the report ------------------------------------------------------------------------------- */

static void say_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void say_why(const struct parent *p, bool was_open)
{
    bool is_first = true;

    printf(",\"why\":[");
    if (!was_open && !SUM(p, failed)) {
        printf("\"not all connections opened in time\"");
        is_first = false;
    }
    for (unsigned i = 0; i < p->options.processes; i++) {
        if (!p->board->tally[i].why[0])
            continue;
        if (!is_first)
            putchar(',');
        is_first = false;
        say_string(p->board->tally[i].why);
    }
    printf("]");
}

static void say_latency(const struct histogram *h)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};

    printf(",\"latency_samples\":%" PRIu64 ",\"min_usec\":%.1f,\"mean_usec\":%.1f", h->samples,
           (double)h->least_nsec / 1000,
           h->samples ? (double)h->sum_nsec / (double)h->samples / 1000 : 0.0);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
        printf(",\"%s_usec\":%.1f", shares[i].name,
               (double)histogram_at(h, shares[i].share) / 1000);
    printf(",\"max_usec\":%.1f", (double)h->most_nsec / 1000);
}

static const char *protocol_word(const struct options *o)
{
    static const char *const of[] = {[WS] = "ws\0wss", [HTTP] = "http\0https", [TCP] = "tcp\0tls"};
    const char *word = of[o->protocol];

    return o->is_tls ? word + strlen(word) + 1 : word;
}

static bool report(const struct parent *p, bool is_good)
{
    const struct options *o = &p->options;
    struct histogram *all = calloc(1, sizeof *all);
    uint64_t wrong = 0, lost = 0, resumed = 0, reopened = 0;
    bool was_open = p->seconds > 0;

    if (!all)
        return false;
    for (unsigned i = 0; i < o->processes; i++) {
        const struct tally *t = &p->board->tally[i];
        histogram_add(all, &t->latency);
        wrong += t->wrong, lost += t->lost, resumed += t->resumed, reopened += t->reopened;
    }
    is_good = is_good && !wrong && !lost;
    printf("{\"phase\":\"done\",\"ok\":%s,\"mode\":\"%s\",\"protocol\":\"%s\",\"connections\":%u,"
           "\"processes\":%u,\"size\":%" PRIu64 ",\"rate\":%.0f,\"seconds\":%.4f",
           is_good ? "true" : "false", mode_word(o->mode), protocol_word(o), o->connections,
           o->processes, o->size, o->rate, p->seconds);
    printf(",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"handshakes\":%" PRIu64
           ",\"failed\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"resumed\":%" PRIu64
           ",\"reopened\":%" PRIu64,
           SUM(p, messages), SUM(p, bytes), SUM(p, handshakes), SUM(p, failed), wrong, lost,
           resumed, reopened);
    if (was_open)
        printf(",\"messages_per_second\":%.1f,\"bytes_per_second\":%.0f",
               (double)SUM(p, messages) / p->seconds, (double)SUM(p, bytes) / p->seconds);
    say_latency(all);
    if (!is_good)
        say_why(p, was_open);
    printf("}\n");
    fflush(stdout);
    if (o->histogram && histogram_write(all, o->histogram)) {
        fprintf(stderr, "turnout-load: cannot write %s\n", o->histogram);
        is_good = false;
    }
    free(all);
    return is_good;
}

/* --- begin ------------------------------------------------------------------------------------ */

static void raise_limit(const struct options *o)
{
    struct rlimit limit;
    unsigned each = o->connections / o->processes + 64;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= each)
        return;
    fprintf(stderr,
            "turnout-load: %u descriptors are wanted per process, %lu allowed; --processes\n", each,
            (unsigned long)limit.rlim_cur);
    exit(2);
}

static void start(struct parent *p)
{
    for (unsigned i = 0; i < p->options.processes; i++) {
        p->pids[i] = fork();
        if (p->pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            _exit(crew_run(&p->options, p->board, i));
        }
        if (p->pids[i] < 0) {
            perror("turnout-load: fork");
            exit(1);
        }
    }
}

int main(int argc, char **argv)
{
    struct parent p = {0};

    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return serve_main(argc - 1, argv + 1);
    options_parse(&p.options, argc, argv);
    raise_limit(&p.options);
    p.board =
        mmap(NULL, sizeof *p.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p.board == MAP_FAILED) {
        perror("turnout-load: mmap");
        return 1;
    }
    p.began_nsec = now_nsec();
    start(&p);
    bool is_good = run(&p);
    return report(&p, is_good) ? 0 : 1;
}

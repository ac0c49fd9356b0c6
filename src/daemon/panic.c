/* Only what may be called in a signal handler: write(2), poll(2) and arithmetic. Other threads run
 * on meanwhile, so what is read here may be in motion; whatever goes wrong then ends us at once,
 * for the handler is used up. */
#include "daemon/panic.h"

#include "base/check.h"

#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 32
#define STEPS_MAX  24

/* A handler has no argument: with check.c's, the one thing in the program that is known everywhere.
 */
static _Atomic(const struct panic_witness *) witness;

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)written;
}

static void say_number(uint64_t number)
{
    char text[24], *at = text + sizeof text - 1;

    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    say(at);
}

static void on_check_failed(const char *what, const char *file, int line)
{
    say("turnout: ");
    say(file);
    say(":");
    say_number((uint64_t)line);
    say(": this cannot be: not ");
    say(what);
    say("\n");
}

/* --- what flows did last ---------------------------------------------------------------------- */

static const char *step_name(const struct flow_kind *kind, uint8_t step)
{
    return kind && step < kind->step_count ? kind->steps[step].name : "-";
}

/* "  -1204 us  #257 tunnel  dial > ask" */
static void say_event(const struct runner *runner, const struct event *event)
{
    const struct flow_kind *kind = runner_kind(runner, event->kind);

    say("  -");
    say_number(runner->loop.now_usec - event->usec);
    say(" us  #");
    say_number(event->flow_number);
    say(" ");
    say(kind ? kind->name : "-");
    say("  ");
    say(step_name(kind, event->from_step));
    say(" > ");
    if (event->to_step == EVENT_NO_STEP)
        say(reason_row(event->reason)->name);
    else
        say(step_name(kind, event->to_step));
    say("\n");
}

static void say_steps(const struct runner *runner)
{
    uint64_t end = ring_written(&runner->ring);
    struct event event;

    say("worker ");
    say_number(runner->number);
    say(" ran this thread; the last steps of its flows:\n");
    for (uint64_t at = end > STEPS_MAX ? end - STEPS_MAX : 0; at < end; at++)
        if (ring_read(&runner->ring, at, &event))
            say_event(runner, &event);
}

static const struct worker *worker_of_this_thread(const struct panic_witness *seen)
{
    for (unsigned i = 0; i < seen->count; i++)
        if (seen->proxy[i] && pthread_equal(seen->proxy[i]->worker.thread, pthread_self()))
            return &seen->proxy[i]->worker;
    return getpid() == gettid() ? seen->main : NULL;
}

/* --- dying ------------------------------------------------------------------------------------ */

static void on_fatal(int number)
{
    const struct panic_witness *seen = atomic_exchange(&witness, NULL);
    const struct worker *worker = seen ? worker_of_this_thread(seen) : NULL;
    void *frames[FRAMES_MAX];

    say("turnout " TURNOUT_VERSION ": killed by signal ");
    say_number((uint64_t)number);
    say("; where:\n");
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
    if (worker)
        say_steps(&worker->runner);
    if (seen)
        log_dump(seen->log);
    signal(number, SIG_DFL);
    raise(number);
}

void panic_install(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND};
    void *frame[1];

    backtrace(frame, 1); /* loads what it needs now, not in the handler */
    check_on_failure(on_check_failed);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        sigaction(fatal[i], &action, NULL);
}

void panic_watch(const struct panic_witness *seen)
{
    atomic_store(&witness, seen);
}

/* Only what may be called in a signal handler: write(2) and arithmetic. */
#include "daemon/panic.h"

#include "base/check.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 32

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)written;
}

static void say_number(int number)
{
    char text[12], *at = text + sizeof text - 1;

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
    say_number(line);
    say(": this cannot be: not ");
    say(what);
    say("\n");
}

static void on_fatal(int number)
{
    void *frames[FRAMES_MAX];

    say("turnout " TURNOUT_VERSION ": killed by signal ");
    say_number(number);
    say("; where:\n");
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
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

/* The registry, whose rows come from the list in meson.build, and what ways of asking have in
 * common. */
#include "health/checker.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define LINES_BYTES 4096

#define CHECKER(name) extern const struct checker checker_##name;
#include "health/checkers.h"
#undef CHECKER

static const struct checker *const all[] = {
#define CHECKER(name) &checker_##name,
#include "health/checkers.h"
#undef CHECKER
};

_Static_assert(ARRAY_LEN(all) == CHECK_KINDS, "each kind of check has its file");

const struct checker *checker_of(enum check_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->kind == kind)
            return all[i];
    check_failed("a kind of check without its file", __FILE__, __LINE__);
}

enum talk_next talk_end(struct talk *talk, enum reason why)
{
    talk->why = why;
    return TALK_OVER;
}

int talk_say(struct talk *talk, const char *format, ...)
{
    char lines[LINES_BYTES];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(lines, sizeof lines, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof lines)
        return -EMSGSIZE;
    return buf_append(&talk->out, (struct bytes){(const uint8_t *)lines, (size_t)len});
}

static const char *read_number(const char *at, unsigned *ret_number)
{
    *ret_number = 0;
    for (; *at >= '0' && *at <= '9' && *ret_number < 1000; at++)
        *ret_number = *ret_number * 10 + (unsigned)(*at - '0');
    return at;
}

bool status_is_wanted(const char *ranges, unsigned status)
{
    if (!ranges)
        return status >= 200 && status <= 399;
    while (*ranges) {
        unsigned from, to;
        ranges = read_number(ranges, &from);
        to = from;
        if (*ranges == '-')
            ranges = read_number(ranges + 1, &to);
        if (status >= from && status <= to)
            return true;
        while (*ranges && (*ranges < '0' || *ranges > '9'))
            ranges++;
    }
    return false;
}

/* One place for the words' length. */
#include "route/teller.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int teller_complain(const struct teller *teller, const char *format, ...)
{
    char words[256];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    teller->tell(teller->to, teller->mark, words);
    return -EINVAL;
}

int teller_words(char words[256], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(words, 256, format, args);
    va_end(args);
    return -EINVAL;
}

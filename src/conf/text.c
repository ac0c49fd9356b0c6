/* Each piece is measured first, then printed in its place. */
#include "conf/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_say(struct text *text, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *more = len < 0 ? NULL : realloc(text->at, text->len + (size_t)len + 1);
    if (more) {
        text->at = more;
        vsnprintf(more + text->len, (size_t)len + 1, format, again);
        text->len += (size_t)len;
    }
    text->has_failed |= !more;
    va_end(again);
}

char *text_take(struct text *text)
{
    char *at = text->at ? text->at : strdup("");

    if (text->has_failed) {
        free(at);
        at = NULL;
    }
    *text = (struct text){0};
    return at;
}

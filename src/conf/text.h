/* A text that grows as it is written: what an error report and a shown configuration are made of.
 * It is one or it is none: where memory ran out on the way, nothing of it is handed over. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *at; /* NULL: nothing was written yet */
    size_t len;
    bool has_failed; /* something is missing */
};

__attribute__((format(printf, 2, 3))) void text_say(struct text *text, const char *format, ...);

/* What was written, malloc'ed, with a NUL; NULL: no memory. The text is empty again. */
char *text_take(struct text *text);

/* Errors at a place of the tree, and the words in their hints. */
#include "conf/directive.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NEAR_ENOUGH 3

void complain_at(struct loader *loader, struct mark mark, const char *hint, const char *format, ...)
{
    char words[WORDS_BYTES];
    bool is_told = report_count(loader->report) >=
                   ERRORS_TOLD; /* only counted, so nothing is made up for it */
    char *quote = hint || is_told ? NULL : report_quote_hint(loader->report, mark);
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    report_add(loader->report, mark, hint ? hint : quote, "%s", words);
    free(quote);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance (insert, delete, replace), over words of at most 63 letters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], len = strlen(b);

    if (len > 63 || strlen(a) > 63)
        return SIZE_MAX;
    for (size_t k = 0; k <= len; k++)
        row[k] = k;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= len; k++) {
            size_t replaced = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            row[k] = least(replaced, least(row[k], row[k - 1]) + 1);
        }
    }
    return row[len];
}

const char *nearest_word(const char *text, const char *const *words)
{
    const char *best = NULL;
    size_t best_distance = NEAR_ENOUGH;

    for (; words && *words; words++) {
        size_t d = distance(text, *words);
        if (d < best_distance && d < strlen(*words)) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}

void list_words(char *text, size_t size, const char *const *words)
{
    size_t used = strlen(text);

    for (bool is_first = true; words && *words; words++, is_first = false) {
        if (used + strlen(", ") + strlen(*words) + sizeof ", ..." > size) {
            snprintf(text + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", is_first ? "" : ", ", *words);
    }
}

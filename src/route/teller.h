/* Whom an error of the configuration is told, and where it stands. */
#pragma once

#include "route/edits.h"

struct teller {
    edits_tell_fn *tell;
    void *to;
    struct mark mark;
};

/* Into the words of a caller that tells them itself; returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int teller_words(char words[256], const char *format, ...);
/* Tells it; returns -EINVAL, which is what its caller returns. */
__attribute__((format(printf, 2, 3))) int teller_complain(const struct teller *teller,
                                                          const char *format, ...);

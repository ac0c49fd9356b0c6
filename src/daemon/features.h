/* What this kernel offers, found by asking it. */
#pragma once

#include <stddef.h>

/* One line, "kernel 6.1.0; EPOLLEXCLUSIVE yes; ...". Returns `text`. */
const char *features_write(char *text, size_t size);

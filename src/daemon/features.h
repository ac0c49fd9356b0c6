/* What this kernel offers, found by asking it. */
#pragma once

#include <stddef.h>

#define FEATURES_BYTES 512

/* One line, "kernel 6.1.0; splice: yes; BPF: no (not permitted); ...". Returns `text`. */
const char *features_write(char *text, size_t size);

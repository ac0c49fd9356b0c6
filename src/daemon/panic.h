/* The end of a process that has found itself wrong: what, where, and what its connections did last,
 * on stderr; what was not yet logged, to the log. Then it dies by its signal. */
#pragma once

#include "daemon/log.h"
#include "proxy/proxy.h"

void panic_install(void);

/* What to speak of: `count` workers' proxies, the main thread's worker, the log. All borrowed, and
 * read by whichever thread dies, whenever; NULL: no longer. */
struct panic_witness {
    struct proxy *const *proxy; /* those that are not there are NULL */
    unsigned count;
    const struct worker *main;
    const struct log_sink *log;
};
void panic_watch(const struct panic_witness *seen);

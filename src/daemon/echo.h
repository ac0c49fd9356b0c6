/* `turnout echo`: a WebSocket server that answers what it is sent. */
#pragma once

#include <stddef.h>

/* Until SIGINT or SIGTERM. `name` NULL: the first address. The exit code; what is wrong has been
 * said. */
int echo_run(const char *const *listens, size_t count, const char *name);

/* What the process does when it is told by signal: SIGHUP reload, SIGUSR1 open the log anew,
 * SIGTERM and SIGINT drain, and, the second time, end at once. */
#pragma once

#include "daemon/house.h"

/* Blocks them, for all threads that are made afterwards, and ignores SIGPIPE. */
void signals_block(struct house *house);

/* From now on the main thread's loop hears them. 0 or a negative errno. */
int signals_listen(struct house *house);
void signals_close(struct house *house);

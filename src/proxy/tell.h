/* Letters from the main thread to all workers: what each shall do on its own proxy. */
#pragma once

#include "proxy/proxy.h"

/* Each worker runs it in one of its next turns. 0; -ENOMEM: nobody was told. */
int proxy_tell_all(struct proxy *const *proxies, unsigned count, void (*run)(struct proxy *proxy));
